//! The checkpoints of deleted experiments, until they are gone: notes in the store that outlive the experiment. Blocking.
//!
//! The notes are written before the experiment is deleted, so that nothing is forgotten by a crash in between; if one
//! came, the deletion is finished at the next start.

use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1;
use toprung_store::{Batch, Key, Store};

use crate::collect::{self, Terms};
use crate::{Error, archive, load};

/// What the names of the notes begin with.
const PREFIX: &str = "deleted/";
/// Checkpoints in one note: a value of the store stays small.
const IN_A_NOTE: usize = 128;
/// Notes read at a time.
const PAGE: usize = 256;

/// Notes by their names.
pub type Notes = BTreeMap<String, v1::DeletedCheckpoints>;

/// Notes all checkpoints of an experiment, which is to be deleted next.
///
/// # Errors
/// The store cannot read or write, or the experiment is not usable.
pub fn note(store: &Store, experiment: u64) -> Result<Notes, Error> {
    let mut places: BTreeMap<String, Vec<v1::CheckpointPlace>> = BTreeMap::new();
    collect::each(store, experiment, None, |checkpoint| {
        let (agent, place) = collect::place(checkpoint);
        if !agent.is_empty() {
            places.entry(agent).or_default().push(place);
        }
        Ok(())
    })?;
    let mut notes = Notes::new();
    if places.is_empty() {
        return Ok(notes);
    }
    let terms = Terms::load(store, experiment)?;
    for (agent, places) in places {
        for part in places.chunks(IN_A_NOTE) {
            let note = v1::DeletedCheckpoints {
                experiment,
                checkpoint_dir: terms.checkpoint_dir.clone(),
                storage: terms.storage.clone(),
                shared: terms.shared(),
                agent: agent.clone(),
                checkpoints: part.to_vec(),
            };
            notes.insert(format!("{PREFIX}{experiment:020}/{:06}", notes.len()), note);
        }
    }
    let puts = notes.iter().map(|(name, note)| (Key::Meta(name.clone()), note.encode_to_vec()));
    collect::write(store, Batch { puts: puts.collect(), ..Batch::default() })?;
    Ok(notes)
}

/// All notes; experiments whose deletion was cut short are deleted now.
///
/// # Errors
/// The store cannot read or write, or a note is broken.
pub fn resume(store: &Store) -> Result<Notes, Error> {
    let (mut notes, mut after) = (Notes::new(), None::<String>);
    loop {
        let page = store.metas(PREFIX, after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (name, bytes) in page {
            let note = v1::DeletedCheckpoints::decode(bytes.as_slice());
            let unreadable = |error: prost::DecodeError| Error::Unreadable {
                what: "a note of deleted checkpoints",
                reason: error.to_string(),
            };
            notes.insert(name, note.map_err(unreadable)?);
        }
    }
    for experiment in notes.values().map(|note| note.experiment).collect::<BTreeSet<_>>() {
        if archive::experiment(store, experiment)?.is_some() {
            store.delete_experiment(experiment)?;
        }
    }
    Ok(notes)
}

/// Takes out of the notes what is gone of an experiment: (trial, uuid).
///
/// # Errors
/// The store cannot write; then the notes are as before.
pub fn confirm(
    store: &Store,
    notes: Notes,
    experiment: u64,
    gone: &BTreeSet<(u32, String)>,
) -> Result<Notes, Error> {
    let (mut left, mut batch) = (Notes::new(), Batch::default());
    for (name, mut note) in notes {
        let before = note.checkpoints.len();
        if note.experiment == experiment {
            note.checkpoints.retain(|place| !gone.contains(&(place.trial, place.uuid.clone())));
        }
        if note.checkpoints.is_empty() {
            batch.deletes.push(Key::Meta(name));
            continue;
        }
        if note.checkpoints.len() < before {
            batch.puts.push((Key::Meta(name.clone()), note.encode_to_vec()));
        }
        left.insert(name, note);
    }
    if !(batch.puts.is_empty() && batch.deletes.is_empty()) {
        collect::write(store, batch)?;
    }
    Ok(left)
}

/// An experiment that has not ended, and whose trials start from a checkpoint of this one.
///
/// # Errors
/// The store cannot be read.
pub fn needed_by(store: &Store, experiment: u64) -> Result<Option<u64>, Error> {
    let mut before = None;
    loop {
        let page = archive::experiments(store, before, PAGE)?;
        let Some(oldest) = page.last() else { return Ok(None) };
        // Only a newer one can start from it.
        if oldest.id <= experiment && page.iter().all(|found| found.id <= experiment) {
            return Ok(None);
        }
        before = Some(oldest.id);
        for found in page.iter().filter(|found| found.ended_unix_ms == 0 && found.id > experiment) {
            let (created, _) = load::created(store, found.id)?;
            let source = created.checkpoint_source.map(|source| source.experiment);
            let older = created.source_checkpoint.is_some_and(|source| {
                archive::checkpoints(store, experiment, Some(source.trial))
                    .is_ok_and(|known| known.iter().any(|known| known.uuid == source.uuid))
            });
            if source == Some(experiment) || older {
                return Ok(Some(found.id));
            }
        }
    }
}
