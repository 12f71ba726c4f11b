//! The database's files as a power cut leaves them, and worse: the store is made again from its redo log, whole.

use std::path::Path;

use toprung_store::{Batch, Options, Store};

use crate::{journal, record, write};

const RECORDS: u64 = 600;
const PAGE: usize = 4096;

fn reason(sequence: u64) -> String {
    // Digits without a pattern, so that they are stored as long as they are.
    (1..60).map(|index| (sequence * 7919 + index).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect()
}

fn fill(store: &Store, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        write(store, Batch { journal: vec![(1, record(sequence, &reason(sequence)))], ..Batch::default() })
            .unwrap();
    }
}

fn assert_whole(store: &Store, what: &str) {
    let found = journal(store, 1);
    assert_eq!(found.len() as u64, RECORDS, "{what}");
    for (found, sequence) in found.into_iter().zip(1..) {
        assert_eq!(found, record(sequence, &reason(sequence)), "{what}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Numbers that look random.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn pages_that_a_power_cut_took_from_the_database_are_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let store = Store::open(&data, Options::default()).unwrap();
    fill(&store, 1..=RECORDS / 2);
    // What lies on the disk at some moment, and what the system has not written yet at a later one.
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    copy(&data, &old);
    fill(&store, RECORDS / 2 + 1..=RECORDS);
    copy(&data, &new);
    let (before, after) =
        (std::fs::read(old.join("db/db")).unwrap(), std::fs::read(new.join("db/db")).unwrap());
    let mut state = std::env::var("TOPRUNG_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("TOPRUNG_TEST_SEED={state}");
    for image in 0..60 {
        let mut bytes = after.clone();
        for (index, page) in bytes.chunks_mut(PAGE).enumerate() {
            let at = index * PAGE;
            let synced = before.get(at..at + page.len()).unwrap_or_default();
            if *page == *synced || next(&mut state).is_multiple_of(2) {
                continue;
            }
            page.fill(0);
            if next(&mut state).is_multiple_of(2) {
                page[..synced.len()].copy_from_slice(synced);
            }
        }
        // Another directory counts as another start of the machine.
        let cut = dir.path().join("cut");
        copy(&new, &cut);
        std::fs::write(cut.join("db/db"), &bytes).unwrap();
        assert_whole(&Store::open(&cut, Options::default()).unwrap(), &format!("image {image}"));
        assert_whole(
            &Store::open(&cut, Options::default()).unwrap(),
            &format!("image {image}, closed before"),
        );
        std::fs::remove_dir_all(&cut).unwrap();
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    fill(&store, 1..=RECORDS);
    drop(store);
    let database = dir.path().join("db/db");
    let size = std::fs::metadata(&database).unwrap().len();
    std::fs::write(&database, vec![0x55; size as usize]).unwrap();
    std::fs::write(dir.path().join("db/conf"), "junk").unwrap();
    assert_whole(&Store::open(dir.path(), Options::default()).unwrap(), "overwritten");
    let rebuild = Options { rebuild: true, ..Options::default() };
    assert_whole(&Store::open(dir.path(), rebuild).unwrap(), "on demand");
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert_whole(&Store::open(dir.path(), Options::default()).unwrap(), "removed");
}
