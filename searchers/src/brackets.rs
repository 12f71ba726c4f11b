//! How adaptive ASHA and Hyperband share their trials and places out among brackets.
//!
//! R = min(max_rungs, floor(log_d T) + 1, floor(log_d max_trials) + 1) for the greatest length T and the divisor d.
//! Brackets by mode: conservative 1 … R rungs, standard floor((R − 1) / 2) + 1 … R, aggressive R alone; `bracket_rungs`
//! says otherwise. Most rungs first.
//!
//! Where the least length is given, R = min(max_rungs, the rungs from it to T): the first bracket begins at the least length,
//! however few trials there are. Brackets for which there are no trials are left out.

use crate::config::Mode;
use crate::ladder::Ladder;
use crate::plan::BracketPlan;

/// The settings that decide about brackets, all within their ranges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brackets<'a> {
    pub(crate) max_trials: u64,
    pub(crate) mode: Mode,
    pub(crate) ladder: Ladder,
    pub(crate) max_rungs: u32,
    pub(crate) bracket_rungs: &'a [u32],
}

impl Brackets<'_> {
    /// The brackets, most rungs first.
    pub(crate) fn plans(&self) -> Vec<BracketPlan> {
        let rungs = self.rungs();
        let trials = self.trials(&rungs);
        let plan = |(rungs, trials)| BracketPlan::halving(&self.ladder, rungs, trials);
        rungs.into_iter().zip(trials).map(plan).collect()
    }

    /// How many trials may run at once. Without a limit each bracket gets `max(trials of the last bracket, floor(divisor))`.
    pub(crate) fn places(&self, max_concurrent_trials: u32, plans: &[BracketPlan]) -> u32 {
        if max_concurrent_trials > 0 {
            return max_concurrent_trials;
        }
        let each = plans.last().map_or(0, |bracket| bracket.trials).max(self.ladder.divisor.floored());
        u32::try_from(each.saturating_mul(plans.len() as u64)).unwrap_or(u32::MAX)
    }

    fn rungs(&self) -> Vec<u32> {
        let mut rungs = self.bracket_rungs.to_vec();
        if rungs.is_empty() {
            let most = self.max_rungs.min(self.ladder.fed_by(self.max_trials));
            let least = match self.mode {
                Mode::Conservative => 1,
                Mode::Standard => (most - 1) / 2 + 1,
                Mode::Aggressive => most,
            };
            rungs = (least..=most).collect();
        }
        rungs.sort_unstable_by(|a, b| b.cmp(a));
        rungs.truncate(usize::try_from(self.max_trials).unwrap_or(usize::MAX));
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
        let weight =
            |&rungs: &u32| self.ladder.divisor.power(rungs - 1)?.checked_mul(product / u128::from(rungs));
        let weights: Vec<u128> = rungs.iter().map(weight).collect::<Option<_>>()?;
        let sum = weights.iter().try_fold(0_u128, |sum, &weight| sum.checked_add(weight))?;
        let share =
            |weight: &u128| u64::try_from(weight.checked_mul(u128::from(self.max_trials))? / sum).ok();
        weights.iter().map(share).collect()
    }

    fn rounded_shares(&self, rungs: &[u32]) -> Vec<u64> {
        let most = rungs.iter().copied().max().unwrap_or(1);
        let weight =
            |rungs: u32| self.ladder.divisor.value().powi(rungs as i32 - most as i32) / f64::from(rungs);
        let sum: f64 = rungs.iter().map(|&rungs| weight(rungs)).sum();
        rungs.iter().map(|&rungs| (self.max_trials as f64 * weight(rungs) / sum) as u64).collect()
    }
}

/// The brackets of Hyperband, in the order of the paper: s = floor(log_d T) … 0, with s + 1 rungs. Where the least length is
/// given, the first has all rungs from it.
///
/// A round of the paper has `ceil((s_max + 1) / (s + 1) · d^s)` trials in bracket s. Whole rounds that fit in `max_trials` are one
/// round with so many times the trials; what is left over is shared in proportion to d^s/(s + 1), floored, the remainder to the
/// first. If not even one round fits, the brackets are those of [`Mode::Conservative`], whose weights are the same.
pub(crate) fn hyperband(max_trials: u64, ladder: Ladder) -> Vec<BracketPlan> {
    let conservative = Brackets {
        max_trials,
        mode: Mode::Conservative,
        ladder,
        max_rungs: crate::config::MAX_RUNGS,
        bracket_rungs: &[],
    };
    let sum =
        |round: &Vec<(u32, u64)>| round.iter().try_fold(0_u64, |sum, (_, trials)| sum.checked_add(*trials));
    let fitting = round(&ladder).and_then(|round| Some((sum(&round)?, round)));
    let Some((whole, round)) = fitting.filter(|(whole, _)| *whole <= max_trials) else {
        return conservative.plans();
    };
    let (rounds, left) = (max_trials / whole, max_trials % whole);
    let rungs: Vec<u32> = round.iter().map(|(rungs, _)| *rungs).collect();
    let shared = Brackets { max_trials: left, ..conservative };
    let mut extra = shared.exact_shares(&rungs).unwrap_or_else(|| shared.rounded_shares(&rungs));
    extra[0] += left - extra.iter().sum::<u64>().min(left);
    let plan = |((rungs, trials), extra): ((u32, u64), u64)| {
        BracketPlan::halving(&ladder, rungs, trials * rounds + extra)
    };
    round.into_iter().zip(extra).map(plan).collect()
}

