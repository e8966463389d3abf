//! Every random choice of a round, derived from one seed: the same file can be made again, by anyone who has the seed,
//! whatever threads, buckets or libraries it uses.

use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher},
};
use ring::hkdf;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    file::FileKey,
    hexes::Digest,
    tag::{TAG_BYTES, Tag},
};

/// A member's secret seed, fresh for each round id.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RoundSeed([u8; 32]);

impl std::fmt::Debug for RoundSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoundSeed(redacted)")
    }
}

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The 32 bytes that a file begins with.
    Salt(FileKey),
    /// The order of an owner's rows at one matter (its number).
    RowOrder {
        /// The owner's member number.
        owner: u16,
        /// The matter's number.
        matter: u16,
    },
    /// The handles of an owner's records of one class.
    Handles {
        /// The owner's member number.
        owner: u16,
        /// The class's place in the order of the bits file.
        class: u8,
    },
    /// Padding tags of a pool.
    PoolPadding(FileKey),
    /// The salt of the answer to a request for disclosure (the hash of its entry).
    Disclosure(Digest),
}

impl RoundSeed {
    /// The seed with these bytes, which must be fresh for a round.
    pub fn new(bytes: [u8; 32]) -> RoundSeed {
        RoundSeed(bytes)
    }

    /// The bytes, for sealing.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// HKDF-SHA256 with the round's hash as salt and `wugan/1/` and the purpose's name as info.
    pub fn derive(&self, round: &[u8; 32], purpose: Purpose) -> [u8; 32] {
        let name = match purpose {
            Purpose::Salt(file) => format!("wugan/1/salt/{}", file.name()),
            Purpose::RowOrder { owner, matter } => format!("wugan/1/row-order/{owner}/{matter}"),
            Purpose::Handles { owner, class } => format!("wugan/1/handles/{owner}/{class}"),
            Purpose::PoolPadding(file) => format!("wugan/1/pool-padding/{}", file.name()),
            Purpose::Disclosure(request) => format!("wugan/1/disclosure/{request}"),
        };
        let mut key = [0; 32];
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, round).extract(&self.0);
        let info = [name.as_bytes()];
        let filled = prk.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key));
        debug_assert!(filled.is_ok(), "32 bytes are within HKDF's bound");
        key
    }
}

/// The words of a derived key: u64s of the ChaCha20 keystream (RFC 8439, nonce and counter 0), little-endian.
pub struct Words {
    cipher: ChaCha20,
    block: [u8; BLOCK_BYTES],
    used: usize,
}

impl Words {
    /// The words of `key`, from the first.
    pub fn new(key: &[u8; 32]) -> Words {
        Words { cipher: keystream(key), block: [0; BLOCK_BYTES], used: BLOCK_BYTES }
    }
}

impl Iterator for Words {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.used == BLOCK_BYTES {
            self.block.fill(0);
            self.cipher.apply_keystream(&mut self.block);
            self.used = 0;
        }
        let word = self.block[self.used..].first_chunk::<8>()?;
        self.used += 8;
        Some(u64::from_le_bytes(*word))
    }
}

/// A uniformly random permutation of `n` items, n < 2^32: item i goes to place `result[i]`, its rank in the order of
/// `(word i, i)`.
pub fn permutation(key: &[u8; 32], n: usize) -> Vec<u32> {
    let mut order: Vec<(u64, u32)> = Words::new(key).zip(0..n as u32).collect();
    order.sort_unstable();
    let mut places = vec![0; n];
    (0..).zip(&order).for_each(|(rank, (_, item))| places[*item as usize] = rank);
    places
}

/// Padding tags without end, uniformly random: tag i is the bytes from 12 i on of the keystream of a derived key.
pub fn padding_tags(key: &[u8; 32]) -> impl Iterator<Item = Tag> + use<> {
    let mut cipher = keystream(key);
    std::iter::repeat_with(move || {
        let mut tag = [0; TAG_BYTES];
        cipher.apply_keystream(&mut tag);
        tag
    })
}

fn keystream(key: &[u8; 32]) -> ChaCha20 {
    ChaCha20::new(key.into(), &[0; 12].into())
}

