//! wugan's coordinator: it keeps the log, opens and closes rounds, relays enrolment, and decides by policy.
//!
//! [`CoordinatorEngine`] is a state machine without I/O. It compares, after every input, what the log says should be
//! with what is done, and issues only what lacks; so a restart runs the same code as the first try. The work of a
//! thread is [`decide`]; what the coordinator's staff asks and reads is [`admin`] and [`status`].
//!
//! It sees signal bits of nameless rows. It never sees an ID number or a round tag, and no source here names their
//! types.
#![forbid(unsafe_code)]

pub mod admin;
pub mod check;
pub mod config;
pub mod decide;
pub mod engine;
mod log;
pub mod log_folder;
mod peers;
mod relay;
mod round;
pub mod service;
pub mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
pub mod watch;

pub use engine::{CoordinatorEngine, Job, Local};
pub use round::retain::{DeleteDone, DeleteTask};
