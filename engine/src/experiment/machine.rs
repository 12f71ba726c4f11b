//! The state of one experiment and what each input does to it.

use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use toprung_proto::v1::{self, journal_record::Input};
use toprung_searchers::{Action, Assignment, Event, Searcher, TrialId};
use toprung_store::Key;

use super::effect::{Effect, Step};
use super::ends::Ends;
use super::external::{Lane, is_of_agents};
use super::nodes::Nodes;
use super::program::Program;
use super::snapshot::Stored;
use super::spec::Spec;
use super::trial::{Phase, Placement, Trial};
use super::view;

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
    /// Newest batch of each agent's spool, by instance.
    pub batches: BTreeMap<String, u64>,
    /// Training so far, all trials together.
    pub total_length: u64,
    /// Trials that may want or hold slots.
    pub capacity: u32,
    /// Where programs outside ask for trials, with the trial that is open there; 0: none.
    pub askers: BTreeMap<Lane, u32>,
    /// Failures of the trials' own, all together.
    pub failures: u32,
    /// Trials that ended with an error.
    pub errored: u32,
    /// Whether any trial ever reported the searcher's metric.
    pub validated: bool,
    /// Whether any process ever started.
    pub started: bool,
    /// Whether it was said that a trial paused without a checkpoint.
    pub warned_of_no_checkpoint: bool,
    /// Agents that could hold one of its trials and are not excluded, as the pool says.
    pub agents_there: u32,
    /// How the agents fare.
    pub nodes: Nodes,
    /// How attempts ended, all trials together.
    pub ends: Ends,
    /// Milliseconds active until `active_since_ms`, and that time (0: not active).
    pub active_ms: u64,
    /// When it became active.
    pub active_since_ms: i64,
    /// 0: not ended.
    pub ended_ms: i64,
    /// Whether its checkpoints may take no more than the file says.
    pub quota: Quota,
    /// The program that decides, where one does.
    pub program: Option<Box<Program>>,
}

