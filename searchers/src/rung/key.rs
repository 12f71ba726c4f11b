//! Metrics as integers in the order of rank.

use serde::{Deserialize, Serialize};

/// A metric as an integer whose order is: numbers, then NaN, then failed. Equal numbers have equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key(u64);

impl Key {
    /// The key of a trial that failed: after all others.
    pub(crate) const FAILED: Self = Self(u64::MAX);
    const NAN: Self = Self(u64::MAX - 1);
    const SIGN: u64 = 1 << 63;

    pub(crate) fn new(metric: f64) -> Self {
        if metric.is_nan() {
            return Self::NAN;
        }
        let bits = (metric + 0.0).to_bits();
        Self(if bits & Self::SIGN == 0 { bits | Self::SIGN } else { !bits })
    }

    /// The integer itself.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The key of such an integer.
    pub(super) fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The number, unless it was NaN or the trial failed.
    pub(crate) fn metric(self) -> Option<f64> {
        let bits = if self.0 & Self::SIGN == 0 { !self.0 } else { self.0 & !Self::SIGN };
        (self < Self::NAN).then(|| f64::from_bits(bits))
    }

    /// The number, infinity for NaN, and nothing for a trial that failed.
    pub(crate) fn ranked(self) -> Option<f64> {
        (self != Self::FAILED).then(|| self.metric().unwrap_or(f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_of_numbers_and_put_nan_and_failures_last() {
        let ascending =
            [f64::NEG_INFINITY, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        let keys: Vec<Key> = ascending.iter().map(|&metric| Key::new(metric)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b) && *keys.last().unwrap() < Key::FAILED);
        assert_eq!(Key::new(-0.0), Key::new(0.0));
        assert_eq!(Key::new(-f64::NAN), Key::new(f64::NAN));
        for metric in &ascending[..7] {
            assert_eq!(Key::new(*metric).metric(), Some(*metric));
        }
        assert_eq!((Key::new(f64::NAN).metric(), Key::FAILED.metric()), (None, None));
    }
}
