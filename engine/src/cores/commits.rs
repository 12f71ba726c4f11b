//! Steps of one experiment that are made durable together, and what waits for that.
//!
//! At most one group is on its way to the store; steps that come meanwhile gather in the next. So each flush carries
//! what arrived during the one before it, and the store's queue holds one entry per experiment. A group that has grown
//! large is followed by another: a flood of one experiment goes in pieces, between which the store writes for others.
//!
//! Invariants: an effect or a reply leaves only when every step before it is durable; a snapshot belongs to the last step
//! that was taken in, so everything goes with it.

use prost::Message as _;
use std::collections::VecDeque;
use toprung_store::{Batch, Key};

use crate::experiment::{Effect, Step};

/// A group of so many bytes takes no further step. Others wait at most for one such group of each experiment.
const GROUP_BYTES: usize = 64 << 10;

/// Steps and what follows them; `R` is what waits for them.
struct Group<R> {
    batch: Batch,
    effects: Vec<Effect>,
    replies: Vec<R>,
    snapshot: Option<(u64, Vec<u8>)>,
    bytes: usize,
}

impl<R> Default for Group<R> {
    fn default() -> Self {
        Self { batch: Batch::default(), effects: Vec::new(), replies: Vec::new(), snapshot: None, bytes: 0 }
    }
}

impl<R> Group<R> {
    /// Appends a later group.
    fn absorb(&mut self, later: Self) {
        self.batch.journal.extend(later.batch.journal);
        self.batch.puts.extend(later.batch.puts);
        self.effects.extend(later.effects);
        self.replies.extend(later.replies);
        self.bytes += later.bytes;
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
    /// None of them is empty.
    gathering: VecDeque<Group<R>>,
    on_its_way: Option<Group<R>>,
}

impl<R> Default for Commits<R> {
    fn default() -> Self {
        Self { gathering: VecDeque::new(), on_its_way: None }
    }
}

impl<R> Commits<R> {
    /// The group that takes what comes now.
    fn open(&mut self) -> &mut Group<R> {
        let open = self.gathering.pop_back_if(|last| last.bytes < GROUP_BYTES);
        self.gathering.push_back(open.unwrap_or_default());
        let last = self.gathering.len() - 1;
        &mut self.gathering[last]
    }

    /// Adds a step of an experiment.
    pub fn add(&mut self, experiment: u64, step: Step) {
        let puts: usize = step.puts.iter().map(|(_, value)| value.len()).sum();
        let group = self.open();
        group.bytes += step.record.encoded_len() + puts;
        group.batch.journal.push((experiment, step.record));
        group.batch.puts.extend(step.puts);
        group.effects.extend(step.effects);
    }

    /// Adds a value to be written with the next step.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        let group = self.open();
        group.bytes += value.len();
        group.batch.puts.push((key, value));
    }

    /// Keeps a reply until everything so far is durable; answers it if it already is.
    pub fn when_durable(&mut self, reply: R) -> Option<R> {
        if let Some(last) = self.gathering.back_mut() {
            last.replies.push(reply);
        } else if let Some(group) = &mut self.on_its_way {
            group.replies.push(reply);
        } else {
            return Some(reply);
        }
        None
    }

    /// Whether [`to_write`](Self::to_write) has something.
    pub fn is_due(&self) -> bool {
        self.on_its_way.is_none() && !self.gathering.is_empty()
    }

    /// What is to be written now, if nothing is on its way. `snapshot`, of everything so far, is kept until that is
    /// durable.
    pub fn to_write(&mut self, snapshot: Option<(u64, Vec<u8>)>) -> Option<Batch> {
        if !self.is_due() {
            return None;
        }
        let mut group = self.gathering.pop_front()?;
        if snapshot.is_some() {
            self.gathering.drain(..).for_each(|later| group.absorb(later));
        }
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
        self.on_its_way.is_none() && self.gathering.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toprung_proto::v1::{self, journal_record::Input};

    fn step(sequence: u64, bytes: usize) -> Step {
        let input = Input::Kill(v1::KillRequested { reason: "x".repeat(bytes) });
        let record = v1::JournalRecord { sequence, input: Some(input), ..v1::JournalRecord::default() };
        Step { record, ..Step::default() }
    }

    fn sequences(batch: &Batch) -> Vec<u64> {
        batch.journal.iter().map(|(_, record)| record.sequence).collect()
    }

    #[test]
    fn a_flood_goes_in_pieces_and_replies_with_theirs() {
        let mut commits = Commits::default();
        (1..=3).for_each(|sequence| commits.add(1, step(sequence, 10)));
        assert_eq!(commits.when_durable("small"), None);
        (4..=6).for_each(|sequence| commits.add(1, step(sequence, GROUP_BYTES)));
        assert_eq!(commits.when_durable("last"), None);
        let mut written = Vec::new();
        let mut replies = Vec::new();
        while let Some(batch) = commits.to_write(None) {
            assert!(commits.to_write(None).is_none(), "one at a time");
            written.push(sequences(&batch));
            replies.push(commits.done().unwrap().replies);
        }
        assert_eq!(written, [vec![1, 2, 3, 4], vec![5], vec![6]]);
        assert_eq!(replies, [vec!["small"], vec![], vec!["last"]]);
        assert!(commits.is_at_rest());
        assert_eq!(commits.when_durable("at once"), Some("at once"));
    }

    #[test]
    fn everything_goes_with_a_snapshot() {
        let mut commits: Commits<()> = Commits::default();
        (1..=3).for_each(|sequence| commits.add(1, step(sequence, GROUP_BYTES)));
        let batch = commits.to_write(Some((3, vec![1]))).unwrap();
        assert_eq!(sequences(&batch), [1, 2, 3]);
        assert_eq!(commits.done().unwrap().snapshot, Some((3, vec![1])));
        assert!(commits.is_at_rest());
    }
}
