//! Collecting checkpoints in the store: which are there, which are to go, which are gone. Blocking.
//!
//! A checkpoint that is to go is marked first, durably: from then on nobody is shown it or given it, and its agent is
//! told until it has confirmed. Then its record goes, too.

use prost::Message as _;
use std::collections::BTreeSet;
use toprung_config::StoragePlace;
use toprung_proto::v1::{self, CheckpointState};
use toprung_store::{Batch, Key, Store};

use crate::experiment::Spec;
use crate::experiment::collection::{OfTrial, Policy, Saved, superfluous};
use crate::experiment::spec::object_store;
use crate::{Error, archive, load};

/// Records read at a time, and changed in one commit.
const PAGE: usize = 256;

/// What the collection must know of an experiment; never changes.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The experiment.
    pub experiment: u64,
    /// How many are kept.
    pub policy: Policy,
    /// As in `RunSpec`.
    pub checkpoint_dir: String,
    /// As in `RunSpec`.
    pub storage: Option<v1::CheckpointStorage>,
    /// Where checkpoints lie.
    pub place: StoragePlace,
    /// Bytes that all of them may take.
    pub max_size: Option<u64>,
    metric: String,
    smaller_is_better: bool,
}

impl Terms {
    /// Whether every agent sees the same checkpoints.
    pub fn shared(&self) -> bool {
        matches!(self.place, StoragePlace::SharedFs { .. }) || self.place.is_object_store()
    }

    /// Those of an experiment.
    pub fn new(spec: &Spec) -> Self {
        let storage = &spec.config.checkpoint_storage;
        let directory = storage.place.directory().map(|path| path.to_string_lossy().into_owned());
        Self {
            experiment: spec.id,
            policy: Policy {
                experiment_best: storage.save_experiment_best as usize,
                trial_best: storage.save_trial_best as usize,
                trial_latest: storage.save_trial_latest as usize,
            },
            checkpoint_dir: directory.unwrap_or_default(),
            storage: object_store(&storage.place),
            max_size: storage.max_size,
            place: storage.place.clone(),
            metric: spec.config.searcher.metric.clone(),
            smaller_is_better: spec.config.searcher.smaller_is_better,
        }
    }

    /// Those of an experiment in the store.
    ///
    /// # Errors
    /// The store cannot be read, or the experiment is not usable.
    pub fn load(store: &Store, experiment: u64) -> Result<Self, Error> {
        let (created, created_ms) = load::created(store, experiment)?;
        let unusable = |reason: String| Error::Unusable { experiment, reason };
        let spec = Spec::new(&created, created_ms).map_err(|problems| unusable(problems.to_string()))?;
        Ok(Self::new(&spec))
    }
}

/// A marked checkpoint and the agent that saved it.
pub type Marked = (String, v1::CheckpointPlace);

/// Marks what nothing keeps of one trial.
///
/// # Errors
/// The store cannot read or write.
pub fn mark_of_trial(store: &Store, terms: &Terms, asked: &OfTrial) -> Result<Vec<Marked>, Error> {
    let (mut saved, newest) = saved(store, terms, asked.trial)?;
    let policy = terms.policy.of_one_trial(asked.goes_on);
    let found = superfluous(&saved, policy, &asked.spared);
    let doomed: BTreeSet<String> = found
        .into_iter()
        .filter(|found| found.length < asked.below)
        // Its validation may still come.
        .filter(|found| !asked.goes_on || found.metric.is_some() || Some(found.length) <= newest)
        .map(|found| found.uuid.clone())
        .collect();
    saved.retain(|saved| !doomed.contains(&saved.uuid));
    mark(store, terms.experiment, asked.trial, &doomed, &saved)
}

/// Marks what nothing keeps of an experiment that has ended.
///
/// # Errors
/// The store cannot read or write.
pub fn mark_of_experiment(store: &Store, terms: &Terms) -> Result<Vec<Marked>, Error> {
    let id = terms.experiment;
    let shown = archive::experiment(store, id)?.and_then(|summary| summary.best?.checkpoint);
    let spared = shown.map(|checkpoint| checkpoint.uuid).into_iter().collect();
    let mut all = Vec::new();
    for trial in trials_with_checkpoints(store, id)? {
        all.extend(saved(store, terms, trial)?.0);
    }
    let doomed: BTreeSet<String> =
        superfluous(&all, terms.policy, &spared).into_iter().map(|found| found.uuid.clone()).collect();
    let mut marked = Vec::new();
    for of_trial in all.chunk_by(|a, b| a.trial == b.trial) {
        let left: Vec<Saved> =
            of_trial.iter().filter(|saved| !doomed.contains(&saved.uuid)).cloned().collect();
        if let Some(first) = of_trial.first().filter(|_| left.len() < of_trial.len()) {
            marked.extend(mark(store, id, first.trial, &doomed, &left)?);
        }
    }
    Ok(marked)
}

