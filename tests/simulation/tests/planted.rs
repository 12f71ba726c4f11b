//! Each planted fault is found by an invariant within so many seeds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use toprung_simulation::{Bug, Scenarios, run};

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seeds within which each planted fault is found.
const SEEDS: u64 = 10_000;

#[test]
fn every_planted_fault_is_found() {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let scenarios = Scenarios::default();
                while let Some(&bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let find = |seed| Some((seed, run(seed, bug, &scenarios, false).err()?));
                    match (0..SEEDS).find_map(find) {
                        Some((seed, found)) => println!("{bug:?}: seed {seed}, {}: {}", found.id, found.what),
                        None => missed.lock().unwrap().push(bug),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
