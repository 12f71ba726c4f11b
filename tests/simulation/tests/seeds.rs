//! Many seeds without a planted fault: no invariant breaks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use toprung_simulation::{Bug, Scenarios, Summary, run};

/// Seeds without `TOPRUNG_SIMULATION_SEEDS`.
const SEEDS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[test]
fn no_seed_breaks_an_invariant() {
    if let Some(seed) = number("TOPRUNG_SIMULATION_SEED") {
        println!("{:?}", run(seed, Bug::None, &Scenarios::default(), true).unwrap());
        return;
    }
    let seeds = number("TOPRUNG_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (next, total) = (AtomicU64::new(0), Mutex::new(Summary::default()));
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let scenarios = Scenarios::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || failed.lock().unwrap().len() >= 10 {
                        return;
                    }
                    match run(seed, Bug::None, &scenarios, false) {
                        Ok(summary) => {
                            let mut total = total.lock().unwrap();
                            total.steps += summary.steps;
                            total.faults += summary.faults;
                            total.reports += summary.reports;
                            total.exclusions += summary.exclusions;
                        }
                        Err(violation) => failed.lock().unwrap().push((seed, violation)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{seeds} seeds: {:?}", total.into_inner().unwrap());
    let list: Vec<String> = failed
        .iter()
        .map(|(seed, violation)| {
            format!(
                "{}: {}\n  TOPRUNG_SIMULATION_SEED={seed} cargo test -p toprung-simulation --test seeds -- --nocapture",
                violation.id, violation.what
            )
        })
        .collect();
    assert!(list.is_empty(), "\n{}", list.join("\n"));
}
