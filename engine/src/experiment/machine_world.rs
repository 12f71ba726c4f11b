//! Pool and agents as the machine sees them, for its tests. Checks the invariants of [`super`] after every input.

use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::{
    self, DecisionKind, ExitCause, LogPolicyAction, attempt_event::Kind, journal_record::Input,
};

use super::program_world::ProgramWorld;
use super::{Effect, Machine, Spec};
use crate::scheduler::Wish;

fn spec(searcher: &str, extra: &str) -> Spec {
    let yaml = format!(
        "name: test\nentrypoint: python train.py\nhyperparameters:\n  rate: {{type: log, minval: -4, maxval: -1}}\nsearcher: {searcher}\n{extra}"
    );
    let config = toprung_config::parse(&yaml).unwrap_or_else(|problems| panic!("{problems}")).config;
    let created = v1::ExperimentCreated {
        id: 1,
        config_json: config.complete().to_string(),
        name: "test".into(),
        seed: 7,
        ..Default::default()
    };
    Spec::new(&created, 0).unwrap()
}

pub(super) struct Running {
    pub(super) attempt: u32,
    pub(super) started: bool,
    pub(super) length: u64,
    pub(super) train_until: u64,
    pub(super) told: Option<DecisionKind>,
    pub(super) saved: bool,
}

/// Pool and agents as the machine sees them.
pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) limit: u64,
    pub(super) slots: usize,
    /// Where the next attempts are placed, if nothing speaks against it; a property test goes through all of them.
    pub(super) agents: Vec<&'static str>,
    pub(super) excluded: BTreeSet<String>,
    pub(super) wishes: BTreeMap<u32, Wish>,
    pub(super) requested: BTreeMap<u32, u32>,
    pub(super) running: BTreeMap<u32, Running>,
    pub(super) retries: BTreeSet<(u32, u32)>,
    pub(super) released: BTreeSet<(u32, u32)>,
    pub(super) journal: Vec<v1::JournalRecord>,
    pub(super) chunked: u64,
    pub(super) reported: u64,
    pub(super) batches: u64,
    pub(super) now_ms: i64,
    pub(super) ended: bool,
    /// What people were told, and agents were told of decisions.
    pub(super) lines: Vec<String>,
    pub(super) decisions: Vec<v1::AttemptDecision>,
    /// Of a program that decides.
    pub(super) program: ProgramWorld,
}

impl World {
    pub(super) fn new(searcher: &str, extra: &str) -> Self {
        let spec = spec(searcher, extra);
        let limit = spec.config.searcher.method.max_concurrent_trials().into();
        let mut world = Self {
            machine: Machine::new(spec).unwrap(),
            limit,
            slots: 4,
            agents: vec!["agent"],
            excluded: BTreeSet::new(),
            wishes: BTreeMap::new(),
            requested: BTreeMap::new(),
            running: BTreeMap::new(),
            retries: BTreeSet::new(),
            released: BTreeSet::new(),
            journal: Vec::new(),
            chunked: 0,
            reported: 0,
            batches: 0,
            now_ms: 0,
            ended: false,
            lines: Vec::new(),
            decisions: Vec::new(),
            program: ProgramWorld::default(),
        };
        world.input(Input::Created(v1::ExperimentCreated::default()));
        world.input(Input::Capacity(v1::CapacityChanged { trials: 4, agents: 1 }));
        world
    }

