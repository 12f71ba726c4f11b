//! Reading everything a store holds, and saying what of it is broken.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use toprung_proto::v1::journal_record::Input;

use super::entry::{self, KINDS};
use super::message::{Messages, hexadecimal};
use crate::keys::{self, start};
use crate::records::unpack;
use crate::{Error, Store};

/// Entries read at once.
const PAGE: usize = 256;
/// Problems named for each experiment; the rest is only counted.
const NAMED: usize = 50;

/// What was found in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Of each experiment, by its id.
    pub experiments: BTreeMap<u64, ExperimentChecked>,
    /// What is broken and belongs to no experiment.
    pub problems: Vec<String>,
}

/// What was found of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentChecked {
    /// Sound journal records.
    pub journal_records: u64,
    /// Sound records of trials.
    pub trials: u64,
    /// Sound frames of log lines.
    pub log_frames: u64,
    /// What is broken; at most 50, and a line that says how many more there are.
    pub problems: Vec<String>,
}

impl Checked {
    /// Whether nothing is broken.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.experiments.values().all(|found| found.problems.is_empty())
    }

    fn of(&mut self, experiment: u64) -> &mut ExperimentChecked {
        self.experiments.entry(experiment).or_default()
    }

    fn problem(&mut self, experiment: Option<u64>, problem: impl ToString) {
        match experiment {
            Some(experiment) => self.of(experiment).problems.push(problem.to_string()),
            None => self.problems.push(problem.to_string()),
        }
    }
}

/// Reads everything: each journal with its checksums and sequence, each record, the logs against their index, the models
/// against their names, the snapshots, and the database against base and redo log. What is broken is in the answer; an
/// error means that the store as a whole cannot be read. Nothing may be written meanwhile.
pub fn check(store: &Store) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    for experiment in store.journals()? {
        journal(store, experiment, &mut checked);
        logs(store, experiment, &mut checked);
        snapshot(store, experiment, &mut checked);
    }
    let messages = Messages::new()?;
    for kind in KINDS {
        records(store, &messages, start(kind).prefix(), &mut checked)?;
    }
    models(store, &mut checked)?;
    if let Some(durable) = store.durable() {
        match durable.compare() {
            Ok(problems) => checked.problems.extend(problems),
            Err(error) => checked.problem(None, error),
        }
    }
    for found in checked.experiments.values_mut() {
        shorten(&mut found.problems);
    }
    shorten(&mut checked.problems);
    Ok(checked)
}

fn shorten(problems: &mut Vec<String>) {
    let more = problems.len().saturating_sub(NAMED);
    if more > 0 {
        problems.truncate(NAMED);
        problems.push(format!("and {more} more"));
    }
}

fn journal(store: &Store, experiment: u64, checked: &mut Checked) {
    let journal = match store.journal(experiment, 1) {
        Ok(journal) => journal,
        Err(error) => return checked.problem(Some(experiment), error),
    };
    for record in journal {
        match record {
            Ok(record) => {
                checked.of(experiment).journal_records += 1;
                if let (1, Some(Input::Created(created))) = (record.sequence, &record.input)
                    && let Err(error) = store.models().open(&created.model_sha256)
                    && !created.model_sha256.is_empty()
                {
                    checked.problem(Some(experiment), error);
                }
            }
            Err(error) => checked.problem(Some(experiment), error),
        }
    }
}

fn logs(store: &Store, experiment: u64, checked: &mut Checked) {
    let mut next = 0;
    loop {
        match store.logs().next_frame(experiment, next) {
            Ok(None) => return,
            Ok(Some(number)) => {
                match store.logs().frame(experiment, number) {
                    Ok(_) => checked.of(experiment).log_frames += 1,
                    Err(error) => checked.problem(Some(experiment), format!("log frame {number}: {error}")),
                }
                next = number + 1;
            }
            Err(error) => return checked.problem(Some(experiment), error),
        }
    }
}

fn snapshot(store: &Store, experiment: u64, checked: &mut Checked) {
    let last = store.last_sequence(experiment);
    match (store.read_snapshot(experiment), last) {
        (Ok(Some(snapshot)), Ok(last)) if snapshot.seq > last => {
            let problem = format!("the snapshot is of record {}, the journal ends with {last}", snapshot.seq);
            checked.problem(Some(experiment), problem);
        }
        (Err(error), _) => checked.problem(Some(experiment), error),
        // A journal that cannot be read is reported where it is read.
        _ => {}
    }
}

fn records(
    store: &Store,
    messages: &Messages,
    mut range: std::ops::Range<Vec<u8>>,
    checked: &mut Checked,
) -> Result<(), Error> {
    loop {
        let keys = store.records().keys(&range, PAGE)?;
        let Some(last) = keys.last() else {
            return Ok(());
        };
        range.start = keys::after(last);
        for bytes in keys {
            let Some(key) = entry::parse(&bytes) else {
                checked.problem(None, format!("the key {} is broken", hexadecimal(&bytes)));
                continue;
            };
            let experiment = entry::experiment(&key);
            let value = store.records().get(&bytes);
            let value = value.and_then(|packed| unpack("stored", &packed.unwrap_or_default()));
            match (value, entry::message(&key)) {
                (Err(error), _) => checked.problem(experiment, format!("{key:?}: {error}")),
                (Ok(value), Some(name)) if !messages.is(name, &value) => {
                    checked.problem(experiment, format!("{key:?}: it is no {name}"));
                }
                (Ok(_), _) => {
                    if let crate::Key::Trial(experiment, _) = key {
                        checked.of(experiment).trials += 1;
                    }
                }
            }
        }
    }
}

fn models(store: &Store, checked: &mut Checked) -> Result<(), Error> {
    for sha256 in store.models().all()? {
        let mut reader = store.models().open(&sha256)?;
        let mut digest = Sha256::new();
        match std::io::copy(&mut reader, &mut digest) {
            Ok(_) if hexadecimal(&digest.finalize()) == sha256 => {}
            Ok(_) => checked.problem(None, format!("model {sha256}: its content has another SHA-256")),
            Err(error) => checked.problem(None, format!("model {sha256}: {error}")),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
