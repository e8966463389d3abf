//! wugan's auditor: it gets the log's folder and the authority's public key, works offline, and trusts nobody else.
//!
//! [`folder::read`] takes every byte under the folder; [`verify::verify`] says what is wrong with them: files that are
//! not those of the signed tree, entries that their signers may not make, rules of the protocol that were broken, rounds
//! that too few members cosigned. What the log cannot show (whether a department's records are true) is not looked at.
//!
//! Where a party's files lie, [`replay::replay`] computes a server's output of a round again, and
//! [`recompute::recompute`] what a node announced, with code that shares nothing with theirs.
#![forbid(unsafe_code)]

pub mod canaries;
pub mod compare;
mod counts;
mod database;
pub mod detail;
pub mod disclosures;
mod explain;
pub mod finding;
pub mod folder;
mod kept;
pub mod monitor;
pub mod recompute;
pub mod replay;
pub mod report;
pub mod round;
pub mod story;
pub mod verify;
pub mod versions;
