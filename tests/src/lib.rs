//! What the whole of wugan is tested against, and the tests of the whole.
//!
//! [`model`] computes, from the plain files of a city, what every decision must be. It shares no code with the
//! federation that it is compared with; nor does [`audit`], which reads the log that a federation leaves.

pub mod attack;
pub mod audit;
pub mod checks;
pub mod city;
pub mod cluster;
pub mod disclosure;
pub mod model;
pub mod rogue;
pub mod sim;
pub mod version;