    pub(super) fn input(&mut self, input: Input) -> bool {
        self.now_ms += 1;
        let Some(step) = self.machine.step(input, self.now_ms) else { return false };
        self.journal.push(step.record);
        self.lines.extend(step.lines);
        for (key, value) in step.puts {
            if let toprung_store::Key::ReportChunk(..) = key {
                let chunk: v1::ReportChunk = prost::Message::decode(value.as_slice()).unwrap();
                self.chunked += chunk.reports.len() as u64;
            }
        }
        for effect in step.effects {
            self.perform(effect);
        }
        self.check();
        true
    }

    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Request { trial, attempt, wish } => {
                self.wishes.insert(trial, wish);
                let before = self.requested.insert(trial, attempt);
                assert!(before.is_none_or(|before| before == attempt), "trial {trial} asked twice");
            }
            Effect::Withdraw { trial } => drop(self.requested.remove(&trial)),
            Effect::Release { trial, attempt } => {
                assert!(self.released.insert((trial, attempt)), "slots of trial {trial} given back twice");
                let held = self.running.remove(&trial).expect("only held slots are given back");
                assert_eq!(held.attempt, attempt);
            }
            Effect::Leaves { trial, attempt } => {
                assert_eq!(self.running.get(&trial).map(|held| held.attempt), Some(attempt));
            }
            Effect::Stays { trial, attempt } => {
                let running = &self.running[&trial];
                assert_eq!((running.attempt, running.told), (attempt, None), "it was told to train first");
            }
            Effect::Start { start, .. } => {
                let attempt = start.attempt.unwrap();
                let length = start.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.length);
                let running = Running {
                    attempt: attempt.attempt,
                    started: false,
                    length,
                    train_until: start.train_until,
                    told: None,
                    saved: start.checkpoint.is_some(),
                };
                assert!(self.running.insert(attempt.trial, running).is_none(), "two attempts of one trial");
            }
            Effect::Stop { stop, .. } => {
                let id = stop.attempt.unwrap();
                let running = self.running.get_mut(&id.trial).unwrap();
                assert_eq!(running.attempt, id.attempt);
                running.told = Some(DecisionKind::Stop);
            }
            Effect::Decide { decision, .. } => {
                self.decisions.push(decision.clone());
                let (id, decision) = (decision.attempt.unwrap(), decision.decision.unwrap());
                let running = self.running.get_mut(&id.trial).unwrap();
                match decision.kind() {
                    DecisionKind::Train => {
                        running.train_until = decision.length;
                        running.told = running.told.filter(|told| *told != DecisionKind::Pause);
                    }
                    kind => running.told = Some(kind),
                }
            }
            Effect::RetryAfter { trial, attempt, .. } => drop(self.retries.insert((trial, attempt))),
            Effect::Collect { trial } => self.check_spared(trial),
            Effect::Discard { .. } | Effect::Weigh { .. } | Effect::Judge => {}
            Effect::Exclude { agent, .. } => {
                assert!(self.excluded.insert(agent), "excluded twice");
                assert!(self.excluded.len() < self.agents.len(), "the last agent is excluded");
            }
            Effect::Ended => self.ended = true,
        }
    }

    pub(super) fn event(&mut self, trial: u32, attempt: u32, kind: Kind) -> bool {
        self.batches += 1;
        let attempt = Some(v1::AttemptId { experiment: 1, trial, attempt });
        let events = vec![v1::AttemptEvent { attempt, kind: Some(kind) }];
        let (agent, instance) = ("agent".to_owned(), "one".to_owned());
        self.input(Input::AgentEvents(v1::AgentEvents { agent, instance, sequence: self.batches, events }))
    }

    pub(super) fn report(&mut self, trial: u32, value: f64) {
        let Some(running) = self.running.get_mut(&trial).filter(|running| running.started) else { return };
        running.length += 1;
        let (attempt, length) = (running.attempt, running.length);
        let metrics = vec![v1::Metric { name: "loss".into(), value }];
        let group = v1::MetricGroup::Validation.into();
        if !self.ended {
            self.reported += 1;
        }
        self.event(trial, attempt, Kind::Report(v1::Report { group, length, metrics, time_unix_ms: 0 }));
    }

    pub(super) fn save(&mut self, trial: u32) {
        let Some(running) = self.running.get_mut(&trial).filter(|running| running.started) else { return };
        running.saved = true;
        let (attempt, length) = (running.attempt, running.length);
        let uuid = format!("{trial}-{attempt}-{length}");
        let checkpoint = v1::Checkpoint { uuid, trial, attempt, length, ..Default::default() };
        self.event(trial, attempt, Kind::Checkpoint(checkpoint));
    }

    /// A trial says that it cannot pause.
    pub(super) fn refuse(&mut self, trial: u32) {
        let Some(Running { attempt, length, .. }) = self.running.get(&trial) else { return };
        self.event(trial, *attempt, Kind::CannotPause(v1::CannotPause { length: *length }));
    }

    pub(super) fn exit(&mut self, trial: u32, cause: ExitCause) {
        let Some(running) = self.running.get(&trial) else { return };
        let attempt = running.attempt;
        let cause = if running.told.is_some() { ExitCause::Requested } else { cause };
        let exit = v1::Exit { cause: cause.into(), message: "test".into(), ..Default::default() };
        self.event(trial, attempt, Kind::Exit(exit));
    }

    pub(super) fn start(&mut self, trial: u32) {
        let Some(running) = self.running.get_mut(&trial).filter(|running| !running.started) else { return };
        running.started = true;
        let attempt = running.attempt;
        self.event(trial, attempt, Kind::Started(v1::Started::default()));
    }

    pub(super) fn allocate(&mut self, trial: u32) {
        let Some(attempt) = self.requested.get(&trial).copied() else { return };
        if self.running.len() >= self.slots {
            return;
        }
        self.requested.remove(&trial);
        let agent = self.place(trial, attempt);
        let allocated = v1::AttemptAllocated { trial, attempt, agent, slots: vec![0] };
        assert!(self.input(Input::Allocated(allocated)), "a request that stands is wanted");
    }

    /// As the pool would: one that is not kept away from, if there is one.
    fn place(&self, trial: u32, attempt: u32) -> String {
        let wish = &self.wishes[&trial];
        if let Some(only) = &wish.only_on {
            return only.clone();
        }
        let turn = (trial + attempt) as usize + self.journal.len();
        let order = || (0..self.agents.len()).map(|index| self.agents[(index + turn) % self.agents.len()]);
        let will_do = |agent: &&str| !self.excluded.contains(*agent) && !wish.without.contains(*agent);
        order().find(will_do).unwrap_or(self.agents[0]).to_owned()
    }

    /// What the pool says of its agents.
    pub(super) fn capacity(&mut self, trials: u32) {
        let agents = (self.agents.len() - self.excluded.len()) as u32;
        self.input(Input::Capacity(v1::CapacityChanged { trials, agents }));
    }

    /// One random thing happens.
    pub(super) fn happen(&mut self, what: u8, which: u8, value: u8) {
        if self.machine.fold.program.is_some() && what.is_multiple_of(4) {
            return self.decide_something(which, value);
        }
        let pick = |ids: Vec<u32>| ids.get(which as usize % ids.len().max(1)).copied();
        let running = pick(self.running.keys().copied().collect());
        let requested = pick(self.requested.keys().copied().collect());
        let metric = match value {
            0 => f64::NAN,
            1 => f64::INFINITY,
            value => f64::from(value % 40),
        };
        match (what, running, requested) {
            (0..=49, _, Some(trial)) => self.allocate(trial),
            (50..=89, Some(trial), _) => self.start(trial),
            (90..=159, Some(trial), _) => self.report(trial, metric),
            (160..=189, Some(trial), _) => self.save(trial),
            // Agents say it of those that are to pause; an agent that says it of others changes nothing.
            (190..=199, Some(trial), _) => self.refuse(trial),
            (200..=209, Some(trial), _) => {
                if self.running[&trial].told.is_some() {
                    self.exit(trial, ExitCause::Requested);
                }
            }
            (210..=214, Some(trial), _) => self.exit(trial, ExitCause::Failed),
            (215, Some(trial), _) => self.exit(trial, ExitCause::DeviceOutOfMemory),
            (216..=217, Some(trial), _) => self.exit(trial, ExitCause::Environment),
            (218..=219, Some(trial), _) => {
                let actions = [LogPolicyAction::ExcludeNode, LogPolicyAction::CancelRetries];
                self.policy(trial, actions[usize::from(value > 200)]);
            }
            (220..=222, Some(trial), _) => self.exit(trial, ExitCause::Success),
            (223..=224, Some(trial), _) => self.exit(trial, ExitCause::InvalidHyperparameters),
            (225..=226, Some(trial), _) => self.preempt(trial, "preempted by experiment 7"),
            (227..=229, Some(trial), _) => {
                let attempt = self.running[&trial].attempt;
                self.input(Input::Lost(v1::AttemptLost { trial, attempt, reason: "lost".into() }));
            }
            (230..=234, _, _) => {
                self.input(Input::Pause(v1::PauseRequested {}));
            }
            (235..=242, _, _) => {
                self.input(Input::Resume(v1::ResumeRequested {}));
            }
            (243..=246, _, _) => {
                self.capacity(u32::from(value % 5) + 1);
            }
            (247..=252, _, _) => self.retry(which),
            (253..=254, Some(trial), _) => {
                // A late report of an attempt that was replaced: kept as data, no more.
                let attempt = self.running[&trial].attempt;
                if attempt > 1 {
                    let metrics = vec![v1::Metric { name: "loss".into(), value: -1.0 }];
                    let report = v1::Report { group: 2, length: 9, metrics, time_unix_ms: 0 };
                    if !self.ended {
                        self.reported += 1;
                    }
                    self.event(trial, attempt - 1, Kind::Report(report));
                }
            }
            (255, _, _) if value == 255 => {
                self.input(Input::Kill(v1::KillRequested { reason: "test".into() }));
            }
            _ => {}
        }
    }

    pub(super) fn preempt(&mut self, trial: u32, reason: &str) {
        let Some(attempt) = self.running.get(&trial).map(|running| running.attempt) else { return };
        let restarts = self.machine.trial(trial).unwrap().restarts;
        self.input(Input::Preempted(v1::AttemptPreempted { trial, attempt, reason: reason.into() }));
        assert_eq!(self.machine.trial(trial).unwrap().restarts, restarts, "not charged");
    }

    pub(super) fn policy(&mut self, trial: u32, action: LogPolicyAction) {
        let Some(running) = self.running.get(&trial) else { return };
        let (name, line) = ("ECC Error".to_owned(), "uncorrectable ECC error".to_owned());
        let matched = v1::PolicyMatched { name, pattern: "ECC".to_owned(), action: action.into(), line };
        self.event(trial, running.attempt, Kind::PolicyMatched(matched));
    }

    pub(super) fn retry(&mut self, which: u8) {
        let due = self.retries.iter().nth(which as usize % self.retries.len().max(1)).copied();
        if let Some((trial, attempt)) = due {
            self.retries.remove(&(trial, attempt));
            self.input(Input::Retry(v1::RetryDue { trial, attempt }));
        }
    }

    /// From here on everything goes well: the experiment must end.
    pub(super) fn run_to_the_end(&mut self) {
        self.input(Input::Resume(v1::ResumeRequested {}));
        self.finish_if_decided();
        for _ in 0..20_000 {
            if self.ended {
                return;
            }
            while !self.retries.is_empty() {
                self.retry(0);
            }
            for trial in self.requested.keys().copied().collect::<Vec<_>>() {
                self.allocate(trial);
            }
            for trial in self.running.keys().copied().collect::<Vec<_>>() {
                self.start(trial);
                self.save(trial);
                self.exit_if_told(trial);
                self.report(trial, f64::from(trial % 7));
                self.save(trial);
                self.exit_if_told(trial);
            }
        }
        panic!("did not end: {:?}", self.machine.fold.state);
    }

    pub(super) fn exit_if_told(&mut self, trial: u32) {
        if self.running.get(&trial).is_some_and(|running| running.told.is_some()) {
            self.exit(trial, ExitCause::Requested);
        }
    }
}
