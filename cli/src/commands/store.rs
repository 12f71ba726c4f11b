//! `toprung store check`, `export`, `import` and `backup`: the store of a data directory.

use super::backup;
use crate::args::{Global, StoreCommand};
use crate::embed::store_error;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use toprung_store::{Checked, Options, Store};

/// Does what is asked on a thread of its own: the store is not made for async tasks.
pub(super) async fn run(global: &Global, command: StoreCommand) -> Result<Exit, Error> {
    if let StoreCommand::Backup { dir, json } = &command {
        let done = backup::run(global, dir).await?;
        let text = format!("the store is copied; use it with --data-dir {}\n", dir.display());
        let json = json.then(|| json!({"frame": done.frame, "files": done.files, "bytes": done.bytes}));
        return say(text, json);
    }
    let data_dir = global.data_dir.clone();
    let work = tokio::task::spawn_blocking(move || dispatch(&data_dir, &command));
    work.await.map_err(|error| Error::Store(format!("the command has failed: {error}")))?
}

/// What needs the store itself.
fn dispatch(data_dir: &Path, command: &StoreCommand) -> Result<Exit, Error> {
    match command {
        // Done before: it may ask an engine.
        StoreCommand::Backup { .. } => Ok(Exit::Ok),
        StoreCommand::Check { rebuild, decisions, json } => {
            let store = open(data_dir, Options { rebuild: *rebuild, ..Options::default() })?;
            let mut checked = toprung_store::check(&store).map_err(|error| store_error(data_dir, &error))?;
            if *decisions {
                retrace(&store, &mut checked);
            }
            show(&checked, *decisions, *json)
        }
        StoreCommand::Export { file, json } => {
            let store = open(data_dir, Options::default())?;
            let done = export(data_dir, &store, file)?;
            // The export itself may be on standard output.
            if file.as_os_str() != "-" {
                let text = format!("{} lines written to {}\n", done.lines, file.display());
                let json =
                    json.then(|| json!({"lines": done.lines, "journal_records": done.journal_records}));
                say(text, json)?;
            }
            Ok(Exit::Ok)
        }
        StoreCommand::Import { file, json } => {
            let done = import(data_dir, file)?;
            let text = format!("{} lines read from {}\n", done.lines, file.display());
            let json = json.then(|| json!({"lines": done.lines, "journal_records": done.journal_records}));
            say(text, json)
        }
    }
}

fn say(text: String, json: Option<Value>) -> Result<Exit, Error> {
    match json {
        Some(json) => output::print_json(&json)?,
        None => output::print(&text)?,
    }
    Ok(Exit::Ok)
}

fn open(data_dir: &Path, options: Options) -> Result<Store, Error> {
    let dir = data_dir.join("store");
    if !dir.exists() {
        return Err(Error::NoExperiments(dir));
    }
    Store::open(&dir, options).map_err(|error| store_error(data_dir, &error))
}

fn export(data_dir: &Path, store: &Store, file: &Path) -> Result<toprung_store::Exported, Error> {
    let failed = |error| store_error(data_dir, &error);
    if file.as_os_str() == "-" {
        let mut out = BufWriter::new(std::io::stdout().lock());
        return toprung_store::export(store, &mut out).map_err(failed);
    }
    let what = format!("cannot write {}", file.display());
    let created = File::create_new(file).map_err(Error::io(what.clone()))?;
    let mut out = BufWriter::new(created);
    let done = toprung_store::export(store, &mut out).map_err(failed)?;
    let synced = out.flush().and_then(|()| out.get_ref().sync_all());
    synced.map_err(Error::io(what))?;
    Ok(done)
}

/// Decides everything again. An experiment whose journal cannot be read is named already.
fn retrace(store: &Store, checked: &mut Checked) {
    let unbroken = checked.experiments.iter_mut().filter(|(_, found)| found.problems.is_empty());
    for (id, found) in unbroken {
        match toprung_engine::retrace::retrace(store, *id) {
            Ok(done) => {
                tracing::debug!(experiment = id, ?done, "decided again");
                if done.placed_otherwise > 0 {
                    output::note(&format!(
                        "experiment {id}: the model of this version would place trials elsewhere in {} of {} records; what is \
                         recorded counts",
                        done.placed_otherwise, done.placed
                    ));
                }
            }
            Err(error) => found.problems.push(error.to_string()),
        }
    }
}

