//! The lengths of rungs: divided down from the greatest length, or raised from the least.
//!
//! Without a least length, rung i of R is `max(floor(T / d^(R−1−i)), 1)` for the greatest length T and the divisor d.
//!
//! With one, rungs stand where the papers have them: `min_length · d^k` (floored) as long as that is less than T, and then
//! T itself. So a least length of 1, a greatest of 50 and a divisor of 3 give 1 3 9 27 50. A bracket of fewer rungs has
//! the highest of them.

use crate::config::MAX_RUNGS;
use crate::divisor::Divisor;

/// Where rungs stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    pub(crate) divisor: Divisor,
    /// The length of the lowest rung; none: rungs are divided down from `max_length`.
    pub(crate) min_length: Option<u64>,
    /// At least 1, and not less than `min_length`.
    pub(crate) max_length: u64,
}

impl Ladder {
    /// How many rungs there is room for, at most [`MAX_RUNGS`].
    pub(crate) fn most(&self) -> u32 {
        match self.min_length {
            None => self.divisor.rungs_within(self.max_length),
            Some(min_length) => self.raised(min_length).len() as u32,
        }
    }

    /// How many rungs a bracket of so many trials has: at most as many as they can feed, unless the lowest rung is given.
    pub(crate) fn fed_by(&self, trials: u64) -> u32 {
        match self.min_length {
            None => self.most().min(self.divisor.rungs_within(trials)),
            Some(_) => self.most(),
        }
    }

    /// The lengths of a bracket of `rungs` rungs, shortest first: the highest so many. There is at least one.
    pub(crate) fn lengths(&self, rungs: u32) -> Vec<u64> {
        match self.min_length {
            None => self.divisor.rung_lengths(rungs.max(1), self.max_length),
            Some(min_length) => {
                let mut lengths = self.raised(min_length);
                lengths.drain(..lengths.len().saturating_sub(rungs.max(1) as usize));
                lengths
            }
        }
    }

    /// All rungs from the lowest; of more than [`MAX_RUNGS`] the highest.
    fn raised(&self, min_length: u64) -> Vec<u64> {
        let mut lengths = vec![self.max_length];
        while let Some(below) = self
            .divisor
            .greatest_below(min_length, lengths[lengths.len() - 1])
            .filter(|_| lengths.len() < MAX_RUNGS as usize)
        {
            lengths.push(below);
        }
        lengths.reverse();
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ladder(divisor: f64, min_length: u64, max_length: u64) -> Ladder {
        Ladder { divisor: Divisor::new(divisor).unwrap(), min_length: Some(min_length), max_length }
    }

    #[test]
    fn rungs_stand_where_the_papers_have_them() {
        for (divisor, min_length, max_length, expected) in [
            (3.0, 1, 50, vec![1, 3, 9, 27, 50]),
            (3.0, 1, 81, vec![1, 3, 9, 27, 81]),
            (3.0, 1, 82, vec![1, 3, 9, 27, 81, 82]),
            (4.0, 5, 100, vec![5, 20, 80, 100]),
            (2.0, 7, 7, vec![7]),
            (2.5, 1, 16, vec![1, 2, 6, 15, 16]),
            (1.5, 1, 5, vec![1, 2, 3, 5]),
            (1.0 + f64::EPSILON, 1, 4, vec![1, 2, 3, 4]),
        ] {
            assert_eq!(ladder(divisor, min_length, max_length).lengths(64), expected, "{divisor}");
            assert_eq!(ladder(divisor, min_length, max_length).most() as usize, expected.len());
        }
        assert_eq!(ladder(3.0, 1, 50).lengths(3), [9, 27, 50], "the highest so many");
        assert_eq!(ladder(3.0, 1, 50).lengths(0), [50]);
    }

    #[test]
    fn the_trials_limit_rungs_only_where_the_lowest_is_not_given() {
        let free = Ladder { min_length: None, ..ladder(3.0, 1, 81) };
        assert_eq!((free.most(), free.fed_by(9), free.lengths(5)), (5, 3, vec![1, 3, 9, 27, 81]));
        assert_eq!(ladder(3.0, 1, 81).fed_by(9), 5);
    }

    proptest! {
        #[test]
        fn rungs_ascend_from_the_least_to_the_greatest(
            divisor in prop_oneof![1.0000001..10.0_f64, (2..10_u32).prop_map(f64::from)],
            min_length in 1..1000_u64, longer in prop_oneof![0..1_000_u64, any::<u64>()],
        ) {
            let max_length = min_length.saturating_add(longer);
            let lengths = ladder(divisor, min_length, max_length).lengths(64);
            prop_assert!(lengths.windows(2).all(|pair| pair[0] < pair[1]), "{lengths:?}");
            prop_assert_eq!(lengths[lengths.len() - 1], max_length);
            prop_assert!(lengths[0] >= min_length);
            if lengths.len() < 64 {
                prop_assert_eq!(lengths[0], min_length);
            }
            for pair in lengths.windows(2) {
                // Floored, so a step may be shorter by less than one, and of lengths that are the same one counts.
                prop_assert!(pair[1] as f64 <= (pair[0] as f64 + 1.0) * divisor * 1.000_001, "{lengths:?}");
            }
        }
    }
}