fn trials_with_checkpoints(store: &Store, experiment: u64) -> Result<BTreeSet<u32>, Error> {
    let mut trials = BTreeSet::new();
    each(store, experiment, None, |checkpoint| {
        trials.insert(checkpoint.trial);
        Ok(())
    })?;
    Ok(trials)
}

/// The checkpoints of a trial that are there, with their validations, and the newest length that was validated.
fn saved(store: &Store, terms: &Terms, trial: u32) -> Result<(Vec<Saved>, Option<u64>), Error> {
    let mut found = Vec::new();
    each(store, terms.experiment, Some(trial), |checkpoint| {
        // Without its agent nobody could be told to remove it.
        if checkpoint.state() != CheckpointState::Deleting && !checkpoint.agent.is_empty() {
            let v1::Checkpoint { uuid, trial, length, time_unix_ms, attempt, .. } = checkpoint;
            found.push((attempt, Saved { uuid, trial, length, time_ms: time_unix_ms, metric: None }));
        }
        Ok(())
    })?;
    let mut newest = None;
    for reported in archive::chunks(store, terms.experiment, trial, None, u64::MAX)? {
        let attempt = reported.attempt;
        let Some(report) = reported.report.filter(|report| report.group() == v1::MetricGroup::Validation)
        else {
            continue;
        };
        let Some(metric) = report.metrics.iter().find(|metric| metric.name == terms.metric) else { continue };
        let normalised = if terms.smaller_is_better { metric.value } else { -metric.value };
        newest = newest.max(Some(report.length));
        for (saved_by, saved) in found.iter_mut().filter(|(_, saved)| saved.length == report.length) {
            // That of its own attempt counts before that of another one.
            if *saved_by == attempt || saved.metric.is_none() {
                saved.metric = Some(normalised);
            }
        }
    }
    Ok((found.into_iter().map(|(_, saved)| saved).collect(), newest))
}

/// Marks checkpoints of one trial. If the record of the trial shows one of them, it shows its newest other one from
/// now on. `left`: those that stay.
fn mark(
    store: &Store,
    experiment: u64,
    trial: u32,
    doomed: &BTreeSet<String>,
    left: &[Saved],
) -> Result<Vec<Marked>, Error> {
    let newest = left.iter().max_by_key(|saved| (saved.length, saved.time_ms));
    let (mut puts, mut marked, mut instead) = (Vec::new(), Vec::new(), None);
    each(store, experiment, Some(trial), |mut checkpoint| {
        if newest.is_some_and(|newest| newest.uuid == checkpoint.uuid) {
            instead = Some(checkpoint);
        } else if doomed.contains(&checkpoint.uuid) {
            checkpoint.set_state(CheckpointState::Deleting);
            let key = Key::Checkpoint(experiment, trial, checkpoint.uuid.clone());
            puts.push((key, checkpoint.encode_to_vec()));
            marked.push(place(checkpoint));
        }
        Ok(())
    })?;
    if marked.is_empty() {
        return Ok(marked);
    }
    // First of all nobody is shown it.
    let mut batch = Batch::default();
    if let Some(mut record) = archive::trial(store, experiment, trial)?
        && record.checkpoint.as_ref().is_some_and(|shown| doomed.contains(&shown.uuid))
    {
        record.checkpoint = instead;
        batch.puts.push((Key::Trial(experiment, trial), record.encode_to_vec()));
    }
    for part in puts.chunks(PAGE) {
        batch.puts.extend_from_slice(part);
        write(store, std::mem::take(&mut batch))?;
    }
    Ok(marked)
}

/// A checkpoint that is marked.
pub fn place(checkpoint: v1::Checkpoint) -> Marked {
    let v1::Checkpoint { agent, trial, uuid, path, .. } = checkpoint;
    (agent, v1::CheckpointPlace { trial, uuid, path })
}

/// What is marked of an experiment, in the order of its trials.
///
/// # Errors
/// The store cannot be read.
pub fn marked(store: &Store, experiment: u64) -> Result<Vec<Marked>, Error> {
    let mut marked = Vec::new();
    each(store, experiment, None, |checkpoint| {
        if checkpoint.state() == CheckpointState::Deleting {
            marked.push(place(checkpoint));
        }
        Ok(())
    })?;
    Ok(marked)
}

