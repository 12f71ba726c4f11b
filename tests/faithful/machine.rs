//! The engine's state machine in virtual time: the slots, agents and trials around it are this file, and take the times that
//! the table has. What is due at the same time happens in the order in which it was begun; free slots go to those who
//! asked first, after all that has followed from a report.

use crate::journal::Reader;
use crate::recorded::Prepared;
use crate::transcript::Transcript;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use toprung_engine::experiment::{Effect, Machine, Spec};
use toprung_proto::v1::{self, DecisionKind, attempt_event::Kind, journal_record::Input};
use toprung_simulations::{Curve, Table, Task as _};

/// What became of the search.
pub struct Ended {
    pub transcript: Transcript,
    pub reason: String,
    /// Trial, length, metric.
    pub best: (u32, u64, f64),
    pub total_length: u64,
}

struct Running {
    attempt: u32,
    curve: Curve,
    length: u64,
    until: u64,
    waits: bool,
}

/// (time in bits, which order as the times do; sequence; trial; attempt).
type Due = Reverse<(u64, u64, u32, u32)>;

struct Cluster<'a> {
    machine: Machine,
    reader: Reader,
    table: &'a Table,
    now: f64,
    sequence: u64,
    clock: BinaryHeap<Due>,
    free: u32,
    queue: VecDeque<(u32, u32)>,
    running: BTreeMap<u32, Running>,
    leaving: VecDeque<u32>,
}

/// Runs the search of an experiment file on so many slots.
pub fn run(prepared: &Prepared, slots: u32) -> Ended {
    let config = &prepared.config;
    let created = v1::ExperimentCreated {
        id: 1,
        config_json: config.complete().to_string(),
        seed: config.experiment_seed.unwrap(),
        ..Default::default()
    };
    let mut cluster = Cluster {
        machine: Machine::new(Spec::new(&created, 0).unwrap()).unwrap(),
        reader: Reader::new(config),
        table: &prepared.table,
        now: 0.0,
        sequence: 0,
        clock: BinaryHeap::new(),
        free: slots,
        queue: VecDeque::new(),
        running: BTreeMap::new(),
        leaving: VecDeque::new(),
    };
    cluster.input(Input::Created(created));
    cluster.input(Input::Capacity(v1::CapacityChanged { trials: slots, agents: 1 }));
    cluster.place_trials();
    while let Some(Reverse((time, _, trial, attempt))) = cluster.clock.pop() {
        cluster.now = f64::from_bits(time);
        cluster.due(trial, attempt);
        cluster.place_trials();
    }
    let fold = &cluster.machine.fold;
    assert!(fold.state.is_end(), "nothing is due any more");
    let best = fold.best.as_ref().unwrap();
    Ended {
        reason: fold.reason.clone(),
        best: (best.trial, best.length, best.metric),
        total_length: fold.total_length,
        transcript: cluster.reader.transcript,
    }
}

impl Cluster<'_> {
    fn input(&mut self, input: Input) {
        let Some(step) = self.machine.step(input, 1_000 * self.now as i64) else { return };
        self.reader.take(&step.record);
        for effect in step.effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Request { trial, attempt, .. } => self.queue.push_back((trial, attempt)),
            Effect::Withdraw { trial } => self.queue.retain(|(queued, _)| *queued != trial),
            Effect::Start { start, .. } => self.begin(&start),
            Effect::Decide { decision, .. } => {
                let (id, decision) = (decision.attempt.unwrap().trial, decision.decision.unwrap());
                if decision.kind() == DecisionKind::Train {
                    self.running.get_mut(&id).unwrap().until = decision.length;
                    self.go_on(id);
                } else {
                    self.leaving.push_back(id);
                }
            }
            Effect::Release { trial, .. } => {
                self.running.remove(&trial).unwrap();
                self.free += 1;
            }
            Effect::Leaves { .. } | Effect::Stays { .. } | Effect::Collect { .. } | Effect::Ended => {}
            other => panic!("nothing else happens in these searches: {other:?}"),
        }
    }

    fn begin(&mut self, start: &v1::StartAttempt) {
        let v1::AttemptId { trial, attempt, .. } = *start.attempt.as_ref().unwrap();
        let hparams = toprung_searchers::from_json_text(&start.hparams_json).unwrap();
        let length = start.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.length);
        let curve = self.table.curve(0, 0, &hparams);
        self.running.insert(trial, Running { attempt, curve, length, until: start.train_until, waits: true });
        self.go_on(trial);
    }

    /// A trial that waits trains its next unit of length, if it may.
    fn go_on(&mut self, id: u32) {
        let Some(running) = self.running.get_mut(&id).filter(|running| running.waits) else { return };
        if running.length < running.until && !self.leaving.contains(&id) {
            running.waits = false;
            let cost = self.table.point(&running.curve, running.length + 1).cost;
            self.sequence += 1;
            self.clock.push(Reverse(((self.now + cost).to_bits(), self.sequence, id, running.attempt)));
        }
    }

    /// An attempt has trained a unit of length, unless it has ended meanwhile.
    fn due(&mut self, id: u32, attempt: u32) {
        let Some(running) = self.running.get_mut(&id).filter(|running| running.attempt == attempt) else {
            return;
        };
        running.length += 1;
        running.waits = true;
        let length = running.length;
        let value = self.machine.spec.as_reported(self.table.point(&running.curve, length).metric);
        let metric = v1::Metric { name: "error".to_owned(), value };
        let group = v1::MetricGroup::Validation.into();
        let report = v1::Report { group, length, metrics: vec![metric], ..Default::default() };
        let uuid = format!("{id}-{length}");
        let checkpoint = v1::Checkpoint { uuid, trial: id, attempt, length, ..Default::default() };
        self.say(id, attempt, vec![Kind::Report(report), Kind::Checkpoint(checkpoint)]);
        self.go_on(id);
        while let Some(id) = self.leaving.pop_front() {
            let attempt = self.running[&id].attempt;
            let exit = v1::Exit { cause: v1::ExitCause::Success.into(), ..Default::default() };
            self.say(id, attempt, vec![Kind::Exit(exit)]);
        }
    }

    fn say(&mut self, trial: u32, attempt: u32, kinds: Vec<Kind>) {
        self.sequence += 1;
        let attempt = v1::AttemptId { experiment: 1, trial, attempt };
        let event = |kind| v1::AttemptEvent { attempt: Some(attempt), kind: Some(kind) };
        self.input(Input::AgentEvents(v1::AgentEvents {
            agent: "agent".to_owned(),
            instance: "agent".to_owned(),
            sequence: self.sequence,
            events: kinds.into_iter().map(event).collect(),
        }));
    }

    fn place_trials(&mut self) {
        while self.free > 0 {
            let Some((trial, attempt)) = self.queue.pop_front() else { return };
            self.free -= 1;
            let agent = "agent".to_owned();
            self.input(Input::Allocated(v1::AttemptAllocated {
                trial,
                attempt,
                agent,
                ..Default::default()
            }));
        }
    }
}
