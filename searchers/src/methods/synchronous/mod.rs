//! Synchronous successive halving, and Hyperband (L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar,
//! *Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization*, JMLR 18(185), 2018), which runs several
//! brackets of it. How trials are shared out among brackets is in [`crate::brackets`].
//!
//! **Rule.** All trials of a rung train to its length and pause; when the last has arrived, the best `max(floor(n/d),
//! 1)` of the rung's n go on to the next, and the others are closed. Equal metrics rank by arrival.
//!
//! **Stragglers.** There is no clock here, so nothing is given up for being slow. A trial is a straggler while others
//! of its rung wait for it, and these rules keep it from holding up more than it must: a trial whose place among the
//! best no straggler can take goes on at once; a trial that failed, was killed, ended by itself or cannot resume ranks
//! last at once, and is waited for no longer; and free places go to the next bracket. A trial that refuses its
//! hyperparameters is replaced while rung 0 is undecided, later it only leaves.
//!
//! **Places.** A free place is given to the earliest bracket that can use it. In a bracket: what was interrupted, then
//! trials that go on, the highest rung first, then new trials.

mod bracket;
mod exits;

use super::async_halving::{fraction, over};
use super::limit;
use super::numbered::Numbered;
use crate::method::{Action, Context, Event, Method, RungView};
use crate::plan::BracketPlan;
use bracket::Bracket;
use serde::{Deserialize, Serialize};

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Synchronous {
    brackets: Numbered<Bracket>,
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    planned_length: u64,
}

impl Synchronous {
    /// `plans`: the brackets in the order in which they start, at most 64.
    pub(crate) fn new(plans: &[BracketPlan], max_length: u64, max_concurrent_trials: u32) -> Self {
        Self {
            brackets: Numbered::new(plans.iter().map(Bracket::new)),
            max_length,
            max_concurrent_trials: limit(max_concurrent_trials),
            capacity: 0,
            planned_length: plans.iter().fold(0, |sum, plan| sum.saturating_add(plan.total_length())),
        }
    }

    fn fill(&mut self, context: Context<'_>, actions: &mut Vec<Action>) {
        let most = self.capacity.min(self.max_concurrent_trials);
        let mut outstanding: u32 = self.brackets.all().map(Bracket::outstanding).sum();
        for bracket in 0..self.brackets.len() {
            let mut steps = Vec::new();
            while outstanding < most && self.brackets.one_mut(bracket).start_next(&mut steps) {
                outstanding += 1;
            }
            self.brackets.translate(bracket, steps, context, actions);
        }
    }

    fn is_over(&self) -> bool {
        self.brackets.all().all(Bracket::is_over)
    }
}

impl Method for Synchronous {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        let mut steps = Vec::new();
        match *event {
            // Without a checkpoint nothing goes on here: a pause stands.
            Event::Directed(_) | Event::CannotPause { .. } => {}
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { trial, length, metric } => {
                let Some((bracket, member)) = self.brackets.member(trial) else {
                    return;
                };
                self.brackets.one_mut(bracket).validated(member, length, metric, &mut steps);
                self.brackets.translate(bracket, steps, context, actions);
            }
            Event::Exited { trial, reason } => {
                let Some((bracket, member)) = self.brackets.member(trial) else {
                    return;
                };
                self.brackets.one_mut(bracket).exited(member, reason, &mut steps);
                self.brackets.translate(bracket, steps, context, actions);
            }
        }
        self.fill(context, actions);
        if self.is_over() {
            let trials = self.brackets.all().map(Bracket::trials).sum();
            let invalid = self.brackets.all().find_map(Bracket::too_many_invalid);
            actions.push(Action::Shutdown { reason: over(trials, invalid) });
        }
    }

    fn progress(&self) -> f64 {
        let trained = self.brackets.all().fold(0_u64, |sum, bracket| sum.saturating_add(bracket.trained()));
        fraction(self.is_over(), trained, self.planned_length)
    }

    fn rungs(&self) -> Vec<RungView> {
        let numbered = self.brackets.all().zip(0..);
        numbered
            .flat_map(|(bracket, number)| {
                bracket.rungs().map(move |view| RungView { bracket: number, ..view })
            })
            .collect()
    }

    fn max_length(&self) -> u64 {
        self.max_length
    }
}
