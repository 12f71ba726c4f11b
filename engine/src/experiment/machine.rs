//! The state of one experiment and what each input does to it.

use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use toprung_proto::v1::{self, attempt_event, journal_record::Input};
use toprung_searchers::{Action, Event, Searcher, TrialId};
use toprung_store::Key;

use super::effect::{Effect, Step};
use super::snapshot::Stored;
use super::spec::Spec;
use super::trial::{End, Intent, Phase, Placement, Trial};
use super::view;

/// Reports of one trial that gather before they are written as a chunk.
const CHUNK: usize = 64;

/// Where the experiment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Trials run.
    Active,
    /// Told to pause; some attempts still hold slots.
    Pausing,
    /// Nothing runs; it may go on.
    Paused,
    /// Told to end; some attempts still hold slots.
    Killing,
    /// The search is over.
    Completed,
    /// Ended by a person.
    Killed,
    /// Ended by a failure.
    Error,
}

impl State {
    /// Whether nothing will follow.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Killed | Self::Error)
    }
}

/// The best trial so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number.
    pub trial: u32,
    /// Its best validation, normalised.
    pub metric: f64,
    /// Where that was measured.
    pub length: u64,
    /// Its hyperparameters, a JSON object.
    pub hparams_json: Box<str>,
    /// Its checkpoint nearest to that length.
    pub checkpoint: Option<Stored<v1::Checkpoint>>,
}

/// The state that is folded from the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fold {
    /// Sequence of the newest record.
    pub sequence: u64,
    /// The search method.
    pub searcher: Searcher,
    /// Where the experiment stands.
    pub state: State,
    /// Why.
    pub reason: String,
    /// While killing: the state it will end in.
    pub end: Option<State>,
    /// Trial `n` at index `n - 1`.
    pub trials: Vec<Trial>,
    /// Trials that are neither paused at a rung nor ended.
    pub active: BTreeSet<u32>,
    /// Number of trials by [`v1::TrialState`].
    pub counts: [u64; 11],
    /// The best trial.
    pub best: Option<Best>,
    /// Newest batch of each agent: (instance, sequence).
    pub agents: BTreeMap<String, (String, u64)>,
    /// Training so far, all trials together.
    pub total_length: u64,
    /// Trials that may want or hold slots.
    pub capacity: u32,
    /// Failures of the trials' own, all together.
    pub failures: u32,
    /// Trials that ended with an error.
    pub errored: u32,
    /// Whether any trial ever reported the searcher's metric.
    pub validated: bool,
    /// Whether any process ever started.
    pub started: bool,
    /// Milliseconds active until `active_since_ms`, and that time (0: not active).
    pub active_ms: u64,
    /// When it became active.
    pub active_since_ms: i64,
    /// 0: not ended.
    pub ended_ms: i64,
}

/// One experiment: unchanging facts and folded state.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What never changes.
    pub spec: Spec,
    /// What the journal folds to.
    pub fold: Fold,
}

/// A replay decided otherwise than the journal says: the code has changed in a way that it must not.
#[derive(Debug, thiserror::Error)]
#[error(
    "record {sequence} of experiment {experiment} replays differently: {what}; this version cannot continue it"
)]
pub struct Diverged {
    /// The experiment.
    pub experiment: u64,
    /// The record.
    pub sequence: u64,
    /// What differs.
    pub what: String,
}

/// The work of one input.
pub(super) struct Turn {
    pub now_ms: i64,
    pub step: Step,
    pub actions: VecDeque<Action>,
    /// Hyperparameters from the journal, when replaying.
    pub recorded: Option<VecDeque<String>>,
    pub state_changed: bool,
}

