//! The generator's own random numbers.
//!
//! `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): the same seed gives the same numbers on every platform.
//! It is no cryptographic generator and need not be one: nothing it makes is secret.

/// A stream of random numbers, fixed by the seed and a label.
#[derive(Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// The stream called `label`. Streams with different labels are independent, so the order in which files are written does not matter.
    pub(super) fn new(seed: u64, label: &str) -> Self {
        let mut state = mix(seed);
        for &byte in label.as_bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self(state)
    }

    /// The stream for the `item`-th thing of this stream; does not advance this one.
    pub(super) fn fork(&self, item: u64) -> Self {
        Self(mix(self.0 ^ mix(item)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// Uniform in `0..bound` (0 for an empty range); the bias of multiply and shift is below 2^-30 for the bounds used here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// As [`Rng::below`], for days.
    pub(super) fn days(&mut self, bound: u32) -> u32 {
        self.below(u64::from(bound)) as u32
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// `x` rounded down or up at random, so that the mean is `x`.
    pub(super) fn round(&mut self, x: f64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (x + unit) as u64
    }

    /// Moves a random sample of `count` items, in random order, to the front (Fisher and Yates, stopped early).
    pub(super) fn sample<T>(&mut self, items: &mut [T], count: usize) {
        let len = items.len();
        for i in 0..count.min(len) {
            let j = i + self.below((len - i) as u64) as usize;
            items.swap(i, j);
        }
    }
}

fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(GAMMA);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_distinct() {
        let first = |seed, label| Rng::new(seed, label).next();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(Rng::new(1, "a").fork(0).next(), Rng::new(1, "a").fork(1).next());
    }

    #[test]
    fn ranges_hold() {
        let mut rng = Rng::new(7, "ranges");
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1_200).contains(&n)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
        let mut items: Vec<u32> = (0..50).collect();
        rng.sample(&mut items, 50);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert!(items.iter().copied().eq(0..50));
    }
}