/// The paper's brackets as (rungs, trials), most rungs first; none if they have more trials than a number holds.
pub(crate) fn round(ladder: &Ladder) -> Option<Vec<(u32, u64)>> {
    let (divisor, most) = (ladder.divisor, ladder.most());
    let trials = |rungs: u32| match divisor.power(rungs - 1) {
        Some(power) => u64::try_from(power.checked_mul(u128::from(most))?.div_ceil(u128::from(rungs))).ok(),
        None => {
            let exact = divisor.value().powi(rungs as i32 - 1) * f64::from(most) / f64::from(rungs);
            (exact < 1e18).then(|| (exact * (1.0 - 1e-12)).ceil() as u64)
        }
    };
    (1..=most).rev().map(|rungs| Some((rungs, trials(rungs)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::divisor::Divisor;

    fn ladder(divisor: f64, min_length: Option<u64>, max_length: u64) -> Ladder {
        Ladder { divisor: Divisor::new(divisor).unwrap(), min_length, max_length }
    }

    fn trials(max_trials: u64, divisor: f64, rungs: &[u32]) -> Vec<u64> {
        let brackets = Brackets {
            max_trials,
            mode: Mode::Standard,
            ladder: ladder(divisor, None, 1000),
            max_rungs: 5,
            bracket_rungs: rungs,
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

    fn hyperband_trials(max_trials: u64, divisor: f64, max_length: u64) -> Vec<u64> {
        let plans = hyperband(max_trials, ladder(divisor, None, max_length));
        plans.iter().map(|plan| plan.trials).collect()
    }

    #[test]
    fn hyperband_has_the_brackets_of_the_paper() {
        // ceil(5 / (s + 1) · 3^s) for s = 4 … 0.
        assert_eq!(hyperband_trials(143, 3.0, 81), [81, 34, 15, 8, 5]);
        assert_eq!(hyperband_trials(2 * 143, 3.0, 81), [162, 68, 30, 16, 10]);
        assert_eq!(hyperband_trials(153, 3.0, 81), [81 + 7, 34 + 2, 15 + 1, 8, 5], "10 more in proportion");
        assert_eq!(hyperband_trials(1, 3.0, 1), [1]);
        let lengths: Vec<u64> = hyperband(143, ladder(3.0, None, 81))[0]
            .rungs
            .iter()
            .flat_map(|rung| [rung.length, rung.trials])
            .collect();
        assert_eq!(lengths, [1, 81, 3, 27, 9, 9, 27, 3, 81, 1]);
    }

    #[test]
    fn fewer_trials_than_a_round_have_fewer_brackets() {
        assert_eq!(hyperband_trials(64, 3.0, 81), trials_of(Mode::Conservative, 64, 3.0, 81));
        assert_eq!(hyperband_trials(64, 3.0, 81).len(), 4);
    }

    fn trials_of(mode: Mode, max_trials: u64, divisor: f64, max_length: u64) -> Vec<u64> {
        let ladder = ladder(divisor, None, max_length);
        let brackets = Brackets { max_trials, mode, ladder, max_rungs: 64, bracket_rungs: &[] };
        brackets.plans().iter().map(|plan| plan.trials).collect()
    }

    #[test]
    fn no_trial_is_lost_or_made_up() {
        for divisor in [1.5, 2.0, 2.5, 3.0, 4.0] {
            for max_length in [1, 2, 9, 27, 1000, u64::MAX] {
                for max_trials in (1..400).chain([5000, 100_000_000]) {
                    let shared = hyperband_trials(max_trials, divisor, max_length);
                    assert_eq!(shared.iter().sum::<u64>(), max_trials, "{divisor} {max_length}");
                    assert!(shared.iter().all(|&trials| trials > 0), "{shared:?}");
                    let anchored = ladder(divisor, Some(1.max(max_length / 30)), max_length);
                    let plans = hyperband(max_trials, anchored);
                    assert_eq!(plans.iter().map(|plan| plan.trials).sum::<u64>(), max_trials);
                    assert!(plans.iter().all(|plan| plan.trials > 0));
                }
            }
        }
    }

    #[test]
    fn the_first_bracket_begins_at_the_least_length() {
        let of = |max_trials, mode, max_rungs| {
            let ladder = ladder(3.0, Some(1), 50);
            let plans = Brackets { max_trials, mode, ladder, max_rungs, bracket_rungs: &[] }.plans();
            plans.iter().map(|plan| (plan.rungs[0].length, plan.rungs.len(), plan.trials)).collect::<Vec<_>>()
        };
        assert_eq!(of(9, Mode::Aggressive, 64), [(1, 5, 9)], "though nine trials feed three rungs alone");
        assert_eq!(of(9, Mode::Aggressive, 3), [(9, 3, 9)]);
        assert_eq!(of(2, Mode::Conservative, 64), [(1, 5, 1), (3, 4, 1)], "no bracket without a trial");
        let lengths =
            |plans: &[BracketPlan]| plans.iter().map(|plan| plan.rungs[0].length).collect::<Vec<_>>();
        assert_eq!(lengths(&hyperband(143, ladder(3.0, Some(1), 50))), [1, 3, 9, 27, 50]);
        assert_eq!(lengths(&hyperband(3, ladder(3.0, Some(1), 50))), [1, 3, 9]);
    }

    #[test]
    fn places_without_a_limit_suit_the_last_bracket() {
        let brackets = Brackets {
            max_trials: 100,
            mode: Mode::Standard,
            ladder: ladder(4.0, None, 1000),
            max_rungs: 5,
            bracket_rungs: &[4, 3, 2],
        };
        assert_eq!(brackets.places(0, &brackets.plans()), 24);
        assert_eq!(brackets.places(7, &brackets.plans()), 7);
    }
}
