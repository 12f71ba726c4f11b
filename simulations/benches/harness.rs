//! How many trials a second a simulated search creates, trains and judges, and what memory it takes.
//!
//! `cargo bench -p toprung-simulations --bench harness`

use cap::Cap;
use divan::Bencher;
use divan::counter::ItemsCount;
use std::alloc::System;
use toprung_searchers::{Searcher, SearcherConfig, Space};
use toprung_simulations::synthetic::{PowerLaw, Shape};
use toprung_simulations::{Outcome, Reports, Task, World};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

fn main() {
    let sizes = [100_000, 1_000_000];
    for (trials, stop_once) in sizes.into_iter().flat_map(|trials| [(trials, false), (trials, true)]) {
        let (task, mut searcher) = (task(4), searcher(&task(4), trials, stop_once));
        let before = MEMORY.allocated();
        // The high-water mark is reset by nothing: a search that is measured first has it for itself.
        let began = processor_seconds();
        let outcome = play(&task, &mut searcher, Reports::EveryLength);
        let took = began.zip(processor_seconds()).map(|(began, ended)| ended - began);
        let left = MEMORY.allocated() - before;
        println!(
            "{} trials, {} reports, stop_once {stop_once}: {:.0} bytes a trial left, {:.0} at the most so far; {} trials a \
             second of one core",
            outcome.run.trials,
            outcome.run.reports,
            left as f64 / trials as f64,
            (MEMORY.max_allocated() - before) as f64 / trials as f64,
            took.map_or_else(|| "?".to_owned(), |took| format!("{:.0}", outcome.run.trials as f64 / took)),
        );
    }
    divan::main();
}

/// Time that this thread ran, which others on a busy machine do not lengthen; none where the system does not tell.
fn processor_seconds() -> Option<f64> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = times.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// Cheap curves of 27 lengths.
fn task(dimensions: u32) -> PowerLaw {
    match PowerLaw::new("power", 1, dimensions, 27, Shape::default()) {
        Ok(task) => task,
        Err(error) => panic!("{error}"),
    }
}

fn searcher(task: &PowerLaw, max_trials: u64, stop_once: bool) -> Searcher {
    searcher_in(task.space().clone(), max_trials, stop_once)
}

fn searcher_in(space: Space, max_trials: u64, stop_once: bool) -> Searcher {
    let config = SearcherConfig::AsyncHalving {
        num_rungs: 4,
        max_trials,
        divisor: 3.0,
        min_length: None,
        max_length: 27,
        max_concurrent_trials: 0,
        stop_once,
    };
    match Searcher::new(config, space, 1) {
        Ok(searcher) => searcher,
        Err(error) => panic!("{error}"),
    }
}

fn play(task: &PowerLaw, searcher: &mut Searcher, reports: Reports) -> Outcome {
    let world = World { reports, ..World::calm(1_000) };
    match world.play(task, searcher, "asha", 1) {
        Ok(outcome) => outcome,
        Err(error) => panic!("{error}"),
    }
}

fn bench(bencher: Bencher<'_, '_>, trials: u64, stop_once: bool, reports: Reports, space: Option<Space>) {
    let task = task(4);
    let space = space.unwrap_or_else(|| task.space().clone());
    bencher
        .counter(ItemsCount::new(trials))
        .with_inputs(|| searcher_in(space.clone(), trials, stop_once))
        .bench_local_refs(|searcher| play(&task, searcher, reports));
}

#[divan::bench(args = [100_000, 1_000_000], sample_count = 3, sample_size = 1)]
fn promotion_every_length(bencher: Bencher<'_, '_>, trials: u64) {
    bench(bencher, trials, false, Reports::EveryLength, None);
}

#[divan::bench(args = [100_000, 1_000_000], sample_count = 3, sample_size = 1)]
fn promotion_at_rungs(bencher: Bencher<'_, '_>, trials: u64) {
    bench(bencher, trials, false, Reports::AtTargets, None);
}

#[divan::bench(args = [100_000, 1_000_000], sample_count = 3, sample_size = 1)]
fn stopping_at_rungs(bencher: Bencher<'_, '_>, trials: u64) {
    bench(bencher, trials, true, Reports::AtTargets, None);
}

/// Without hyperparameters, to see what drawing them costs.
#[divan::bench(args = [100_000], sample_count = 5, sample_size = 1)]
fn promotion_at_rungs_nothing_drawn(bencher: Bencher<'_, '_>, trials: u64) {
    bench(bencher, trials, false, Reports::AtTargets, Some(Space::default()));
}
