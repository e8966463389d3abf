#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod city;
mod files;
mod rules;
mod shipped;
