//! 32-byte secrets: wiped on drop, never copied or printed.

use core::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

macro_rules! secret_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes over bytes from custody.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes, for custody and key derivation.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret_bytes! {
    /// Seed of one enrolment batch: its blinds and padding derive from it and the people.
    ///
    /// Persisted with the batch's people before anything is sent; fresh for each batch.
    BatchSeed
}

secret_bytes! {
    /// Key from which a source derives the nonces of its proofs; one for each key epoch, kept like the OPRF key.
    NonceKey
}

secret_bytes! {
    /// `m_j(x)`: the first 32 bytes of `F_j(x)`, the key under which a person's round tags are made.
    MatchingKey
}

impl BatchSeed {
    /// A fresh seed.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Self([0; 32]);
        rng.fill_bytes(&mut seed.0);
        seed
    }
}

impl NonceKey {
    /// A fresh nonce key.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }
}

impl MatchingKey {
    /// Truncates `F_j(x)`.
    pub(super) fn from_output(output: &[u8; 64]) -> Self {
        let mut key = Self([0; 32]);
        key.0.copy_from_slice(&output[..32]);
        key
    }
}
