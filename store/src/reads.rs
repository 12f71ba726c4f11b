//! What the handle reads: records and pages of records. Synchronous; sees what is durable.

use std::ops::Range;

use crate::backend::Order;
use crate::journal::{Head, Journal};
use crate::keys::{self, Kind, start};
use crate::records::unpack;
use crate::{Error, Key, Store};

/// A checkpoint's record and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// The trial it was saved by.
    pub trial: u32,
    /// Its name.
    pub uuid: String,
    /// The record.
    pub bytes: Vec<u8>,
}

impl Store {
    /// The journal of an experiment from record `from_seq` (at least 1) on. If `from_seq` is beyond the record that
    /// would follow the last, the journal lost its end: [`Error::BrokenJournal`].
    pub fn journal(&self, experiment: u64, from_seq: u64) -> Result<Journal, Error> {
        Journal::open(self.records().clone(), experiment, from_seq)
    }

    /// The sequence of an experiment's last journal record; 0 if there is none.
    pub fn last_sequence(&self, experiment: u64) -> Result<u64, Error> {
        Ok(Head::load(self.records(), experiment)?.sequence)
    }

    /// At most `limit` experiments with ids below `before`, newest first: (id, record).
    pub fn experiments(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut range = start(Kind::Experiment).prefix();
        if let Some(before) = before {
            range.end = Key::Experiment(before).encode();
        }
        self.page("experiment", &range, limit, Order::Descending, |key| keys::u64_at(key, 1))
    }

    /// The record of an experiment.
    pub fn experiment(&self, experiment: u64) -> Result<Option<Vec<u8>>, Error> {
        self.get("experiment", &Key::Experiment(experiment))
    }

    /// The record of a trial.
    pub fn trial(&self, experiment: u64, trial: u32) -> Result<Option<Vec<u8>>, Error> {
        self.get("trial", &Key::Trial(experiment, trial))
    }

    /// At most `limit` trials after `after`, in order: (trial, record).
    pub fn trials(
        &self,
        experiment: u64,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<(u32, Vec<u8>)>, Error> {
        let mut range = start(Kind::Trial).u64(experiment).prefix();
        if let Some(after) = after {
            range.start = keys::after(&Key::Trial(experiment, after).encode());
        }
        self.page("trial", &range, limit, Order::Ascending, |key| keys::u32_at(key, 9))
    }

    /// At most `limit` report chunks of a trial after chunk `after`, in order: (chunk, value).
    pub fn report_chunks(
        &self,
        experiment: u64,
        trial: u32,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut range = start(Kind::ReportChunk).u64(experiment).u32(trial).prefix();
        if let Some(after) = after {
            range.start = keys::after(&Key::ReportChunk(experiment, trial, after).encode());
        }
        self.page("report chunk", &range, limit, Order::Ascending, |key| keys::u64_at(key, 13))
    }

    /// At most `limit` checkpoints of an experiment, or of one of its trials, after (trial, uuid), in this order.
    pub fn checkpoints(
        &self,
        experiment: u64,
        trial: Option<u32>,
        after: Option<(u32, &str)>,
        limit: usize,
    ) -> Result<Vec<CheckpointRecord>, Error> {
        let prefix = start(Kind::Checkpoint).u64(experiment);
        let mut range = match trial {
            Some(trial) => prefix.u32(trial).prefix(),
            None => prefix.prefix(),
        };
        if let Some((trial, uuid)) = after {
            let passed = keys::after(&Key::Checkpoint(experiment, trial, uuid.to_owned()).encode());
            range.start = range.start.max(passed);
        }
        let found = self.page("checkpoint", &range, limit, Order::Ascending, |key| {
            let uuid = String::from_utf8(key.get(13..)?.to_vec()).ok()?;
            Some((keys::u32_at(key, 9)?, uuid))
        })?;
        Ok(found.into_iter().map(|((trial, uuid), bytes)| CheckpointRecord { trial, uuid, bytes }).collect())
    }

    /// The experiment that a request created.
    pub fn request(&self, request_id: &str) -> Result<Option<u64>, Error> {
        let value = self.get("request", &Key::Request(request_id.to_owned()))?;
        let experiment = |value: Vec<u8>| value.try_into().map(u64::from_be_bytes);
        value.map(experiment).transpose().map_err(|_| Error::broken("request", "not 8 bytes"))
    }

    /// The value of a [`Key::Meta`].
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.get("meta", &Key::Meta(name.to_owned()))
    }

    /// At most `limit` values of [`Key::Agent`] whose names come after `after`, by name.
    pub fn agents(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut range = start(Kind::Agent).prefix();
        if let Some(after) = after {
            range.start = keys::after(&Key::Agent(after.to_owned()).encode());
        }
        self.page("agent", &range, limit, Order::Ascending, |key| {
            String::from_utf8(key.get(1..)?.to_vec()).ok()
        })
    }

    /// At most `limit` values of [`Key::Meta`] whose names begin with `prefix` and come after `after`.
    pub fn metas(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut range = start(Kind::Meta).text(prefix).prefix();
        if let Some(after) = after {
            range.start = range.start.max(keys::after(&Key::Meta(after.to_owned()).encode()));
        }
        self.page("meta", &range, limit, Order::Ascending, |key| {
            String::from_utf8(key.get(1..)?.to_vec()).ok()
        })
    }

    /// The experiments that have journals, in order.
    pub(crate) fn journals(&self) -> Result<Vec<u64>, Error> {
        let (mut found, mut range) = (Vec::new(), start(Kind::Journal).prefix());
        while let Some(key) = self.records().keys(&range, 1)?.pop() {
            let experiment = keys::u64_at(&key, 1);
            let experiment = experiment.ok_or_else(|| Error::broken("journal", "its key is broken"))?;
            range.start = start(Kind::Journal).u64(experiment).prefix().end;
            found.push(experiment);
        }
        Ok(found)
    }

    fn get(&self, what: &'static str, key: &Key) -> Result<Option<Vec<u8>>, Error> {
        let packed = self.records().get(&key.encode())?;
        packed.map(|packed| unpack(what, &packed)).transpose()
    }

    fn page<K>(
        &self,
        what: &'static str,
        range: &Range<Vec<u8>>,
        limit: usize,
        order: Order,
        parse: impl Fn(&[u8]) -> Option<K>,
    ) -> Result<Vec<(K, Vec<u8>)>, Error> {
        let page = self.records().page(range, limit, order)?;
        let parsed = page.into_iter().map(|(key, packed)| {
            let key = parse(&key).ok_or_else(|| Error::broken(what, "its key is broken"))?;
            Ok((key, unpack(what, &packed)?))
        });
        parsed.collect()
    }
}
