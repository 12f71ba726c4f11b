//! An experiment's journal: records 1, 2, 3…, each with a checksum over the previous one and itself.
//!
//! Stored value: format byte, checksum (big-endian), packed record. The checksum covers the previous checksum, the
//! experiment, the sequence, the format byte and the packed record; so a record that is missing, changed, swapped or
//! moved from another experiment breaks the chain. Only the loss of the very last records cannot be seen by the chain
//! itself; reading from beyond the end is therefore an error.

use std::collections::VecDeque;

use prost::Message;
use toprung_proto::v1::JournalRecord;

use crate::Error;
use crate::backend::{Entry, Order};
use crate::keys;
use crate::records::{Records, pack, unpack};

const FORMAT: u8 = 1;
const WHAT: &str = "journal";
/// Records read from the tree at once.
const PAGE: usize = 64;

/// Where a journal ends: the last sequence (0: empty) and its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    pub(crate) sequence: u64,
    checksum: u32,
}

impl Head {
    /// Reads where an experiment's journal ends.
    pub(crate) fn load(records: &Records, experiment: u64) -> Result<Self, Error> {
        let range = keys::journal(experiment, 0)..keys::after(&keys::journal(experiment, u64::MAX));
        let last = records.page(&range, 1, Order::Descending);
        let last = last.map_err(|error| in_journal(experiment, 0, error))?.pop();
        let Some((key, value)) = last else {
            return Ok(Self::default());
        };
        let sequence =
            keys::u64_at(&key, 9).ok_or_else(|| Error::journal(experiment, 0, "its key is broken"))?;
        let stored = Stored::parse(experiment, sequence, &value)?;
        Ok(Self { sequence, checksum: stored.checksum })
    }

    /// The stored form of the record that follows, and the new head.
    pub(crate) fn follow(
        self,
        experiment: u64,
        sequence: u64,
        packed: &[u8],
    ) -> Result<(Self, Vec<u8>), Error> {
        let expected = self.sequence + 1;
        if sequence != expected {
            return Err(Error::OutOfSequence { experiment, expected, found: sequence });
        }
        let checksum = checksum(self.checksum, experiment, sequence, FORMAT, packed);
        let mut value = Vec::with_capacity(packed.len() + 5);
        value.push(FORMAT);
        value.extend_from_slice(&checksum.to_be_bytes());
        value.extend_from_slice(packed);
        Ok((Self { sequence, checksum }, value))
    }
}

/// The packed form of a record, made before it is queued.
pub(crate) fn encode(record: &JournalRecord) -> Result<Vec<u8>, Error> {
    pack("a journal record", &record.encode_to_vec())
}

struct Stored<'a> {
    format: u8,
    checksum: u32,
    packed: &'a [u8],
}

impl<'a> Stored<'a> {
    fn parse(experiment: u64, sequence: u64, value: &'a [u8]) -> Result<Self, Error> {
        let parsed = value.split_first().and_then(|(format, rest)| {
            let (checksum, packed) = rest.split_first_chunk()?;
            Some(Self { format: *format, checksum: u32::from_be_bytes(*checksum), packed })
        });
        let stored = parsed.ok_or_else(|| Error::journal(experiment, sequence, "the record is cut short"))?;
        if stored.format == FORMAT {
            Ok(stored)
        } else {
            let reason = format!("unknown record format {}", stored.format);
            Err(Error::journal(experiment, sequence, reason))
        }
    }
}

/// A value of the journal that cannot be put together is a broken journal.
fn in_journal(experiment: u64, sequence: u64, error: Error) -> Error {
    match error {
        Error::BrokenRecord { reason, .. } => Error::journal(experiment, sequence, reason),
        other => other,
    }
}

fn checksum(previous: u32, experiment: u64, sequence: u64, format: u8, packed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&previous.to_be_bytes());
    hasher.update(&experiment.to_be_bytes());
    hasher.update(&sequence.to_be_bytes());
    hasher.update(&[format]);
    hasher.update(packed);
    hasher.finalize()
}

