//! Custody of secrets: where they lie, who may open them, how they are made, announced and destroyed.
//!
//! Every role of a member has a directory. Its [`StorageKey`] opens everything else in it: the Ed25519 [`Identity`] of
//! the role ([`identity`]), its [`LogKey`] ([`log_key`]), the OPRF keys of a source's epochs ([`epoch`]), and bulk data that other crates keep sealed
//! ([`seal`]). [`PartyKeys::open`] is what a service calls; [`commands`] is what an operator runs as `wugan-keys`.
//!
//! Secrets leave memory only encrypted, with one exception: a storage key without passphrase, which is a file of mode
//! 0600. Nothing here prints, logs or returns a secret in an error; `Debug` of every secret type is redacted. Only
//! [`store`] touches files.
#![forbid(unsafe_code)]

pub mod authority;
pub mod canaries;
pub mod card;
pub mod commands;
pub mod epoch;
pub mod harden;
pub mod identity;
pub mod log_key;
mod pair;
pub mod party_keys;
pub mod seal;
pub mod store;

pub use authority::Authority;
pub use canaries::Canaries;
pub use card::Card;
pub use epoch::EpochKey;
pub use identity::Identity;
pub use log_key::LogKey;
pub use party_keys::PartyKeys;
pub use store::{Custody, StorageKey};

/// The language that this process's environment asks for.
pub fn language() -> wugan_protocol::text::Language {
    wugan_protocol::text::Language::asked(|name| std::env::var(name).ok())
}
