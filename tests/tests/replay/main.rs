//! Replay of the servers' stages and recomputation at the nodes: nothing is found in genuine rounds; a lie is, also when
//! whoever told it signed all that follows anew and everybody cosigned the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod city;
mod genuine;
mod inputs;
mod nodes;
mod outputs;
mod wrong;
