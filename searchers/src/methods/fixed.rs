//! Trials that all train in full: single, random search and grid.
//!
//! A trial is stopped at its first validation at `max_length` or more; other validations decide nothing. A random trial
//! that refuses its hyperparameters is replaced and not counted. A point of a grid, or the one trial of a single search,
//! has nothing to be replaced by, so it is only left out. Only trials at work take memory.

use super::limit;
use crate::config::invalid_allowed;
use crate::method::{Action, Context, Create, Event, ExitReason, Method, RungView, TrialId};
use crate::reason::Reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where hyperparameters come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// One draw that is not replaced.
    Single,
    /// Draws.
    Random,
    /// The points that satisfy the constraints, in order.
    Grid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Running,
    Stopping,
    /// Gave its slots back unasked; goes on before new trials.
    Interrupted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    state: State,
    /// The greatest length it validated at.
    length: u64,
}

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fixed {
    source: Source,
    max_trials: u64,
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    created: u32,
    /// Of a grid: where to look for the next point.
    next_point: u64,
    invalid: u64,
    /// Trials that are neither over nor invalid.
    runs: BTreeMap<TrialId, Run>,
    interrupted: u32,
}

impl Fixed {
    pub(crate) fn new(source: Source, max_trials: u64, max_length: u64, max_concurrent_trials: u32) -> Self {
        Self {
            source,
            max_trials,
            max_length,
            max_concurrent_trials: limit(max_concurrent_trials),
            capacity: 0,
            created: 0,
            next_point: 0,
            invalid: 0,
            runs: BTreeMap::new(),
            interrupted: 0,
        }
    }

    fn validated(&mut self, trial: TrialId, length: u64, actions: &mut Vec<Action>) {
        let Some(run) = self.runs.get_mut(&trial).filter(|run| run.state == State::Running) else {
            return;
        };
        run.length = run.length.max(length.min(self.max_length));
        if length >= self.max_length {
            run.state = State::Stopping;
            actions.push(Action::Stop { trial, reason: Reason::MaxLength { length } });
        }
    }

    fn exited(&mut self, trial: TrialId, reason: ExitReason, actions: &mut Vec<Action>) {
        let Some(run) = self.runs.get_mut(&trial) else {
            return;
        };
        if run.state == State::Interrupted {
            self.interrupted -= 1;
        }
        let goes_on = run.state != State::Stopping && reason == ExitReason::Paused { resumable: true };
        if goes_on {
            run.state = State::Interrupted;
            self.interrupted += 1;
            return;
        }
        if run.state != State::Stopping && reason == (ExitReason::Paused { resumable: false }) {
            actions.push(Action::Stop { trial, reason: Reason::NoCheckpoint { length: run.length } });
        }
        if reason == ExitReason::InvalidHyperparameters {
            self.invalid += 1;
        }
        self.runs.remove(&trial);
    }

    fn outstanding(&self) -> u32 {
        self.runs.len() as u32 - self.interrupted
    }

    /// Trials created that count.
    fn trials(&self) -> u64 {
        u64::from(self.created) - self.invalid
    }

    fn may_create(&self) -> bool {
        match self.source {
            Source::Single | Source::Grid => u64::from(self.created) < self.max_trials,
            Source::Random => self.trials() < self.max_trials && !self.gave_up(),
        }
    }

    fn gave_up(&self) -> bool {
        self.source == Source::Random && self.invalid >= invalid_allowed(self.max_trials)
    }

    fn is_over(&self) -> bool {
        self.runs.is_empty() && !self.may_create()
    }

    fn start_next(&mut self, context: Context<'_>, actions: &mut Vec<Action>) -> bool {
        if self.interrupted > 0
            && let Some((&trial, run)) = self.runs.iter_mut().find(|(_, run)| run.state == State::Interrupted)
        {
            run.state = State::Running;
            self.interrupted -= 1;
            let reason = Reason::Resumed { length: self.max_length };
            actions.push(Action::TrainTo { trial, length: self.max_length, reason });
            return true;
        }
        if !self.may_create() {
            return false;
        }
        self.created += 1;
        let trial = TrialId(self.created);
        let hparams = match self.source {
            Source::Single | Source::Random => context.space.draw(context.seed, trial),
            Source::Grid => {
                let (index, point) = context.space.grid_next(self.next_point).unwrap_or_default();
                self.next_point = index + 1;
                point
            }
        };
        self.runs.insert(trial, Run { state: State::Running, length: 0 });
        let train_to = self.max_length;
        actions.push(Action::Create(Create {
            trial,
            hparams,
            clone_from: None,
            train_to,
            bracket: 0,
            why: "".into(),
        }));
        true
    }

    fn end_reason(&self) -> Reason {
        if self.gave_up() && self.trials() < self.max_trials {
            Reason::TooManyInvalid { invalid: self.invalid, allowed: invalid_allowed(self.max_trials) }
        } else {
            Reason::SearchOver { trials: self.trials() }
        }
    }
}

impl Method for Fixed {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        match *event {
            // Without a checkpoint nothing goes on here: a pause stands.
            Event::Directed(_) | Event::CannotPause { .. } => {}
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { trial, length, .. } => self.validated(trial, length, actions),
            Event::Exited { trial, reason } => self.exited(trial, reason, actions),
        }
        let most = self.capacity.min(self.max_concurrent_trials);
        while self.outstanding() < most && self.start_next(context, actions) {}
        if self.is_over() {
            actions.push(Action::Shutdown { reason: self.end_reason() });
        }
    }

    fn progress(&self) -> f64 {
        if self.is_over() {
            return 1.0;
        }
        let ended = u128::from(self.trials()) - self.runs.len() as u128;
        let under_way: u128 = self.runs.values().map(|run| u128::from(run.length)).sum();
        let full = u128::from(self.max_length);
        (ended * full + under_way) as f64 / (u128::from(self.max_trials) * full) as f64
    }

    fn rungs(&self) -> Vec<RungView> {
        Vec::new()
    }

    fn max_length(&self) -> u64 {
        self.max_length
    }
}
