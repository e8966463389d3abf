//! Group elements as they cross the wire.

use core::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};

/// A ristretto255 element in its canonical 32-byte encoding (RFC 9496, section 4.3.2).
pub type Element = [u8; 32];

/// Most elements that one batch may hold, padding included.
pub const BATCH_ELEMENTS_MAX: usize = 8_192;

/// A decoded batch: between 1 and [`BATCH_ELEMENTS_MAX`] elements, each canonical and none the identity.
///
/// Keeps points beside encodings, so that evaluation, proof and verification decode only once.
#[derive(Clone)]
pub struct Elements {
    encodings: Vec<Element>,
    points: Vec<RistrettoPoint>,
}

/// Why a batch of elements was refused. The index counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElementsError {
    /// The batch is empty or too long.
    #[error("a batch has 1 to {BATCH_ELEMENTS_MAX} elements, this one has {0}")]
    Count(usize),
    /// Not the canonical encoding of any element.
    #[error("element {index} is not a canonical ristretto255 encoding")]
    NonCanonical {
        /// Position in the batch.
        index: usize,
    },
    /// The identity, which RFC 9497 (section 2.1) excludes.
    #[error("element {index} is the identity")]
    Identity {
        /// Position in the batch.
        index: usize,
    },
}

impl Elements {
    /// Decodes a batch from the wire.
    ///
    /// # Errors
    /// Names the first element that is not canonical or is the identity; refuses empty and oversized batches.
    pub fn decode(encodings: &[Element]) -> Result<Self, ElementsError> {
        check_count(encodings.len())?;
        let points = encodings
            .iter()
            .enumerate()
            .map(|(index, encoding)| decode_at(index, encoding));
        Ok(Self {
            points: points.collect::<Result<_, _>>()?,
            encodings: encodings.to_vec(),
        })
    }

    /// The encodings, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Element] {
        &self.encodings
    }

    /// Number of elements, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.encodings.len()
    }

    /// Joins points that were just computed with their encodings, checking what [`Elements::decode`] checks.
    pub(super) fn from_computed(
        encodings: Vec<Element>,
        points: Vec<RistrettoPoint>,
    ) -> Result<Self, ElementsError> {
        debug_assert_eq!(encodings.len(), points.len());
        check_count(encodings.len())?;
        match encodings.iter().position(is_identity) {
            Some(index) => Err(ElementsError::Identity { index }),
            None => Ok(Self { encodings, points }),
        }
    }

    pub(super) fn points(&self) -> &[RistrettoPoint] {
        &self.points
    }
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elements")
            .field("len", &self.len())
            .finish()
    }
}

/// The one encoding of the identity is all zeros (RFC 9496, section 4.3.2).
pub(super) fn is_identity(encoding: &Element) -> bool {
    encoding == &[0; 32]
}

fn check_count(count: usize) -> Result<(), ElementsError> {
    if (1..=BATCH_ELEMENTS_MAX).contains(&count) {
        Ok(())
    } else {
        Err(ElementsError::Count(count))
    }
}

fn decode_at(index: usize, encoding: &Element) -> Result<RistrettoPoint, ElementsError> {
    if is_identity(encoding) {
        return Err(ElementsError::Identity { index });
    }
    CompressedRistretto(*encoding)
        .decompress()
        .ok_or(ElementsError::NonCanonical { index })
}
