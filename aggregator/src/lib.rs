//! wugan's aggregator: counts, for each nameless row, how many of its records were met, and keeps only the signal bits
//! that the policy's rules can tell apart.
//!
//! It sees rows and handles, nothing that stands for a person or could be compared between rounds. It keeps the files
//! of a round for the policy's retention time and then deletes them. [`AggregatorEngine`] decides what to do; a
//! [`Task`] does it on files, and a [`DiscloseTask`] finds which records of one row were met, after two approvals.
#![forbid(unsafe_code)]

mod combine;
mod disclose;
mod engine;
mod rows;
pub mod service;
mod work;

pub use combine::{CombineError, Signals};
pub use disclose::{DiscloseDone, DiscloseTask};
pub use engine::{AggregatorEngine, Job, Local, TaskKey};
pub use rows::{RowList, check_list, check_sizes};
pub use work::{AggregatorWorker, Task};
