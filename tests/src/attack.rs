//! Attacks on a log: a genuine one, all that can be done to it, by whom, and who finds it.
//!
//! [`genuine`] has the log and everybody's keys, [`edits`] the manipulations of its entries and [`files`] those of its files,
//! [`forger`] signs what was changed with the keys of whoever does it, [`judges`] say who finds it, and [`table`] counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

pub mod edits;
pub mod files;
pub mod forger;
pub mod genuine;
pub mod judges;
mod kept;
mod leaves;
pub mod table;
