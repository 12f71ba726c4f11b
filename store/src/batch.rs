//! What is written together or not at all.

use toprung_proto::v1::JournalRecord;
use toprung_proto::v1::journal_record::Input;

use crate::records::pack;
use crate::{Error, Key, journal};

/// Journal records and other changes that are written together or not at all. Applied in the order journal, puts,
/// deletes; of several changes to one key the last counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// (experiment, record). `record.sequence` must be the experiment's last sequence + 1, starting with 1.
    pub journal: Vec<(u64, JournalRecord)>,
    /// Values to put, each at most 8 MiB.
    pub puts: Vec<(Key, Vec<u8>)>,
    /// Keys to remove; one that does not exist is no error.
    pub deletes: Vec<Key>,
}

/// A batch with everything done that does not need the writer.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// (experiment, sequence, packed record).
    pub(crate) journal: Vec<(u64, u64, Vec<u8>)>,
    /// (key, packed value).
    pub(crate) puts: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) deletes: Vec<Vec<u8>>,
    /// Entries of the tree to remove as they are, parts named one by one.
    pub(crate) removes: Vec<Vec<u8>>,
    /// Models that a journal record of this batch refers to from now on.
    pub(crate) claims: Vec<String>,
    /// An experiment whose journal was removed.
    pub(crate) forget: Option<u64>,
}

impl Prepared {
    /// Encodes and compresses a batch.
    pub(crate) fn new(batch: Batch) -> Result<Self, Error> {
        let mut prepared = Self::default();
        for (experiment, record) in &batch.journal {
            prepared.journal.push((*experiment, record.sequence, journal::encode(record)?));
            if let Some(Input::Created(created)) = &record.input {
                prepared.claims.push(created.model_sha256.clone());
            }
        }
        for (key, value) in batch.puts {
            prepared.puts.push((key.encode(), pack("a stored value", &value)?));
        }
        prepared.deletes = batch.deletes.iter().map(Key::encode).collect();
        Ok(prepared)
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let journal = self.journal.iter().map(|(_, _, packed)| packed.len() + 64).sum::<usize>();
        let puts = self.puts.iter().map(|(key, value)| key.len() + value.len() + 64).sum::<usize>();
        let deletes = self.deletes.iter().chain(&self.removes).map(|key| key.len() + 32).sum::<usize>();
        journal + puts + deletes
    }
}
