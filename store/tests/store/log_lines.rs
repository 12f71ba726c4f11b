//! Log lines: appended, read by frames, tailed, and what a crash leaves.

use std::sync::mpsc::sync_channel;

use toprung_proto::v1::{LogLine, TrialLogLine};
use toprung_store::{Error, Options, Store};

fn append(store: &Store, experiment: u64, lines: &[(u32, &str)]) -> Result<(), Error> {
    let (sender, receiver) = sync_channel(1);
    let lines = lines.iter().map(|(trial, text)| {
        let line = LogLine { text: (*text).to_owned(), ..LogLine::default() };
        (*trial, 1, line)
    });
    store.logs().submit(experiment, lines.collect(), move |result| {
        sender.send(result).unwrap();
    })?;
    receiver.recv().unwrap()
}

fn texts(lines: &[TrialLogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.line.as_ref().unwrap().text.as_str()).collect()
}

fn round_trip(store: &Store) {
    append(store, 1, &[(1, "a"), (2, "b"), (1, "c")]).unwrap();
    append(store, 1, &[(2, "d")]).unwrap();
    append(store, 1, &[(1, "e"), (1, "f")]).unwrap();
    append(store, 2, &[(1, "other")]).unwrap();
    let logs = store.logs();
    assert_eq!(texts(&logs.read(1, None, 0, 100).unwrap().lines), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(texts(&logs.read(1, Some(1), 0, 100).unwrap().lines), ["a", "c", "e", "f"]);
    let first = logs.read(1, Some(2), 0, 1).unwrap();
    assert_eq!(texts(&first.lines), ["b"]);
    let second = logs.read(1, Some(2), first.next_frame, 100).unwrap();
    assert_eq!(texts(&second.lines), ["d"]);
    let nothing = logs.read(1, Some(2), second.next_frame, 100).unwrap();
    assert_eq!((nothing.lines.len(), nothing.next_frame), (0, second.next_frame));
    assert_eq!(texts(&logs.tail(1, Some(1), 3).unwrap().lines), ["c", "e", "f"]);
    assert_eq!(texts(&logs.tail(1, None, 100).unwrap().lines), ["a", "b", "c", "d", "e", "f"]);
    let none = logs.tail(1, None, 0).unwrap();
    assert_eq!((none.lines.len(), none.next_frame), (0, 3));
    assert_eq!(logs.tail(9, None, 5).unwrap().next_frame, 0);
    append(store, 1, &[(1, "g")]).unwrap();
    assert_eq!(texts(&logs.read(1, None, none.next_frame, 100).unwrap().lines), ["g"]);
}

#[test]
fn lines_come_back_in_order_by_trial_and_from_the_end() {
    let dir = tempfile::tempdir().unwrap();
    round_trip(&Store::in_memory().unwrap());
    round_trip(&Store::open(dir.path(), Options::default()).unwrap());
}

#[test]
fn a_torn_segment_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    append(&store, 1, &[(1, "before")]).unwrap();
    drop(store);
    let segment = dir.path().join("logs/1/00000000.zst");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.extend_from_slice(b"half a frame");
    std::fs::write(&segment, bytes).unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    append(&store, 1, &[(1, "after")]).unwrap();
    assert_eq!(texts(&store.logs().read(1, None, 0, 100).unwrap().lines), ["before", "after"]);
    assert!(dir.path().join("logs/1/00000001.zst").exists());
}

#[test]
fn large_appends_are_cut_into_frames_and_too_large_ones_refused() {
    let store = Store::in_memory().unwrap();
    let long = "x".repeat(400_000);
    append(&store, 1, &vec![(1, long.as_str()); 10]).unwrap();
    let page = store.logs().read(1, None, 0, 1).unwrap();
    assert_eq!((page.lines.len(), page.next_frame), (3, 1));
    assert_eq!(store.logs().tail(1, Some(1), 5).unwrap().lines.len(), 5);
    let refused = append(&store, 1, &vec![(1, long.as_str()); 30]);
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
}

#[test]
fn logs_go_away_with_their_experiment() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    append(&store, 1, &[(1, "a")]).unwrap();
    append(&store, 2, &[(1, "b")]).unwrap();
    store.delete_experiment(1).unwrap();
    assert!(store.logs().read(1, None, 0, 100).unwrap().lines.is_empty());
    assert!(!dir.path().join("logs/1").exists());
    append(&store, 1, &[(1, "new")]).unwrap();
    assert_eq!(texts(&store.logs().tail(1, Some(1), 9).unwrap().lines), ["new"]);
    assert_eq!(texts(&store.logs().tail(2, Some(1), 9).unwrap().lines), ["b"]);
}
