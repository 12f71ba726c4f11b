//! What an event costs a searcher, and a draw a space.
//!
//! `events` gives a search of so many trials the next 10 000 events when half of its trials have been created; the cost of one
//! must not grow with their number. Before the benchmarks the processor time of a decision is printed.

use divan::Bencher;
use divan::counter::ItemsCount;
use std::collections::{BTreeMap, VecDeque};
use toprung_searchers::{
    Action, Dimension, Domain, Event, ExitReason, Searcher, SearcherConfig, Space, TrialId, Value,
};

const EVENTS: u32 = 10_000;
const PLACES: u32 = 64;
/// Reports whose decisions are timed.
const DECISIONS: u32 = 100_000;
/// Suggestions in a sample.
const SUGGESTIONS: u32 = 100_000;

fn main() {
    for (trials, stop_once) in [(100_000, false), (100_000, true), (1_000_000, false), (1_000_000, true)] {
        decisions(trials, stop_once);
    }
    divan::main();
}

/// Prints what a report to a rung of so many trials costs this thread, with the decision and all that follows from it:
/// trials that pause, go on, are closed or created. Thread time, which others on a busy machine lengthen least.
fn decisions(trials: u64, stop_once: bool) {
    let mut world = halfway(2 * trials, stop_once);
    let in_rung = world.searcher.rungs().first().map_or(0, |rung| rung.trials);
    let began = processor_seconds();
    for _ in 0..DECISIONS {
        world.step();
    }
    if let (Some(began), Some(ended)) = (began, processor_seconds()) {
        let each = (ended - began) / f64::from(DECISIONS) * 1e6;
        println!(
            "{in_rung} trials in the lowest rung, stop_once {stop_once}: {each:.2} µs a report of one core"
        );
    }
}

/// Time that this thread ran; none where the system does not tell.
fn processor_seconds() -> Option<f64> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = times.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn space() -> Space {
    let always = |(name, domain): (&str, Domain)| (name.to_owned(), Dimension::always(domain));
    let rate = Domain::Log { base: 10.0, minval: -4.0, maxval: -1.0, count: None };
    let units = Domain::Int { min: 8, max: 512, log: true, count: None };
    let kind = Domain::Categorical(["adam", "sgd"].map(|name| Value::String(name.to_owned())).into());
    Space::new([("rate", rate), ("units", units), ("kind", kind)].map(always).into())
}

/// A search and the trials that run in it, in the order in which they report.
#[derive(Clone)]
struct World {
    searcher: Searcher,
    running: VecDeque<(TrialId, u64)>,
    handled: u32,
}

impl World {
    fn new(config: SearcherConfig, space: Space) -> Self {
        let mut world = match Searcher::new(config, space, 1) {
            Ok(searcher) => Self { searcher, running: VecDeque::new(), handled: 0 },
            Err(error) => panic!("{error}"),
        };
        world.tell(&Event::Capacity(PLACES));
        world
    }

    fn tell(&mut self, event: &Event) {
        self.handled += 1;
        for action in self.searcher.handle(event) {
            match action {
                Action::Create(create) => self.running.push_back((create.trial, create.train_to)),
                Action::TrainTo { trial, length, .. } => self.running.push_back((trial, length)),
                Action::Pause { trial, .. } => {
                    self.tell(&Event::Exited { trial, reason: ExitReason::Paused { resumable: true } });
                }
                Action::Stop { trial, .. } => {
                    self.tell(&Event::Exited { trial, reason: ExitReason::Stopped });
                }
                Action::Shutdown { .. } => {}
            }
        }
    }

    /// Lets the next trial report. Whether there was one.
    fn step(&mut self) -> bool {
        let Some((trial, length)) = self.running.pop_front() else { return false };
        let metric = f64::from(trial.0.wrapping_mul(2_654_435_769)) / length as f64;
        self.tell(&Event::Validated { trial, length, metric });
        true
    }
}

