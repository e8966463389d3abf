//! A whole federation on one machine: a generated (or given) city, 24 departments' nodes, a matcher, an aggregator and a
//! coordinator, each a process of its own, talking over real sockets.
//!
//! It does with the programs what operators and staff would do, and never looks at more than they may: it does not check
//! its own results.

pub mod canaries;
pub mod census;
pub mod city;
pub mod cli;
pub mod layout;
pub mod processes;
pub mod program;
pub mod report;
pub mod run;
pub mod setup;
pub mod staff;
pub mod text;
