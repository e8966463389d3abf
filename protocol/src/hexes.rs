//! Fixed-size byte strings that are lower-case hexadecimal in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// `N` bytes, written in JSON as `2 N` lower-case hexadecimal digits; anything else is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// A SHA-256 digest.
pub type Digest = Hex<32>;

impl<const N: usize> std::fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const N: usize> std::fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom(format!("not {N} bytes of lower-case hexadecimal")))
    }
}

impl<const N: usize> std::str::FromStr for Hex<N> {
    type Err = NotHex;
    fn from_str(text: &str) -> Result<Self, NotHex> {
        parse(text).ok_or(NotHex(N))
    }
}

/// Not the expected number of bytes in lower-case hexadecimal.
#[derive(Debug, thiserror::Error)]
#[error("not {0} bytes of lower-case hexadecimal")]
pub struct NotHex(usize);

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    Hex(out)
}

fn parse<const N: usize>(text: &str) -> Option<Hex<N>> {
    let mut bytes = [0; N];
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Hex(bytes))
}
