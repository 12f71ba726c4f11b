//! Deleting an experiment, a bounded batch at a time.
//!
//! The first step takes the experiment's summary away and leaves a note, in one commit: from then on nobody sees the
//! experiment. Entries and files follow, the note goes last. A store that is opened with notes finishes them first.

use crate::backend::Order;
use crate::batch::Prepared;
use crate::files::Files;
use crate::journal::Journal;
use crate::keys::{self, Kind, OF_EXPERIMENT, start};
use crate::models::Models;
use crate::records::{Records, parts_of};
use crate::{Error, Key, snapshot};
use toprung_proto::v1::ExperimentCreated;
use toprung_proto::v1::journal_record::Input;

/// Entries removed in one commit.
const STEP: usize = 1000;

/// What a removal works on. `write` returns when the batch is durable.
pub(crate) struct Removal<'a> {
    pub(crate) records: &'a Records,
    pub(crate) files: &'a Files,
    pub(crate) models: &'a Models,
    pub(crate) write: &'a dyn Fn(Prepared) -> Result<(), Error>,
}

impl Removal<'_> {
    /// Deletes an experiment; one that does not exist is no error.
    pub(crate) fn start(&self, experiment: u64) -> Result<(), Error> {
        let created = unless_broken(created(self.records, experiment))?.flatten();
        let mut batch = Prepared::default();
        batch.deletes.push(Key::Experiment(experiment).encode());
        let mut model = String::new();
        if let Some(created) = created {
            if !created.request_id.is_empty() {
                batch.deletes.push(Key::Request(created.request_id).encode());
            }
            model = created.model_sha256;
        }
        batch.puts.push((note(experiment), model.into_bytes()));
        (self.write)(batch)?;
        self.finish(experiment)
    }

    /// Finishes all deletions that were begun.
    pub(crate) fn finish_all(&self) -> Result<(), Error> {
        let notes = start(Kind::Deleting).prefix();
        loop {
            let page = self.records.keys(&notes, STEP)?;
            let Some(key) = page.first() else {
                return Ok(());
            };
            let experiment =
                keys::u64_at(key, 1).ok_or_else(|| Error::broken("deletion", "its key is broken"))?;
            tracing::info!(experiment, "finishing the deletion of an experiment");
            self.finish(experiment)?;
        }
    }

    /// Removes the models that no experiment names.
    pub(crate) fn sweep_models(&self) -> Result<(), Error> {
        let all = self.models.all()?;
        if all.is_empty() {
            return Ok(());
        }
        self.remove_models(&all)
    }

    fn remove_models(&self, candidates: &[String]) -> Result<(), Error> {
        unless_broken(self.models.remove_unless(candidates, || self.named_models())).map(drop)
    }

    fn finish(&self, experiment: u64) -> Result<(), Error> {
        for kind in OF_EXPERIMENT {
            let range = start(kind).u64(experiment).prefix();
            for range in [parts_of(&range), range] {
                loop {
                    let removes = self.records.keys(&range, STEP)?;
                    if removes.is_empty() {
                        break;
                    }
                    (self.write)(Prepared { removes, forget: Some(experiment), ..Prepared::default() })?;
                }
            }
        }
        snapshot::remove(self.files, experiment)?;
        crate::logs::remove(self.files, experiment)?;
        if let Some(model) = self.records.get(&note(experiment))? {
            let model = String::from_utf8(model).map_err(|error| Error::broken("deletion", error))?;
            self.models.remove_unless(&[model], || self.named_models())?;
        }
        let removes = vec![note(experiment)];
        (self.write)(Prepared { removes, forget: Some(experiment), ..Prepared::default() })
    }

    /// The models that the first journal records name. A journal whose first record is broken is an error: nothing is
    /// removed on a guess.
    fn named_models(&self) -> Result<Vec<String>, Error> {
        let mut named = Vec::new();
        let mut next = 0;
        loop {
            let range = keys::journal(next, 0)..start(Kind::Journal).prefix().end;
            let Some((key, _)) = self.records.page(&range, 1, Order::Ascending)?.pop() else {
                return Ok(named);
            };
            let experiment =
                keys::u64_at(&key, 1).ok_or_else(|| Error::broken("journal", "its key is broken"))?;
            named.extend(created(self.records, experiment)?.map(|created| created.model_sha256));
            let Some(following) = experiment.checked_add(1) else {
                return Ok(named);
            };
            next = following;
        }
    }
}

/// A broken journal is reported to whoever opens it; here it only means that models stay.
fn unless_broken<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ Error::BrokenJournal { .. }) => {
            tracing::error!(%error, "cannot tell which models are needed; they stay");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn note(experiment: u64) -> Vec<u8> {
    start(Kind::Deleting).u64(experiment).done()
}

fn created(records: &Records, experiment: u64) -> Result<Option<ExperimentCreated>, Error> {
    let first = Journal::open(records.clone(), experiment, 1)?.next().transpose()?;
    Ok(first.and_then(|record| match record.input {
        Some(Input::Created(created)) => Some(created),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::backend::Write;
    use crate::memory::Memory;
    use crate::records::stage_put;

    #[test]
    fn a_deletion_cut_short_after_any_commit_is_finished_later() {
        for commits in 0..4 {
            let files = Arc::new(Files::in_memory());
            let models = Models::new(files.clone());
            let records = Records::new(Arc::new(Memory::default()));
            let mut writes = Vec::new();
            stage_put(Key::Experiment(1).encode(), b"summary", &mut writes);
            stage_put(Key::Trial(1, 1).encode(), &vec![7; 20_000], &mut writes);
            records.commit(writes).unwrap();
            let left = Cell::new(commits);
            let write = |batch: Prepared| {
                left.set(left.get() - 1);
                if left.get() < 0 {
                    return Err(Error::Closed);
                }
                let mut writes = Vec::new();
                batch.puts.iter().for_each(|(key, value)| stage_put(key.clone(), value, &mut writes));
                let removed = batch.deletes.into_iter().chain(batch.removes);
                writes.extend(removed.map(|key| Write { key, value: None }));
                records.commit(writes)
            };
            let removal = Removal { records: &records, files: &files, models: &models, write: &write };
            assert_eq!(removal.start(1).is_ok(), commits > 3, "commit {commits}");
            left.set(100);
            removal.finish_all().unwrap();
            let rest = records.keys(&(vec![0]..vec![255]), 100).unwrap();
            let untouched = commits == 0;
            assert_eq!(rest.is_empty(), !untouched, "commit {commits}: {rest:?}");
        }
    }
}
