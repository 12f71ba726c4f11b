//! Every decision of a journal, made once more: the proof that an experiment's history is what its inputs lead to.
//!
//! Unlike [`crate::load`], which only folds what comes after a snapshot, this begins at the first record, and it also
//! compares the snapshot with the state that the journal folds to at the same place.

use toprung_store::Store;

use crate::Error;
use crate::experiment::{Machine, snapshot};
use crate::load::{created, new_machine};

/// What was gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retraced {
    /// Records of the journal.
    pub records: u64,
    /// Decisions in them.
    pub decisions: u64,
    /// Trials that were created.
    pub trials: u64,
    /// Records with trials that a model placed, for which it was asked again.
    pub placed: u64,
    /// Those of them for which it answered otherwise: it has changed since. What is recorded counts.
    pub placed_otherwise: u64,
}

/// Takes every input of an experiment's journal in again and compares what follows from it with what is recorded: which
/// trials are created (their hyperparameters are taken as drawn), and the decisions with their reasons. Reads the disk;
/// nothing may be written meanwhile.
///
/// # Errors
/// The journal is broken; it, or the snapshot, says something else than its inputs lead to in this version.
pub fn retrace(store: &Store, id: u64) -> Result<Retraced, Error> {
    let (creation, created_ms) = created(store, id)?;
    let mut machine = new_machine(&creation, created_ms)?;
    let snapshot = store.read_snapshot(id)?.filter(|found| found.version == snapshot::VERSION);
    let mut done = Retraced::default();
    for record in store.journal(id, 1)? {
        let record = record?;
        done.records += 1;
        done.decisions += record.decisions.len() as u64;
        done.trials += record.trials_created.len() as u64;
        if let Some(again) = machine.places_again(&record) {
            done.placed += 1;
            done.placed_otherwise += u64::from(!again);
        }
        machine.replay(record)?;
        if let Some(taken) = snapshot.as_ref().filter(|taken| taken.seq == machine.fold.sequence) {
            same_as_snapshot(&machine, &taken.bytes)?;
        }
    }
    Ok(done)
}

fn same_as_snapshot(machine: &Machine, taken: &[u8]) -> Result<(), Error> {
    let differs = |reason: String| Error::Unusable { experiment: machine.spec.id, reason };
    let sequence = machine.fold.sequence;
    let folded = snapshot::encode(machine)
        .map_err(|error| differs(format!("its state at record {sequence} cannot be written: {error}")))?;
    if folded != taken {
        return Err(differs(format!("its snapshot of record {sequence} is not what its journal folds to")));
    }
    Ok(())
}
