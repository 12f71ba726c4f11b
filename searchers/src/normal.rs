//! The standard normal distribution: one for priors, kernels and expected improvements.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// The density at `z`.
pub(crate) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / TAU.sqrt()
}

/// The probability of more than `z`, exact also far out, where it is small.
pub(crate) fn tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// The probability of a number between two.
pub(crate) fn between(low: f64, high: f64) -> f64 {
    // Of two on the same side the tails differ exactly, where what lies below them would cancel.
    if low > 0.0 { tail(low) - tail(high) } else { tail(-high) - tail(-low) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{Continuous, ContinuousCDF, Normal};

    #[test]
    fn the_distribution_is_the_normal_one() {
        let normal = Normal::new(0.0, 1.0).unwrap();
        for step in -80..=80 {
            let z = f64::from(step) * 0.1;
            let exact = normal.sf(z);
            assert!((tail(z) - exact).abs() < 1e-11 + 1e-8 * exact.min(1.0 - exact), "{z}");
            assert!((density(z) - normal.pdf(z)).abs() < 1e-14, "{z}");
        }
    }

    #[test]
    fn tails_are_exact_far_out() {
        // The asymptotic series φ(z) / z (1 − 1/z² + 3/z⁴ − 15/z⁶ + 105/z⁸ − …).
        let (z, s) = (30.0_f64, 900.0_f64);
        let series =
            density(z) / z * (1.0 - 1.0 / s + 3.0 / (s * s) - 15.0 / (s * s * s) + 105.0 / (s * s * s * s));
        assert!((tail(z) / series - 1.0).abs() < 1e-11, "{} {series}", tail(z));
        assert_eq!(tail(-z), 1.0);
    }

    proptest! {
        #[test]
        fn masses_are_those_of_the_normal_distribution(low in -7.0..7.0_f64, wide in 1e-3..5.0_f64) {
            let normal = Normal::new(0.0, 1.0).unwrap();
            let (low, high) = (-low.abs(), -low.abs() + wide);
            let expected = normal.cdf(high) - normal.cdf(low);
            prop_assert!((between(low, high) - expected).abs() <= 1e-9 * expected + 1e-13);
            prop_assert!((between(-high, -low) - between(low, high)).abs() <= 1e-12);
        }
    }
}