/// The records of a journal in order, read a page at a time. Ends after the first error.
pub struct Journal {
    records: Records,
    experiment: u64,
    head: Head,
    page: VecDeque<Entry>,
    ended: bool,
}

impl Journal {
    /// From `from` (at least 1) on. The record before it must be there, or it is the journal that is broken.
    pub(crate) fn open(records: Records, experiment: u64, from: u64) -> Result<Self, Error> {
        let before = from.saturating_sub(1);
        let head = if before == 0 {
            Head::default()
        } else {
            let value = records.get(&keys::journal(experiment, before));
            let value = value.map_err(|error| in_journal(experiment, before, error))?;
            let value = value.ok_or_else(|| Error::journal(experiment, before, "the record is missing"))?;
            Head { sequence: before, checksum: Stored::parse(experiment, before, &value)?.checksum }
        };
        Ok(Self { records, experiment, head, page: VecDeque::new(), ended: false })
    }

    fn fetch(&self, from: u64) -> Result<Vec<Entry>, Error> {
        let end = keys::after(&keys::journal(self.experiment, u64::MAX));
        let range = keys::journal(self.experiment, from)..end;
        match self.records.page(&range, PAGE, Order::Ascending) {
            // One by one, so that the sound records before the broken one are still read.
            Err(Error::BrokenRecord { .. }) => self.records.page(&range, 1, Order::Ascending),
            page => page,
        }
        .map_err(|error| in_journal(self.experiment, from, error))
    }

    fn read(&mut self) -> Result<Option<JournalRecord>, Error> {
        let expected = self.head.sequence + 1;
        let broken = |reason: String| Error::journal(self.experiment, expected, reason);
        if self.page.is_empty() {
            self.page = self.fetch(expected)?.into();
        }
        let Some((key, value)) = self.page.pop_front() else {
            return Ok(None);
        };
        if keys::u64_at(&key, 9) != Some(expected) {
            return Err(broken("the record is missing".to_owned()));
        }
        let stored = Stored::parse(self.experiment, expected, &value)?;
        if checksum(self.head.checksum, self.experiment, expected, stored.format, stored.packed)
            != stored.checksum
        {
            return Err(broken("its checksum does not match".to_owned()));
        }
        let bytes = unpack(WHAT, stored.packed).map_err(|error| broken(error.to_string()))?;
        let record = JournalRecord::decode(bytes.as_slice()).map_err(|error| broken(error.to_string()))?;
        if record.sequence != expected {
            return Err(broken(format!("the record calls itself {}", record.sequence)));
        }
        self.head = Head { sequence: expected, checksum: stored.checksum };
        Ok(Some(record))
    }
}

impl Iterator for Journal {
    type Item = Result<JournalRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.read().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toprung_proto::v1::KillRequested;
    use toprung_proto::v1::journal_record::Input;

    use super::*;
    use crate::backend::{Backend, Write};
    use crate::memory::Memory;
    use crate::records::stage_put;

    fn record(sequence: u64, size: usize) -> JournalRecord {
        // Digits that do not compress to nothing.
        let reason = (0..size).map(|index| char::from(b'0' + (index * index % 97 % 10) as u8)).collect();
        let input = Some(Input::Kill(KillRequested { reason }));
        JournalRecord { sequence, input, ..JournalRecord::default() }
    }

    /// A journal of `count` records; the third is larger than one entry.
    fn written(count: u64) -> (Arc<Memory>, Records) {
        let memory = Arc::new(Memory::default());
        let records = Records::new(memory.clone());
        let mut head = Head::load(&records, 7).unwrap();
        for sequence in 1..=count {
            let size = if sequence == 3 { 40_000 } else { 50 };
            let mut writes = Vec::new();
            let packed = crate::records::plain(&record(sequence, size).encode_to_vec());
            let (next, value) = head.follow(7, sequence, &packed).unwrap();
            stage_put(keys::journal(7, sequence), &value, &mut writes);
            records.commit(writes).unwrap();
            head = next;
        }
        (memory, records)
    }

