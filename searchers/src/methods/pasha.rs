//! PASHA (O. Bohdal, L. Balles, M. Wistuba, B. Ermis, C. Archambeau, G. Zappella, *PASHA: Efficient HPO and NAS with
//! Progressive Resource Allocation*, ICLR 2023): promotion ASHA whose highest rung is raised only while it teaches
//! something.
//!
//! **Rule.** At first trials train to the second rung at most. Whenever a trial arrives in the highest rung K allowed
//! so far, the ranking of the trials in K is compared with the ranking of the same trials in rung K − 1. If the two
//! disagree, the rung above K is allowed from then on. Everything else is promotion as in [`super::halving`].
//!
//! **Soft ranking.** The rankings agree if for each place i the trial that is i-th in K has, in K − 1, a metric within
//! ε of that of the trial that is i-th there. Equal metrics rank by arrival, NaN counts as an infinity on the bad side,
//! and trials that failed are left out.
//!
//! **ε.** It measures by how much trials differ that pass each other back and forth. Of all pairs of trials in rung K,
//! those count whose order, over the lengths at which both validated, changes at least twice (a better, then b, then
//! a). ε is the 90th percentile (linear between neighbours) of |a − b| at the last length that the pair shares; 0
//! without such a pair. It is computed anew at each comparison.
//!
//! One limit is not in the paper: only the best [`COMPARED`] of rung K are looked at, so that a comparison costs no
//! more than so many pairs of curves however large the search is.
//!
//! **End.** When nothing runs and nothing can be started, the trials that wait in rung K are closed: nothing that could
//! raise it will come.

use super::async_halving::{action, fraction, over};
use super::halving::{Halving, Settings, Step};
use super::limit;
use crate::method::{Action, Context, Event, ExitReason, Method, RungView, TrialId};
use crate::reason::Reason;
use crate::rung::NO_ENTRY;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many of the best trials of the highest rung are compared.
pub(crate) const COMPARED: usize = 64;
/// Which percentile of the differences is ε.
const PERCENTILE: f64 = 0.9;

/// Validations of a trial, the shortest length first.
type Curve = Vec<(u64, f64)>;

/// The method. A trial's id is its member number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pasha {
    bracket: Halving,
    /// Of trials that may still matter.
    curves: BTreeMap<u32, Curve>,
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    planned_length: u64,
}

impl Pasha {
    pub(crate) fn new(settings: &Settings, max_concurrent_trials: u32) -> Self {
        Self {
            bracket: Halving::below_ceiling(settings, 1),
            curves: BTreeMap::new(),
            max_length: settings.plan.max_length(),
            max_concurrent_trials: limit(max_concurrent_trials),
            capacity: 0,
            planned_length: settings.plan.total_length(),
        }
    }

    fn note(&mut self, trial: u32, length: u64, metric: f64) {
        let curve = self.curves.entry(trial).or_default();
        if curve.last().is_none_or(|&(last, _)| last < length) {
            curve.push((length, if metric.is_nan() { f64::INFINITY } else { metric }));
        }
    }

    /// Drops the curves of those that will not be compared any more.
    fn forget_closed(&mut self, steps: &[Step]) {
        let ceiling = self.bracket.ceiling() as u32;
        for step in steps {
            if let Step::Stop { member, reason: Reason::Outranked(standing) } = step
                && standing.rung < ceiling
            {
                self.curves.remove(member);
            }
        }
    }

    /// How many have arrived in the highest rung.
    fn arrived(&self) -> u32 {
        self.bracket.ranking(self.bracket.ceiling()).len()
    }

    /// Compares if another has arrived there.
    fn compare_if_more(&mut self, before: u32) {
        if self.arrived() > before {
            self.compare();
        }
    }

    /// Allows the next rung if the rankings of the two highest disagree.
    fn compare(&mut self) {
        let ceiling = self.bracket.ceiling();
        if ceiling > 0 && !self.agree(ceiling) {
            self.bracket.raise_ceiling();
        }
    }

    fn agree(&self, ceiling: usize) -> bool {
        let (above, below) = (self.bracket.ranking(ceiling), self.bracket.ranking(ceiling - 1));
        let mut highest = Vec::new();
        for entry in above.first(COMPARED) {
            let before = above.below(entry);
            if let (Some(_), true) = (above.key(entry).ranked(), before != NO_ENTRY)
                && let Some(metric) = below.key(before).ranked()
            {
                highest.push((below.key(before), before, metric, above.trial(entry)));
            }
        }
        let curves: Vec<&Curve> = highest.iter().filter_map(|(.., trial)| self.curves.get(trial)).collect();
        let epsilon = epsilon(&curves);
        let mut lower = highest.clone();
        lower.sort_unstable_by_key(|&(key, entry, ..)| (key, entry));
        let close = |a: f64, b: f64| a == b || (a - b).abs() <= epsilon;
        highest.iter().zip(&lower).all(|(here, there)| close(here.2, there.2))
    }
}

