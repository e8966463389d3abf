//! wugan's matcher: compares records with pools, tag by tag, and says only which records were met.
//!
//! It sees tags without rows. It holds no key, no roster and no channel; it learns no ID number, keeps the files of a
//! round for the policy's retention time and then deletes them. [`MatcherEngine`] decides what to do; a [`Task`] does it
//! on files.
#![forbid(unsafe_code)]

mod engine;
mod handles;
mod join;
pub mod service;
mod work;

pub use engine::{MatcherEngine, TaskKey};
pub use handles::Handles;
pub use join::{JoinError, join};
pub use work::{RecordsFile, Task};
