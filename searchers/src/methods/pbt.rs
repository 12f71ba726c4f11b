//! Population based training (M. Jaderberg et al., *Population Based Training of Neural Networks*, 2017), in rounds.
//!
//! **Rule.** `population_size` trials train to L, the length of a round, and pause. When all have arrived, they are
//! ranked, and with m = floor(truncate_fraction · population_size) the worst m are closed; m children begin from the
//! newest checkpoints of the best m, with hyperparameters by [`crate::space`]'s exploration; the others go on. So round
//! r (from 0) trains everybody from r·L to (r + 1)·L, children too: a child begins at its parent's length. At the end
//! of the last round all stop.
//!
//! **Lost members.** Who failed, was killed, ended by itself or cannot resume is not waited for, and counts among the
//! worst of its round: fewer are closed for it, and if more than m are lost, so many children begin. Children take the
//! best m (at least one) as parents in turn. Only a trial that has paused with a checkpoint is a parent. If nobody is
//! left, the search is over.
//!
//! **Order.** Children begin before anybody else goes on, so that a parent's newest checkpoint is still that of the
//! round's end. If a parent is lost before, the best of the others takes its place.
//!
//! **Invalid hyperparameters.** In the first round the trial is replaced by another draw and does not count; later it
//! is a lost member.

use crate::config::{Population, invalid_allowed};
use crate::method::{Action, Context, Create, Event, ExitReason, Method, RungView, TrialId};
use crate::reason::Reason;
use crate::rung::Key;
use crate::space::{Assignment, Explore};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Running,
    /// Told to pause at the end of the round.
    Pausing,
    /// Told to stop after the last round.
    Stopping,
    /// Paused at the end of the round.
    Arrived,
    /// Paused; goes on in this round when there is a place.
    Waiting,
    /// Gave its slots back unasked; goes on before all others.
    Interrupted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    state: State,
    hparams: Assignment,
    /// Its metric at the end of the round.
    key: Key,
    /// The greatest length it validated at, as far as it counted.
    length: u64,
}

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pbt {
    settings: Population,
    /// The round under way, from 0.
    round: u32,
    members: BTreeMap<TrialId, Member>,
    /// Members that are Running, Pausing or Stopping.
    outstanding: u32,
    pausing: u32,
    /// Members on their way to the end of the round: Running, Waiting or Interrupted.
    heading: u32,
    interrupted: BTreeSet<TrialId>,
    waiting: BTreeSet<TrialId>,
    /// Parents of the children that are still to begin.
    births: VecDeque<TrialId>,
    /// Who stayed in the last round, the best first: parents in place of those that are lost.
    ranked: Vec<TrialId>,
    /// How many were ranked.
    compared: u64,
    created: u32,
    invalid: u64,
    capacity: u32,
}

impl Pbt {
    pub(crate) fn new(settings: Population) -> Self {
        Self {
            settings,
            round: 0,
            members: BTreeMap::new(),
            outstanding: 0,
            pausing: 0,
            heading: 0,
            interrupted: BTreeSet::new(),
            waiting: BTreeSet::new(),
            births: VecDeque::new(),
            ranked: Vec::new(),
            compared: 0,
            created: 0,
            invalid: 0,
            capacity: 0,
        }
    }

    /// The length at the end of the round.
    fn target(&self) -> u64 {
        self.settings.length_per_round.saturating_mul(u64::from(self.round) + 1)
    }

    fn is_last_round(&self) -> bool {
        self.round + 1 >= self.settings.num_rounds
    }

    /// How many of the first round can still be drawn.
    fn drawable(&self) -> u64 {
        let drawn = u64::from(self.created) - self.invalid;
        if self.round > 0 || self.invalid >= self.allowed() {
            0
        } else {
            u64::from(self.settings.population_size).saturating_sub(drawn)
        }
    }

    fn allowed(&self) -> u64 {
        invalid_allowed(u64::from(self.settings.population_size))
    }

    fn to_come(&self) -> u64 {
        u64::from(self.heading) + self.births.len() as u64 + self.drawable()
    }

