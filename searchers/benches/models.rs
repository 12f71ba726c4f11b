//! What a suggestion of a model costs.
//!
//! Each search has so many trials in its history; what is measured is the next event that creates a trial: the report of one that
//! ends, with the suggestion for the one in its place. The cost must not grow with the number of trials.

use divan::Bencher;
use std::collections::{BTreeMap, VecDeque};
use toprung_searchers::models::TpeConfig;
use toprung_searchers::{
    Action, Assignment, Dimension, Domain, Event, ExitReason, ModelConfig, Searcher, SearcherConfig, Space,
    TrialId, Value,
};

/// So many trials run at once.
const PLACES: u32 = 16;
/// Suggestions in a sample.
const SUGGESTIONS: u32 = 20;

fn main() {
    divan::main();
}

fn floats() -> Space {
    let always = |name: &str| {
        let domain = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
        (name.to_owned(), Dimension::always(domain))
    };
    Space::new(["a", "b", "c", "d", "e"].map(always).into())
}

fn mixed() -> Space {
    let always = |(name, domain): (&str, Domain)| (name.to_owned(), Dimension::always(domain));
    let rate = Domain::Double { min: 1e-5, max: 1.0, log: true, quantize: None, count: None };
    let units = Domain::Int { min: 8, max: 512, log: true, count: None };
    let layers = Domain::Int { min: 1, max: 8, log: false, count: None };
    let batch = Domain::Ordinal([16, 32, 64, 128].map(Value::Int).into());
    let kind = Domain::Categorical(["adam", "sgd", "lion"].map(|name| Value::String(name.to_owned())).into());
    Space::new(
        [("rate", rate), ("units", units), ("layers", layers), ("batch", batch), ("kind", kind)]
            .map(always)
            .into(),
    )
}

/// A search and the trials that run in it.
struct World {
    searcher: Searcher,
    running: VecDeque<(TrialId, f64)>,
    created: u32,
    /// What trials had that are not to be placed again.
    recorded: BTreeMap<TrialId, Assignment>,
}

impl World {
    fn new(space: Space) -> Self {
        let inner =
            SearcherConfig::Random { max_trials: 10_000_000, max_length: 1, max_concurrent_trials: 0 };
        let model = ModelConfig::Tpe(TpeConfig { random_fraction: 0.0, ..TpeConfig::default() });
        let config = SearcherConfig::ModelBased { inner: Box::new(inner), model };
        match Searcher::new(config, space, 1) {
            Ok(searcher) => {
                Self { searcher, running: VecDeque::new(), created: 0, recorded: BTreeMap::new() }
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn tell(&mut self, event: &Event) {
        for action in self.searcher.replay(event, &self.recorded) {
            match action {
                Action::Create(create) => {
                    self.created += 1;
                    self.running.push_back((create.trial, metric(&create.hparams)));
                }
                Action::Stop { trial, .. } => {
                    self.tell(&Event::Exited { trial, reason: ExitReason::Stopped })
                }
                _ => {}
            }
        }
    }

    fn step(&mut self) {
        if let Some((trial, metric)) = self.running.pop_front() {
            self.tell(&Event::Validated { trial, length: 1, metric });
        }
    }
}

fn metric(assignment: &Assignment) -> f64 {
    let term = |value: &Value| match value {
        Value::Double(number) => (number - 0.3) * (number - 0.3),
        Value::Int(number) => *number as f64 * 1e-3,
        _ => 0.0,
    };
    assignment.values().map(term).sum()
}

/// A search with so many trials. They are replayed with random hyperparameters, which takes no suggestions.
fn after(trials: u32, space: Space) -> World {
    let recorded: BTreeMap<TrialId, Assignment> =
        (1..=trials).map(|trial| (TrialId(trial), space.draw(7, TrialId(trial)))).collect();
    let mut world = World::new(space);
    world.recorded = recorded;
    world.tell(&Event::Capacity(PLACES));
    while world.created < trials {
        world.step();
    }
    world.step();
    world
}

fn suggestions(bencher: Bencher<'_, '_>, trials: u32, space: Space) {
    let mut world = after(trials, space);
    bencher
        .counter(divan::counter::ItemsCount::new(SUGGESTIONS))
        .bench_local(|| (0..SUGGESTIONS).for_each(|_| world.step()));
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 20, sample_size = 1)]
fn tpe_of_five_floats(bencher: Bencher<'_, '_>, trials: u32) {
    suggestions(bencher, trials, floats());
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 20, sample_size = 1)]
fn tpe_of_five_of_all_kinds(bencher: Bencher<'_, '_>, trials: u32) {
    suggestions(bencher, trials, mixed());
}
