//! Median stopping (D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro, D. Sculley, *Google Vizier: A Service for
//! Black-Box Optimization*, KDD 2017, section 3.2.2), around any other method.
//!
//! **Rule.** At a validation at length t, a trial is stopped if its best value so far is worse than the median of the
//! running averages of the other trials at t: if more than half of their averages are better. A running average is the
//! mean of all that a trial reported up to and at t. Only lengths that are equal are compared. NaN is worse than every
//! number.
//!
//! It says nothing below `min_length`, before `min_trials` others have validated at t, and on validations that the
//! method itself decides on. To the method a trial that was stopped so is one that failed: it ranks last, counts, and
//! its place is free when its slots are.
//!
//! Cost: O(log n) a validation, and 32 bytes.

use super::Running;
use crate::method::{Action, Context, Event, ExitReason, Method, RungView, TrialId};
use crate::reason::Reason;
use crate::rung::{Key, NO_ENTRY, Ranking};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Watched {
    /// The best so far.
    best: Key,
    sum: f64,
    count: u32,
    /// It trains: it was told to, and to nothing else since.
    runs: bool,
    /// This rule stopped it.
    stopped: bool,
    /// The length of its newest validation.
    length: Option<u64>,
}

/// The method that stops what `inner` would let go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MedianStopping {
    inner: Box<Running>,
    min_length: u64,
    min_trials: u64,
    /// Trial i at index i − 1.
    trials: Vec<Watched>,
    /// The running averages at each length.
    averages: BTreeMap<u64, Ranking>,
}

impl MedianStopping {
    pub(crate) fn new(inner: Running, min_length: u64, min_trials: u64) -> Self {
        Self { inner: Box::new(inner), min_length, min_trials, trials: Vec::new(), averages: BTreeMap::new() }
    }

    fn watched(&mut self, trial: TrialId) -> Option<&mut Watched> {
        self.trials.get_mut((trial.0 as usize).checked_sub(1)?)
    }

    /// Takes a validation in. The reason to stop the trial, if there is one.
    fn judge(&mut self, trial: TrialId, length: u64, metric: f64) -> Option<Reason> {
        let watched = self.watched(trial)?;
        if watched.length.is_some_and(|newest| length <= newest) {
            return None;
        }
        watched.length = Some(length);
        watched.best = watched.best.min(Key::new(metric));
        watched.sum += metric;
        watched.count += 1;
        let (best, average) = (watched.best, watched.sum / f64::from(watched.count));
        let others = self.averages.entry(length).or_insert_with(Ranking::new);
        let (better, of) = (others.better_than(best), u64::from(others.len()));
        others.insert(Key::new(average), trial.0, NO_ENTRY);
        let worse = better * 2 > of && of >= self.min_trials && length >= self.min_length;
        worse.then_some(Reason::BelowMedian { length, better, of })
    }

    /// Notes what the method told its trials.
    fn follow(&mut self, actions: &[Action]) {
        for action in actions {
            let (trial, runs) = match action {
                Action::Create(_) => {
                    let new = Watched {
                        best: Key::FAILED,
                        sum: 0.0,
                        count: 0,
                        runs: true,
                        stopped: false,
                        length: None,
                    };
                    self.trials.push(new);
                    continue;
                }
                Action::TrainTo { trial, .. } => (*trial, true),
                Action::Pause { trial, .. } | Action::Stop { trial, .. } => (*trial, false),
                Action::Shutdown { .. } => continue,
            };
            if let Some(watched) = self.watched(trial) {
                watched.runs = runs;
            }
        }
    }

    fn validated(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        let Event::Validated { trial, length, metric } = *event else { return };
        if !self.watched(trial).is_some_and(|watched| watched.runs) {
            return;
        }
        let verdict = self.judge(trial, length, metric);
        let before = actions.len();
        self.inner.method_mut().handle(event, context, actions);
        self.follow(&actions[before..]);
        let decided = actions[before..].iter().any(|action| names(action, trial));
        if let Some(reason) = verdict.filter(|_| !decided)
            && let Some(watched) = self.watched(trial)
        {
            watched.runs = false;
            watched.stopped = true;
            actions.push(Action::Stop { trial, reason });
        }
    }

    fn exited(
        &mut self,
        trial: TrialId,
        reason: ExitReason,
        context: Context<'_>,
        actions: &mut Vec<Action>,
    ) {
        let mut told = reason;
        if let Some(watched) = self.watched(trial) {
            watched.runs = false;
            if watched.stopped && matches!(reason, ExitReason::Stopped | ExitReason::Paused { .. }) {
                told = ExitReason::Errored;
            }
        }
        let before = actions.len();
        let event = Event::Exited { trial, reason: told };
        self.inner.method_mut().handle(&event, context, actions);
        self.follow(&actions[before..]);
    }
}

fn names(action: &Action, trial: TrialId) -> bool {
    match action {
        Action::TrainTo { trial: named, .. }
        | Action::Pause { trial: named, .. }
        | Action::Stop { trial: named, .. } => *named == trial,
        Action::Create(_) | Action::Shutdown { .. } => false,
    }
}

impl Method for MedianStopping {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        match *event {
            Event::Capacity(_) | Event::Directed(_) | Event::CannotPause { .. } => {
                let before = actions.len();
                self.inner.method_mut().handle(event, context, actions);
                self.follow(&actions[before..]);
            }
            Event::Validated { .. } => self.validated(event, context, actions),
            Event::Exited { trial, reason } => self.exited(trial, reason, context, actions),
        }
    }

    fn progress(&self) -> f64 {
        self.inner.method().progress()
    }

    fn rungs(&self) -> Vec<RungView> {
        self.inner.method().rungs()
    }

    fn max_length(&self) -> u64 {
        self.inner.method().max_length()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.method().notes()
    }
}
