//! Adaptive ASHA: several brackets of [`super::halving`] at once, which differ in how early they halve.
//!
//! The places (the lesser of capacity and limit) are split evenly among the brackets, the remainder to the earliest. What a
//! bracket does not use, another may: places left over are offered to all brackets in order. With fewer places than brackets
//! the earliest come first. Trials are numbered across brackets in the order of creation.

use super::async_halving::{fraction, over};
use super::halving::{Halving, Settings};
use super::numbered::Numbered;
use crate::brackets::Brackets;
use crate::method::{Action, Context, Event, Method, RungView};
use crate::plan::BracketPlan;
use crate::reason::Reason;
use serde::{Deserialize, Serialize};

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adaptive {
    brackets: Numbered<Halving>,
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    planned_length: u64,
}

impl Adaptive {
    pub(crate) fn new(settings: &Brackets<'_>, max_concurrent_trials: u32, stop_once: bool) -> Self {
        let plans = settings.plans();
        let bracket = |plan: &BracketPlan| {
            let divisor = settings.ladder.divisor;
            Halving::new(&Settings { plan: plan.clone(), divisor, stop_once })
        };
        Self {
            brackets: Numbered::new(plans.iter().map(bracket)),
            max_length: settings.ladder.max_length,
            max_concurrent_trials: settings.places(max_concurrent_trials, &plans),
            capacity: 0,
            planned_length: plans.iter().fold(0, |sum, plan| sum.saturating_add(plan.total_length())),
        }
    }

    fn outstanding(&self) -> u32 {
        self.brackets.all().map(Halving::outstanding).sum()
    }

    /// It is one script: what this bracket knows of its checkpoints holds in all.
    fn share_saves(&mut self, bracket: usize) {
        let saves = self.brackets.one_mut(bracket).saves();
        self.brackets.all_mut().for_each(|bracket| bracket.learn_saves(saves));
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
        let mut others = self.outstanding() - self.brackets.one_mut(bracket).outstanding();
        others = others.min(most);
        let search = self.brackets.one_mut(bracket);
        while search.outstanding() < share.min(most - others) && search.start_next(&mut steps) {}
        self.brackets.translate(bracket, steps, context, actions);
    }

    fn is_over(&self) -> bool {
        self.brackets.all().all(Halving::is_over)
    }

    fn end_reason(&self) -> Reason {
        let trials = self.brackets.all().map(Halving::trials).sum();
        over(trials, self.brackets.all().find_map(Halving::too_many_invalid))
    }
}

impl Method for Adaptive {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        let mut steps = Vec::new();
        match *event {
            Event::Directed(_) => {}
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
                self.share_saves(bracket);
                self.brackets.translate(bracket, steps, context, actions);
            }
            Event::CannotPause { trial } => {
                let Some((bracket, member)) = self.brackets.member(trial) else {
                    return;
                };
                self.brackets.one_mut(bracket).cannot_pause(member, &mut steps);
                self.share_saves(bracket);
                self.brackets.translate(bracket, steps, context, actions);
            }
        }
        self.fill(context, actions);
        if self.is_over() {
            actions.push(Action::Shutdown { reason: self.end_reason() });
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

/// `places` split evenly, the remainder to the earliest.
fn shares(places: u32, brackets: usize) -> Vec<u32> {
    let brackets = brackets as u32;
    (0..brackets).map(|bracket| places / brackets + u32::from(bracket < places % brackets)).collect()
}
