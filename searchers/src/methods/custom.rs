//! A program outside decides ([`crate::wish`]); this method keeps the contract, whatever it wants.
//!
//! **Rule.** What is to begin or to go on waits in one queue, first come first served, and takes places as capacity and
//! `max_concurrent_trials` have them. A trial that reaches the length wanted of it pauses, so that its slots are free while the
//! program decides; one that was wanted to train further before it got there goes on without a pause. At `max_length` it is
//! stopped.
//!
//! **What cannot be.** A wanted trial that is stopped before it began begins and is stopped at once, and so does one whose
//! parent has ended by then: so ids are those that the program was told. Wishes about trials that have ended, and lengths that
//! were reached already, change nothing.

use super::limit;
use crate::config::MAX_TRIALS;
use crate::method::{Action, Context, Create, Event, ExitReason, Method, RungView, TrialId};
use crate::reason::Reason;
use crate::space::Assignment;
use crate::wish::{Directed, MAX_WAITING, Wish};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Running,
    Pausing(Next),
    Stopping,
    /// Paused, and nothing is wanted of it.
    Resting,
    /// Paused; goes on when there is a place. The number is its place in the queue.
    Waiting(u64, Reason),
}

/// What follows when a trial has paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Next {
    Rest,
    GoOn(Box<str>),
    Stop(Reason),
}

/// A trial that has begun and is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    state: State,
    /// The length it trains to.
    target: u64,
    /// The greatest length it validated at.
    length: u64,
}

impl Run {
    fn is_outstanding(&self) -> bool {
        matches!(self.state, State::Running | State::Pausing(_) | State::Stopping)
    }
}

/// A trial that has not begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wanted {
    ticket: u64,
    hparams: Option<Assignment>,
    train_to: u64,
    clone_from: Option<TrialId>,
    why: Box<str>,
    /// It was stopped before it began.
    stopped: Option<Box<str>>,
}

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Custom {
    max_length: u64,
    max_concurrent_trials: u32,
    capacity: u32,
    created: u32,
    /// The place in the queue of what comes next; 0 is before all.
    ticket: u64,
    /// Those that are to begin: the first one gets the id after the last created.
    wanted: VecDeque<Wanted>,
    /// Those that are to go on.
    waiting: BTreeSet<(u64, TrialId)>,
    runs: BTreeMap<TrialId, Run>,
    /// Runs that are outstanding.
    outstanding: u32,
    /// As the program says.
    progress: f64,
    /// The program wants the end.
    ending: Option<Box<str>>,
}

impl Custom {
    pub(crate) fn new(max_length: u64, max_concurrent_trials: u32) -> Self {
        Self {
            max_length,
            max_concurrent_trials: limit(max_concurrent_trials),
            capacity: 0,
            created: 0,
            ticket: 0,
            wanted: VecDeque::new(),
            waiting: BTreeSet::new(),
            runs: BTreeMap::new(),
            outstanding: 0,
            progress: 0.0,
            ending: None,
        }
    }

    fn directed(&mut self, directed: &Directed, actions: &mut Vec<Action>) {
        if let Some(progress) = directed.progress {
            // NaN is no progress.
            self.progress = self.progress.max(progress).min(0.99);
        }
        for wish in &directed.wishes {
            if self.ending.is_some() {
                return;
            }
            match wish {
                Wish::Create { hparams, train_to, clone_from, why } => {
                    self.want(hparams.clone(), *train_to, *clone_from, why.clone());
                }
                Wish::Train { trial, length, why } => self.train(*trial, *length, why, actions),
                Wish::Pause { trial, why } => self.pause(*trial, why, actions),
                Wish::Stop { trial, why } => self.stop(*trial, why, actions),
                Wish::Finish { why } => self.finish(why, actions),
            }
        }
    }

    fn want(
        &mut self,
        hparams: Option<Assignment>,
        train_to: u64,
        clone_from: Option<TrialId>,
        why: Box<str>,
    ) {
        let made = u64::from(self.created) + self.wanted.len() as u64;
        if self.wanted.len() >= MAX_WAITING || made >= MAX_TRIALS {
            return;
        }
        let train_to = train_to.clamp(1, self.max_length);
        let ticket = self.next_ticket();
        self.wanted.push_back(Wanted { ticket, hparams, train_to, clone_from, why, stopped: None });
    }

    fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// A trial that has not begun.
    fn wanted_mut(&mut self, trial: TrialId) -> Option<&mut Wanted> {
        let place = trial.0.checked_sub(self.created)?.checked_sub(1)?;
        self.wanted.get_mut(place as usize)
    }

    fn train(&mut self, trial: TrialId, length: u64, why: &str, actions: &mut Vec<Action>) {
        let length = length.min(self.max_length);
        if let Some(wanted) = self.wanted_mut(trial) {
            wanted.train_to = wanted.train_to.max(length);
            return;
        }
        let ticket = self.ticket + 1;
        let Some(run) = self.runs.get_mut(&trial).filter(|run| length > run.length) else { return };
        match &mut run.state {
            State::Running if length > run.target => {
                run.target = length;
                actions.push(Action::TrainTo { trial, length, reason: Reason::Wanted(why.into()) });
            }
            State::Running | State::Stopping | State::Pausing(Next::Stop(_)) => {}
            State::Pausing(next) => {
                run.target = length;
                *next = Next::GoOn(why.into());
            }
            State::Resting => {
                run.target = length;
                run.state = State::Waiting(ticket, Reason::Wanted(why.into()));
                self.ticket = ticket;
                self.waiting.insert((ticket, trial));
            }
            State::Waiting(_, reason) => {
                run.target = length;
                *reason = Reason::Wanted(why.into());
            }
        }
    }

    fn pause(&mut self, trial: TrialId, why: &str, actions: &mut Vec<Action>) {
        let Some(run) = self.runs.get_mut(&trial) else { return };
        match &mut run.state {
            State::Running => {
                run.state = State::Pausing(Next::Rest);
                actions.push(Action::Pause { trial, reason: Reason::Wanted(why.into()) });
            }
            State::Pausing(next @ Next::GoOn(_)) => *next = Next::Rest,
            State::Waiting(ticket, _) => {
                self.waiting.remove(&(*ticket, trial));
                run.state = State::Resting;
            }
            State::Pausing(_) | State::Stopping | State::Resting => {}
        }
    }

    fn stop(&mut self, trial: TrialId, why: &str, actions: &mut Vec<Action>) {
        if let Some(wanted) = self.wanted_mut(trial) {
            wanted.stopped.get_or_insert_with(|| why.into());
            return;
        }
        let reason = Reason::Wanted(why.into());
        let Some(run) = self.runs.get_mut(&trial) else { return };
        match &mut run.state {
            State::Running => {
                run.state = State::Stopping;
                actions.push(Action::Stop { trial, reason });
            }
            State::Pausing(next) => *next = Next::Stop(reason),
            State::Stopping => {}
            State::Resting | State::Waiting(..) => {
                self.forget(trial);
                actions.push(Action::Stop { trial, reason });
            }
        }
    }

    fn finish(&mut self, why: &str, actions: &mut Vec<Action>) {
        self.wanted.clear();
        let trials: Vec<TrialId> = self.runs.keys().copied().collect();
        trials.into_iter().for_each(|trial| self.stop(trial, why, actions));
        self.ending = Some(why.into());
    }

    /// Takes a trial out of the search.
    fn forget(&mut self, trial: TrialId) -> Option<Run> {
        let run = self.runs.remove(&trial)?;
        if let State::Waiting(ticket, _) = run.state {
            self.waiting.remove(&(ticket, trial));
        }
        self.outstanding -= u32::from(run.is_outstanding());
        Some(run)
    }

    fn validated(&mut self, trial: TrialId, length: u64, actions: &mut Vec<Action>) {
        let Some(run) = self.runs.get_mut(&trial).filter(|run| run.state == State::Running) else { return };
        run.length = run.length.max(length.min(self.max_length));
        if length >= self.max_length {
            run.state = State::Stopping;
            actions.push(Action::Stop { trial, reason: Reason::MaxLength { length } });
        } else if length >= run.target {
            run.state = State::Pausing(Next::Rest);
            actions.push(Action::Pause { trial, reason: Reason::WaitsForProgram { length } });
        }
    }

