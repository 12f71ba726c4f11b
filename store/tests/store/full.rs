//! A real file system that is full: nothing acknowledged is lost, and the store goes on when there is room again. Skipped
//! where no file system may be mounted.

use std::process::Command;
use std::time::{Duration, Instant};

use toprung_store::{Batch, Health, Options, Store};

use crate::{journal, record, write};

/// Unmounts at the end.
struct Mounted<'a>(&'a std::path::Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn noise(sequence: u64) -> String {
    (1..3_000)
        .map(|index| (sequence * 7919 + index).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string())
        .collect()
}

#[test]
fn a_full_file_system_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(dir.path()).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: no file system may be mounted here");
        return;
    }
    let _mounted = Mounted(dir.path());
    let (data, ballast) = (dir.path().join("data"), dir.path().join("ballast"));
    std::fs::write(&ballast, vec![1; 14 << 20]).unwrap();
    // Without a reserve, so that the database runs into the wall too.
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let store = Store::open(&data, options.clone()).unwrap();
    let mut acknowledged = 0;
    let batch =
        |sequence| Batch { journal: vec![(1, record(sequence, &noise(sequence)))], ..Batch::default() };
    while write(&store, batch(acknowledged + 1)).is_ok() {
        acknowledged += 1;
    }
    assert!(acknowledged > 10);
    assert!(matches!(store.health(), Health::Degraded { .. }));
    std::fs::remove_file(&ballast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.health() != Health::Ok {
        assert!(Instant::now() < deadline, "{:?}", store.health());
        std::thread::sleep(Duration::from_millis(50));
    }
    let last = store.last_sequence(1).unwrap();
    assert!(last == acknowledged || last == acknowledged + 1, "{last} of {acknowledged}");
    write(&store, batch(last + 1)).unwrap();
    drop(store);
    let found = journal(&Store::open(&data, options).unwrap(), 1);
    assert_eq!(found.len() as u64, last + 1);
    for (found, sequence) in found.into_iter().zip(1..) {
        assert_eq!(found, record(sequence, &noise(sequence)));
    }
}
