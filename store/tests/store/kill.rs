//! The death of the process: what was acknowledged is there, the journal has no hole.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use toprung_store::{Batch, Error, Key, Options, Store};

use crate::{journal, record};

const CHILD: &str = "TOPRUNG_TEST_APPEND";
const EXPERIMENTS: u64 = 4;
/// Batches under way at a time.
const WINDOW: usize = 32;

fn text(experiment: u64, sequence: u64) -> String {
    // Every tenth record is larger than one entry of the tree.
    let length = if sequence.is_multiple_of(10) { 20_000 } else { 100 };
    let mut state = experiment * 1_000_003 + sequence;
    let step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (state >> 58) as u8)
    };
    std::iter::repeat_with(step).take(length).collect()
}

/// Not a test of its own: the process that is killed.
#[test]
fn child_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let store = Store::open(dir.as_ref(), Options::default()).unwrap();
    let (room, taken) = sync_channel::<()>(WINDOW);
    let mut next: BTreeMap<u64, u64> = (1..=EXPERIMENTS)
        .map(|experiment| (experiment, store.last_sequence(experiment).unwrap() + 1))
        .collect();
    let taken = std::sync::Arc::new(std::sync::Mutex::new(taken));
    for turn in 0.. {
        let experiment = turn % EXPERIMENTS + 1;
        let sequence = next[&experiment];
        room.send(()).unwrap();
        let batch = Batch {
            journal: vec![(experiment, record(sequence, &text(experiment, sequence)))],
            puts: vec![(Key::Trial(experiment, sequence as u32), text(experiment, sequence).into_bytes())],
            deletes: Vec::new(),
        };
        let taken = taken.clone();
        let acknowledge = move |result: Result<(), Error>| {
            result.unwrap();
            writeln!(std::io::stdout(), "\nack {experiment} {sequence}").unwrap();
            taken.lock().unwrap().recv().unwrap();
        };
        store.submit(batch, acknowledge).unwrap();
        next.insert(experiment, sequence + 1);
    }
}

/// Runs the child, kills it after so many acknowledgements, and returns the last one per experiment.
fn run_and_kill(dir: &std::path::Path, after: usize) -> BTreeMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        // The last line may be cut.
        let ["ack", experiment, sequence] = words[..] else {
            continue;
        };
        let (Ok(experiment), Ok(sequence)) = (experiment.parse(), sequence.parse::<u64>()) else {
            continue;
        };
        acknowledged.insert(experiment, sequence);
        count += 1;
        if count == after {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= after, "the child ended by itself after {count}");
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    for after in [3, 700, 41, 1500, 257] {
        let acknowledged = run_and_kill(dir.path(), after);
        let store = Store::open(dir.path(), Options::default()).unwrap();
        for (experiment, sequence) in acknowledged {
            let records = journal(&store, experiment);
            assert!(records.len() as u64 >= sequence, "experiment {experiment} lost record {sequence}");
            for (found, sequence) in records.into_iter().zip(1..) {
                let text = text(experiment, sequence);
                assert_eq!(found, record(sequence, &text));
                let trial = store.trial(experiment, sequence as u32).unwrap();
                assert_eq!(trial, Some(text.into_bytes()), "a batch was torn");
            }
        }
    }
}