fn halfway(trials: u64, stop_once: bool) -> World {
    let config = SearcherConfig::AsyncHalving {
        num_rungs: 5,
        max_trials: trials,
        divisor: 4.0,
        min_length: None,
        max_length: 256,
        max_concurrent_trials: 0,
        stop_once,
    };
    halfway_of(config, trials)
}

fn halfway_of(config: SearcherConfig, trials: u64) -> World {
    let mut world = World::new(config, Space::new(BTreeMap::new()));
    let half = trials / 2;
    while world.searcher.rungs().first().is_some_and(|rung| rung.trials < half) && world.step() {}
    world
}

fn events(bencher: Bencher<'_, '_>, world: &World) {
    bencher.counter(ItemsCount::new(EVENTS)).with_inputs(|| world.clone()).bench_local_refs(|world| {
        let until = world.handled + EVENTS;
        while world.handled < until && world.step() {}
    });
}

#[divan::bench(args = [10_000, 100_000, 1_000_000], sample_count = 10, sample_size = 1)]
fn events_by_promotion(bencher: Bencher<'_, '_>, trials: u64) {
    events(bencher, &halfway(trials, false));
}

#[divan::bench(args = [10_000, 100_000, 1_000_000], sample_count = 10, sample_size = 1)]
fn events_by_stopping(bencher: Bencher<'_, '_>, trials: u64) {
    events(bencher, &halfway(trials, true));
}

#[divan::bench(args = [10_000, 100_000, 1_000_000], sample_count = 10, sample_size = 1)]
fn events_with_median_stopping(bencher: Bencher<'_, '_>, trials: u64) {
    let inner = SearcherConfig::AsyncHalving {
        num_rungs: 5,
        max_trials: trials,
        divisor: 4.0,
        min_length: None,
        max_length: 256,
        max_concurrent_trials: 0,
        stop_once: false,
    };
    let config = SearcherConfig::MedianStopping { inner: Box::new(inner), min_length: 0, min_trials: 5 };
    events(bencher, &halfway_of(config, trials));
}

#[divan::bench(args = [10_000, 100_000, 1_000_000], sample_count = 10, sample_size = 1)]
fn events_of_pasha(bencher: Bencher<'_, '_>, trials: u64) {
    let config = SearcherConfig::Pasha {
        max_trials: trials,
        divisor: 4.0,
        max_rungs: 5,
        min_length: None,
        max_length: 256,
        max_concurrent_trials: 0,
    };
    events(bencher, &halfway_of(config, trials));
}

/// A whole search of a thousand trials.
#[divan::bench(args = [1_000], sample_count = 10)]
fn whole_search(bencher: Bencher<'_, '_>, trials: u64) {
    bencher.counter(ItemsCount::new(trials)).bench(|| {
        let mut world = halfway(trials, false);
        while world.step() {}
        world
    });
}

#[divan::bench]
fn draw(bencher: Bencher<'_, '_>) {
    let space = space();
    let mut trial = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        trial += 1;
        space.draw(1, TrialId(trial))
    });
}

/// Four floats.
fn floats() -> Space {
    let domain = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
    Space::new(["a", "b", "c", "d"].map(|name| (name.to_owned(), Dimension::always(domain.clone()))).into())
}

#[divan::bench]
fn draw_of_four_floats(bencher: Bencher<'_, '_>) {
    let space = floats();
    let mut trial = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        trial += 1;
        space.draw(1, TrialId(trial))
    });
}

/// A suggestion of random search as a program sees it: a trial reports, is stopped, and the next one is drawn.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn random_suggestions_of_four_floats(bencher: Bencher<'_, '_>) {
    let config = SearcherConfig::Random { max_trials: 10_000_000, max_length: 1, max_concurrent_trials: 0 };
    let world = World::new(config, floats());
    bencher.counter(ItemsCount::new(SUGGESTIONS)).with_inputs(|| world.clone()).bench_local_refs(|world| {
        for _ in 0..SUGGESTIONS {
            world.step();
        }
    });
}
