//! The transparency log's formats, as bytes in and bytes out: who writes, serves or keeps them is not known here.
//!
//! - Merkle tree: RFC 6962 section 2.1, [`merkle`].
//! - Files: C2SP tlog-tiles; named in [`tile`], made by [`writer`].
//! - Signatures: C2SP signed-note in [`note`], tlog-checkpoint in [`checkpoint`], tlog-cosignature v1 in [`cosignature`].
//!
//! A member and an auditor hold every entry: they grow the tree themselves ([`merkle::Growing`]) and compare it with that of
//! a [`checkpoint::VerifiedCheckpoint`]. So nobody here needs proofs of inclusion or consistency; whoever holds a tree and not its
//! entries has them from the files with any tool for C2SP tlog-tiles.
//!
//! Written here over SHA-256 and Ed25519 of `ring`, and not taken from a crate, because it is small, and because an auditor has
//! to read it: `tlog_tiles` 0.2 names tiles unlike the specification, hands out hashes that it has not checked and panics
//! on what should be an error; `signed_note` 0.2 drops repeated lines unseen, which an auditor has to report; together they add
//! 33 crates to a build. Tests hold this code against `ct-merkle` and against Go's `sumdb` packages.

pub mod checkpoint;
pub mod cosignature;
pub mod merkle;
pub mod note;
pub mod tile;
pub mod writer;
