//! One experiment between its inputs and the store: the machine, and the groups on their way.

use toprung_proto::v1::{self, engine_message::Kind, journal_record::Input};
use toprung_store::{Batch, Key};

use super::commits::{Commits, Durable};
use crate::experiment::reconcile::Held;
use crate::experiment::{Effect, Machine, snapshot};
use crate::scheduler::Limits;

/// A snapshot is written after so many records, or as many as there are trials: its cost per record stays flat.
pub const SNAPSHOT_EVERY: u64 = 2_000;

/// What follows an input at once.
#[derive(Debug, Default)]
pub struct Taken {
    /// Lines for people.
    pub lines: Vec<String>,
    /// Slots that were given and are not wanted any more: they go back to the pool at once.
    pub refused: Option<v1::AttemptId>,
}

/// What an agent that came back may keep, and what it has to be told: what was said while it was away is lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Returned {
    /// The attempts it may keep.
    pub kept: Vec<Held>,
    /// Decisions and orders on them, as they stand now.
    pub orders: Vec<Kind>,
}

/// An experiment whose steps are made durable before anything follows from them.
pub struct Keeper<R> {
    /// The experiment.
    pub machine: Machine,
    commits: Commits<R>,
    snapshot_at: u64,
    snapshot_every: u64,
}

impl<R> Keeper<R> {
    /// Around a new or a loaded machine. `snapshot_every`: see [`SNAPSHOT_EVERY`].
    pub fn new(machine: Machine, snapshot_every: u64) -> Self {
        let mut keeper = Self { machine, commits: Commits::default(), snapshot_at: 0, snapshot_every };
        keeper.snapshot_at = keeper.next_snapshot();
        keeper
    }

    fn next_snapshot(&self) -> u64 {
        self.machine.fold.sequence + self.snapshot_every.max(self.machine.fold.trials.len() as u64)
    }

    /// A value to be written with the next step.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.commits.put(key, value);
    }

    /// Takes one input in.
    pub fn input(&mut self, input: Input, now_ms: i64) -> Taken {
        let given = match &input {
            Input::Allocated(allocated) => Some(self.attempt_id(allocated.trial, allocated.attempt)),
            _ => None,
        };
        match self.machine.step(input, now_ms) {
            Some(mut step) => {
                let lines = std::mem::take(&mut step.lines);
                self.commits.add(self.machine.spec.id, step);
                Taken { lines, refused: None }
            }
            None => Taken { lines: Vec::new(), refused: given },
        }
    }

    /// An agent came back with what it runs: what it does not run any more is lost. The answer may be given once this
    /// is durable.
    pub fn agent_returned(
        &mut self,
        agent: &str,
        running: &[v1::AttemptId],
        now_ms: i64,
    ) -> (Returned, Vec<String>) {
        let (mut kept, mut lines) = (Vec::new(), Vec::new());
        for held in self.machine.held().into_iter().filter(|held| held.agent == agent) {
            if running.iter().any(|id| id.trial == held.trial && id.attempt == held.attempt) {
                kept.push(held);
            } else {
                let reason = format!("agent {agent} came back without it");
                let lost = v1::AttemptLost { trial: held.trial, attempt: held.attempt, reason };
                lines.extend(self.input(Input::Lost(lost), now_ms).lines);
            }
        }
        let decisions = self.machine.repeat_decisions(agent).into_iter().map(Kind::Decision);
        let stops = self.machine.repeat_stops(agent).into_iter().map(Kind::Stop);
        (Returned { kept, orders: decisions.chain(stops).collect() }, lines)
    }

    /// An agent's lease ended: what it held is lost.
    pub fn agent_lost(&mut self, agent: &str, reason: &str, now_ms: i64) -> Vec<String> {
        let mut lines = Vec::new();
        for held in self.machine.held().into_iter().filter(|held| held.agent == agent) {
            let reason = reason.to_owned();
            let lost = v1::AttemptLost { trial: held.trial, attempt: held.attempt, reason };
            lines.extend(self.input(Input::Lost(lost), now_ms).lines);
        }
        lines
    }

    /// Keeps a reply until everything so far is durable; answers it if it already is.
    pub fn when_durable(&mut self, reply: R) -> Option<R> {
        self.commits.when_durable(reply)
    }

    /// What is to be written now, if nothing is on its way.
    pub fn to_write(&mut self) -> Option<Batch> {
        if !self.commits.is_due() {
            return None;
        }
        let state = self.machine.fold.state;
        let due = self.machine.fold.sequence >= self.snapshot_at;
        let mut taken = None;
        if due && !state.is_end() {
            self.snapshot_at = self.next_snapshot();
            match snapshot::encode(&self.machine) {
                Ok(bytes) => taken = Some((self.machine.fold.sequence, bytes)),
                Err(error) => tracing::warn!(%error, "no snapshot written; the journal is complete"),
            }
        }
        self.commits.to_write(taken)
    }

    /// What was on its way is durable.
    pub fn committed(&mut self) -> Option<Durable<R>> {
        self.commits.done()
    }

    /// Whether everything so far is durable.
    pub fn is_at_rest(&self) -> bool {
        self.commits.is_at_rest()
    }

    /// What the pool has to know: the limits, and the attempts that hold slots.
    pub fn joins(&self) -> (Limits, Vec<Held>, Vec<Effect>) {
        let resources = &self.machine.spec.config.resources;
        let limits = Limits {
            priority: resources.priority,
            weight: resources.weight,
            slots_per_trial: resources.slots_per_trial,
            max_slots: resources.max_slots,
        };
        (limits, self.machine.held(), self.machine.reconcile())
    }

    /// The full name of an attempt.
    pub fn attempt_id(&self, trial: u32, attempt: u32) -> v1::AttemptId {
        v1::AttemptId { experiment: self.machine.spec.id, trial, attempt }
    }
}
