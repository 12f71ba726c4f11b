//! The invariants, and the books that they are checked against.
//!
//! | id | invariant |
//! |---|---|
//! | INV-1 | what an agent was told is durable is in the journal, and what it never lost comes there at last |
//! | INV-2 | no report is in the journal twice |
//! | INV-3 | an attempt is started once, only after its allocation is durable; its reports stay its own |
//! | INV-4 | a slot is given to one attempt at a time, and at the end all are free |
//! | INV-5 | no limit is exceeded: trials at once, slots of an experiment |
//! | INV-6 | the journal folds, with and without snapshots, to the same decisions and the same state |
//! | INV-7 | when faults stop, everything ends |
//! | INV-8 | a script's exit is in the journal at most once |
//! | INV-9 | an agent that is excluded from an experiment gets nothing of it while another will do; the last is never excluded |
//! | INV-10 | no trial is charged more than `max_restarts` failures |

use std::collections::{BTreeMap, BTreeSet};
use toprung_agent::parts::AttemptKey;
use toprung_proto::v1::{self, attempt_event::Kind, journal_record::Input};

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub id: &'static str,
    /// How.
    pub what: String,
}

/// What begins the message of an exit that a script caused.
pub const SCRIPT: &str = "script";

/// What was said, and what is durable. A report is known by its time, which is unique here.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Reports that a script was told are accepted: by number.
    accepted: BTreeMap<i64, (AttemptKey, String)>,
    /// Of these, in the journal.
    journalled: BTreeSet<i64>,
    /// Exits of scripts in the journal.
    exits: BTreeSet<AttemptKey>,
    /// Reports in each batch: agent instance, sequence.
    batches: BTreeMap<(String, u64), Vec<(u64, i64)>>,
    allocated: BTreeSet<AttemptKey>,
    started: BTreeSet<AttemptKey>,
    /// Experiments whose end is durable: they take nothing any more.
    ended: BTreeSet<u64>,
    /// Experiment and agent: the pool was told to do without it.
    excluded: BTreeSet<(u64, String)>,
    /// The first violation.
    pub violation: Option<Violation>,
}

impl Ledger {
    /// Notes a violation; only the first counts.
    pub fn fail(&mut self, id: &'static str, what: String) {
        self.violation.get_or_insert(Violation { id, what });
    }

    /// A script was told that its report is accepted.
    pub fn accept(&mut self, key: AttemptKey, instance: &str) -> i64 {
        let number = self.accepted.len() as i64 + 1;
        self.accepted.insert(number, (key, instance.to_owned()));
        number
    }

    /// An agent sends a batch.
    pub fn sent(&mut self, instance: &str, batch: &v1::Batch) {
        let report = |event: &v1::AttemptEvent| match (&event.attempt, &event.kind) {
            (Some(attempt), Some(Kind::Report(report))) => Some((attempt.experiment, report.time_unix_ms)),
            _ => None,
        };
        let reports = batch.events.iter().filter_map(report).collect();
        self.batches.insert((instance.to_owned(), batch.sequence), reports);
    }

    /// The engine acknowledges a batch.
    pub fn acknowledged(&mut self, instance: &str, sequence: u64) {
        let reports = self.batches.get(&(instance.to_owned(), sequence)).cloned().unwrap_or_default();
        for (experiment, number) in reports {
            if !self.journalled.contains(&number) && !self.ended.contains(&experiment) {
                let what = format!("batch {sequence} of {instance} is acknowledged without report {number}");
                self.fail("INV-1", what);
            }
        }
    }

    /// An agent is told to start an attempt.
    pub fn started(&mut self, key: AttemptKey) {
        if !self.allocated.contains(&key) {
            self.fail("INV-3", format!("{key} starts before its allocation is durable"));
        }
    }

    /// An agent starts an attempt.
    pub fn starts(&mut self, key: AttemptKey) {
        if !self.started.insert(key) {
            self.fail("INV-3", format!("{key} is started twice"));
        }
    }

    /// A record is durable.
    pub fn durable(&mut self, experiment: u64, record: &v1::JournalRecord) {
        match &record.input {
            Some(Input::Allocated(allocated)) => {
                let key = AttemptKey { experiment, trial: allocated.trial, attempt: allocated.attempt };
                self.allocated.insert(key);
            }
            Some(Input::AgentEvents(events)) => {
                events.events.iter().for_each(|event| self.durable_event(event));
            }
            _ => {}
        }
    }

    fn durable_event(&mut self, event: &v1::AttemptEvent) {
        let Some(key) = AttemptKey::from_wire(event.attempt.as_ref()) else { return };
        match &event.kind {
            Some(Kind::Report(report)) => {
                let number = report.time_unix_ms;
                if !self.journalled.insert(number) {
                    self.fail("INV-2", format!("report {number} of {key} is in the journal twice"));
                }
                let own = self.accepted.get(&number).is_some_and(|(said_by, _)| *said_by == key);
                if !own {
                    self.fail("INV-3", format!("report {number} counts for {key}, which did not say it"));
                }
            }
            Some(Kind::Exit(exit)) if exit.message.starts_with(SCRIPT) && !self.exits.insert(key) => {
                self.fail("INV-8", format!("the exit of {key} is in the journal twice"));
            }
            _ => {}
        }
    }

    /// Everything is over: what was accepted by agents that never died is in the journal. `alive`: their instances.
    pub fn check_end(&mut self, alive: &[String]) {
        let missing = self.accepted.iter().find(|(number, (key, instance))| {
            let kept = alive.contains(instance) && !self.journalled.contains(number);
            // What comes after the end of its experiment is dropped, by rule.
            kept && !self.ended.contains(&key.experiment)
        });
        if let Some((number, (key, _))) = missing {
            let what = format!("report {number} of {key} was accepted and never came");
            self.fail("INV-1", what);
        }
    }

    /// The end of an experiment is durable.
    pub fn ended(&mut self, experiment: u64) {
        self.ended.insert(experiment);
    }

    /// Whether the end of an experiment is durable.
    pub fn has_ended(&self, experiment: u64) -> bool {
        self.ended.contains(&experiment)
    }

    /// The pool is told that an experiment does without an agent.
    pub fn excluded(&mut self, experiment: u64, agent: &str) {
        self.excluded.insert((experiment, agent.to_owned()));
    }

    /// Whether the pool was told so, in this or a former life of the engine.
    pub fn is_excluded(&self, experiment: u64, agent: &str) -> bool {
        self.excluded.contains(&(experiment, agent.to_owned()))
    }

    /// How often an agent was excluded from an experiment.
    pub fn exclusions(&self) -> usize {
        self.excluded.len()
    }

    /// Reports accepted and in the journal.
    pub fn counts(&self) -> (usize, usize) {
        (self.accepted.len(), self.journalled.len())
    }
}
