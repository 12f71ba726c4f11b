//! What a person expects, in the choice of the next point.
//!
//! The expected improvement is multiplied by the density of the prior to the power β/n for n trials (C. Hvarfner et al.,
//! *πBO: Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization*, ICLR 2022), with β = [`BETA`] as
//! there for a hundred trials. So it decides at first, and what was seen outweighs it later. A part [`DOUBT`] of each
//! density is everywhere: a person who is sure and wrong cannot rule out anything.

use crate::space::encoding::Axis;
use crate::space::prior::AxisPrior;

/// The number of trials at which the prior counts as it is.
const BETA: f64 = 10.0;
/// The part of a prior that is spread over the axis.
const DOUBT: f64 = 0.1;

/// The priors of the axes that have one, and how much they count.
pub(super) struct Belief<'a> {
    priors: Vec<(usize, &'a Axis, AxisPrior)>,
    power: f64,
}

impl<'a> Belief<'a> {
    /// After so many trials.
    pub(super) fn new(axes: &'a [Axis], trials: u64) -> Self {
        let priors = axes.iter().enumerate();
        let priors = priors.filter_map(|(at, axis)| Some((at, axis, axis.prior()?))).collect();
        Self { priors, power: BETA / trials.max(1) as f64 }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.priors.is_empty()
    }

    /// What is added to the logarithm of the expected improvement at a point. Inactive axes add nothing.
    pub(super) fn worth(&self, point: &[f64]) -> f64 {
        let active = self.priors.iter().filter(|(at, ..)| !point[*at].is_nan());
        let log = active.map(|(at, axis, prior)| {
            let density = prior.density(axis, point[*at]);
            ((1.0 - DOUBT) * density + DOUBT).ln()
        });
        self.power * log.sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::encoding::Encoding;
    use crate::space::{Dimension, Domain, Prior, Space, Value};

    #[test]
    fn a_prior_counts_less_the_more_was_seen() {
        let unit = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
        let prior = Some(Prior { center: Value::Double(0.3), confidence: 0.75 });
        let space = Space::new(
            [
                ("x".to_owned(), Dimension { prior, ..Dimension::always(unit.clone()) }),
                ("y".to_owned(), Dimension::always(unit)),
            ]
            .into(),
        );
        let encoding = Encoding::new(&space);
        let after = |trials| Belief::new(encoding.axes(), trials);
        let gain = |trials| after(trials).worth(&[0.3, 0.9]) - after(trials).worth(&[0.9, 0.1]);
        assert!(gain(10) > 3.0 && gain(10) < 4.0, "{}", gain(10));
        assert!((gain(1000) - gain(10) / 100.0).abs() < 1e-12);
        assert_eq!(after(10).worth(&[f64::NAN, 0.5]), 0.0);
        assert!(!after(10).is_empty() && Belief::new(&encoding.axes()[1..], 10).is_empty());
    }
}
