//! The matching protocol of wugan: bytes, rounds, proofs.
//!
//! Pure: no sockets, files, clock or global randomness; `now` and `rng` are arguments.
#![forbid(unsafe_code)]

pub mod oprf;
pub mod person;
