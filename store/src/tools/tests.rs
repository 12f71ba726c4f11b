//! Check, export and import of one store with everything in it.

use std::io::BufReader;

use prost::Message;
use toprung_proto::v1::{
    AgentEvents, AttemptEvent, AttemptReport, ExperimentCreated, JournalRecord, LogLine, Metric, Report,
    ReportChunk, Trial, attempt_event,
};

use super::*;
use crate::{Batch, Key, Options, export, import};

fn report() -> Report {
    let metric = |name: &str, value| Metric { name: name.to_owned(), value };
    let metrics =
        vec![metric("a", f64::NAN), metric("b", f64::INFINITY), metric("c", -0.0), metric("d", 0.1)];
    Report { group: 2, length: 3, metrics, time_unix_ms: 1_700_000_000_123 }
}

/// A store with two experiments, the second of which is only a journal.
fn filled(store: &Store) {
    let model_sha256 = store.models().put(&vec![7; 600_000]).unwrap();
    let created =
        ExperimentCreated { id: 1, model_sha256, config_yaml: "name: x\n".to_owned(), ..Default::default() };
    let kind = Some(attempt_event::Kind::Report(report()));
    let events = AgentEvents {
        agent: "a".to_owned(),
        events: vec![AttemptEvent { attempt: None, kind }],
        ..AgentEvents::default()
    };
    let record = |sequence, input| JournalRecord {
        sequence,
        input: Some(input),
        time_unix_ms: 5,
        ..Default::default()
    };
    let chunk = ReportChunk { reports: vec![AttemptReport { attempt: 1, report: Some(report()) }] };
    let trial = Trial { id: 1, best_metric: Some(f64::NEG_INFINITY), ..Trial::default() };
    store
        .write_blocking(Batch {
            journal: vec![
                (1, record(1, Input::Created(created))),
                (1, record(2, Input::AgentEvents(events))),
                (2, record(1, Input::Created(ExperimentCreated::default()))),
            ],
            puts: vec![
                (
                    Key::Experiment(1),
                    toprung_proto::v1::Experiment { id: 1, ..Default::default() }.encode_to_vec(),
                ),
                (Key::Trial(1, 1), trial.encode_to_vec()),
                (Key::ReportChunk(1, 1, 2), chunk.encode_to_vec()),
                (Key::Request("r".to_owned()), 1_u64.to_be_bytes().to_vec()),
                (Key::Meta("m".to_owned()), vec![0, 255]),
                (
                    Key::Agent("gpu-1".to_owned()),
                    toprung_proto::v1::AgentRecord { name: "gpu-1".to_owned(), ..Default::default() }
                        .encode_to_vec(),
                ),
            ],
            deletes: Vec::new(),
        })
        .unwrap();
    for text in ["one", "two\u{1b}[0m"] {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let line = LogLine { text: text.to_owned(), ..LogLine::default() };
        store.logs().submit(1, vec![(1, 1, line)], move |result| sender.send(result).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap();
    }
}

fn exported(store: &Store) -> String {
    let mut text = Vec::new();
    let done = export(store, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(done.lines, text.lines().count() as u64);
    text
}

#[test]
fn an_export_makes_the_same_store_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("one"), Options::default()).unwrap();
    filled(&store);
    let text = exported(&store);
    assert!(text.contains(r#""what":"agent_events""#) && text.contains(r#""value":"NaN""#), "{text}");
    let other = Store::open(&dir.path().join("other"), Options::default()).unwrap();
    let done = import(&other, &mut BufReader::new(text.as_bytes())).unwrap();
    assert_eq!(done.journal_records, 3);
    assert_eq!(exported(&other), text);
    assert_eq!(check(&other).unwrap(), check(&store).unwrap());
    assert!(check(&other).unwrap().is_sound());
    assert!(import(&other, &mut BufReader::new(text.as_bytes())).is_err(), "not empty");
}

#[test]
fn a_changed_or_cut_export_is_refused() {
    let store = Store::in_memory().unwrap();
    filled(&store);
    let text = exported(&store);
    let refused = |text: &str| {
        let error = import(&Store::in_memory().unwrap(), &mut BufReader::new(text.as_bytes())).unwrap_err();
        assert!(matches!(error, Error::Import { .. } | Error::OutOfSequence { .. }), "{error}");
    };
    refused("");
    refused(&text[..text.len() / 2]);
    refused(text.trim_end().rsplit_once('\n').unwrap().0);
    refused(&text.replacen("\"format\":1", "\"format\":2", 1));
    refused(&text.replacen("0707", "0708", 1));
    // The first line of the journal.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(r#""what":"created""#)).collect();
    refused(&lines.join("\n"));
}

#[test]
fn a_check_names_what_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    filled(&store);
    let sound = check(&store).unwrap();
    assert!(sound.is_sound(), "{sound:?}");
    let found = &sound.experiments[&1];
    assert_eq!((found.journal_records, found.trials, found.log_frames), (2, 1, 2));
    // A segment, a model, a record of the journal behind the store's back.
    let overwrite = |path: std::path::PathBuf| {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    overwrite(dir.path().join("logs/1/00000000.zst"));
    let model = std::fs::read_dir(dir.path().join("models")).unwrap().next().unwrap().unwrap();
    overwrite(model.path());
    store.records().commit(vec![crate::backend::Write { key: keys::journal(1, 1), value: None }]).unwrap();
    let broken = check(&store).unwrap();
    let problems = broken.experiments[&1].problems.join("\n");
    assert!(problems.contains("broken at record 1") && problems.contains("log frame"), "{problems}");
    assert!(broken.problems.iter().any(|problem| problem.contains("SHA-256")), "{broken:?}");
    assert!(broken.experiments[&2].problems.is_empty());
}
