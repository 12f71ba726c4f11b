//! The engine's side: a real run, and the transcript that its journal leads to.
//!
//! The reader takes from the journal only what came from outside: capacity, slots, reports, checkpoints, exits. What
//! the searcher heard of it, it works out by the contract alone and tells it to a searcher of its own, which must create
//! and decide, record by record, what the engine has.

use crate::document::Experiment;
use crate::recorded;
use crate::searches::Search;
use crate::transcript::Transcript;
use crate::workplace::Workplace;
use std::collections::{BTreeMap, VecDeque};
use toprung_config::ExperimentConfig;
use toprung_proto::v1::{self, attempt_event::Kind, journal_record::Input};
use toprung_searchers::{Action, Event, ExitReason, Searcher, TrialId};
use toprung_simulations::Table;
use toprung_store::Store;

/// A search that really ran.
pub struct Ran {
    pub transcript: Transcript,
    pub experiment: Experiment,
    pub config: ExperimentConfig,
    pub table: Table,
}

/// `toprung run` on so many slots.
pub fn run(search: &Search, slots: u32) -> Ran {
    let place = Workplace::new();
    std::fs::create_dir(place.work().join("model")).unwrap();
    let prepared = recorded::prepare(&place.work(), search);
    place.write("model/search.yaml", &prepared.file);
    let answer = place.ask(&["run", "model/search.yaml", "--json", "--slots", &slots.to_string()]).expect(0);
    place.wait_for_silence();
    let store = Store::open(&place.work().join(".toprung/store"), toprung_store::Options::default()).unwrap();
    let mut reader = Reader::new(&prepared.config);
    for record in store.journal(1, 1).unwrap() {
        reader.take(&record.unwrap());
    }
    Ran {
        transcript: reader.transcript,
        experiment: Experiment(answer.json()["experiment"].take()),
        config: prepared.config,
        table: prepared.table,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Queued,
    OnSlot,
    /// Told to end its attempt; what it says does not count any more.
    Leaving(bool),
    Paused,
    Ended,
}

struct Trial {
    attempt: u32,
    phase: Phase,
    has_checkpoint: bool,
}

/// Reads a journal.
pub struct Reader {
    searcher: Searcher,
    smaller_is_better: bool,
    capacity: u32,
    trials: BTreeMap<u32, Trial>,
    pub transcript: Transcript,
}

impl Reader {
    pub fn new(config: &ExperimentConfig) -> Self {
        let (method, seed) = (config.searcher.method.clone(), config.experiment_seed.unwrap());
        Self {
            searcher: Searcher::new(method, config.space.clone(), seed).unwrap(),
            smaller_is_better: config.searcher.smaller_is_better,
            capacity: 0,
            trials: BTreeMap::new(),
            transcript: Transcript::default(),
        }
    }

    /// Takes a record, and fails if it decides otherwise.
    pub fn take(&mut self, record: &v1::JournalRecord) {
        let (created, decided) = (self.transcript.created.len(), self.transcript.decisions.len());
        match record.input.as_ref().unwrap() {
            Input::Created(_) | Input::Collection(_) => {}
            Input::Capacity(capacity) if capacity.trials == self.capacity => {}
            Input::Capacity(capacity) => {
                self.capacity = capacity.trials;
                self.tell(Event::Capacity(capacity.trials));
            }
            Input::Allocated(allocated) => {
                let trial = self.trials.get_mut(&allocated.trial).unwrap();
                (trial.attempt, trial.phase) = (allocated.attempt, Phase::OnSlot);
            }
            Input::AgentEvents(batch) => {
                for event in &batch.events {
                    self.agent_says(event.attempt.as_ref().unwrap(), event.kind.as_ref().unwrap());
                }
            }
            other => panic!("nothing else happens in these searches: {other:?}"),
        }
        let label = format!("record {}", record.sequence);
        assert_eq!(self.transcript.created[created..], record.trials_created, "{label}");
        assert_eq!(self.transcript.decisions[decided..], record.decisions, "{label}");
    }

    fn agent_says(&mut self, attempt: &v1::AttemptId, kind: &Kind) {
        let trial = self.trials.get_mut(&attempt.trial).unwrap();
        assert_eq!(trial.attempt, attempt.attempt, "nothing is tried again");
        let id = TrialId(attempt.trial);
        match kind {
            Kind::Report(report) if trial.phase == Phase::OnSlot => {
                let found = report.metrics.iter().find(|metric| metric.name == "error").unwrap().value;
                let metric = if self.smaller_is_better { found } else { -found };
                self.tell(Event::Validated { trial: id, length: report.length, metric });
            }
            Kind::Checkpoint(_) => trial.has_checkpoint = true,
            Kind::Exit(exit) => {
                assert!(exit.exit_code == 0 && exit.signal == 0, "{exit:?}");
                let reason = match trial.phase {
                    Phase::Leaving(true) => ExitReason::Paused { resumable: trial.has_checkpoint },
                    Phase::Leaving(false) => ExitReason::Stopped,
                    _ => ExitReason::Completed,
                };
                trial.phase = if trial.phase == Phase::Leaving(true) { Phase::Paused } else { Phase::Ended };
                self.tell(Event::Exited { trial: id, reason });
            }
            _ => {}
        }
    }

    /// Tells the searcher, and what follows at once of trials that hold no slot.
    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.transcript.hear(&event);
            for action in self.searcher.handle(&event) {
                self.transcript.say(&action);
                events.extend(self.follow(&action));
            }
        }
    }

    fn follow(&mut self, action: &Action) -> Option<Event> {
        let (id, pauses) = match *action {
            Action::Create(ref create) => {
                let trial = Trial { attempt: 0, phase: Phase::Queued, has_checkpoint: false };
                self.trials.insert(create.trial.0, trial);
                return None;
            }
            Action::TrainTo { trial, .. } => {
                let trial = self.trials.get_mut(&trial.0).unwrap();
                if trial.phase == Phase::Paused {
                    trial.phase = Phase::Queued;
                }
                return None;
            }
            Action::Pause { trial, .. } => (trial, true),
            Action::Stop { trial, .. } => (trial, false),
            Action::Shutdown { .. } => return None,
        };
        let trial = self.trials.get_mut(&id.0).unwrap();
        let resumable = trial.has_checkpoint;
        let reason = if pauses { ExitReason::Paused { resumable } } else { ExitReason::Stopped };
        let before = trial.phase;
        trial.phase = match before {
            Phase::OnSlot | Phase::Leaving(_) => Phase::Leaving(pauses),
            _ if pauses && resumable => Phase::Paused,
            _ => Phase::Ended,
        };
        (before == Phase::Queued).then_some(Event::Exited { trial: id, reason })
    }
}