impl Machine {
    /// An experiment before its first trial.
    ///
    /// # Errors
    /// The searcher refuses its configuration.
    pub fn new(spec: Spec) -> Result<Self, toprung_searchers::Error> {
        let config = &spec.config;
        let searcher = Searcher::new(config.searcher.method.clone(), config.space.clone(), spec.seed)?;
        let fold = Fold {
            sequence: 0,
            searcher,
            state: State::Active,
            reason: "created".into(),
            end: None,
            trials: Vec::new(),
            active: BTreeSet::new(),
            counts: [0; 11],
            best: None,
            agents: BTreeMap::new(),
            total_length: 0,
            capacity: 0,
            failures: 0,
            errored: 0,
            validated: false,
            started: false,
            active_ms: 0,
            active_since_ms: spec.created_ms,
            ended_ms: 0,
        };
        Ok(Self { spec, fold })
    }

    /// Takes one input in. `None`: it changes nothing and needs no record.
    pub fn step(&mut self, input: Input, now_ms: i64) -> Option<Step> {
        self.turn(input, now_ms, None)
    }

    /// Takes a record of the journal in.
    ///
    /// # Errors
    /// What it decides now is not what the record says.
    pub fn replay(&mut self, record: v1::JournalRecord) -> Result<(), Diverged> {
        let experiment = self.spec.id;
        let sequence = record.sequence;
        let diverged = |what: &str| Diverged { experiment, sequence, what: what.to_owned() };
        if sequence != self.fold.sequence + 1 {
            return Err(diverged("a record is missing before it"));
        }
        let Some(input) = record.input else {
            return Err(diverged("it has no input that this version knows"));
        };
        let recorded = record.trials_created.iter().map(|created| created.hparams_json.clone()).collect();
        let Some(step) = self.turn(input, record.time_unix_ms, Some(recorded)) else {
            return Err(diverged("it changes nothing"));
        };
        if step.record.trials_created != record.trials_created {
            return Err(diverged("other trials were created"));
        }
        if step.record.decisions != record.decisions {
            return Err(diverged("other decisions were made"));
        }
        Ok(())
    }

    fn turn(&mut self, input: Input, now_ms: i64, recorded: Option<VecDeque<String>>) -> Option<Step> {
        let mut turn =
            Turn { now_ms, step: Step::default(), actions: VecDeque::new(), recorded, state_changed: false };
        let changed = match &input {
            Input::Created(_) => self.on_created(&mut turn),
            Input::Capacity(capacity) => self.on_capacity(capacity.trials, &mut turn),
            Input::Allocated(allocated) => self.on_allocated(allocated, &mut turn),
            Input::AgentEvents(events) => self.on_agent_events(events, &mut turn),
            Input::Lost(lost) => self.on_lost(lost, &mut turn),
            Input::Pause(_) => self.on_pause(&mut turn),
            Input::Resume(_) => self.on_resume(&mut turn),
            Input::Kill(kill) => self.on_kill(&kill.reason, State::Killed, &mut turn),
            Input::Retry(retry) => self.on_retry(retry.trial, retry.attempt, &mut turn),
            Input::Failed(failed) => self.on_kill(&failed.reason, State::Error, &mut turn),
        };
        if !changed {
            return None;
        }
        self.run_actions(&mut turn);
        self.settle(&mut turn);
        self.fold.sequence += 1;
        turn.step.record.sequence = self.fold.sequence;
        turn.step.record.time_unix_ms = now_ms;
        turn.step.record.input = Some(input);
        if turn.state_changed {
            let summary = view::experiment(self, now_ms).encode_to_vec();
            turn.step.puts.push((Key::Experiment(self.spec.id), summary));
        }
        Some(turn.step)
    }

    fn on_created(&mut self, turn: &mut Turn) -> bool {
        turn.state_changed = true;
        true
    }

    fn on_capacity(&mut self, trials: u32, turn: &mut Turn) -> bool {
        if self.fold.capacity == trials || self.fold.state.is_end() {
            return false;
        }
        self.fold.capacity = trials;
        self.tell(Event::Capacity(trials), turn);
        true
    }

