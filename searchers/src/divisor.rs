//! The divisor (η) of successive halving and the exact arithmetic built on it.
//!
//! Lengths and counts are integers, and so is nearly every divisor; then all is computed with integers, because
//! `log(243)/log(3)` in floating point loses a rung. A divisor that is no integer is computed in floating point with a
//! relative tolerance of 1e-12 in favour of the next integer.

use crate::error::Error;
use serde::{Deserialize, Serialize};

const TOLERANCE: f64 = 1e-12;
/// Integers above this are not exact as floating point numbers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A finite number greater than 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divisor(f64);

impl Divisor {
    /// Checks that `value` is finite and greater than 1.
    pub fn new(value: f64) -> Result<Self, Error> {
        if value.is_finite() && value > 1.0 {
            Ok(Self(value))
        } else {
            Err(Error::Setting {
                setting: "divisor",
                found: value.to_string(),
                allowed: "a finite number greater than 1",
            })
        }
    }

    /// The number itself.
    pub fn value(self) -> f64 {
        self.0
    }

    fn integral(self) -> Option<u64> {
        (self.0.fract() == 0.0 && self.0 <= EXACT).then_some(self.0 as u64)
    }

    /// `floor(count / divisor)`: how many of a rung of `count` trials go on.
    pub fn share(self, count: u64) -> u64 {
        self.integral().map_or_else(|| floor(count as f64 / self.0), |divisor| count / divisor)
    }

    /// `floor(value)`, the number of trials started at once when nothing else is said.
    pub fn floored(self) -> u64 {
        self.0 as u64
    }

    /// `divisor` to the power of `exponent`, if it is an integer that fits.
    pub fn power(self, exponent: u32) -> Option<u128> {
        u128::from(self.integral()?).checked_pow(exponent)
    }

    /// `max(floor(length / divisor^steps), 1)`: the length of the rung `steps` below the one of `length`.
    pub fn below(self, length: u64, steps: u32) -> u64 {
        let quotient = match self.integral() {
            Some(divisor) => divisor.checked_pow(steps).map_or(0, |power| length / power),
            None => floor(length as f64 / self.0.powi(steps as i32)),
        };
        quotient.max(1)
    }

    /// The lengths of `rungs` rungs, the last of them `max_length`.
    pub fn rung_lengths(self, rungs: u32, max_length: u64) -> Vec<u64> {
        (0..rungs).rev().map(|steps| self.below(max_length, steps)).collect()
    }

    /// The greatest `floor(least · divisor^k)` that is less than `limit`, for k = 0, 1, …; none if `least` is not.
    pub(crate) fn greatest_below(self, least: u64, limit: u64) -> Option<u64> {
        if least >= limit {
            return None;
        }
        let Some(divisor) = self.integral() else { return Some(self.estimated_below(least, limit)) };
        let mut length = least;
        while let Some(next) = length.checked_mul(divisor).filter(|next| *next < limit) {
            length = next;
        }
        Some(length)
    }

    /// The same in floating point, `least < limit`.
    fn estimated_below(self, least: u64, limit: u64) -> u64 {
        // Powers that are less than 1 apart pass by every length.
        if limit as f64 * (self.0 - 1.0) <= 1.0 {
            return (limit - 1).max(least);
        }
        let mut exponent = ((limit as f64).ln() - (least as f64).ln()) / self.0.ln();
        exponent = exponent.ceil() + 1.0;
        // The estimate is at most two too high, unless the divisor is so near to 1 that a step vanishes in the exponent.
        for _ in 0..4 {
            exponent -= 1.0;
            let length = floor(least as f64 * self.0.powf(exponent));
            if exponent >= 0.0 && length < limit {
                return length.max(least);
            }
        }
        least
    }

    /// `floor(log_divisor(count)) + 1` for a `count` of at least 1: how many rungs it can feed.
    pub fn rungs_within(self, count: u64) -> u32 {
        let mut rungs = 1;
        while rungs < 64 && self.reaches(count, rungs) {
            rungs += 1;
        }
        rungs
    }

    /// Whether `divisor^exponent <= count`.
    fn reaches(self, count: u64, exponent: u32) -> bool {
        match self.integral() {
            Some(divisor) => divisor.checked_pow(exponent).is_some_and(|power| power <= count),
            None => self.0.powi(exponent as i32) <= count as f64 * (1.0 + TOLERANCE),
        }
    }
}

fn floor(value: f64) -> u64 {
    (value * (1.0 + TOLERANCE)).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divisor(value: f64) -> Divisor {
        Divisor::new(value).unwrap()
    }

    #[test]
    fn rung_lengths_follow_the_table() {
        assert_eq!(divisor(3.0).rung_lengths(3, 9), [1, 3, 9]);
        assert_eq!(divisor(2.0).rung_lengths(4, 10), [1, 2, 5, 10]);
        assert_eq!(divisor(3.0).rung_lengths(3, 900), [100, 300, 900]);
        assert_eq!(divisor(3.0).rung_lengths(5, 9), [1, 1, 1, 3, 9]);
        assert_eq!(divisor(1.1).rung_lengths(3, 121), [100, 110, 121]);
    }

    #[test]
    fn logarithms_are_exact_at_powers() {
        assert_eq!(divisor(10.0).rungs_within(1000), 4);
        assert_eq!(divisor(10.0).rungs_within(999), 3);
        assert_eq!(divisor(3.0).rungs_within(243), 6);
        assert_eq!(divisor(3.0).rungs_within(242), 5);
        assert_eq!(divisor(2.0).rungs_within(u64::MAX), 64);
        assert_eq!(divisor(4.0).rungs_within(1), 1);
    }

    #[test]
    fn every_power_of_every_small_divisor_gains_one_rung() {
        for base in 2..=50_u64 {
            for exponent in 1..=10 {
                let power = base.pow(exponent);
                assert_eq!(divisor(base as f64).rungs_within(power), exponent + 1, "{base}^{exponent}");
                assert_eq!(
                    divisor(base as f64).rungs_within(power - 1),
                    exponent.max(1),
                    "{base}^{exponent} - 1"
                );
            }
        }
    }

    #[test]
    fn what_is_no_divisor_is_refused() {
        for value in [1.0, 0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert!(Divisor::new(value).is_err(), "{value}");
        }
    }
}
