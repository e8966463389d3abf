//! Canonical identities.