    fn read(records: &Records, from: u64) -> (Vec<u64>, Option<u64>) {
        let mut sequences = Vec::new();
        for record in Journal::open(records.clone(), 7, from).unwrap() {
            match record {
                Ok(record) => sequences.push(record.sequence),
                Err(Error::BrokenJournal { experiment: 7, sequence, .. }) => {
                    return (sequences, Some(sequence));
                }
                Err(other) => panic!("{other}"),
            }
        }
        (sequences, None)
    }

    fn replace(memory: &Memory, key: &[u8], value: Option<Vec<u8>>) {
        memory.commit(vec![Write { key: key.to_vec(), value }]).unwrap();
    }

    #[test]
    fn a_journal_is_read_from_any_record_on() {
        let (_, records) = written(200);
        assert_eq!(read(&records, 1), ((1..=200).collect(), None));
        assert_eq!(read(&records, 150), ((150..=200).collect(), None));
        assert_eq!(read(&records, 201), (Vec::new(), None));
        assert_eq!(Head::load(&records, 7).unwrap().sequence, 200);
        assert_eq!(Head::load(&records, 8).unwrap(), Head::default());
        let beyond = Journal::open(records, 7, 202);
        assert!(matches!(beyond.err(), Some(Error::BrokenJournal { sequence: 201, .. })));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed_where_it_is() {
        let (memory, records) = written(6);
        let key = keys::journal(7, 2);
        let sound = memory.get(&key).unwrap().unwrap();
        for index in 0..sound.len() {
            for bit in 0..8 {
                let mut flipped = sound.clone();
                flipped[index] ^= 1 << bit;
                replace(&memory, &key, Some(flipped));
                assert_eq!(read(&records, 1), (vec![1], Some(2)), "byte {index} bit {bit}");
            }
            replace(&memory, &key, Some(sound[..index].to_vec()));
            assert_eq!(read(&records, 1), (vec![1], Some(2)), "cut at {index}");
        }
        replace(&memory, &key, Some(sound));
        assert_eq!(read(&records, 1).1, None);
    }

    #[test]
    fn a_broken_part_of_a_large_record_is_noticed() {
        let (memory, records) = written(6);
        let parts = crate::records::parts_of(&(keys::journal(7, 3)..keys::journal(7, 4)));
        let parts = memory.page(&parts, 100, Order::Ascending).unwrap();
        assert!(parts.len() > 3);
        for (key, value) in parts {
            let mut flipped = value.clone();
            flipped[100] ^= 1;
            for broken in [Some(flipped), Some(value[1..].to_vec()), None] {
                replace(&memory, &key, broken);
                assert_eq!(read(&records, 1), (vec![1, 2], Some(3)));
            }
            replace(&memory, &key, Some(value));
        }
        assert_eq!(read(&records, 1).1, None);
    }

    #[test]
    fn holes_and_swapped_records_are_noticed() {
        let (memory, records) = written(6);
        let value = |sequence| memory.get(&keys::journal(7, sequence)).unwrap();
        let (fourth, fifth) = (value(4), value(5));
        replace(&memory, &keys::journal(7, 4), None);
        assert_eq!(read(&records, 1), (vec![1, 2, 3], Some(4)));
        replace(&memory, &keys::journal(7, 4), fifth);
        replace(&memory, &keys::journal(7, 5), fourth);
        assert_eq!(read(&records, 1), (vec![1, 2, 3], Some(4)));
    }

    #[test]
    fn only_the_record_that_follows_is_taken() {
        let head = Head::default();
        assert!(matches!(head.follow(7, 2, &[]), Err(Error::OutOfSequence { expected: 1, found: 2, .. })));
        let (head, _) = head.follow(7, 1, &[]).unwrap();
        assert!(head.follow(7, 1, &[]).is_err());
        assert!(head.follow(7, 2, &[]).is_ok());
    }
}
