//! The engine, driven by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod closing;
mod deciding;
mod members;
mod opening;
mod relaying;
mod retaining;
mod starting;