    fn on_allocated(&mut self, allocated: &v1::AttemptAllocated, turn: &mut Turn) -> bool {
        let id = allocated.trial;
        let active = self.fold.state == State::Active;
        let Some(trial) = self.trial(id) else { return false };
        let wanted = active
            && trial.phase == Phase::Pending { backing_off: false }
            && allocated.attempt == trial.attempt + 1;
        if !wanted {
            return false;
        }
        let attempt = v1::AttemptId { experiment: self.spec.id, trial: id, attempt: allocated.attempt };
        let checkpoint = trial.checkpoint.as_ref().map(|checkpoint| checkpoint.0.clone());
        let start = self.spec.start_attempt(
            attempt,
            allocated.slots.clone(),
            &trial.hparams_json,
            trial.train_until,
            checkpoint,
        );
        self.set_phase(id, Phase::Starting);
        let trial = self.trial_mut(id);
        trial.attempt = allocated.attempt;
        trial.reason = format!("preparing on {}", allocated.agent).into();
        trial.placement = Some(Box::new(Placement {
            agent: allocated.agent.as_str().into(),
            slots: allocated.slots.clone(),
        }));
        turn.step.effects.push(Effect::Start { agent: allocated.agent.clone(), start: Box::new(start) });
        true
    }

    fn on_agent_events(&mut self, batch: &v1::AgentEvents, turn: &mut Turn) -> bool {
        if self.fold.state.is_end() {
            return false;
        }
        let newest = self.fold.agents.get(&batch.agent);
        let repeated = newest
            .is_some_and(|(instance, sequence)| *instance == batch.instance && batch.sequence <= *sequence);
        if repeated {
            return false;
        }
        self.fold.agents.insert(batch.agent.clone(), (batch.instance.clone(), batch.sequence));
        for event in &batch.events {
            if let (Some(attempt), Some(kind)) = (&event.attempt, &event.kind) {
                self.on_attempt_event(attempt.trial, attempt.attempt, kind, turn);
                self.run_actions(turn);
            }
        }
        true
    }

    fn on_attempt_event(&mut self, id: u32, attempt: u32, kind: &attempt_event::Kind, turn: &mut Turn) {
        let Some(trial) = self.trial(id) else { return };
        let current = trial.attempt == attempt && trial.holds_slots();
        match kind {
            attempt_event::Kind::Report(report) => self.on_report(id, attempt, current, report, turn),
            attempt_event::Kind::Checkpoint(checkpoint) if current => {
                self.on_checkpoint(id, checkpoint, turn)
            }
            attempt_event::Kind::Started(_) if current && trial.phase == Phase::Starting => {
                self.set_phase(id, Phase::Running);
                self.fold.started = true;
                let trial = self.trial_mut(id);
                trial.reason = "".into();
                let agent =
                    trial.placement.as_ref().map(|placement| placement.agent.clone()).unwrap_or_default();
                turn.step.lines.push(format!("trial {id}: attempt {attempt} runs on {agent}"));
            }
            attempt_event::Kind::Exit(exit) if current => self.on_exit(id, exit, turn),
            // Of an attempt that has no authority any more, or known already.
            attempt_event::Kind::Checkpoint(_)
            | attempt_event::Kind::Started(_)
            | attempt_event::Kind::Exit(_)
            | attempt_event::Kind::Preparing(_) => {}
        }
    }

    fn on_report(&mut self, id: u32, attempt: u32, current: bool, report: &v1::Report, turn: &mut Turn) {
        let trial = self.trial_mut(id);
        trial.recent.push(Stored(v1::AttemptReport { attempt, report: Some(report.clone()) }));
        if trial.recent.len() >= CHUNK || !current {
            self.write_chunk(id, turn);
        }
        if !current {
            return;
        }
        let trial = self.trial_mut(id);
        let gained = report.length.saturating_sub(trial.length);
        trial.length += gained;
        self.fold.total_length += gained;
        if report.group == i32::from(v1::MetricGroup::Validation) {
            let found = report.metrics.iter().find(|metric| metric.name == self.spec.config.searcher.metric);
            if let Some(metric) = found {
                self.on_validation(id, report.length, metric.value, turn);
            }
        }
    }

