//! Part of wugan.
pub mod journal;
pub mod rounds;
