//! Keys of the tree. Order-preserving: one byte of kind, then big-endian numbers, then at most one string at the end,
//! so that each natural question is one range.

use std::ops::Range;

/// The key of a record that callers put or delete. Journal records and log indexes have keys of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An experiment's summary: (experiment).
    Experiment(u64),
    /// A trial's summary: (experiment, trial).
    Trial(u64, u32),
    /// A run of a trial's reports: (experiment, trial, chunk). Chunks are read in the order of their numbers; the
    /// sequence of the journal record that comes with the chunk is a good number.
    ReportChunk(u64, u32, u64),
    /// A checkpoint: (experiment, trial, uuid).
    Checkpoint(u64, u32, String),
    /// The experiment a request created; the value is its id as 8 big-endian bytes.
    Request(String),
    /// An agent that has ever registered, by name.
    Agent(String),
    /// Anything small of the engine itself, by name.
    Meta(String),
}

/// Under this key the tree keeps the number of the last frame of the redo log that it has. Before all other keys.
pub(crate) const APPLIED: &[u8] = &[0];

/// What the first byte of a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Agent = b'a',
    Checkpoint = b'c',
    Deleting = b'd',
    Experiment = b'e',
    Journal = b'j',
    /// The log frames of an experiment.
    LogFrame = b'L',
    /// The log frames in which a trial has lines.
    LogOfTrial = b'l',
    Meta = b'm',
    /// Parts of values that are too large for one entry; see `records`.
    Part = b'o',
    Request = b'q',
    ReportChunk = b'r',
    Trial = b't',
}

/// The kinds whose keys begin with an experiment's id and go away with it.
pub(crate) const OF_EXPERIMENT: [Kind; 6] =
    [Kind::Journal, Kind::Trial, Kind::ReportChunk, Kind::Checkpoint, Kind::LogOfTrial, Kind::LogFrame];

impl Key {
    /// The bytes in the tree.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Experiment(experiment) => start(Kind::Experiment).u64(*experiment).done(),
            Self::Trial(experiment, trial) => start(Kind::Trial).u64(*experiment).u32(*trial).done(),
            Self::ReportChunk(experiment, trial, chunk) => {
                start(Kind::ReportChunk).u64(*experiment).u32(*trial).u64(*chunk).done()
            }
            Self::Checkpoint(experiment, trial, uuid) => {
                start(Kind::Checkpoint).u64(*experiment).u32(*trial).text(uuid).done()
            }
            Self::Request(id) => start(Kind::Request).text(id).done(),
            Self::Agent(name) => start(Kind::Agent).text(name).done(),
            Self::Meta(name) => start(Kind::Meta).text(name).done(),
        }
    }
}

/// A key under construction.
pub(crate) struct Builder(Vec<u8>);

/// Begins a key of this kind.
pub(crate) fn start(kind: Kind) -> Builder {
    let mut bytes = Vec::with_capacity(24);
    bytes.push(kind as u8);
    Builder(bytes)
}

impl Builder {
    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn text(mut self, value: &str) -> Self {
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }

    /// All keys that begin with what was built.
    pub(crate) fn prefix(self) -> Range<Vec<u8>> {
        let end = successor(&self.0);
        self.0..end
    }
}

/// The smallest key after all keys that begin with `prefix`. A kind is never 0xff, so there always is one.
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The smallest key after `key` itself.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

/// The key of a journal record.
pub(crate) fn journal(experiment: u64, sequence: u64) -> Vec<u8> {
    start(Kind::Journal).u64(experiment).u64(sequence).done()
}

/// The big-endian number at `offset`, or `None` if the key is too short.
pub(crate) fn u64_at(key: &[u8], offset: usize) -> Option<u64> {
    key.get(offset..offset + 8)?.try_into().ok().map(u64::from_be_bytes)
}

/// The big-endian number at `offset`, or `None` if the key is too short.
pub(crate) fn u32_at(key: &[u8], offset: usize) -> Option<u32> {
    key.get(offset..offset + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_numbers() {
        let numbers = [0, 1, 255, 256, 65_535, u64::from(u32::MAX), u64::MAX];
        for pair in numbers.windows(2) {
            assert!(Key::Experiment(pair[0]).encode() < Key::Experiment(pair[1]).encode());
            assert!(journal(7, pair[0]) < journal(7, pair[1]));
        }
        assert!(Key::Trial(1, u32::MAX).encode() < Key::Trial(2, 0).encode());
    }

    #[test]
    fn a_prefix_covers_its_keys_and_no_others() {
        let range = start(Kind::Trial).u64(u64::MAX).prefix();
        assert!(range.contains(&Key::Trial(u64::MAX, u32::MAX).encode()));
        assert!(!range.contains(&Key::Trial(u64::MAX - 1, u32::MAX).encode()));
        assert!(!range.contains(&start(Kind::Trial).done()));
        assert_eq!(range.end, vec![b'u']);
    }
}
