//! Each planted fault is found by an invariant within so many seeds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use toprung_simulation::{Bug, Scenarios, run};

/// Seeds within which each planted fault is found.
const SEEDS: u64 = 3_000;

#[test]
fn every_planted_fault_is_found() {
    let scenarios = Scenarios::default();
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let found = (0..SEEDS).find_map(|seed| Some((seed, run(seed, bug, &scenarios, false).err()?)));
        match found {
            Some((seed, violation)) => println!("{bug:?}: seed {seed}, {}: {}", violation.id, violation.what),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
