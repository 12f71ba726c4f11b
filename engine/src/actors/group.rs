//! Steps of one experiment that are made durable together, and what waits for that.
//!
//! At most one group is on its way to the store; steps that come meanwhile gather in the next. So each flush carries
//! what arrived during the one before it, and the store's queue holds one entry per experiment.

use toprung_store::Batch;

use crate::experiment::{Effect, Step};

/// Something to do once everything before it is durable.
pub type Reply = Box<dyn FnOnce() + Send>;

/// Steps and what follows them.
#[derive(Default)]
pub struct Group {
    /// For the store.
    pub batch: Batch,
    /// Effects, in order.
    pub effects: Vec<Effect>,
    /// Answers, given after the effects.
    pub replies: Vec<Reply>,
    /// A snapshot as of the last record of the group.
    pub snapshot: Option<(u64, Vec<u8>)>,
}

impl Group {
    /// Adds a step of an experiment.
    pub fn add(&mut self, experiment: u64, step: Step) {
        self.batch.journal.push((experiment, step.record));
        self.batch.puts.extend(step.puts);
        self.effects.extend(step.effects);
    }

    /// Whether nothing has to be written.
    pub fn is_clean(&self) -> bool {
        self.batch.journal.is_empty() && self.batch.puts.is_empty()
    }
}
