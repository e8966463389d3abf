//! A department's node: records and rosters come in here, and only tags, rows and decisions leave.

pub mod channel;
pub mod quarantine;
pub mod roster;
pub mod source;
