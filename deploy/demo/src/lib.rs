//! A whole federation on one machine: a synthetic city, and everything that is needed to run its rounds.

pub mod city;