    fn on_validation(&mut self, id: u32, length: u64, reported: f64, turn: &mut Turn) {
        let metric = self.spec.normalise(reported);
        self.fold.validated = true;
        let trial = self.trial_mut(id);
        trial.validated = true;
        trial.latest = metric;
        // NaN compares false: it never becomes the best, and anything replaces a NaN best.
        if metric < trial.best || (trial.best.is_nan() && !metric.is_nan()) {
            trial.best = metric;
            trial.best_length = length;
            self.consider_best(id);
        }
        let trial = self.trial_mut(id);
        let phase = trial.phase;
        let waits = length >= trial.train_until;
        let searched = matches!(phase, Phase::Starting | Phase::Running | Phase::Stopping(Intent::Preempt));
        if !searched || self.fold.end.is_some() {
            return;
        }
        let decided = turn.step.record.decisions.len();
        self.tell(Event::Validated { trial: TrialId(id), length, metric }, turn);
        self.run_actions(turn);
        let silent = !turn.step.record.decisions[decided..].iter().any(|decision| decision.trial == id);
        if waits && silent {
            // Known already (a retrained length): the trial must not wait for an answer that never comes.
            self.repeat_decision(id, length, turn);
        }
    }

    fn consider_best(&mut self, id: u32) {
        let trial = self.trial_mut(id);
        let (metric, length) = (trial.best, trial.best_length);
        let hparams_json = trial.hparams_json.clone();
        let checkpoint = trial.checkpoint.as_deref().cloned();
        match &mut self.fold.best {
            Some(best) if best.trial == id => {
                best.metric = metric;
                best.length = length;
            }
            Some(best) if metric >= best.metric => {}
            best => *best = Some(Best { trial: id, metric, length, hparams_json, checkpoint }),
        }
    }

    fn on_checkpoint(&mut self, id: u32, checkpoint: &v1::Checkpoint, turn: &mut Turn) {
        let key = Key::Checkpoint(self.spec.id, id, checkpoint.uuid.clone());
        turn.step.puts.push((key, checkpoint.encode_to_vec()));
        let trial = self.trial_mut(id);
        let newer = trial.checkpoint.as_ref().is_none_or(|known| checkpoint.length >= known.0.length);
        if newer {
            trial.checkpoint = Some(Box::new(Stored(checkpoint.clone())));
        }
        if let Some(best) = &mut self.fold.best
            && best.trial == id
            && checkpoint.length <= best.length
        {
            best.checkpoint = Some(Stored(checkpoint.clone()));
        }
    }

    fn on_pause(&mut self, turn: &mut Turn) -> bool {
        if self.fold.state != State::Active {
            return false;
        }
        self.set_state(State::Pausing, "pause requested", turn);
        for id in self.active_ids() {
            match self.trial_mut(id).phase {
                Phase::Pending { backing_off: false } => {
                    turn.step.effects.push(Effect::Withdraw { trial: id })
                }
                Phase::Starting | Phase::Running => {
                    self.stop_attempt(id, Intent::Preempt, "pause requested", turn)
                }
                _ => {}
            }
        }
        true
    }

    fn on_resume(&mut self, turn: &mut Turn) -> bool {
        if !matches!(self.fold.state, State::Paused | State::Pausing) {
            return false;
        }
        self.set_state(State::Active, "resumed", turn);
        for id in self.active_ids() {
            if self.trial_mut(id).phase == (Phase::Pending { backing_off: false }) {
                self.request(id, turn);
            }
        }
        true
    }

    pub(super) fn on_kill(&mut self, reason: &str, end: State, turn: &mut Turn) -> bool {
        if self.fold.state.is_end() || self.fold.end.is_some() {
            return false;
        }
        self.fold.end = Some(end);
        self.set_state(State::Killing, reason, turn);
        for id in self.active_ids() {
            match self.trial_mut(id).phase {
                Phase::Pending { .. } => {
                    turn.step.effects.push(Effect::Withdraw { trial: id });
                    self.end_trial(id, End::Killed, reason, turn);
                }
                Phase::Stopping(Intent::Stop { .. }) => {}
                _ => self.stop_attempt(id, Intent::Kill, reason, turn),
            }
        }
        true
    }

