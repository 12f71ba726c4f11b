//! The store's promises, on disk and in memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod damage;
mod equality;
mod full;
mod kill;
mod log_lines;

use std::sync::mpsc::sync_channel;

use toprung_proto::v1::journal_record::Input;
use toprung_proto::v1::{ExperimentCreated, JournalRecord, KillRequested};
use toprung_store::{Batch, Error, Store};

/// Writes a batch and waits for the outcome.
fn write(store: &Store, batch: Batch) -> Result<(), Error> {
    let (sender, receiver) = sync_channel(1);
    store.submit(batch, move |result| sender.send(result).unwrap())?;
    receiver.recv().unwrap()
}

fn record(sequence: u64, reason: &str) -> JournalRecord {
    let input = Some(Input::Kill(KillRequested { reason: reason.to_owned() }));
    JournalRecord { sequence, input, ..JournalRecord::default() }
}

fn created(request_id: &str, model_sha256: &str) -> JournalRecord {
    let created = ExperimentCreated {
        request_id: request_id.to_owned(),
        model_sha256: model_sha256.to_owned(),
        ..ExperimentCreated::default()
    };
    JournalRecord { sequence: 1, input: Some(Input::Created(created)), ..JournalRecord::default() }
}

fn journal(store: &Store, experiment: u64) -> Vec<JournalRecord> {
    store.journal(experiment, 1).unwrap().collect::<Result<_, _>>().unwrap()
}
