//! A source's OPRF key pair, and the public key prepared for bulk work.

use core::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoBasepointTable, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::element::{Element, is_identity};

/// The private scalar `k_j` of one key epoch, never zero, with its public key.
///
/// Whoever has it can test every ID number of a city; it leaves memory only through [`SecretKey::to_bytes`].
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretKey {
    scalar: Scalar,
    #[zeroize(skip)]
    public: PublicKey,
}

/// A source's public key `K_j = k_j · G`: canonical, not the identity.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    encoding: Element,
    point: RistrettoPoint,
}

/// A public key with its table of multiples (30 KiB): build it once for each source and epoch, then reuse it.
pub struct PreparedKey {
    public: PublicKey,
    table: Box<RistrettoBasepointTable>,
}

/// Why the bytes of a key were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the canonical encoding of a scalar or element.
    #[error("the key is not canonically encoded")]
    NonCanonical,
    /// The zero scalar or the identity element.
    #[error("the key is zero")]
    Zero,
}

impl SecretKey {
    /// A fresh key, uniform among the non-zero scalars.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut wide = Zeroizing::new([0; 64]);
        loop {
            rng.fill_bytes(wide.as_mut());
            if let Some(key) = Self::from_scalar(Scalar::from_bytes_mod_order_wide(&wide)) {
                return key;
            }
        }
    }

    /// Takes a key from custody: 32 bytes, little-endian (RFC 9497, section 4.1).
    ///
    /// # Errors
    /// Refuses zero and anything not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let scalar: Option<Scalar> = Scalar::from_canonical_bytes(*bytes).into();
        Self::from_scalar(scalar.ok_or(KeyError::NonCanonical)?).ok_or(KeyError::Zero)
    }

    /// The key for custody, as [`SecretKey::from_bytes`] takes it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.scalar.to_bytes())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// `None` for zero.
    pub(super) fn from_scalar(scalar: Scalar) -> Option<Self> {
        (scalar != Scalar::ZERO).then(|| Self {
            public: PublicKey::from_point(RistrettoPoint::mul_base(&scalar)),
            scalar,
        })
    }

    pub(super) fn scalar(&self) -> &Scalar {
        &self.scalar
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Decodes a public key.
    ///
    /// # Errors
    /// Refuses the identity and encodings that are not canonical.
    pub fn from_bytes(encoding: &Element) -> Result<Self, KeyError> {
        if is_identity(encoding) {
            return Err(KeyError::Zero);
        }
        let point = CompressedRistretto(*encoding)
            .decompress()
            .ok_or(KeyError::NonCanonical)?;
        Ok(Self {
            encoding: *encoding,
            point,
        })
    }

    /// The canonical encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &Element {
        &self.encoding
    }

    pub(super) fn point(&self) -> &RistrettoPoint {
        &self.point
    }

    fn from_point(point: RistrettoPoint) -> Self {
        Self {
            encoding: point.compress().to_bytes(),
            point,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.encoding))
    }
}

impl PreparedKey {
    /// Computes the table, at the cost of some 20 multiplications.
    #[must_use]
    pub fn new(public: PublicKey) -> Self {
        Self {
            table: Box::new(RistrettoBasepointTable::create(&public.point)),
            public,
        }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// `scalar · K_j`, in constant time.
    pub(super) fn mul(&self, scalar: &Scalar) -> RistrettoPoint {
        &*self.table * scalar
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
