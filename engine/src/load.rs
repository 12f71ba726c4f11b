//! An experiment from its journal: the snapshot, if there is a usable one, and the records after it, folded.

use prost::Message as _;
use toprung_proto::v1::{self, journal_record::Input};
use toprung_store::{Batch, Key, Store};

use crate::Error;
use crate::actors::experiments::failed_input;
use crate::actors::now_ms;
use crate::api::auth;
use crate::experiment::{Machine, Spec, snapshot};

/// Name of the record that holds the number of the newest experiment ever, so that no number is given twice.
pub const LAST_EXPERIMENT: &str = "last_experiment";

/// Name of the record that holds what tells this store from others.
const IDENTITY: &str = "identity";

/// The number of the newest experiment ever; 0: there was none.
///
/// # Errors
/// The store cannot be read.
pub fn last_experiment(store: &Store) -> Result<u64, Error> {
    let Some(bytes) = store.meta(LAST_EXPERIMENT)? else { return Ok(0) };
    let unreadable = |_| Error::Unreadable { what: LAST_EXPERIMENT, reason: "not 8 bytes".into() };
    bytes.try_into().map(u64::from_be_bytes).map_err(unreadable)
}

/// What tells this store from all others; made on first use. A copy of the store keeps it.
///
/// # Errors
/// The store cannot be read or written.
pub fn identity(store: &Store) -> Result<String, Error> {
    let unreadable = |reason: String| Error::Unreadable { what: IDENTITY, reason };
    if let Some(bytes) = store.meta(IDENTITY)? {
        return String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()));
    }
    let identity = auth::random_hex().map_err(|error| unreadable(error.to_string()))?;
    let identity = identity.get(..16).unwrap_or(&identity).to_owned();
    let puts = vec![(Key::Meta(IDENTITY.to_owned()), identity.clone().into_bytes())];
    let (written, result) = std::sync::mpsc::channel();
    // A receiver that is gone waits for nothing.
    store.submit(Batch { puts, ..Batch::default() }, move |result| drop(written.send(result)))?;
    result.recv().map_err(|_| toprung_store::Error::Closed)??;
    Ok(identity)
}

/// A new experiment before its first record.
///
/// # Errors
/// The configuration is not usable.
pub fn new_machine(created: &v1::ExperimentCreated, now_ms: i64) -> Result<Machine, Error> {
    let unusable = |reason: String| Error::Unusable { experiment: created.id, reason };
    let spec = Spec::new(created, now_ms).map_err(|problems| unusable(problems.to_string()))?;
    Machine::new(spec).map_err(|error| unusable(error.to_string()))
}

/// An experiment as its journal has it. Reads the disk.
///
/// # Errors
/// The journal is broken, or this version decides otherwise than it says.
pub fn machine(store: &Store, id: u64) -> Result<Machine, Error> {
    let (created, created_ms) = created(store, id)?;
    let fresh = new_machine(&created, created_ms)?;
    folded(store, fresh)
}

/// A machine before its first record, brought to where its journal stands. Reads the disk.
///
/// # Errors
/// The journal is broken, or this version decides otherwise than it says.
pub fn folded(store: &Store, fresh: Machine) -> Result<Machine, Error> {
    let id = fresh.spec.id;
    let mut machine = match snapshot_of(store, &fresh.spec)? {
        Some(machine) => machine,
        None => fresh,
    };
    for record in store.journal(id, machine.fold.sequence + 1)? {
        machine.replay(record?)?;
    }
    Ok(machine)
}

/// The first record of an experiment, and its time.
///
/// # Errors
/// There is no such record.
pub fn created(store: &Store, id: u64) -> Result<(v1::ExperimentCreated, i64), Error> {
    let first = store.journal(id, 1)?.next().transpose()?;
    match first.map(|record| (record.input, record.time_unix_ms)) {
        Some((Some(Input::Created(created)), time_ms)) => Ok((created, time_ms)),
        _ => Err(Error::Unusable {
            experiment: id,
            reason: "its journal does not begin with its creation".into(),
        }),
    }
}

fn snapshot_of(store: &Store, spec: &Spec) -> Result<Option<Machine>, Error> {
    let id = spec.id;
    let Some(found) = store.read_snapshot(id)?.filter(|found| found.version == snapshot::VERSION) else {
        return Ok(None);
    };
    if found.seq > store.last_sequence(id)? {
        tracing::warn!(experiment = id, "snapshot is ahead of the journal; not used");
        return Ok(None);
    }
    match snapshot::decode(spec.clone(), &found.bytes) {
        Ok(machine) => Ok(Some(machine)),
        Err(error) => {
            tracing::warn!(experiment = id, %error, "snapshot not readable; folding the whole journal");
            Ok(None)
        }
    }
}

/// Marks an experiment failed: by a record of its journal if it can be loaded, else by its summary alone.
///
/// # Errors
/// The store cannot write.
pub fn mark_failed(store: &Store, id: u64, reason: &str) -> Result<(), Error> {
    let mut batch = Batch::default();
    match machine(store, id) {
        Ok(mut machine) => {
            // Attempts that still hold slots are let go: nobody is left to hear of them.
            for held in machine.held() {
                let lost =
                    v1::AttemptLost { trial: held.trial, attempt: held.attempt, reason: reason.to_owned() };
                batch_step(&mut batch, &mut machine, Input::Lost(lost));
            }
            batch_step(&mut batch, &mut machine, failed_input(reason));
        }
        Err(error) => {
            let bytes = store.experiment(id)?.unwrap_or_default();
            let mut summary = v1::Experiment::decode(bytes.as_slice()).unwrap_or_default();
            summary.id = id;
            summary.set_state(v1::ExperimentState::Error);
            summary.reason = format!("{reason}; {error}");
            summary.ended_unix_ms = now_ms();
            batch.puts.push((Key::Experiment(id), summary.encode_to_vec()));
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    // The receiver waits below.
    store.submit(batch, move |result| drop(sender.send(result)))?;
    receiver.recv_timeout(crate::actors::CALL_DEADLINE).map_err(|_| toprung_store::Error::Closed)??;
    Ok(())
}

fn batch_step(batch: &mut Batch, machine: &mut Machine, input: Input) {
    if let Some(step) = machine.step(input, now_ms()) {
        batch.journal.push((machine.spec.id, step.record));
        batch.puts.extend(step.puts);
    }
}
