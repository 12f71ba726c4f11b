//! What the store knows of trials and experiments that are not in memory any more. Reads the disk.

use prost::Message;
use toprung_proto::v1;
use toprung_store::Store;

use crate::Error;

/// Trials read at a time.
const PAGE: usize = 4_096;

/// The summary of an experiment.
///
/// # Errors
/// The store cannot be read.
pub fn experiment(store: &Store, id: u64) -> Result<Option<v1::Experiment>, Error> {
    store.experiment(id)?.map(|bytes| decode("experiment", &bytes)).transpose()
}

/// At most `limit` summaries with ids below `before`, newest first.
///
/// # Errors
/// The store cannot be read.
pub fn experiments(store: &Store, before: Option<u64>, limit: usize) -> Result<Vec<v1::Experiment>, Error> {
    store.experiments(before, limit)?.iter().map(|(_, bytes)| decode("experiment", bytes)).collect()
}

/// The record of an ended trial.
///
/// # Errors
/// The store cannot be read.
pub fn trial(store: &Store, experiment: u64, id: u32) -> Result<Option<v1::Trial>, Error> {
    store.trial(experiment, id)?.map(|bytes| decode("trial", &bytes)).transpose()
}

/// Replaces trials that have ended (memory keeps only their numbers) by their records.
///
/// # Errors
/// The store cannot be read.
pub fn fill(store: &Store, experiment: u64, trials: &mut [v1::Trial]) -> Result<(), Error> {
    for seen in trials.iter_mut().filter(|seen| seen.ended_unix_ms != 0) {
        if let Some(full) = trial(store, experiment, seen.id)? {
            *seen = full;
        }
    }
    Ok(())
}

/// At most `limit` trials after `after`, by id, of an experiment that has ended.
///
/// # Errors
/// The store cannot be read.
pub fn trials(store: &Store, experiment: u64, after: u32, limit: usize) -> Result<Vec<v1::Trial>, Error> {
    let found = store.trials(experiment, Some(after), limit)?;
    found.iter().map(|(_, bytes)| decode("trial", bytes)).collect()
}

/// The best `limit` trials of an experiment that has ended, best first.
///
/// # Errors
/// The store cannot be read.
pub fn trials_best_first(
    store: &Store,
    experiment: &v1::Experiment,
    limit: usize,
) -> Result<Vec<v1::Trial>, Error> {
    let rank = |trial: &v1::Trial| match trial.best_metric {
        Some(metric) if !metric.is_nan() => (0, if experiment.smaller_is_better { metric } else { -metric }),
        Some(_) => (1, 0.0),
        None => (2, 0.0),
    };
    // Of equals the one that was first is shown as the best; it leads here too.
    let leads = |trial: &v1::Trial| experiment.best.as_ref().is_some_and(|best| best.trial == trial.id);
    let mut best: Vec<v1::Trial> = Vec::new();
    let mut after = 0;
    loop {
        let page = trials(store, experiment.id, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.id;
        best.extend(page);
        best.sort_by(|a, b| {
            let (a_rank, b_rank) = (rank(a), rank(b));
            let by_rank = a_rank.0.cmp(&b_rank.0).then(a_rank.1.total_cmp(&b_rank.1));
            by_rank.then(leads(b).cmp(&leads(a))).then(a.id.cmp(&b.id))
        });
        best.truncate(limit);
    }
    Ok(best)
}

/// At most `limit` of a trial's report chunks with numbers after `after` and below `before`, in order.
///
/// # Errors
/// The store cannot be read.
pub fn numbered_chunks(
    store: &Store,
    experiment: u64,
    trial: u32,
    after: Option<u64>,
    before: u64,
    limit: usize,
) -> Result<Vec<(u64, Vec<v1::AttemptReport>)>, Error> {
    let mut chunks = Vec::new();
    for (number, bytes) in store.report_chunks(experiment, trial, after, limit)? {
        if number < before {
            chunks.push((number, decode::<v1::ReportChunk>("report chunk", &bytes)?.reports));
        }
    }
    Ok(chunks)
}

/// The reports in those chunks.
///
/// # Errors
/// The store cannot be read.
pub fn chunks(
    store: &Store,
    experiment: u64,
    trial: u32,
    after: Option<u64>,
    before: u64,
) -> Result<Vec<v1::AttemptReport>, Error> {
    let chunks = numbered_chunks(store, experiment, trial, after, before, usize::MAX)?;
    Ok(chunks.into_iter().flat_map(|(_, reports)| reports).collect())
}

/// A checkpoint's record.
///
/// # Errors
/// The bytes are none.
pub fn checkpoint(bytes: &[u8]) -> Result<v1::Checkpoint, Error> {
    decode("checkpoint", bytes)
}

/// The checkpoints that are there of an experiment or of one of its trials, oldest first.
///
/// # Errors
/// The store cannot be read.
pub fn checkpoints(store: &Store, experiment: u64, trial: Option<u32>) -> Result<Vec<v1::Checkpoint>, Error> {
    let found = store.checkpoints(experiment, trial, None, usize::MAX)?;
    let mut checkpoints: Vec<v1::Checkpoint> =
        found.iter().map(|record| checkpoint(&record.bytes)).collect::<Result<_, _>>()?;
    checkpoints.retain(|checkpoint| checkpoint.state() != v1::CheckpointState::Deleting);
    checkpoints.sort_by_key(|checkpoint| (checkpoint.trial, checkpoint.time_unix_ms, checkpoint.length));
    Ok(checkpoints)
}

fn decode<M: Message + Default>(what: &'static str, bytes: &[u8]) -> Result<M, Error> {
    M::decode(bytes).map_err(|error| Error::Unreadable { what, reason: error.to_string() })
}
