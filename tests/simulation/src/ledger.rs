//! The invariants, and the books that they are checked against.
//!
//! | id | invariant |
//! |---|---|
//! | INV-1 | what an agent was told is durable is in the journal; a report that a script was told is accepted comes there at last, also when the agent died meanwhile |
//! | INV-2 | no report is in the journal twice |
//! | INV-3 | an attempt is started once, only after its allocation is durable; its reports stay its own |
//! | INV-4 | a slot is given to one attempt at a time, and at the end all are free |
//! | INV-5 | no limit is exceeded: trials at once, slots of an experiment |
//! | INV-6 | the journal folds, with and without snapshots, to the same decisions and the same state |
//! | INV-7 | when faults stop, everything ends |
//! | INV-8 | an attempt's exit is in the journal at most once |
//! | INV-9 | a spool opens after each death of its daemon, and nothing in it counts as damaged |
//! | INV-10 | an agent that is drained gets nothing new |
//! | INV-11 | nobody gets a slot before an experiment of better priority that waits for one |
//! | INV-12 | a trial is charged no more than its scripts failed |
//! | INV-13 | an agent that is excluded from an experiment gets nothing of it while another will do; the last is never excluded |
//! | INV-14 | no trial is charged more than `max_restarts` failures |
//! | INV-15 | what a deciding program was told never changes, its decisions count once, and what it saved comes back |

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
/// What begins the message of an exit that a restarted daemon told.
const DEAD: &str = "the agent ended";

/// What was said, and what is durable. A report is known by its time, which is unique here.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What scripts reported, by number: the attempt and its agent.
    said: BTreeMap<i64, (AttemptKey, String)>,
    /// Of these, those that the script was told are accepted.
    accepted: BTreeSet<i64>,
    /// In the journal.
    journalled: BTreeSet<i64>,
    /// Acknowledged and dropped, by rule.
    dropped: BTreeSet<i64>,
    /// Attempts that the engine gave up.
    lost: BTreeSet<AttemptKey>,
    /// Exits of scripts in the journal.
    exits: BTreeSet<AttemptKey>,
    /// Reports in each batch: agent instance, sequence.
    batches: BTreeMap<(String, u64), Vec<(u64, i64)>>,
    allocated: BTreeSet<AttemptKey>,
    /// Who holds each slot of each agent, as the journals have it.
    holders: BTreeMap<(String, u32), AttemptKey>,
    started: BTreeSet<AttemptKey>,
    /// Experiments whose end is durable: they take nothing any more.
    ended: BTreeSet<u64>,
    /// Drained agents: the pool has heard of it, and nobody has undone it for good.
    drained: BTreeSet<String>,
    /// How often scripts of a trial failed by themselves.
    failures: BTreeMap<(u64, u32), u32>,
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

    /// A script reports.
    pub fn said(&mut self, key: AttemptKey, agent: &str) -> i64 {
        let number = self.said.len() as i64 + 1;
        self.said.insert(number, (key, agent.to_owned()));
        number
    }

    /// A script was told that its report is accepted.
    pub fn accepted(&mut self, number: i64) {
        self.accepted.insert(number);
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
            if self.journalled.contains(&number) {
                continue;
            }
            let lost = self.said.get(&number).is_some_and(|(key, _)| self.lost.contains(key));
            if lost && self.ended.contains(&experiment) {
                // By rule: what comes of a lost attempt after the end of its experiment.
                self.dropped.insert(number);
            } else {
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

    /// The pool has heard that an agent is drained.
    pub fn drained(&mut self, agent: &str) {
        self.drained.insert(agent.to_owned());
    }

    /// The record of an agent is durable.
    pub fn recorded(&mut self, record: &v1::AgentRecord) {
        if record.drain.is_none() {
            self.drained.remove(&record.name);
        }
    }

    /// An attempt gets slots of an agent.
    pub fn gets(&mut self, agent: &str) {
        if self.drained.contains(agent) {
            self.fail("INV-10", format!("{agent} is drained and gets an attempt"));
        }
    }

    /// A script failed by itself.
    pub fn failed(&mut self, key: AttemptKey) {
        *self.failures.entry((key.experiment, key.trial)).or_insert(0) += 1;
    }

    /// At the end: so much a trial was charged.
    pub fn check_charge(&mut self, experiment: u64, trial: u32, restarts: u32) {
        let failures = self.failures.get(&(experiment, trial)).copied().unwrap_or(0);
        if restarts > failures {
            let what = format!(
                "trial {trial} of experiment {experiment} failed {failures} times, charged {restarts}"
            );
            self.fail("INV-12", what);
        }
    }

    /// A record is durable.
    pub fn durable(&mut self, experiment: u64, record: &v1::JournalRecord) {
        match &record.input {
            Some(Input::Allocated(allocated)) => {
                let key = AttemptKey { experiment, trial: allocated.trial, attempt: allocated.attempt };
                self.allocated.insert(key);
                for slot in &allocated.slots {
                    let holder = self.holders.insert((allocated.agent.clone(), *slot), key);
                    if let Some(other) = holder.filter(|other| *other != key) {
                        let what = format!("{key} gets slot {slot} of {} from {other}", allocated.agent);
                        self.fail("INV-4", what);
                    }
                }
            }
            Some(Input::Lost(lost)) => {
                let key = AttemptKey { experiment, trial: lost.trial, attempt: lost.attempt };
                self.lost.insert(key);
                self.holders.retain(|_, holder| *holder != key);
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
                let own = self.said.get(&number).is_some_and(|(said_by, _)| *said_by == key);
                if !own {
                    self.fail("INV-3", format!("report {number} counts for {key}, which did not say it"));
                }
            }
            Some(Kind::Exit(exit)) => {
                self.holders.retain(|_, holder| *holder != key);
                let told = exit.message.starts_with(SCRIPT) || exit.message.starts_with(DEAD);
                if told && !self.exits.insert(key) {
                    self.fail("INV-8", format!("the exit of {key} is in the journal twice"));
                }
            }
            _ => {}
        }
    }

    /// Everything is over: what was accepted is in the journal. `gone`: agents whose nodes are lost with their disks.
    pub fn check_end(&mut self, gone: &[String]) {
        let missing = self.said.iter().find(|(number, (_, agent))| {
            let kept = self.accepted.contains(number) && !gone.contains(agent);
            kept && !self.journalled.contains(number) && !self.dropped.contains(number)
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
