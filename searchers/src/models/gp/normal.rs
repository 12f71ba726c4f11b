//! The logarithm of the expected improvement, exact far out in the tail, and normal scores.
//!
//! Expected improvement underflows where a model is sure that nothing is to be won, and its logarithm is then no guide any
//! more. Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization" (NeurIPS 2023) work with
//! the logarithm throughout. Here the tail comes from Laplace's continued fraction of Mills' ratio, in which nothing cancels.

use crate::normal::{density, tail};

const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// The logarithm of the normal density.
fn ln_density(z: f64) -> f64 {
    -0.5 * z * z - LN_SQRT_TAU
}

/// The tail 1/(x + 2/(x + 3/(x + …))) of Laplace's fraction, for x ≥ 1: Mills' ratio is 1/(x + tail).
fn fraction(x: f64) -> f64 {
    let terms = 12 + (200.0 / (x * x)) as u32;
    let mut tail = x;
    for term in (2..=terms).rev() {
        tail = x + f64::from(term) / tail;
    }
    1.0 / tail
}

/// ln(φ(z) + z Φ(z)): the logarithm of the expected improvement in units of the standard deviation, where `z` is how far the
/// mean is better than the best so far in the same units.
pub(super) fn log_improvement(z: f64) -> f64 {
    if z > -1.0 {
        return (density(z) + z * tail(-z)).ln();
    }
    // φ(z) (1 − x M(x)) with Mills' ratio M = 1/(x + tail) is φ(z) tail/(x + tail).
    let rest = fraction(-z);
    ln_density(z) + (rest / (rest - z)).ln()
}

/// The place below which a part `p` of a normal distribution lies, to 5e-4 (Abramowitz and Stegun 26.2.23): enough to deal
/// out scores.
pub(super) fn quantile(p: f64) -> f64 {
    let tail = p.min(1.0 - p).max(1e-300);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = t
        - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    if p < 0.5 { -above } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ∫ u φ(u − z) du over u > 0, by Simpson's rule, relative to φ(z).
    fn by_integration(z: f64) -> f64 {
        // u φ(u − z) / φ(z) = u exp(u z − u² / 2).
        let top = if z < -2.0 { 60.0 / -z } else { z.max(0.0) + 14.0 };
        let steps = 200_000;
        let width = top / f64::from(steps);
        let value = |at: i32| {
            let u = f64::from(at) * width;
            u * (u * z - 0.5 * u * u).exp()
        };
        let inner: f64 = (1..steps).map(|at| value(at) * if at % 2 == 1 { 4.0 } else { 2.0 }).sum();
        ((value(0) + inner + value(steps)) * width / 3.0).ln() + ln_density(z)
    }

    #[test]
    fn log_improvement_agrees_with_integration_far_into_the_tail() {
        for z in [-40.0, -25.0, -12.5, -6.0, -3.0, -1.5, -1.0001, -0.9999, -0.3, 0.0, 0.7, 2.0, 5.5, 9.0] {
            let (exact, found) = (by_integration(z), log_improvement(z));
            assert!((exact - found).abs() < 1e-9 * exact.abs().max(1.0), "{z}: {found}, not {exact}");
        }
        // The asymptotic series of the tail: φ(z) / z² (1 − 3/z² + 15/z⁴ − …).
        let (z, s) = (-40.0, 1600.0);
        let series = ln_density(z) - f64::ln(s)
            + f64::ln(1.0 - 3.0 / s + 15.0 / (s * s) - 105.0 / (s * s * s) + 945.0 / (s * s * s * s));
        assert!((series - log_improvement(z)).abs() < 1e-11 * 800.0);
        assert!(log_improvement(-1e6).is_finite() && log_improvement(1e6).is_finite());
    }

    #[test]
    fn log_improvement_grows_without_jumps() {
        let mut last = f64::NEG_INFINITY;
        for step in -50_000..10_000 {
            let value = log_improvement(f64::from(step) * 1e-3);
            assert!(value > last, "at {step}");
            last = value;
        }
    }

    #[test]
    fn quantiles_invert_the_distribution() {
        for step in -40..=40 {
            let z = f64::from(step) * 0.1;
            assert!((quantile(tail(-z)) - z).abs() < 1e-3, "{z}");
        }
    }
}