    fn validated(&mut self, trial: TrialId, length: u64, metric: f64, actions: &mut Vec<Action>) {
        let (target, last) = (self.target(), self.is_last_round());
        let Some(member) = self.members.get_mut(&trial) else {
            return;
        };
        if member.state != State::Running || length < target {
            return;
        }
        member.length = length;
        member.key = Key::new(metric);
        self.heading -= 1;
        if last {
            member.state = State::Stopping;
            actions.push(Action::Stop { trial, reason: Reason::MaxLength { length } });
        } else {
            member.state = State::Pausing;
            self.pausing += 1;
            let reason = Reason::RoundDone { round: self.round + 1, length: target };
            actions.push(Action::Pause { trial, reason });
        }
    }

    fn exited(&mut self, trial: TrialId, reason: ExitReason, actions: &mut Vec<Action>) {
        let Some(mut member) = self.members.remove(&trial) else {
            return;
        };
        let before = member.state;
        match before {
            State::Running | State::Waiting | State::Interrupted => self.heading -= 1,
            State::Pausing => self.pausing -= 1,
            State::Stopping | State::Arrived => {}
        }
        if matches!(before, State::Running | State::Pausing | State::Stopping) {
            self.outstanding -= 1;
        }
        self.waiting.remove(&trial);
        self.interrupted.remove(&trial);
        self.invalid += u64::from(reason == ExitReason::InvalidHyperparameters);
        let ExitReason::Paused { resumable } = reason else {
            return;
        };
        if before == State::Stopping {
            return;
        }
        if !resumable {
            let reason = Reason::NoCheckpoint { length: member.length };
            return actions.push(Action::Stop { trial, reason });
        }
        member.state = match before {
            State::Pausing | State::Arrived => State::Arrived,
            State::Waiting => State::Waiting,
            _ => State::Interrupted,
        };
        match member.state {
            State::Waiting => drop(self.waiting.insert(trial)),
            State::Interrupted => drop(self.interrupted.insert(trial)),
            _ => {}
        }
        self.heading += u32::from(member.state != State::Arrived);
        self.members.insert(trial, member);
    }

    /// Ends rounds as long as everybody has arrived. Whether one ended.
    fn end_rounds(&mut self, actions: &mut Vec<Action>) -> bool {
        let mut ended = false;
        while self.to_come() == 0 && self.pausing == 0 && self.outstanding == 0 && !self.members.is_empty() {
            if self.is_last_round() {
                // They had validated past the last round before they paused.
                for (&trial, member) in &self.members {
                    let reason = Reason::MaxLength { length: member.length };
                    actions.push(Action::Stop { trial, reason });
                }
                self.members.clear();
            } else {
                self.end_round(actions);
            }
            ended = true;
        }
        ended
    }

    fn end_round(&mut self, actions: &mut Vec<Action>) {
        self.round += 1;
        let (round, target) = (self.round, self.target());
        let mut ranked: Vec<(Key, TrialId)> =
            self.members.iter().map(|(&trial, member)| (member.key, trial)).collect();
        ranked.sort_unstable();
        let of = ranked.len() as u64;
        self.compared = of;
        let lost = self.settings.population_size.saturating_sub(ranked.len() as u32);
        let truncated = self.settings.replaced();
        let closed = truncated.saturating_sub(lost) as usize;
        let stay = ranked.len() - closed.min(ranked.len() - 1);
        for (rank, &(_, trial)) in (1..).zip(&ranked).skip(stay) {
            self.members.remove(&trial);
            actions.push(Action::Stop { trial, reason: Reason::Replaced { round, rank, of } });
        }
        ranked.truncate(stay);
        self.ranked = ranked.into_iter().map(|(_, trial)| trial).collect();
        let parents = &self.ranked[..stay.min(truncated.max(1) as usize)];
        self.births = parents.iter().copied().cycle().take(truncated.max(lost) as usize).collect();
        for trial in &self.ranked {
            if let Some(member) = self.members.get_mut(trial).filter(|member| member.length < target) {
                member.state = State::Waiting;
                self.waiting.insert(*trial);
                self.heading += 1;
            }
        }
    }

