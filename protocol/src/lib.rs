//! The matching protocol of wugan: bytes, rounds, proofs.
//!
//! Pure: no sockets, files, clock or global randomness; `now` and `rng` are arguments.
#![forbid(unsafe_code)]

pub mod at_rest;
pub mod canary;
pub mod chance;
pub mod codec;
pub mod disclosure;
pub mod engine;
pub mod envelope;
pub mod file;
pub mod hexes;
pub mod ledger;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod member;
pub mod message;
pub mod month;
pub mod oprf;
pub mod party;
pub mod person;
pub mod policy;
pub mod reason;
pub mod run;
pub mod stage;
pub mod statement;
pub mod tag;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
