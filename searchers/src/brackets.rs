//! How adaptive ASHA shares its trials and places out among brackets.
//!
//! R = min(max_rungs, floor(log_d T) + 1, floor(log_d max_trials) + 1) for the greatest length T and the divisor d. Brackets by
//! mode: conservative 1 … R rungs, standard floor((R − 1) / 2) + 1 … R, aggressive R alone; `bracket_rungs` says
//! otherwise. Most rungs first.

use crate::config::Mode;
use crate::divisor::Divisor;
use crate::plan::BracketPlan;

/// The settings that decide about brackets, all within their ranges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brackets<'a> {
    pub(crate) max_trials: u64,
    pub(crate) mode: Mode,
    pub(crate) divisor: Divisor,
    pub(crate) max_rungs: u32,
    pub(crate) bracket_rungs: &'a [u32],
    pub(crate) max_length: u64,
}

impl Brackets<'_> {
    /// The brackets, most rungs first.
    pub(crate) fn plans(&self) -> Vec<BracketPlan> {
        let rungs = self.rungs();
        let trials = self.trials(&rungs);
        let plan = |(rungs, trials)| BracketPlan::halving(self.divisor, rungs, self.max_length, trials);
        rungs.into_iter().zip(trials).map(plan).collect()
    }

    /// How many trials may run at once. Without a limit each bracket gets `max(trials of the last bracket, floor(divisor))`.
    pub(crate) fn places(&self, max_concurrent_trials: u32, plans: &[BracketPlan]) -> u32 {
        if max_concurrent_trials > 0 {
            return max_concurrent_trials;
        }
        let each = plans.last().map_or(0, |bracket| bracket.trials).max(self.divisor.floored());
        u32::try_from(each.saturating_mul(plans.len() as u64)).unwrap_or(u32::MAX)
    }

    fn rungs(&self) -> Vec<u32> {
        let mut rungs = self.bracket_rungs.to_vec();
        if rungs.is_empty() {
            let Self { divisor, max_length, max_trials, .. } = *self;
            let most =
                self.max_rungs.min(divisor.rungs_within(max_length)).min(divisor.rungs_within(max_trials));
            let least = match self.mode {
                Mode::Conservative => 1,
                Mode::Standard => (most - 1) / 2 + 1,
                Mode::Aggressive => most,
            };
            rungs = (least..=most).collect();
        }
        rungs.sort_unstable_by(|a, b| b.cmp(a));
        rungs
    }

    /// Trials of each bracket, in proportion to d^(r−1)/r for r rungs, floored, at least 1, the remainder to the first. If
    /// those that were raised to 1 make it too many, the largest give back.
    fn trials(&self, rungs: &[u32]) -> Vec<u64> {
        let mut trials = self.exact_shares(rungs).unwrap_or_else(|| self.rounded_shares(rungs));
        for share in &mut trials {
            *share = (*share).max(1);
        }
        let mut sum = trials.iter().sum::<u64>();
        while let Some(largest) = trials.iter_mut().max().filter(|share| sum > self.max_trials && **share > 1)
        {
            *largest -= 1;
            sum -= 1;
        }
        if let Some(first) = trials.first_mut() {
            *first += self.max_trials.saturating_sub(sum);
        }
        trials
    }

    /// With integers, if they are small enough: the weights are multiplied by the product of all numbers of rungs.
    fn exact_shares(&self, rungs: &[u32]) -> Option<Vec<u64>> {
        let product =
            rungs.iter().try_fold(1_u128, |product, &rungs| product.checked_mul(u128::from(rungs)))?;
        let weight = |&rungs: &u32| self.divisor.power(rungs - 1)?.checked_mul(product / u128::from(rungs));
        let weights: Vec<u128> = rungs.iter().map(weight).collect::<Option<_>>()?;
        let sum = weights.iter().try_fold(0_u128, |sum, &weight| sum.checked_add(weight))?;
        let share =
            |weight: &u128| u64::try_from(weight.checked_mul(u128::from(self.max_trials))? / sum).ok();
        weights.iter().map(share).collect()
    }

    fn rounded_shares(&self, rungs: &[u32]) -> Vec<u64> {
        let most = rungs.iter().copied().max().unwrap_or(1);
        let weight = |rungs: u32| self.divisor.value().powi(rungs as i32 - most as i32) / f64::from(rungs);
        let sum: f64 = rungs.iter().map(|&rungs| weight(rungs)).sum();
        rungs.iter().map(|&rungs| (self.max_trials as f64 * weight(rungs) / sum) as u64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(max_trials: u64, divisor: f64, rungs: &[u32]) -> Vec<u64> {
        let brackets = Brackets {
            max_trials,
            mode: Mode::Standard,
            divisor: Divisor::new(divisor).unwrap(),
            max_rungs: 5,
            bracket_rungs: rungs,
            max_length: 1000,
        };
        brackets.plans().iter().map(|plan| plan.trials).collect()
    }

    #[test]
    fn trials_follow_the_table() {
        assert_eq!(trials(20, 3.0, &[3, 2, 1]), [12, 5, 3]);
        assert_eq!(trials(50, 3.0, &[4, 3]), [35, 15]);
        assert_eq!(trials(100, 4.0, &[4, 3, 2]), [70, 22, 8]);
        assert_eq!(trials(100, 4.0, &[2, 4, 3]), [70, 22, 8], "most rungs first, however given");
    }

    #[test]
    fn trials_add_up_even_when_brackets_are_raised_to_one() {
        assert_eq!(trials(3, 4.0, &[5, 4, 3]), [1, 1, 1]);
        assert_eq!(trials(4, 4.0, &[9, 2, 1]), [2, 1, 1]);
        for max_trials in 5..200 {
            for divisor in [1.2, 2.0, 2.5, 4.0, 1e9] {
                let shares = trials(max_trials, divisor, &[64, 4, 2, 1, 1]);
                assert_eq!(shares.iter().sum::<u64>(), max_trials, "{divisor} {shares:?}");
                assert!(shares.iter().all(|&share| share > 0));
            }
        }
    }

    #[test]
    fn places_without_a_limit_suit_the_last_bracket() {
        let brackets = Brackets {
            max_trials: 100,
            mode: Mode::Standard,
            divisor: Divisor::new(4.0).unwrap(),
            max_rungs: 5,
            bracket_rungs: &[4, 3, 2],
            max_length: 1000,
        };
        assert_eq!(brackets.places(0, &brackets.plans()), 24);
        assert_eq!(brackets.places(7, &brackets.plans()), 7);
    }
}
