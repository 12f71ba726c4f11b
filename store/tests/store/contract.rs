//! Opening, reading, refusing, deleting.

use std::io::Read;
use std::process::{Command, Stdio};

use toprung_store::{Batch, Error, Key, Options, Store};

use crate::{created, journal, record, write};

const HOLD: &str = "TOPRUNG_TEST_HOLD";

fn filled(store: &Store) -> String {
    let model = store.models().put(b"model").unwrap();
    let batch = Batch {
        journal: vec![(1, created("first", &model)), (1, record(2, "b")), (2, created("second", &model))],
        puts: vec![
            (Key::Experiment(1), b"one".to_vec()),
            (Key::Experiment(2), b"two".to_vec()),
            (Key::Trial(1, 1), vec![1; 100_000]),
            (Key::Trial(1, 2), b"t2".to_vec()),
            (Key::Trial(2, 1), b"other".to_vec()),
            (Key::ReportChunk(1, 1, 300), b"late".to_vec()),
            (Key::ReportChunk(1, 1, 2), b"early".to_vec()),
            (Key::Checkpoint(1, 2, "bb".to_owned()), b"c3".to_vec()),
            (Key::Checkpoint(1, 1, "zz".to_owned()), b"c2".to_vec()),
            (Key::Checkpoint(1, 1, "aa".to_owned()), b"c1".to_vec()),
            (Key::Request("first".to_owned()), 1_u64.to_be_bytes().to_vec()),
            (Key::Request("second".to_owned()), 2_u64.to_be_bytes().to_vec()),
            (Key::Meta("agent/x".to_owned()), b"x".to_vec()),
            (Key::Meta("agent/y".to_owned()), b"y".to_vec()),
            (Key::Meta("token".to_owned()), b"t".to_vec()),
        ],
        deletes: vec![Key::Meta("absent".to_owned())],
    };
    write(store, batch).unwrap();
    store.write_snapshot(1, 2, 1, b"state".to_vec()).unwrap();
    model
}

fn assert_filled(store: &Store, model: &str) {
    assert_eq!(store.experiments(None, 10).unwrap(), [(2, b"two".to_vec()), (1, b"one".to_vec())]);
    assert_eq!(store.experiments(None, 1).unwrap(), [(2, b"two".to_vec())]);
    assert_eq!(store.experiments(Some(2), 10).unwrap(), [(1, b"one".to_vec())]);
    assert_eq!(store.experiment(3).unwrap(), None);
    assert_eq!(store.trial(1, 1).unwrap(), Some(vec![1; 100_000]));
    assert_eq!(store.trials(1, Some(1), 10).unwrap(), [(2, b"t2".to_vec())]);
    assert_eq!(store.trials(1, None, 10).unwrap().len(), 2);
    let chunks = store.report_chunks(1, 1, None, 10).unwrap();
    assert_eq!(chunks, [(2, b"early".to_vec()), (300, b"late".to_vec())]);
    assert_eq!(store.report_chunks(1, 1, Some(2), 10).unwrap(), chunks[1..]);
    let names = |found: Vec<toprung_store::CheckpointRecord>| {
        found.into_iter().map(|checkpoint| (checkpoint.trial, checkpoint.uuid)).collect::<Vec<_>>()
    };
    let all = names(store.checkpoints(1, None, None, 10).unwrap());
    assert_eq!(all, [(1, "aa".to_owned()), (1, "zz".to_owned()), (2, "bb".to_owned())]);
    assert_eq!(names(store.checkpoints(1, Some(1), None, 10).unwrap()), all[..2]);
    assert_eq!(names(store.checkpoints(1, None, Some((1, "aa")), 1).unwrap()), all[1..2]);
    assert_eq!(store.request("first").unwrap(), Some(1));
    assert_eq!(store.request("third").unwrap(), None);
    assert_eq!(store.metas("agent/", None, 10).unwrap().len(), 2);
    assert_eq!(store.metas("agent/", Some("agent/x"), 10).unwrap()[0].0, "agent/y");
    assert_eq!(store.meta("token").unwrap(), Some(b"t".to_vec()));
    assert_eq!(journal(store, 1), [created("first", model), record(2, "b")]);
    assert_eq!(store.last_sequence(1).unwrap(), 2);
    assert_eq!(store.last_sequence(9).unwrap(), 0);
    assert_eq!(store.read_snapshot(1).unwrap().unwrap().bytes, b"state");
    let mut content = String::new();
    store.models().open(model).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "model");
}

