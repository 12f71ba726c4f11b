//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3; SC 2011): a counter and a key in, four random
//! words out. The same in `cuda/prelude.cu`, so that both implementations draw the same.

/// What random numbers are for: the second word of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Purpose {
    /// The order of configurations of a replicate.
    Order = 1,
    /// The replicates in a bootstrap resample.
    Bootstrap = 2,
}

/// Four random words of a counter under a key.
pub fn philox(mut counter: [u32; 4], key: u64) -> [u32; 4] {
    let (mut low, mut high) = (key as u32, (key >> 32) as u32);
    for _ in 0..10 {
        let first = 0xD251_1F53_u64 * u64::from(counter[0]);
        let second = 0xCD9E_8D57_u64 * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ low,
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ high,
            first as u32,
        ];
        low = low.wrapping_add(0x9E37_79B9);
        high = high.wrapping_add(0xBB67_AE85);
    }
    counter
}

/// Random words of one replicate, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    seed: u64,
    replicate: u64,
    block: u32,
    left: usize,
    four: [u32; 4],
}

impl Words {
    pub(crate) fn new(seed: u64, replicate: u64) -> Self {
        Self { seed, replicate, block: 0, left: 0, four: [0; 4] }
    }

    fn next(&mut self) -> u32 {
        if self.left == 0 {
            let counter =
                [self.block, Purpose::Order as u32, self.replicate as u32, (self.replicate >> 32) as u32];
            self.four = philox(counter, self.seed);
            self.block = self.block.wrapping_add(1);
            self.left = 4;
        }
        self.left -= 1;
        self.four[3 - self.left]
    }

    /// Uniform in `0..range`, without bias (Lemire 2019).
    pub(crate) fn below(&mut self, range: u32) -> u32 {
        let mut product = u64::from(self.next()) * u64::from(range);
        if (product as u32) < range {
            let reject_below = range.wrapping_neg() % range;
            while (product as u32) < reject_below {
                product = u64::from(self.next()) * u64::from(range);
            }
        }
        (product >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that were published with the algorithm.
    #[test]
    fn known_answers() {
        let all = u32::MAX;
        assert_eq!(philox([0; 4], 0), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([all; 4], u64::MAX), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], 0x299f31d0_a4093822),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn words_below_a_range_are_without_bias() {
        let mut words = Words::new(7, 3);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[words.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
        let most = (0..1000).map(|_| words.below(0xC000_0000)).max().unwrap();
        assert!((0xBF00_0000..0xC000_0000).contains(&most), "{most}");
    }
}