    fn on_retry(&mut self, id: u32, attempt: u32, turn: &mut Turn) -> bool {
        let Some(trial) = self.trial(id) else { return false };
        if trial.phase != (Phase::Pending { backing_off: true }) || trial.attempt != attempt {
            return false;
        }
        self.set_phase(id, Phase::Pending { backing_off: false });
        if self.fold.state == State::Active {
            self.request(id, turn);
        }
        true
    }

    /// Moves on to the state that everything has now come to.
    fn settle(&mut self, turn: &mut Turn) {
        let holding = self.holding();
        match (self.fold.state, self.fold.end) {
            (State::Pausing, _) if holding == 0 => self.set_state(State::Paused, "paused", turn),
            (State::Killing, Some(end)) if holding == 0 => self.finish(end, turn),
            _ => {}
        }
    }

    /// Ends the experiment. Nothing holds slots.
    pub(super) fn finish(&mut self, end: State, turn: &mut Turn) {
        let reason = self.fold.reason.clone();
        for id in 1..=self.fold.trials.len() as u32 {
            if !matches!(self.trial_mut(id).phase, Phase::Ended(_)) {
                self.end_trial(id, End::Killed, &reason, turn);
            }
        }
        self.fold.ended_ms = turn.now_ms;
        self.set_state(end, &reason, turn);
        turn.step.effects.push(Effect::Ended);
    }

    pub(super) fn set_state(&mut self, state: State, reason: &str, turn: &mut Turn) {
        if self.fold.state == State::Active {
            self.fold.active_ms += turn.now_ms.saturating_sub(self.fold.active_since_ms).max(0) as u64;
        }
        if state == State::Active {
            self.fold.active_since_ms = turn.now_ms;
        }
        self.fold.state = state;
        reason.clone_into(&mut self.fold.reason);
        turn.state_changed = true;
        let word = view::state_word(state);
        turn.step.lines.push(format!("experiment {}: {word}: {reason}", self.spec.id));
    }

    pub(super) fn write_chunk(&mut self, id: u32, turn: &mut Turn) {
        let experiment = self.spec.id;
        let trial = self.trial_mut(id);
        if trial.recent.is_empty() {
            return;
        }
        let reports = std::mem::take(&mut trial.recent).into_iter().map(|report| report.0).collect();
        let key = Key::ReportChunk(experiment, id, u64::from(trial.chunks));
        trial.chunks += 1;
        turn.step.puts.push((key, v1::ReportChunk { reports }.encode_to_vec()));
    }

    pub(super) fn request(&mut self, id: u32, turn: &mut Turn) {
        let attempt = self.trial_mut(id).attempt + 1;
        turn.step.effects.push(Effect::Request { trial: id, attempt });
    }

    /// A trial that was created. `None`: there is no such trial.
    pub fn trial(&self, id: u32) -> Option<&Trial> {
        self.fold.trials.get((id as usize).checked_sub(1)?)
    }

    pub(super) fn trial_mut(&mut self, id: u32) -> &mut Trial {
        // Callers hold an id that the machine itself gave out or has checked with `trial`.
        &mut self.fold.trials[id as usize - 1]
    }

    pub(super) fn active_ids(&self) -> Vec<u32> {
        self.fold.active.iter().copied().collect()
    }

    /// Attempts that hold slots.
    pub fn holding(&self) -> u64 {
        let count = |state: v1::TrialState| self.fold.counts[state as usize];
        count(v1::TrialState::Starting) + count(v1::TrialState::Running) + count(v1::TrialState::Stopping)
    }

    pub(super) fn set_phase(&mut self, id: u32, phase: Phase) {
        let trial = self.trial_mut(id);
        let before = trial.state();
        trial.phase = phase;
        let (after, active) = (trial.state(), trial.is_active());
        self.fold.counts[before as usize] -= 1;
        self.fold.counts[after as usize] += 1;
        if active {
            self.fold.active.insert(id);
        } else {
            self.fold.active.remove(&id);
        }
    }

    pub(super) fn tell(&mut self, event: Event, turn: &mut Turn) {
        if self.fold.end.is_none() {
            turn.actions.extend(self.fold.searcher.handle(&event));
        }
    }
}
