//! Steps of one experiment that are made durable together, and what waits for that.
//!
//! At most one group is on its way to the store; steps that come meanwhile gather in the next. So each flush carries
//! what arrived during the one before it, and the store's queue holds one entry per experiment.
//!
//! Invariant: an effect or a reply leaves only when every step before it is durable.

use toprung_store::{Batch, Key};

use crate::experiment::{Effect, Step};

/// Steps and what follows them; `R` is what waits for them.
struct Group<R> {
    batch: Batch,
    effects: Vec<Effect>,
    replies: Vec<R>,
    snapshot: Option<(u64, Vec<u8>)>,
}

impl<R> Default for Group<R> {
    fn default() -> Self {
        Self { batch: Batch::default(), effects: Vec::new(), replies: Vec::new(), snapshot: None }
    }
}

impl<R> Group<R> {
    fn is_clean(&self) -> bool {
        self.batch.journal.is_empty() && self.batch.puts.is_empty()
    }
}

/// What follows a group that is durable now.
pub struct Durable<R> {
    /// To be done first, in order.
    pub effects: Vec<Effect>,
    /// To be given after the effects.
    pub replies: Vec<R>,
    /// A snapshot as of the last record of the group: sequence and content.
    pub snapshot: Option<(u64, Vec<u8>)>,
}

/// The groups of one experiment.
pub struct Commits<R> {
    gathering: Group<R>,
    on_its_way: Option<Group<R>>,
}

impl<R> Default for Commits<R> {
    fn default() -> Self {
        Self { gathering: Group::default(), on_its_way: None }
    }
}

impl<R> Commits<R> {
    /// Adds a step of an experiment.
    pub fn add(&mut self, experiment: u64, step: Step) {
        self.gathering.batch.journal.push((experiment, step.record));
        self.gathering.batch.puts.extend(step.puts);
        self.gathering.effects.extend(step.effects);
    }

    /// Adds a value to be written with the next step.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.gathering.batch.puts.push((key, value));
    }

    /// Keeps a reply until everything so far is durable; answers it if it already is.
    pub fn when_durable(&mut self, reply: R) -> Option<R> {
        if !self.gathering.is_clean() {
            self.gathering.replies.push(reply);
        } else if let Some(group) = &mut self.on_its_way {
            group.replies.push(reply);
        } else {
            return Some(reply);
        }
        None
    }

    /// Whether [`to_write`](Self::to_write) has something.
    pub fn is_due(&self) -> bool {
        self.on_its_way.is_none() && !self.gathering.is_clean()
    }

    /// What is to be written now, if nothing is on its way. `snapshot` is kept until that is durable.
    pub fn to_write(&mut self, snapshot: Option<(u64, Vec<u8>)>) -> Option<Batch> {
        if !self.is_due() {
            return None;
        }
        let mut group = std::mem::take(&mut self.gathering);
        group.snapshot = snapshot;
        let batch = std::mem::take(&mut group.batch);
        self.on_its_way = Some(group);
        Some(batch)
    }

    /// The group on its way is durable. `None`: there was none.
    pub fn done(&mut self) -> Option<Durable<R>> {
        let Group { effects, replies, snapshot, .. } = self.on_its_way.take()?;
        Some(Durable { effects, replies, snapshot })
    }

    /// Whether everything so far is durable.
    pub fn is_at_rest(&self) -> bool {
        self.on_its_way.is_none() && self.gathering.is_clean()
    }
}