/// ε of the curves of the trials in the highest rung.
fn epsilon(curves: &[&Curve]) -> f64 {
    let mut differences: Vec<f64> = Vec::new();
    for (place, one) in curves.iter().enumerate() {
        differences.extend(curves[..place].iter().filter_map(|other| last_difference(one, other)));
    }
    differences.sort_unstable_by(f64::total_cmp);
    let Some(last) = differences.len().checked_sub(1) else {
        return 0.0;
    };
    let place = PERCENTILE * last as f64;
    let (low, high) = (differences[place.floor() as usize], differences[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// How far two curves are apart at the last length they share, if their order changed at least twice.
fn last_difference(one: &Curve, other: &Curve) -> Option<f64> {
    let (mut changes, mut leads, mut last) = (0, None, None);
    let mut others = other.iter().peekable();
    for &(length, metric) in one {
        while others.next_if(|(shorter, _)| *shorter < length).is_some() {}
        let Some(&(_, against)) = others.next_if(|(same, _)| *same == length) else {
            continue;
        };
        last = Some((metric - against).abs());
        if metric != against {
            let now = metric < against;
            changes += u32::from(leads.is_some_and(|before| before != now));
            leads = Some(now);
        }
    }
    last.filter(|difference| changes >= 2 && difference.is_finite())
}

impl Method for Pasha {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        let mut steps = Vec::new();
        match *event {
            Event::Directed(_) => {}
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { trial, length, metric } => {
                if self.bracket.is_running(trial.0) {
                    self.note(trial.0, length, metric);
                    let before = self.arrived();
                    self.bracket.validated(trial.0, length, metric, &mut steps);
                    self.compare_if_more(before);
                }
            }
            Event::CannotPause { trial } => {
                let before = self.arrived();
                self.bracket.cannot_pause(trial.0, &mut steps);
                self.compare_if_more(before);
            }
            Event::Exited { trial, reason } => {
                self.bracket.exited(trial.0, reason, &mut steps);
                if matches!(reason, ExitReason::Errored | ExitReason::InvalidHyperparameters) {
                    self.curves.remove(&trial.0);
                }
            }
        }
        let most = self.capacity.min(self.max_concurrent_trials);
        while self.bracket.outstanding() < most && self.bracket.start_next(&mut steps) {}
        self.bracket.close_under_ceiling(&mut steps);
        self.forget_closed(&steps);
        actions.extend(steps.into_iter().map(|step| action(step, 0, TrialId, context)));
        if self.bracket.is_over() {
            let reason = over(self.bracket.trials(), self.bracket.too_many_invalid());
            actions.push(Action::Shutdown { reason });
        }
    }

    fn progress(&self) -> f64 {
        fraction(self.bracket.is_over(), self.bracket.trained(), self.planned_length)
    }

    fn rungs(&self) -> Vec<RungView> {
        self.bracket.rungs().collect()
    }

    fn max_length(&self) -> u64 {
        self.max_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(metrics: &[f64]) -> Curve {
        (1..).zip(metrics.iter().copied()).collect()
    }

    #[test]
    fn only_pairs_that_cross_twice_count() {
        let flat = curve(&[1.0, 1.0, 1.0, 1.0]);
        assert_eq!(last_difference(&flat, &curve(&[0.5, 0.6, 0.7, 0.8])), None, "never cross");
        assert_eq!(last_difference(&flat, &curve(&[0.5, 1.5, 1.5, 1.5])), None, "cross once");
        assert_eq!(last_difference(&flat, &curve(&[0.5, 1.5, 0.5, 0.75])), Some(0.25));
        assert_eq!(last_difference(&flat, &curve(&[0.5, 1.0, 0.5, 0.5])), None, "to touch is not to cross");
        let sparse = vec![(1, 0.5), (3, 1.5), (4, 0.9)];
        assert!((last_difference(&flat, &sparse).unwrap() - 0.1).abs() < 1e-12, "lengths that both have");
        assert_eq!(last_difference(&flat, &curve(&[0.0, 2.0, 0.0, f64::INFINITY])), None);
    }

    #[test]
    fn epsilon_is_the_90th_percentile() {
        let (a, b) = (curve(&[1.0, 2.0, 1.0]), curve(&[2.0, 1.0, 2.0]));
        assert_eq!(epsilon(&[&a]), 0.0);
        assert_eq!(epsilon(&[&a, &b]), 1.0);
        // Differences 1, 4, 5: the 90th percentile lies at place 1.8.
        let c = curve(&[0.0, 9.0, -3.0]);
        let differences = [last_difference(&a, &b), last_difference(&a, &c), last_difference(&b, &c)];
        assert_eq!(differences, [Some(1.0), Some(4.0), Some(5.0)]);
        assert!((epsilon(&[&a, &b, &c]) - 4.8).abs() < 1e-12);
    }
}
