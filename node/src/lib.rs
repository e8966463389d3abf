//! One program for departments: a *source* keeps its records and answers for them, a *roster owner* asks about its own
//! people. ID numbers enter in [`source`] and leave only in files of this department; what crosses the wire is blinded
//! elements, tags, row lists.

pub mod admin;
pub mod cache;
pub mod canaries;
pub mod channel;
pub mod check;
pub mod config;
pub mod decisions;
pub mod disclosures;
pub mod engine;
pub mod enrolment;
pub mod handles;
pub mod pool;
pub mod program;
pub mod quarantine;
pub mod roster;
pub mod rowmap;
pub mod rows;
pub mod seed;
pub mod service;
pub mod snapshot;
pub mod sorter;
pub mod source;
mod text;
pub mod vault;
pub mod work;