    fn exited(&mut self, trial: TrialId, reason: ExitReason, actions: &mut Vec<Action>) {
        let Some(run) = self.forget(trial) else { return };
        if reason != (ExitReason::Paused { resumable: true }) {
            return;
        }
        let state = match run.state {
            State::Stopping => return,
            State::Pausing(Next::Stop(reason)) => return actions.push(Action::Stop { trial, reason }),
            State::Pausing(Next::Rest) | State::Resting => State::Resting,
            State::Pausing(Next::GoOn(why)) => State::Waiting(self.next_ticket(), Reason::Wanted(why)),
            // It gave its slots back unasked: it goes on before all others.
            State::Running => State::Waiting(0, Reason::Resumed { length: run.target }),
            waiting @ State::Waiting(..) => waiting,
        };
        if let State::Waiting(ticket, _) = state {
            self.waiting.insert((ticket, trial));
        }
        self.runs.insert(trial, Run { state, ..run });
    }

    /// Begins or goes on with what is first in the queue, if there is anything.
    fn start_next(&mut self, context: Context<'_>, actions: &mut Vec<Action>) -> bool {
        let goes_on = self.waiting.first().copied();
        match (goes_on, self.wanted.front()) {
            (Some((ticket, trial)), front) if front.is_none_or(|front| ticket < front.ticket) => {
                self.go_on(trial, actions);
                true
            }
            (_, None) => false,
            (_, Some(_)) => self.begin(context, actions),
        }
    }

    fn go_on(&mut self, trial: TrialId, actions: &mut Vec<Action>) {
        self.waiting.pop_first();
        let Some(run) = self.runs.get_mut(&trial) else { return };
        if let State::Waiting(_, reason) = std::mem::replace(&mut run.state, State::Running) {
            self.outstanding += 1;
            actions.push(Action::TrainTo { trial, length: run.target, reason });
        }
    }

    fn begin(&mut self, context: Context<'_>, actions: &mut Vec<Action>) -> bool {
        let Some(wanted) = self.wanted.pop_front() else { return false };
        self.created += 1;
        let trial = TrialId(self.created);
        let alive =
            |parent: &TrialId| self.runs.get(parent).is_some_and(|run| !matches!(run.state, State::Stopping));
        let parent = wanted.clone_from.filter(alive);
        let gone = wanted.clone_from.filter(|_| parent.is_none());
        let stopped = match (wanted.stopped, gone) {
            (Some(why), _) => Some(Reason::Wanted(why)),
            (None, Some(parent)) => Some(Reason::ParentGone { parent: parent.0 }),
            (None, None) => None,
        };
        let state = if stopped.is_some() { State::Stopping } else { State::Running };
        self.runs.insert(trial, Run { state, target: wanted.train_to, length: 0 });
        self.outstanding += 1;
        let hparams = wanted.hparams.unwrap_or_else(|| context.space.draw(context.seed, trial));
        actions.push(Action::Create(Create {
            trial,
            hparams,
            clone_from: parent,
            train_to: wanted.train_to,
            bracket: 0,
            why: wanted.why,
        }));
        actions.extend(stopped.map(|reason| Action::Stop { trial, reason }));
        true
    }

    fn is_over(&self) -> bool {
        self.ending.is_some() && self.runs.is_empty()
    }
}

impl Method for Custom {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        match event {
            Event::Capacity(capacity) => self.capacity = *capacity,
            Event::Validated { trial, length, .. } => self.validated(*trial, *length, actions),
            Event::Exited { trial, reason } => self.exited(*trial, *reason, actions),
            Event::Directed(directed) => self.directed(directed, actions),
            // The program hears that the trial has ended.
            Event::CannotPause { .. } => {}
        }
        let most = self.capacity.min(self.max_concurrent_trials);
        while self.outstanding < most && self.start_next(context, actions) {}
        if let Some(why) = self.ending.clone().filter(|_| self.is_over()) {
            actions.push(Action::Shutdown { reason: Reason::Wanted(why) });
        }
    }

    fn progress(&self) -> f64 {
        if self.is_over() { 1.0 } else { self.progress }
    }

    fn rungs(&self) -> Vec<RungView> {
        Vec::new()
    }

    fn max_length(&self) -> u64 {
        self.max_length
    }
}
