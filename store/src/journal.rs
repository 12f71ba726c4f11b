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
use crate::backend::Order;
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
        let Some((key, value)) = records.page(&range, 1, Order::Descending)?.pop() else {
            return Ok(Self::default());
        };
        let sequence = keys::u64_at(&key, 9)
            .ok_or_else(|| Error::journal(experiment, 0, "its key is broken"))?;
        let stored = Stored::parse(experiment, sequence, &value)?;
        Ok(Self {
            sequence,
            checksum: stored.checksum,
        })
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
            return Err(Error::OutOfSequence {
                experiment,
                expected,
                found: sequence,
            });
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
            Some(Self {
                format: *format,
                checksum: u32::from_be_bytes(*checksum),
                packed,
            })
        });
        let stored = parsed
            .ok_or_else(|| Error::journal(experiment, sequence, "the record is cut short"))?;
        if stored.format == FORMAT {
            Ok(stored)
        } else {
            let reason = format!("unknown record format {}", stored.format);
            Err(Error::journal(experiment, sequence, reason))
        }
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
    page: VecDeque<(Vec<u8>, Vec<u8>)>,
    ended: bool,
}

impl Journal {
    /// From `from` (at least 1) on. The record before it must be there, or it is the journal that is broken.
    pub(crate) fn open(records: Records, experiment: u64, from: u64) -> Result<Self, Error> {
        let before = from.saturating_sub(1);
        let head = if before == 0 {
            Head::default()
        } else {
            let value = records.get(&keys::journal(experiment, before))?;
            let value =
                value.ok_or_else(|| Error::journal(experiment, before, "the record is missing"))?;
            Head {
                sequence: before,
                checksum: Stored::parse(experiment, before, &value)?.checksum,
            }
        };
        Ok(Self {
            records,
            experiment,
            head,
            page: VecDeque::new(),
            ended: false,
        })
    }

    fn read(&mut self) -> Result<Option<JournalRecord>, Error> {
        let expected = self.head.sequence + 1;
        let broken = |reason: String| Error::journal(self.experiment, expected, reason);
        if self.page.is_empty() {
            let range = keys::journal(self.experiment, expected)
                ..keys::after(&keys::journal(self.experiment, u64::MAX));
            let page = self.records.page(&range, PAGE, Order::Ascending);
            self.page = page
                .map_err(|error| match error {
                    Error::BrokenRecord { reason, .. } => broken(reason),
                    other => other,
                })?
                .into();
        }
        let Some((key, value)) = self.page.pop_front() else {
            return Ok(None);
        };
        if keys::u64_at(&key, 9) != Some(expected) {
            return Err(broken("the record is missing".to_owned()));
        }
        let stored = Stored::parse(self.experiment, expected, &value)?;
        if checksum(
            self.head.checksum,
            self.experiment,
            expected,
            stored.format,
            stored.packed,
        ) != stored.checksum
        {
            return Err(broken("its checksum does not match".to_owned()));
        }
        let bytes = unpack(WHAT, stored.packed).map_err(|error| broken(error.to_string()))?;
        let record =
            JournalRecord::decode(bytes.as_slice()).map_err(|error| broken(error.to_string()))?;
        if record.sequence != expected {
            return Err(broken(format!(
                "the record calls itself {}",
                record.sequence
            )));
        }
        self.head = Head {
            sequence: expected,
            checksum: stored.checksum,
        };
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
