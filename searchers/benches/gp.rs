//! What a suggestion of the Gaussian process costs, by how many reports it holds, in five dimensions.
//!
//! A search with so many reports is asked for its next trial again and again, each time from the same state, so the fits that come
//! every quarter more reports are not in it. `restored` has lost what it derives, and makes all of it again.

use divan::Bencher;
use toprung_searchers::models::GpConfig;
use toprung_searchers::{
    Action, Dimension, Domain, Event, ExitReason, ModelConfig, Searcher, SearcherConfig, Space, Value,
};

const SIZES: [u32; 5] = [50, 200, 400, 1000, 2000];

fn main() {
    divan::main();
}

/// A search around random search whose first trials have reported, the last of them not yet over.
fn search(reports: u32) -> Searcher {
    let rate = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
    let axes = ["a", "b", "c", "d", "e"];
    let space = Space::new(axes.map(|name| (name.to_owned(), Dimension::always(rate.clone()))).into());
    let gp = GpConfig { max_points: 2000, random_fraction: 0.0, startup_trials: reports.min(1000) };
    let inner = SearcherConfig::Random { max_trials: 100_000, max_length: 1, max_concurrent_trials: 0 };
    let config = SearcherConfig::ModelBased { inner: Box::new(inner), model: ModelConfig::Gp(gp) };
    let mut searcher = match Searcher::new(config, space, 1) {
        Ok(searcher) => searcher,
        Err(error) => panic!("{error}"),
    };
    // All run at once, so that the model is first asked when all have reported.
    let mut metrics = Vec::new();
    for action in searcher.handle(&Event::Capacity(reports)) {
        let Action::Create(create) = action else { continue };
        let bowl = create.hparams.values().map(|value| match value {
            Value::Double(value) => (value - 0.3).powi(2),
            _ => 0.0,
        });
        metrics.push((create.trial, bowl.sum()));
    }
    searcher.handle(&Event::Capacity(0));
    for (trial, metric) in metrics {
        searcher.handle(&Event::Validated { trial, length: 1, metric });
        searcher.handle(&Event::Exited { trial, reason: ExitReason::Completed });
    }
    // The first suggestion fits the parameters.
    let _ = searcher.handle(&Event::Capacity(1));
    searcher
}

/// The next suggestion, one trial more being at work.
fn ask(searcher: &mut Searcher) -> Vec<Action> {
    searcher.handle(&Event::Capacity(2))
}

#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn suggestion(bencher: Bencher<'_, '_>, reports: u32) {
    let searcher = search(reports);
    bencher.with_inputs(|| searcher.clone()).bench_local_refs(ask);
}

#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn restored(bencher: Bencher<'_, '_>, reports: u32) {
    let stored = postcard::to_stdvec(&search(reports)).unwrap_or_default();
    let restore = || match postcard::from_bytes::<Searcher>(&stored) {
        Ok(searcher) => searcher,
        Err(error) => panic!("{error}"),
    };
    bencher.with_inputs(restore).bench_local_refs(ask);
}

/// With the fit of the parameters.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn first(bencher: Bencher<'_, '_>, reports: u32) {
    bencher.bench_local(|| search(reports));
}