/// Forgets marked checkpoints that are gone from the disk: (trial, uuid). Answers how many there were.
///
/// # Errors
/// The store cannot read or write.
pub fn confirm(store: &Store, experiment: u64, gone: &BTreeSet<(u32, String)>) -> Result<u64, Error> {
    let trials: BTreeSet<u32> = gone.iter().map(|(trial, _)| *trial).collect();
    let mut batch = Batch::default();
    for trial in trials {
        each(store, experiment, Some(trial), |checkpoint| {
            let is_marked = checkpoint.state() == CheckpointState::Deleting;
            if is_marked && gone.contains(&(trial, checkpoint.uuid.clone())) {
                batch.deletes.push(Key::Checkpoint(experiment, trial, checkpoint.uuid));
            }
            Ok(())
        })?;
    }
    let count = batch.deletes.len() as u64;
    if count > 0 {
        write(store, batch)?;
    }
    Ok(count)
}

/// Checkpoints that are there, and their bytes.
///
/// # Errors
/// The store cannot be read.
pub fn live(store: &Store, experiment: u64) -> Result<(u64, u64), Error> {
    let (mut count, mut bytes) = (0, 0);
    each(store, experiment, None, |checkpoint| {
        if checkpoint.state() != CheckpointState::Deleting {
            count += 1;
            bytes += checkpoint.total_size;
        }
        Ok(())
    })?;
    Ok((count, bytes))
}

/// Marks what came of an experiment after its end.
///
/// # Errors
/// The store cannot read or write, or there is no such experiment.
pub fn mark_late(
    store: &Store,
    experiment: u64,
    agent: &str,
    late: Vec<v1::Checkpoint>,
) -> Result<(Terms, Vec<Marked>), Error> {
    let terms = Terms::load(store, experiment)?;
    let known = |checkpoint: &v1::Checkpoint| {
        let known = archive::checkpoints(store, experiment, Some(checkpoint.trial));
        known.map(|known| known.iter().any(|known| known.uuid == checkpoint.uuid))
    };
    let (mut batch, mut marked) = (Batch::default(), Vec::new());
    for mut checkpoint in late {
        // Sent again because its acknowledgement was lost.
        if known(&checkpoint)? {
            continue;
        }
        agent.clone_into(&mut checkpoint.agent);
        checkpoint.set_state(CheckpointState::Deleting);
        let key = Key::Checkpoint(experiment, checkpoint.trial, checkpoint.uuid.clone());
        batch.puts.push((key, checkpoint.encode_to_vec()));
        marked.push(place(checkpoint));
    }
    if marked.is_empty() {
        return Ok((terms, marked));
    }
    // One whose end is just being written says so itself.
    let ended = archive::experiment(store, experiment)?.filter(|summary| summary.ended_unix_ms != 0);
    if let Some(mut summary) = ended {
        summary.collecting = true;
        batch.puts.push((Key::Experiment(experiment), summary.encode_to_vec()));
    }
    write(store, batch)?;
    Ok((terms, marked))
}

/// Notes in the summary of an ended experiment that nothing is left to collect.
///
/// # Errors
/// The store cannot read or write.
pub fn finish(store: &Store, experiment: u64) -> Result<(), Error> {
    let Some(mut summary) = archive::experiment(store, experiment)? else { return Ok(()) };
    if summary.ended_unix_ms == 0 || !summary.collecting {
        return Ok(());
    }
    summary.collecting = false;
    let puts = vec![(Key::Experiment(experiment), summary.encode_to_vec())];
    write(store, Batch { puts, ..Batch::default() })
}

pub(crate) fn each(
    store: &Store,
    experiment: u64,
    trial: Option<u32>,
    mut take: impl FnMut(v1::Checkpoint) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after: Option<(u32, String)> = None;
    loop {
        let passed = after.as_ref().map(|(trial, uuid)| (*trial, uuid.as_str()));
        let page = store.checkpoints(experiment, trial, passed, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.trial, last.uuid.clone()));
        for record in &page {
            take(archive::checkpoint(&record.bytes)?)?;
        }
    }
}

pub(crate) fn write(store: &Store, batch: Batch) -> Result<(), Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    // The receiver waits below.
    store.submit(batch, move |result| drop(sender.send(result)))?;
    receiver.recv_timeout(crate::actors::CALL_DEADLINE).map_err(|_| toprung_store::Error::Closed)??;
    Ok(())
}
