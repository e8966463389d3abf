//! The matching protocol of wugan: bytes, rounds, proofs.
//!
//! Pure: no sockets, files, clock or global randomness; `now` and `rng` are arguments.
#![forbid(unsafe_code)]

pub mod codec;
pub mod envelope;
pub mod file;
pub mod hexes;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod month;
pub mod oprf;
pub mod party;
pub mod person;
pub mod policy;
pub mod reason;
pub mod statement;
