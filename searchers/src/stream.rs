//! Random numbers that depend on nothing but the seed, the trial and the purpose.
//!
//! Each (seed, purpose) is a key of ChaCha8 and each trial one stream of it, so that no draw depends on how many others
//! were made before, or in which order trials were created. Numbers are made from the raw words here, because the
//! samplers of libraries change between releases.

use crate::method::TrialId;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are for. Different purposes never share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The value of the hyperparameter whose path hashes to this.
    Hyperparameter(u64),
    /// The seed that a trial's own code uses.
    TrialSeed,
    /// A decision of a search method, numbered by it.
    Decision(u64),
}

impl Purpose {
    fn words(self) -> (u32, u64) {
        match self {
            Self::Hyperparameter(path) => (1, path),
            Self::TrialSeed => (2, 0),
            Self::Decision(number) => (3, number),
        }
    }
}

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of one seed, trial and purpose, from its beginning.
    pub fn new(seed: u32, trial: TrialId, purpose: Purpose) -> Self {
        Self::attempt(seed, trial, purpose, 0)
    }

    /// The same when it is drawn again; attempt 0 is [`Self::new`].
    pub fn attempt(seed: u32, trial: TrialId, purpose: Purpose, attempt: u32) -> Self {
        let (kind, number) = purpose.words();
        let mut key = [0; 32];
        key[..4].copy_from_slice(&seed.to_le_bytes());
        key[4..8].copy_from_slice(&kind.to_le_bytes());
        key[8..16].copy_from_slice(&number.to_le_bytes());
        key[16..20].copy_from_slice(&attempt.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(u64::from(trial.0));
        Self(generator)
    }

    /// Uniform in `0.0 .. 1.0`, a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Uniform in `0 ..= last`, without bias (Lemire's method).
    pub fn index(&mut self, last: u64) -> u64 {
        let Some(count) = last.checked_add(1) else {
            return self.0.next_u64();
        };
        let reject_below = count.wrapping_neg() % count;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(count);
            if product as u64 >= reject_below {
                return (product >> 64) as u64;
            }
        }
    }

    /// Uniform in `min ..= max` (`min <= max`), without bias, over any range of integers.
    pub fn integer(&mut self, min: i64, max: i64) -> i64 {
        min.wrapping_add_unsigned(self.index(max.wrapping_sub(min) as u64))
    }
}

/// The seed of a trial's own random numbers, in `0 .. 2³¹`.
pub fn trial_seed(seed: u32, trial: TrialId) -> u32 {
    Stream::new(seed, trial, Purpose::TrialSeed).index((1 << 31) - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_trial_and_purpose() {
        let first = |seed, trial, purpose| Stream::new(seed, TrialId(trial), purpose).index(u64::MAX);
        let all = [
            first(1, 1, Purpose::TrialSeed),
            first(2, 1, Purpose::TrialSeed),
            first(1, 2, Purpose::TrialSeed),
            first(1, 1, Purpose::Hyperparameter(0)),
            first(1, 1, Purpose::Hyperparameter(1)),
            first(1, 1, Purpose::Decision(0)),
        ];
        for (place, number) in all.iter().enumerate() {
            assert!(!all[..place].contains(number), "{place}");
        }
        assert_eq!(first(1, 1, Purpose::TrialSeed), all[0]);
        let again = |attempt| Stream::attempt(1, TrialId(1), Purpose::TrialSeed, attempt).index(u64::MAX);
        assert!(again(0) == all[0] && again(1) != all[0] && again(1) != again(2));
    }

    #[test]
    fn integers_cover_extreme_ranges() {
        let mut stream = Stream::new(7, TrialId(1), Purpose::Decision(0));
        let drawn: Vec<i64> = (0..200).map(|_| stream.integer(i64::MIN, i64::MAX)).collect();
        assert!(
            drawn.iter().any(|&number| number < i64::MIN / 2)
                && drawn.iter().any(|&number| number > i64::MAX / 2)
        );
        for _ in 0..200 {
            assert!((i64::MAX - 2..=i64::MAX).contains(&stream.integer(i64::MAX - 2, i64::MAX)));
            assert_eq!(stream.integer(5, 5), 5);
        }
    }

    #[test]
    fn integers_are_without_bias() {
        let mut stream = Stream::new(7, TrialId(2), Purpose::Decision(0));
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[(stream.integer(-3, 3) + 3) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
    }

    #[test]
    fn trial_seeds_fit_31_bits_and_are_pinned() {
        assert!((1..1000).all(|trial| trial_seed(3, TrialId(trial)) < 1 << 31));
        assert_eq!(trial_seed(3, TrialId(1)), trial_seed(3, TrialId(1)));
        assert_ne!(trial_seed(3, TrialId(1)), trial_seed(3, TrialId(2)));
    }
}