const BLOCK_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{hexes::Hex, policy::Class};

    #[test]
    fn keystream_is_rfc_8439() {
        // RFC 8439, A.1, test vector 1: key, nonce and counter 0.
        let first = Words::new(&[0; 32]).next().unwrap();
        assert_eq!(hex::encode(first.to_le_bytes()), "76b8e0ada0f13d90");
    }

    #[test]
    fn permutation_is_the_rank_order_of_the_words() {
        let places = permutation(&[7; 32], 1_000);
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1_000));
        let words: Vec<u64> = Words::new(&[7; 32]).take(1_000).collect();
        let first = (0..1_000).min_by_key(|i| words[*i]).unwrap();
        assert_eq!(places[first], 0);
    }

    /// Bytes 00 01 … 1f.
    const SEED: [u8; 32] = {
        let mut seed = [0; 32];
        let mut i = 0;
        while i < 32 {
            seed[i] = i as u8;
            i += 1;
        }
        seed
    };

    #[test]
    fn permutation_vectors() {
        // By another program, which shares no code with this one. Two keystream blocks; 125 of them.
        assert_eq!(permutation(&SEED, 12), [7, 3, 10, 8, 9, 6, 2, 0, 11, 1, 4, 5]);
        let bytes: Vec<u8> = permutation(&SEED, 1_000).into_iter().flat_map(u32::to_le_bytes).collect();
        let digest = crate::hexes::sha256(&bytes).to_string();
        assert_eq!(digest, "c9456864c9a5a68309ff128715db96c6e8acfda096133c51f3388ea75a28b482");
        assert!(permutation(&SEED, 0).is_empty());
        assert_eq!(permutation(&SEED, 1), [0]);
    }

    #[test]
    fn padding_vectors() {
        // By another program (OpenSSL's ChaCha20); tag 5 goes over the end of a keystream block.
        let tags: Vec<String> = padding_tags(&SEED).take(31).map(hex::encode).collect();
        assert_eq!(tags[0], "39fd2b7dd9c5196a8dbd0377");
        assert_eq!(tags[1], "b8dc4a498a35d86fbcde6acc");
        assert_eq!(tags[5], "485b410c18b84231ade6a6d1");
        assert_eq!(tags[30], "00ff395d44ff12b27a067f5c");
    }

    #[test]
    fn derivation_vectors() {
        // By another program: HMAC-SHA256 of RFC 5869, seed 00..1f, round hash 80..9f.
        let round = SEED.map(|byte| byte + 0x80);
        let owner = 4;
        let vectors = [
            (
                Purpose::Salt(FileKey::Pool { channel: 7, group: 1 }),
                "4a7d4fcec5b3458625a86deef2d3e5bc21b4d32f44dfb8d9d63f3d9940445ccc",
            ),
            (
                Purpose::Salt(FileKey::Records { owner, channel: 7 }),
                "987dea058fa2c6f139bbf9886691e697601414ec87b6e523a8c5b09efbb86e61",
            ),
            (
                Purpose::Salt(FileKey::Rows { owner, class: Class::WeakPositive }),
                "4f32ab0069ada89630f0d1358cc51e8efce2299933a2afb87707e444ee86d3aa",
            ),
            (
                Purpose::Salt(FileKey::Bitmap { owner, class: Class::StrongNegative }),
                "a790df876b8f837a27b0926a5f0370c384b132fd2d9c16160592e25f9c10f9e0",
            ),
            (
                Purpose::Salt(FileKey::Bits { owner }),
                "aa6a977ca58ea90a3d74e6814c42e7c020f6a3bc9542d86dc3b0af9a3ee1ab7e",
            ),
            (
                Purpose::Salt(FileKey::Decisions { owner }),
                "950f3bef8fb1f0db865f859d79de406677791a4fb598895d57aee68923ca9c79",
            ),
            (
                Purpose::RowOrder { owner, matter: 7 },
                "7472d41b148214d6598baee47e80c2e5adc6fe9d2272f7cca271a015ead76f49",
            ),
            (Purpose::Handles { owner, class: 2 }, "cacaae46d413bdde91d447c0a391311062644f6a75ca5e683cf59b241bfd071c"),
            (
                Purpose::PoolPadding(FileKey::Pool { channel: 7, group: 1 }),
                "421b33eb241ecf41c7bc9b13e215f7e12b371b65dc69f909fb658ef3dfaa15f1",
            ),
            (Purpose::Disclosure(Hex([0xa1; 32])), "c254d7f93cf518d1b716141921d9ab41aec56704e754552b78cefef3211000bb"),
        ];
        for (purpose, key) in vectors {
            assert_eq!(hex::encode(RoundSeed::new(SEED).derive(&round, purpose)), key, "{purpose:?}");
        }
    }

    #[test]
    fn purposes_differ_and_the_seed_is_redacted() {
        let seed = RoundSeed::new([1; 32]);
        let one = seed.derive(&[2; 32], Purpose::Handles { owner: 1, class: 2 });
        assert_ne!(one, seed.derive(&[2; 32], Purpose::Handles { owner: 1, class: 3 }));
        assert_ne!(one, seed.derive(&[3; 32], Purpose::Handles { owner: 1, class: 2 }));
        assert_eq!(format!("{seed:?}"), "RoundSeed(redacted)");
    }
}
