//! The one place that names bincode: fixed-width little-endian integers, a byte limit, no trailing bytes.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Serialize, de::DeserializeOwned};

use crate::limits::MESSAGE_BYTES_MAX;

/// Bytes that are not exactly one value of the expected type within the limit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    /// Longer than the limit.
    #[error("message of {bytes} bytes is larger than the limit of {MESSAGE_BYTES_MAX}")]
    TooLarge {
        /// Bytes found.
        bytes: usize,
    },
    /// Not a value of the type.
    #[error("malformed message")]
    Malformed,
    /// A value followed by something else.
    #[error("{bytes} bytes follow the end of the message")]
    Trailing {
        /// Bytes left over.
        bytes: usize,
    },
}

/// Encodes one value.
///
/// # Errors
/// [`CodecError::TooLarge`] when it exceeds the message limit.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(value, CONFIG).map_err(|_| CodecError::Malformed)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(CodecError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// Decodes exactly one value.
///
/// # Errors
/// Every input that [`encode`] could not have produced.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(CodecError::TooLarge { bytes: bytes.len() });
    }
    let (value, used) = bincode::serde::decode_from_slice(bytes, CONFIG).map_err(|_| CodecError::Malformed)?;
    match bytes.len() - used {
        0 => Ok(value),
        bytes => Err(CodecError::Trailing { bytes }),
    }
}

const CONFIG: Configuration<LittleEndian, Fixint, Limit<MESSAGE_BYTES_MAX>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MESSAGE_BYTES_MAX>();
