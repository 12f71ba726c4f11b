//! ASHA (Li et al., MLSys 2020): one bracket under a limit of trials at once. The rules are in [`super::halving`].

use super::halving::{Halving, Settings, Skipped, Step};
use super::limit;
use crate::method::{Action, Context, Create, Event, Method, RungView, TrialId};
use crate::reason::Reason;
use serde::{Deserialize, Serialize};

/// The method. A trial's id is its member number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AsyncHalving {
    bracket: Halving,
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    planned_length: u64,
}

impl AsyncHalving {
    /// One in which new trials learn to skip rungs that tell nothing.
    pub(crate) fn with_learned_start(settings: &Settings, max_concurrent_trials: u32) -> Self {
        let bracket = Halving::with_learned_start(settings);
        Self { bracket, ..Self::new(settings, max_concurrent_trials) }
    }

    pub(crate) fn new(settings: &Settings, max_concurrent_trials: u32) -> Self {
        Self {
            bracket: Halving::new(settings),
            max_length: settings.plan.max_length(),
            max_concurrent_trials: limit(max_concurrent_trials),
            capacity: 0,
            planned_length: settings.plan.total_length(),
        }
    }
}

impl Method for AsyncHalving {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        let mut steps = Vec::new();
        match *event {
            Event::Directed(_) => {}
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { trial, length, metric } => {
                self.bracket.validated(trial.0, length, metric, &mut steps);
            }
            Event::Exited { trial, reason } => self.bracket.exited(trial.0, reason, &mut steps),
            Event::CannotPause { trial } => self.bracket.cannot_pause(trial.0, &mut steps),
        }
        let most = self.capacity.min(self.max_concurrent_trials);
        while self.bracket.outstanding() < most && self.bracket.start_next(&mut steps) {}
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

    fn notes(&self) -> Vec<String> {
        let skipped = self.bracket.skipped().into_iter().map(|Skipped { length, next, members, agreement }| {
            format!(
                "new trials skip the rung at length {length}: of {members} trials, the ranks there agree with \
                 those at {next} by {agreement:.2} only (Kendall's tau)"
            )
        });
        skipped.collect()
    }
}

/// A bracket's step as an action, its member named by `name`.
pub(super) fn action(
    step: Step,
    bracket: u32,
    name: impl Fn(u32) -> TrialId,
    context: Context<'_>,
) -> Action {
    match step {
        Step::Create { member, train_to } => {
            let trial = name(member);
            let hparams = context.space.draw(context.seed, trial);
            Action::Create(Create { trial, hparams, clone_from: None, train_to, bracket, why: "".into() })
        }
        Step::TrainTo { member, length, reason } => Action::TrainTo { trial: name(member), length, reason },
        Step::Pause { member, reason } => Action::Pause { trial: name(member), reason },
        Step::Stop { member, reason } => Action::Stop { trial: name(member), reason },
    }
}

/// Why a search of brackets is over.
pub(super) fn over(trials: u64, too_many_invalid: Option<(u64, u64)>) -> Reason {
    match too_many_invalid {
        Some((invalid, allowed)) => Reason::TooManyInvalid { invalid, allowed },
        None => Reason::SearchOver { trials },
    }
}

/// How much of the planned length was trained. More may be trained than planned, so only the end is 1.
pub(super) fn fraction(over: bool, trained: u64, planned: u64) -> f64 {
    if over { 1.0 } else { (trained as f64 / planned.max(1) as f64).min(0.99) }
}
