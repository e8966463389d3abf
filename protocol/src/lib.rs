//! The matching protocol of wugan: bytes, rounds, proofs.
//!
//! Pure: no sockets, files, clock or global randomness; `now` and `rng` are arguments.
#![forbid(unsafe_code)]

pub mod codec;
pub mod limits;
pub mod message;
pub mod oprf;
pub mod party;
pub mod person;
