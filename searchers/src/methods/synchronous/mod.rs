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

use super::async_halving::{action, fraction, over};
use super::halving::Step;
use super::limit;
use crate::method::{Action, Context, Event, Method, RungView, TrialId};
use crate::plan::BracketPlan;
use bracket::Bracket;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Numbered {
    search: Bracket,
    /// The trial of each member.
    trials: Vec<TrialId>,
}

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Synchronous {
    brackets: Vec<Numbered>,
    /// The bracket and member of each trial.
    members: Vec<(u8, u32)>,
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    planned_length: u64,
}

impl Synchronous {
    /// `plans`: the brackets in the order in which they start, at most 64.
    pub(crate) fn new(plans: &[BracketPlan], max_length: u64, max_concurrent_trials: u32) -> Self {
        let numbered = |plan| Numbered { search: Bracket::new(plan), trials: Vec::new() };
        Self {
            brackets: plans.iter().map(numbered).collect(),
            members: Vec::new(),
            max_length,
            max_concurrent_trials: limit(max_concurrent_trials),
            capacity: 0,
            planned_length: plans.iter().fold(0, |sum, plan| sum.saturating_add(plan.total_length())),
        }
    }

    fn member(&self, trial: TrialId) -> Option<(usize, u32)> {
        let (bracket, member) = *self.members.get((trial.0 as usize).checked_sub(1)?)?;
        Some((usize::from(bracket), member))
    }

    fn fill(&mut self, context: Context<'_>, actions: &mut Vec<Action>) {
        let most = self.capacity.min(self.max_concurrent_trials);
        let mut outstanding: u32 = self.brackets.iter().map(|bracket| bracket.search.outstanding()).sum();
        for bracket in 0..self.brackets.len() {
            let mut steps = Vec::new();
            while outstanding < most && self.brackets[bracket].search.start_next(&mut steps) {
                outstanding += 1;
            }
            self.translate(bracket, steps, context, actions);
        }
    }

    /// Turns a bracket's steps into actions, and numbers its new members.
    fn translate(
        &mut self,
        bracket: usize,
        steps: Vec<Step>,
        context: Context<'_>,
        actions: &mut Vec<Action>,
    ) {
        for step in steps {
            if let Step::Create { member, .. } = step {
                self.members.push((bracket as u8, member));
                self.brackets[bracket].trials.push(TrialId(self.members.len() as u32));
            }
            let trials = &self.brackets[bracket].trials;
            actions.push(action(step, bracket as u32, |member| trials[member as usize - 1], context));
        }
    }

    fn is_over(&self) -> bool {
        self.brackets.iter().all(|bracket| bracket.search.is_over())
    }
}

impl Method for Synchronous {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        let mut steps = Vec::new();
        match *event {
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { trial, length, metric } => {
                let Some((bracket, member)) = self.member(trial) else {
                    return;
                };
                self.brackets[bracket].search.validated(member, length, metric, &mut steps);
                self.translate(bracket, steps, context, actions);
            }
            Event::Exited { trial, reason } => {
                let Some((bracket, member)) = self.member(trial) else {
                    return;
                };
                self.brackets[bracket].search.exited(member, reason, &mut steps);
                self.translate(bracket, steps, context, actions);
            }
        }
        self.fill(context, actions);
        if self.is_over() {
            let trials = self.brackets.iter().map(|bracket| bracket.search.trials()).sum();
            let invalid = self.brackets.iter().find_map(|bracket| bracket.search.too_many_invalid());
            actions.push(Action::Shutdown { reason: over(trials, invalid) });
        }
    }

    fn progress(&self) -> f64 {
        let trained =
            self.brackets.iter().fold(0_u64, |sum, bracket| sum.saturating_add(bracket.search.trained()));
        fraction(self.is_over(), trained, self.planned_length)
    }

    fn rungs(&self) -> Vec<RungView> {
        let numbered = self.brackets.iter().zip(0..);
        numbered
            .flat_map(|(bracket, number)| {
                bracket.search.rungs().map(move |view| RungView { bracket: number, ..view })
            })
            .collect()
    }

    fn max_length(&self) -> u64 {
        self.max_length
    }
}
