//! The kernel's parameters: which number of a vector is which, what is believed of them before any data, and bounds.
//!
//! All are unbounded numbers with normal priors, so their most probable values ([`super::fit`]) are a smooth problem:
//!
//! | parameter | as | prior |
//! |---|---|---|
//! | length scale of an axis | ln ℓ | ln(0.6 √axes) ± 1, longer with more axes (Hvarfner et al., ICML 2024) |
//! | warping of an axis, w(x) = 1 − (1 − xᵃ)ᵇ | ln a, ln b | 0 ± 0.5 (Snoek et al., ICML 2014) |
//! | noise of a level | ln σ² | ln 0.03 ± 1 |
//! | amplitude of a level | ln a | 0 ± 0.4 |
//! | how much a level tells about the next | atanh of the correlation | 1.2 ± 0.8: 0.83, down to none or less |

use serde::{Deserialize, Serialize};

/// Correlations are below this, so that no level is ever a copy of another.
pub(super) const MOST_CORRELATION: f64 = 0.999;

/// Where each parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) axes: usize,
    pub(super) levels: usize,
}

/// The parameters. The layout follows from space and method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Params(pub(super) Vec<f64>);

impl Layout {
    pub(super) fn len(self) -> usize {
        3 * self.axes + 3 * self.levels - 1
    }

    pub(super) fn scale(self, axis: usize) -> usize {
        axis
    }

    pub(super) fn warp_a(self, axis: usize) -> usize {
        self.axes + axis
    }

    pub(super) fn warp_b(self, axis: usize) -> usize {
        2 * self.axes + axis
    }

    pub(super) fn noise(self, level: usize) -> usize {
        3 * self.axes + level
    }

    pub(super) fn amplitude(self, level: usize) -> usize {
        3 * self.axes + self.levels + level
    }

    /// Between a level and the next.
    pub(super) fn link(self, level: usize) -> usize {
        3 * self.axes + 2 * self.levels + level
    }

    /// Mean and standard deviation of a parameter before any data.
    fn prior(self, at: usize) -> (f64, f64) {
        if at < self.axes {
            ((0.6 * (self.axes as f64).sqrt()).ln(), 1.0)
        } else if at < 3 * self.axes {
            (0.0, 0.5)
        } else if at < self.amplitude(0) {
            (0.03_f64.ln(), 1.0)
        } else if at < self.link(0) {
            (0.0, 0.4)
        } else {
            (1.2, 0.8)
        }
    }

    /// What is most probable before any data.
    pub(super) fn start(self) -> Params {
        Params((0..self.len()).map(|at| self.prior(at).0).collect())
    }

    /// Keeps a parameter within four standard deviations of its prior.
    pub(super) fn clamp(self, at: usize, value: f64) -> f64 {
        let (mean, deviation) = self.prior(at);
        value.clamp(mean - 4.0 * deviation, mean + 4.0 * deviation)
    }

    /// The negative logarithm of the prior up to a constant; adds its gradient.
    pub(super) fn add_prior(self, params: &Params, gradient: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (at, (value, slope)) in params.0.iter().zip(gradient).enumerate() {
            let (mean, deviation) = self.prior(at);
            let off = (value - mean) / deviation;
            *slope += off / deviation;
            sum += 0.5 * off * off;
        }
        sum
    }
}

/// The covariance of levels: amplitudes, and the product of the correlations on the way from one to the other, an
/// autoregressive chain (Kennedy and O'Hagan, Biometrika 2000) with parts of equal shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels {
    count: usize,
    amplitudes: Vec<f64>,
    links: Vec<f64>,
    table: Vec<f64>,
}

impl Levels {
    pub(super) fn new(layout: Layout, params: &Params) -> Self {
        let count = layout.levels;
        let amplitudes: Vec<f64> = (0..count).map(|level| params.0[layout.amplitude(level)].exp()).collect();
        let links: Vec<f64> =
            (1..count).map(|level| MOST_CORRELATION * params.0[layout.link(level - 1)].tanh()).collect();
        let mut levels = Self { count, amplitudes, links, table: vec![0.0; count * count] };
        for left in 0..count {
            for right in 0..count {
                let (low, high) = (left.min(right), left.max(right));
                let chain: f64 = levels.links[low..high].iter().product();
                levels.table[left * count + right] =
                    levels.amplitudes[left] * levels.amplitudes[right] * chain;
            }
        }
        levels
    }

    /// The covariances of one level with all.
    pub(super) fn with(&self, level: usize) -> &[f64] {
        &self.table[level * self.count..(level + 1) * self.count]
    }

    /// The gradient by the parameters when that by the entries is `by_entry` (levels × levels).
    pub(super) fn add_gradient(&self, layout: Layout, by_entry: &[f64], gradient: &mut [f64]) {
        for left in 0..self.count {
            for right in 0..self.count {
                let (slope, entry) = (by_entry[left * self.count + right], self.with(left)[right]);
                if slope == 0.0 {
                    continue;
                }
                gradient[layout.amplitude(left)] += slope * entry;
                gradient[layout.amplitude(right)] += slope * entry;
                let (low, high) = (left.min(right), left.max(right));
                for link in low..high {
                    let others: f64 = (low..high).filter(|&at| at != link).map(|at| self.links[at]).product();
                    let part = self.links[link] / MOST_CORRELATION;
                    gradient[layout.link(link)] += slope
                        * self.amplitudes[left]
                        * self.amplitudes[right]
                        * others
                        * MOST_CORRELATION
                        * (1.0 - part * part);
                }
            }
        }
    }
}