/// Makes the store aside and puts it in place when it is complete.
fn import(data_dir: &Path, file: &Path) -> Result<toprung_store::Imported, Error> {
    let (dir, aside) = (data_dir.join("store"), data_dir.join("store.importing"));
    if dir.exists() {
        return Err(Error::Usage {
            message: format!("{} exists already; an import wants a new data directory", dir.display()),
            help: "name another with --data-dir DIR".to_owned(),
        });
    }
    let text = File::open(file).map_err(Error::io(format!("cannot read {}", file.display())))?;
    remove(&aside)?;
    let failed = |error| store_error(data_dir, &error);
    let store = Store::open(&aside, Options::default()).map_err(failed)?;
    let done = toprung_store::import(&store, &mut BufReader::new(text));
    drop(store);
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            remove(&aside)?;
            return Err(failed(error));
        }
    };
    let placed = std::fs::rename(&aside, &dir).and_then(|()| File::open(data_dir)?.sync_all());
    placed.map_err(Error::io(format!("cannot create {}", dir.display())))?;
    Ok(done)
}

fn remove(dir: &PathBuf) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", dir.display()))(error))
        }
        _ => Ok(()),
    }
}

fn show(checked: &Checked, decisions: bool, json: bool) -> Result<Exit, Error> {
    if json {
        output::print_json(&to_json(checked))?;
    } else {
        output::print(&text(checked, decisions))?;
    }
    Ok(if checked.is_sound() { Exit::Ok } else { Exit::Store })
}

fn to_json(checked: &Checked) -> Value {
    let experiments = checked.experiments.iter().map(|(id, found)| {
        json!({
            "id": id,
            "ok": found.problems.is_empty(),
            "journal_records": found.journal_records,
            "trials": found.trials,
            "log_frames": found.log_frames,
            "problems": found.problems,
        })
    });
    json!({
        "ok": checked.is_sound(),
        "experiments": experiments.collect::<Vec<_>>(),
        "problems": checked.problems,
    })
}

fn text(checked: &Checked, decisions: bool) -> String {
    let mut lines = Vec::new();
    for (id, found) in &checked.experiments {
        let counts = format!(
            "{}, {}, {}",
            format::counted(found.journal_records, "journal record", "journal records"),
            format::counted(found.trials, "trial", "trials"),
            format::counted(found.log_frames, "log frame", "log frames")
        );
        let verdict = if found.problems.is_empty() { "ok" } else { "broken" };
        lines.push(format!("experiment {id}: {verdict}, {counts}"));
        lines.extend(found.problems.iter().map(|problem| format!("  {}", format::printable(problem))));
    }
    lines.extend(checked.problems.iter().map(|problem| format!("store: {}", format::printable(problem))));
    if checked.problems.is_empty() {
        let made_again =
            if decisions && checked.is_sound() { ", and every decision made again is the same" } else { "" };
        lines.push(format!("store: ok{made_again}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use toprung_store::ExperimentChecked;

    #[test]
    fn what_is_broken_is_named_under_its_experiment() {
        let mut checked = Checked::default();
        checked.experiments.insert(1, ExperimentChecked { journal_records: 5, ..Default::default() });
        assert!(text(&checked, false).starts_with("experiment 1: ok, 5 journal records"));
        assert_eq!(to_json(&checked)["ok"], true);
        assert!(text(&checked, true).ends_with("store: ok, and every decision made again is the same\n"));
        let problems = vec!["a hole".to_owned()];
        checked.experiments.insert(2, ExperimentChecked { problems, ..Default::default() });
        assert!(
            text(&checked, false)
                .contains("experiment 2: broken, 0 journal records, 0 trials, 0 log frames\n  a hole\n")
        );
        assert_eq!(to_json(&checked)["experiments"][1]["problems"][0], "a hole");
        assert_eq!(to_json(&checked)["ok"], false);
    }
}