#[test]
fn everything_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let model = filled(&store);
    assert_filled(&store, &model);
    drop(store);
    assert_filled(&Store::open(dir.path(), Options::default()).unwrap(), &model);
    assert_filled_in_memory();
}

fn assert_filled_in_memory() {
    let store = Store::in_memory().unwrap();
    let model = filled(&store);
    assert_filled(&store, &model);
}

#[test]
fn a_record_out_of_sequence_fails_alone_and_whole() {
    let store = Store::in_memory().unwrap();
    write(&store, Batch { journal: vec![(1, record(1, "a"))], ..Batch::default() }).unwrap();
    let refused = Batch {
        journal: vec![(2, record(1, "x")), (1, record(3, "c"))],
        puts: vec![(Key::Experiment(2), Vec::new())],
        deletes: Vec::new(),
    };
    let error = write(&store, refused).unwrap_err();
    assert!(matches!(error, Error::OutOfSequence { experiment: 1, expected: 2, found: 3 }));
    assert_eq!(store.experiment(2).unwrap(), None);
    assert_eq!(store.last_sequence(2).unwrap(), 0);
    write(&store, Batch { journal: vec![(2, record(1, "x")), (1, record(2, "b"))], ..Batch::default() })
        .unwrap();
}

#[test]
fn a_full_queue_is_busy_and_everything_queued_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { queue: 4, ..Options::default() }).unwrap();
    let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
    // The first callback holds the writer, so that the queue fills.
    let first = Batch { journal: vec![(1, record(1, "a"))], ..Batch::default() };
    store
        .submit(first, move |_| {
            let _ = held.recv();
        })
        .unwrap();
    let mut queued = 1;
    let busy = loop {
        let batch = Batch { journal: vec![(1, record(queued + 1, "b"))], ..Batch::default() };
        match store.submit(batch, |_| ()) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(busy, Error::Busy));
    drop(hold);
    drop(store);
    let store = Store::open(dir.path(), Options::default()).unwrap();
    assert_eq!(store.last_sequence(1).unwrap(), queued);
}

#[tokio::test]
async fn many_tasks_append_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { queue: 2, ..Options::default() }).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for experiment in 1..=16 {
        let store = store.clone();
        tasks.spawn(async move {
            for sequence in 1..=20 {
                let batch = Batch { journal: vec![(experiment, record(sequence, "a"))], ..Batch::default() };
                store.append(batch).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    for experiment in 1..=16 {
        assert_eq!(journal(&store, experiment).len(), 20);
    }
}

#[test]
fn deleting_takes_what_belongs_to_the_experiment_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    for store in [Store::in_memory().unwrap(), Store::open(dir.path(), Options::default()).unwrap()] {
        let model = filled(&store);
        store.delete_experiment(1).unwrap();
        assert_eq!(store.experiments(None, 10).unwrap(), [(2, b"two".to_vec())]);
        assert!(store.trials(1, None, 10).unwrap().is_empty());
        assert!(store.report_chunks(1, 1, None, 10).unwrap().is_empty());
        assert!(store.checkpoints(1, None, None, 10).unwrap().is_empty());
        assert!(store.read_snapshot(1).unwrap().is_none());
        assert!(journal(&store, 1).is_empty());
        assert_eq!(store.request("first").unwrap(), None);
        assert_eq!(store.request("second").unwrap(), Some(2));
        assert!(store.models().open(&model).is_ok(), "experiment 2 needs it");
        assert_eq!(store.trials(2, None, 10).unwrap().len(), 1);
        store.delete_experiment(2).unwrap();
        assert!(matches!(store.models().open(&model), Err(Error::ModelNotFound { .. })));
        store.delete_experiment(2).unwrap();
        write(&store, Batch { journal: vec![(1, record(1, "again"))], ..Batch::default() }).unwrap();
    }
}

#[test]
fn models_that_nobody_named_go_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let named = filled(&store);
    let unnamed = store.models().put(b"never used").unwrap();
    drop(store);
    let store = Store::open(dir.path(), Options::default()).unwrap();
    assert!(store.models().open(&named).is_ok());
    assert!(store.models().open(&unnamed).is_err());
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), Options::default()).unwrap());
    std::fs::write(dir.path().join("format"), "3\n").unwrap();
    let refused = Store::open(dir.path(), Options::default()).err();
    assert!(matches!(refused, Some(Error::NewerFormat { found: 3, known: 2 })));
    std::fs::write(dir.path().join("format"), "junk").unwrap();
    assert!(matches!(Store::open(dir.path(), Options::default()).err(), Some(Error::Corrupt { .. })));
    std::fs::remove_file(dir.path().join("format")).unwrap();
    assert!(matches!(Store::open(dir.path(), Options::default()).err(), Some(Error::Corrupt { .. })));
}