/// What became of the limit of the checkpoints' size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quota {
    /// It holds, if there is one.
    Holds,
    /// The experiment was paused by it.
    Reached,
    /// A person has resumed it all the same.
    Lifted,
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
    /// Attempts of programs outside that were told to stop: nobody has to be waited for.
    pub stopped: VecDeque<u32>,
    pub actions: VecDeque<Action>,
    /// When replaying: the hyperparameters of the trials that the record says were created.
    pub recorded: Option<BTreeMap<TrialId, Assignment>>,
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
            reason: String::new(),
            end: None,
            trials: Vec::new(),
            active: BTreeSet::new(),
            counts: [0; 11],
            best: None,
            batches: BTreeMap::new(),
            total_length: 0,
            capacity: 0,
            askers: BTreeMap::new(),
            failures: 0,
            errored: 0,
            validated: false,
            started: false,
            warned_of_no_checkpoint: false,
            agents_there: 0,
            nodes: Nodes::default(),
            ends: Ends::default(),
            active_ms: 0,
            active_since_ms: spec.created_ms,
            ended_ms: 0,
            quota: Quota::Holds,
            program: config.searcher.method.is_custom().then(Box::default),
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
        let recorded = record.trials_created.iter().map(|created| {
            let hparams = toprung_searchers::from_json_text(&created.hparams_json);
            hparams.map(|hparams| (TrialId(created.trial), hparams))
        });
        let Some(recorded) = recorded.collect() else {
            return Err(diverged("the hyperparameters of a trial are no JSON object"));
        };
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

    /// Whether a model, asked again, places the trials that the next record creates where it did then. `None`: no model
    /// places trials here, or the record creates none. Copies the state.
    pub fn places_again(&self, record: &v1::JournalRecord) -> Option<bool> {
        let placed = self.spec.config.searcher.method.places() && !record.trials_created.is_empty();
        let input = record.input.clone().filter(|_| placed)?;
        let step = self.clone().turn(input, record.time_unix_ms, None);
        Some(step.is_some_and(|step| step.record.trials_created == record.trials_created))
    }

    fn turn(
        &mut self,
        input: Input,
        now_ms: i64,
        recorded: Option<BTreeMap<TrialId, Assignment>>,
    ) -> Option<Step> {
        let mut turn = Turn {
            now_ms,
            step: Step::default(),
            stopped: VecDeque::new(),
            actions: VecDeque::new(),
            recorded,
            state_changed: false,
        };
        if self.spec.is_external() && is_of_agents(&input) {
            return None;
        }
        let changed = match &input {
            Input::Created(_) => self.on_created(&mut turn),
            Input::Capacity(capacity) => self.on_capacity(*capacity, &mut turn),
            Input::Allocated(allocated) => self.on_allocated(allocated, &mut turn),
            Input::AgentEvents(events) => self.on_agent_events(events, &mut turn),
            Input::Lost(lost) => self.on_lost(lost, &mut turn),
            Input::Pause(_) => self.on_pause(&mut turn),
            Input::Resume(_) => self.on_resume(&mut turn),
            Input::Kill(kill) => self.on_kill(&kill.reason, State::Killed, &mut turn),
            Input::Retry(retry) => self.on_retry(retry.trial, retry.attempt, &mut turn),
            Input::Quota(quota) => self.on_quota(&quota.reason, &mut turn),
            Input::Collection(_) => self.on_collection(&mut turn),
            Input::Preempted(preempted) => self.on_preempted(preempted, &mut turn),
            Input::Asked(asked) => self.on_asked(asked, &mut turn),
            Input::Told(told) => self.on_told(told, &mut turn),
            Input::Silent(silent) => self.on_silent(silent, &mut turn),
            Input::Directed(directed) => self.on_directed(directed, &mut turn),
            Input::Failed(failed) => self.on_kill(&failed.reason, State::Error, &mut turn),
        };
        if !changed {
            return None;
        }
        self.run_actions(&mut turn);
        if self.spec.is_external() {
            self.close_stopped(&mut turn);
            turn.step.effects.retain(Effect::without_agents);
        }
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
        self.keep_begun(turn);
        true
    }

    fn on_capacity(&mut self, capacity: v1::CapacityChanged, turn: &mut Turn) -> bool {
        let v1::CapacityChanged { trials, agents } = capacity;
        let known = (self.fold.capacity, self.fold.agents_there);
        if known == (trials, agents) || self.fold.state.is_end() {
            return false;
        }
        (self.fold.capacity, self.fold.agents_there) = (trials, agents);
        if trials != known.0 {
            self.tell(Event::Capacity(trials), turn);
        }
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
        let reason = self.reason_on(id, &allocated.agent, turn);
        let Some(trial) = self.trial(id) else { return false };
        let own = trial.checkpoint.as_ref().map(|checkpoint| checkpoint.0.clone());
        let checkpoint = own.or_else(|| self.spec.warm_start.clone());
        let start = self.spec.start_attempt(
            attempt,
            allocated.slots.clone(),
            &trial.hparams_json,
            trial.train_until,
            checkpoint,
        );
        self.set_phase(id, Phase::Starting);
        let excluded = self.fold.nodes.is_excluded(&allocated.agent);
        let trial = self.trial_mut(id);
        trial.attempt = allocated.attempt;
        trial.answered = 0;
        trial.reason = reason.into();
        trial.placement = Some(Box::new(Placement {
            agent: allocated.agent.as_str().into(),
            slots: allocated.slots.clone(),
            reported: false,
            excluded,
            told: [None; 2],
        }));
        turn.step.effects.push(Effect::Start { agent: allocated.agent.clone(), start: Box::new(start) });
        true
    }

    pub(super) fn request(&mut self, id: u32, turn: &mut Turn) {
        turn.step.effects.extend(self.request_of(id));
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
            // What it chooses by itself it chooses when it hears of slots.
            let chooses = matches!(event, Event::Capacity(_)) && self.fold.searcher.notes().is_empty();
            let mut actions = Vec::new();
            self.fold.searcher.handle_into(&event, turn.recorded.as_ref(), &mut actions);
            turn.actions.extend(actions);
            if chooses {
                turn.step.lines.extend(self.fold.searcher.notes());
            }
        }
    }
}