    /// Starts one piece of work, if there is any: the interrupted first, then children, then those that stay.
    fn start_next(&mut self, context: Context<'_>, actions: &mut Vec<Action>) -> bool {
        let length = self.target();
        if let Some(trial) = self.interrupted.pop_first() {
            self.run(trial);
            actions.push(Action::TrainTo { trial, length, reason: Reason::Resumed { length } });
            return true;
        }
        while let Some(parent) = self.births.pop_front() {
            let known = |trial: &TrialId| self.members.contains_key(trial);
            if let Some(parent) = Some(parent).filter(known).or(self.ranked.iter().copied().find(known)) {
                self.clone_of(parent, context, actions);
                return true;
            }
        }
        if let Some(trial) = self.waiting.pop_first() {
            self.run(trial);
            let rank = self.ranked.iter().position(|ranked| *ranked == trial).unwrap_or(0) as u64 + 1;
            let reason = Reason::Survives { round: self.round, rank, of: self.compared };
            actions.push(Action::TrainTo { trial, length, reason });
            return true;
        }
        if self.drawable() == 0 {
            return false;
        }
        let hparams = context.space.draw(context.seed, TrialId(self.created + 1));
        self.create(hparams, None, 0, actions);
        true
    }

    fn run(&mut self, trial: TrialId) {
        if let Some(member) = self.members.get_mut(&trial) {
            member.state = State::Running;
            self.outstanding += 1;
        }
    }

    fn clone_of(&mut self, parent: TrialId, context: Context<'_>, actions: &mut Vec<Action>) {
        let Some(known) = self.members.get(&parent) else { return };
        let Population { resample_probability, perturb_factor, .. } = self.settings;
        let explore = Explore { resample_probability, perturb_factor };
        let child = TrialId(self.created + 1);
        let hparams = context.space.explore(explore, &known.hparams, context.seed, child);
        let length = self.settings.length_per_round.saturating_mul(u64::from(self.round));
        self.create(hparams, Some(parent), length, actions);
    }

    fn create(
        &mut self,
        hparams: Assignment,
        clone_from: Option<TrialId>,
        length: u64,
        actions: &mut Vec<Action>,
    ) {
        self.created += 1;
        let trial = TrialId(self.created);
        let member = Member { state: State::Running, hparams: hparams.clone(), key: Key::FAILED, length };
        self.members.insert(trial, member);
        self.outstanding += 1;
        self.heading += 1;
        let train_to = self.target();
        actions.push(Action::Create(Create {
            trial,
            hparams,
            clone_from,
            train_to,
            bracket: 0,
            why: "".into(),
        }));
    }

    fn is_over(&self) -> bool {
        self.members.is_empty() && self.drawable() == 0
    }

    fn end_reason(&self) -> Reason {
        if self.round == 0 && self.invalid >= self.allowed() {
            Reason::TooManyInvalid { invalid: self.invalid, allowed: self.allowed() }
        } else if self.is_last_round() {
            Reason::SearchOver { trials: u64::from(self.created) - self.invalid }
        } else {
            Reason::NobodyLeft { round: self.round + 1 }
        }
    }
}

impl Method for Pbt {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        match *event {
            // Without a checkpoint nothing goes on here: a pause stands.
            Event::Directed(_) | Event::CannotPause { .. } => {}
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { trial, length, metric } => self.validated(trial, length, metric, actions),
            Event::Exited { trial, reason } => self.exited(trial, reason, actions),
        }
        self.end_rounds(actions);
        // Births whose parents are all lost come to nothing, and may have been the last that a round waited for.
        while self.outstanding < self.capacity
            && (self.start_next(context, actions) || self.end_rounds(actions))
        {}
        if self.is_over() {
            actions.push(Action::Shutdown { reason: self.end_reason() });
        }
    }

    fn progress(&self) -> f64 {
        if self.is_over() {
            return 1.0;
        }
        let population = f64::from(self.settings.population_size);
        let done = f64::from(self.round) * population + (population - self.to_come() as f64).max(0.0);
        (done / (population * f64::from(self.settings.num_rounds))).min(0.99)
    }

    fn rungs(&self) -> Vec<RungView> {
        Vec::new()
    }

    fn max_length(&self) -> u64 {
        self.settings.max_length()
    }
}
