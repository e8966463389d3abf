//! Round tags: what the matcher compares.

use sha2::{Digest, Sha256};

use crate::oprf::MatchingKey;

/// 12 bytes that stand for one person in one channel and pool group of one round. Tags compare as byte strings.
pub type Tag = [u8; TAG_BYTES];

/// Bytes of a tag.
pub const TAG_BYTES: usize = 12;

/// What a tag is bound to, besides the person: FixedInfo of NIST SP 800-56C, section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagContext {
    /// The round id.
    pub round: [u8; 16],
    /// The pool group of the roster owner.
    pub group: u8,
    /// The channel's number.
    pub channel: u16,
}

impl TagContext {
    /// The tag of the person with this matching key: NIST SP 800-56C one-step KDF with SHA-256 over one compression
    /// (counter 4 + key 32 + round 16 + group 1 + channel 2 = 55 bytes, integers big-endian), truncated.
    pub fn tag(&self, key: &MatchingKey) -> Tag {
        let mut input = [0; 55];
        input[..4].copy_from_slice(&1_u32.to_be_bytes());
        input[4..36].copy_from_slice(key.as_bytes());
        input[36..52].copy_from_slice(&self.round);
        input[52] = self.group;
        input[53..].copy_from_slice(&self.channel.to_be_bytes());
        let digest = Sha256::digest(input);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&digest[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fixed_vector() {
        let context = TagContext { round: [0x11; 16], group: 1, channel: 0x0203 };
        let key = MatchingKey::from_bytes([0x22; 32]);
        // SHA-256 of 00000001 || 22*32 || 11*16 || 01 || 0203, by another program.
        assert_eq!(hex::encode(context.tag(&key)), "67c51a987d2d2e74ff9b00fb");
    }
}
