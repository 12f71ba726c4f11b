//! Adaptive ASHA: several brackets of [`super::halving`] at once, which differ in how early they halve.
//!
//! The places (the lesser of capacity and limit) are split evenly among the brackets, the remainder to the earliest. What a
//! bracket does not use, another may: places left over are offered to all brackets in order. With fewer places than brackets
//! the earliest come first. Trials are numbered across brackets in the order of creation.

use super::async_halving::{action, fraction, over};
use super::halving::{Halving, Settings, Step};
use crate::brackets::Brackets;
use crate::method::{Action, Context, Event, Method, RungView, TrialId};
use crate::plan::BracketPlan;
use crate::reason::Reason;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bracket {
    search: Halving,
    /// The trial of each member.
    trials: Vec<TrialId>,
}

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adaptive {
    brackets: Vec<Bracket>,
    /// The bracket and member of each trial.
    members: Vec<(u8, u32)>,
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    planned_length: u64,
}

impl Adaptive {
    pub(crate) fn new(settings: &Brackets<'_>, max_concurrent_trials: u32, stop_once: bool) -> Self {
        let plans = settings.plans();
        let Brackets { divisor, max_length, .. } = *settings;
        let bracket = |plan: &BracketPlan| {
            let rungs = plan.rungs.len() as u32;
            let settings = Settings { rungs, max_trials: plan.trials, divisor, max_length, stop_once };
            Bracket { search: Halving::new(&settings), trials: Vec::new() }
        };
        Self {
            brackets: plans.iter().map(bracket).collect(),
            members: Vec::new(),
            max_length,
            max_concurrent_trials: settings.places(max_concurrent_trials, &plans),
            capacity: 0,
            planned_length: plans.iter().fold(0, |sum, plan| sum.saturating_add(plan.total_length())),
        }
    }

    fn member(&self, trial: TrialId) -> Option<(usize, u32)> {
        let (bracket, member) = *self.members.get((trial.0 as usize).checked_sub(1)?)?;
        Some((usize::from(bracket), member))
    }

    fn outstanding(&self) -> u32 {
        self.brackets.iter().map(|bracket| bracket.search.outstanding()).sum()
    }

    fn fill(&mut self, context: Context<'_>, actions: &mut Vec<Action>) {
        let most = self.capacity.min(self.max_concurrent_trials);
        let shares = shares(most, self.brackets.len());
        for (bracket, share) in shares.into_iter().enumerate() {
            self.fill_bracket(bracket, share, most, context, actions);
        }
        for bracket in 0..self.brackets.len() {
            self.fill_bracket(bracket, u32::MAX, most, context, actions);
        }
    }

    fn fill_bracket(
        &mut self,
        bracket: usize,
        share: u32,
        most: u32,
        context: Context<'_>,
        actions: &mut Vec<Action>,
    ) {
        let mut steps = Vec::new();
        let mut others = self.outstanding() - self.brackets[bracket].search.outstanding();
        others = others.min(most);
        let search = &mut self.brackets[bracket].search;
        while search.outstanding() < share.min(most - others) && search.start_next(&mut steps) {}
        self.translate(bracket, steps, context, actions);
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

    fn end_reason(&self) -> Reason {
        let trials = self.brackets.iter().map(|bracket| bracket.search.trials()).sum();
        over(trials, self.brackets.iter().find_map(|bracket| bracket.search.too_many_invalid()))
    }
}

impl Method for Adaptive {
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
                let saves = self.brackets[bracket].search.saves();
                self.brackets.iter_mut().for_each(|bracket| bracket.search.learn_saves(saves));
                self.translate(bracket, steps, context, actions);
            }
        }
        self.fill(context, actions);
        if self.is_over() {
            actions.push(Action::Shutdown { reason: self.end_reason() });
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

/// `places` split evenly, the remainder to the earliest.
fn shares(places: u32, brackets: usize) -> Vec<u32> {
    let brackets = brackets as u32;
    (0..brackets).map(|bracket| places / brackets + u32::from(bracket < places % brackets)).collect()
}