#[test]
fn a_store_of_the_first_format_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let model = filled(&store);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("wal")).unwrap();
    std::fs::write(dir.path().join("format"), "1\n").unwrap();
    assert_filled(&Store::open(dir.path(), Options::default()).unwrap(), &model);
    assert_eq!(std::fs::read_to_string(dir.path().join("format")).unwrap(), "2\n");
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert_filled(&Store::open(dir.path(), Options::default()).unwrap(), &model);
}

#[test]
fn a_backup_of_a_store_at_work_is_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), Options::default()).unwrap();
    let model = filled(&store);
    let writer = store.clone();
    let busy = std::thread::spawn(move || {
        for sequence in 1..=300 {
            write(&writer, Batch { journal: vec![(9, record(sequence, "busy"))], ..Batch::default() })
                .unwrap();
        }
    });
    let before = store.last_sequence(9).unwrap();
    store.backup(&dir.path().join("copy")).unwrap();
    let after = store.last_sequence(9).unwrap();
    busy.join().unwrap();
    assert!(store.backup(&dir.path().join("copy")).is_err(), "there is something already");
    let mut copied = None;
    // The second time the copy is used as it was closed.
    for _ in 0..2 {
        let copy = Store::open(&dir.path().join("copy"), Options::default()).unwrap();
        let found = journal(&copy, 9).len() as u64;
        assert!((before..=after).contains(&found), "{before} {found} {after}");
        assert_eq!(*copied.get_or_insert(found), found);
        assert_eq!(copy.experiment(1).unwrap(), Some(b"one".to_vec()));
        assert!(copy.models().open(&model).is_ok());
        assert_eq!(copy.read_snapshot(1).unwrap().unwrap().bytes, b"state");
    }
}

#[test]
fn a_store_without_room_says_so_and_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { reserve_bytes: u64::MAX, ..Options::default() };
    let store = Store::open(dir.path(), options).unwrap();
    assert_eq!(store.health(), toprung_store::Health::Ok);
    let batch = Batch { journal: vec![(1, record(1, "a"))], ..Batch::default() };
    assert!(matches!(write(&store, batch.clone()), Err(Error::DiskFull { .. })));
    assert!(matches!(store.health(), toprung_store::Health::Degraded { .. }));
    drop(store);
    let store = Store::open(dir.path(), Options::default()).unwrap();
    assert_eq!(store.last_sequence(1).unwrap(), 0);
    write(&store, batch).unwrap();
}

#[test]
fn the_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep/data");
    let _store = Store::open(&dir, Options::default()).unwrap();
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Not a test of its own: the process that holds the lock.
#[test]
fn child_holds_the_lock() {
    let Some(dir) = std::env::var_os(HOLD) else {
        return;
    };
    let _store = Store::open(dir.as_ref(), Options::default()).unwrap();
    println!("holding");
    std::io::stdin().read_to_string(&mut String::new()).unwrap();
}

#[test]
fn a_directory_in_use_is_refused_with_the_holders_process_id() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "contract::child_holds_the_lock", "--nocapture"])
        .env(HOLD, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("holding") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut output, &mut line).unwrap(), 0, "the child ended");
    }
    let refused = Store::open(dir.path(), Options::default()).err();
    let pid = child.id();
    assert!(matches!(refused, Some(Error::Locked { pid: Some(holder), .. }) if holder == pid), "{refused:?}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    Store::open(dir.path(), Options::default()).unwrap();
}
