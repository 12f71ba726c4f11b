//! The Gaussian process as its users see it: better points than by chance, the same after a restore, and no harm from whatever
//! metrics and spaces there are.

use crate::world::{PAUSED, asha};
use std::collections::BTreeMap;
use toprung_searchers::models::GpConfig;
use toprung_searchers::{
    Action, Assignment, Dimension, Domain, Event, ExitReason, ModelConfig, Searcher, SearcherConfig, Space,
    TrialId, Value,
};

/// What trials report: their hyperparameters and length decide.
type Metric<'a> = &'a dyn Fn(&Assignment, u64) -> f64;

fn double(min: f64, max: f64, log: bool) -> Domain {
    Domain::Double { min, max, log, quantize: None, count: None }
}

fn space(domains: &[(&str, Domain)]) -> Space {
    Space::new(
        domains
            .iter()
            .map(|(name, domain)| ((*name).to_owned(), Dimension::always(domain.clone())))
            .collect(),
    )
}

fn number(hparams: &Assignment, name: &str) -> f64 {
    match hparams.get(name) {
        Some(Value::Double(value)) => *value,
        Some(Value::Int(value)) => *value as f64,
        other => panic!("{name} is {other:?}"),
    }
}

fn random(max_trials: u64, max_length: u64) -> SearcherConfig {
    SearcherConfig::Random { max_trials, max_length, max_concurrent_trials: 0 }
}

fn gp(inner: SearcherConfig) -> SearcherConfig {
    let config = GpConfig { startup_trials: 5, ..GpConfig::default() };
    SearcherConfig::ModelBased { inner: Box::new(inner), model: ModelConfig::Gp(config) }
}

/// Runs a search to its end, `places` trials at once, each told by itself in the order of creation. Returns the trials and
/// their last metrics. Every so many-th event the search is stored and restored.
fn play(
    config: SearcherConfig,
    space: &Space,
    seed: u32,
    places: u32,
    metric: Metric<'_>,
    restore_every: usize,
) -> Vec<(Assignment, f64)> {
    let mut searcher = Searcher::new(config, space.clone(), seed).unwrap();
    let mut trials: Vec<(Assignment, f64)> = Vec::new();
    let mut events = std::collections::VecDeque::from([Event::Capacity(places)]);
    let mut running = std::collections::VecDeque::new();
    for step in 1.. {
        let event = match (events.pop_front(), running.pop_front()) {
            (Some(event), next) => {
                next.into_iter().for_each(|next| running.push_front(next));
                event
            }
            (None, Some((trial, length))) => {
                let TrialId(id) = trial;
                let own: &mut (Assignment, f64) = &mut trials[id as usize - 1];
                own.1 = metric(&own.0, length);
                Event::Validated { trial, length, metric: own.1 }
            }
            (None, None) => break,
        };
        if step % restore_every == 0 {
            let stored = postcard::to_stdvec(&searcher).unwrap();
            searcher = postcard::from_bytes(&stored).unwrap();
        }
        for action in searcher.handle(&event) {
            match action {
                Action::Create(create) => {
                    trials.push((create.hparams, f64::NAN));
                    running.push_back((create.trial, create.train_to));
                }
                Action::TrainTo { trial, length, .. } => running.push_back((trial, length)),
                Action::Pause { trial, .. } => events.push_back(Event::Exited { trial, reason: PAUSED }),
                Action::Stop { trial, .. } => {
                    events.push_back(Event::Exited { trial, reason: ExitReason::Stopped });
                }
                Action::Shutdown { .. } => {}
            }
        }
    }
    assert!(searcher.is_over());
    trials
}

const NEVER: usize = usize::MAX;

/// The median over seeds of the best metric of a search of 60 trials.
fn median_best(config: &SearcherConfig, space: &Space, metric: Metric<'_>) -> f64 {
    let best = |seed| {
        let trials = play(config.clone(), space, seed, 1, metric, NEVER);
        trials.iter().map(|trial| trial.1).fold(f64::INFINITY, f64::min)
    };
    let mut all: Vec<f64> = (0..7).map(best).collect();
    all.sort_by(f64::total_cmp);
    all[3]
}

fn five_axes() -> Space {
    space(&["a", "b", "c", "d", "e"].map(|name| (name, double(0.0, 1.0, false))))
}

fn bowl(hparams: &Assignment) -> f64 {
    [("a", 0.3), ("b", 0.7), ("c", 0.21), ("d", 0.55), ("e", 0.9)]
        .iter()
        .map(|&(name, at)| (number(hparams, name) - at).powi(2))
        .sum()
}

#[test]
fn finds_better_points_than_chance() {
    let axes = five_axes();
    let smooth = |hparams: &Assignment, _| bowl(hparams);
    let waves = |hparams: &Assignment, _| {
        let of = |name| number(hparams, name);
        1.0 + (of("a") * 6.0).sin() * (of("b") * 4.0 + 1.0).cos()
            + (of("c") - of("d")).powi(2)
            + 0.1 * of("e")
    };
    // A valley between huge walls: only the order of the metrics is kind.
    let walls = |hparams: &Assignment, _| (40.0 * bowl(hparams)).exp() - 1.0;
    let all: [(Metric<'_>, f64); 3] = [(&smooth, 0.15), (&waves, 0.15), (&walls, 0.05)];
    for (metric, part) in all {
        let with = median_best(&gp(random(60, 1)), &axes, metric);
        let without = median_best(&random(60, 1), &axes, metric);
        assert!(with < part * without, "{with} with, {without} without");
    }
}

/// Numbers of all kinds, and a choice that decides whether one of them counts.
fn mixed() -> Space {
    let text = |name: &str| Value::String(name.to_owned());
    let kind = Domain::Categorical(vec![text("p"), text("q"), text("r")]);
    let mut space = space(&[
        ("kind", kind),
        ("rate", double(1e-5, 1.0, true)),
        ("units", Domain::Int { min: 4, max: 512, log: true, count: None }),
        ("part", Domain::Double { min: 0.0, max: 1.0, log: false, quantize: Some(0.1), count: None }),
    ]);
    let condition = BTreeMap::from([("kind".to_owned(), vec![text("q")])]);
    space
        .dimensions
        .insert("decay".to_owned(), Dimension { domain: double(0.0, 1.0, false), condition, prior: None });
    space
}

fn mixed_metric(hparams: &Assignment, _: u64) -> f64 {
    let kind = match hparams.get("kind") {
        Some(Value::String(name)) if name == "q" => (number(hparams, "decay") - 0.8).powi(2),
        _ => 0.3,
    };
    kind + 0.1 * (number(hparams, "rate").log10() + 3.0).powi(2)
        + 0.05 * (number(hparams, "units").log2() - 6.0).powi(2)
        + 0.2 * (number(hparams, "part") - 0.4).abs()
}

#[test]
fn finds_better_points_in_a_mixed_space_with_conditions() {
    let with = median_best(&gp(random(60, 1)), &mixed(), &mixed_metric);
    let without = median_best(&random(60, 1), &mixed(), &mixed_metric);
    assert!(with < 0.5 * without, "{with} with, {without} without");
}

#[test]
fn a_restored_search_goes_on_the_same() {
    for inner in [random(40, 9), asha(3, 60, 3.0, 9, false)] {
        let run = |every| play(gp(inner.clone()), &mixed(), 4, 5, &mixed_metric, every);
        let (whole, restored) = (run(NEVER), run(7));
        assert_eq!(whole, restored);
        assert_ne!(
            whole,
            play(inner, &mixed(), 4, 5, &mixed_metric, NEVER),
            "the model never placed a trial"
        );
    }
}

#[test]
fn trials_that_run_at_once_are_apart() {
    let mut searcher = Searcher::new(gp(random(100, 1)), five_axes(), 3).unwrap();
    let mut created: Vec<Assignment> = Vec::new();
    let mut tell = |event: Event, created: &mut Vec<Assignment>| {
        for action in searcher.handle(&event) {
            if let Action::Create(create) = action {
                created.push(create.hparams);
            }
        }
    };
    tell(Event::Capacity(1), &mut created);
    for trial in 1..=30 {
        let metric = bowl(&created[trial as usize - 1]);
        tell(Event::Validated { trial: TrialId(trial), length: 1, metric }, &mut created);
        tell(Event::Exited { trial: TrialId(trial), reason: ExitReason::Completed }, &mut created);
    }
    let before = created.len();
    tell(Event::Capacity(9), &mut created);
    let batch = &created[before - 1..];
    assert_eq!(batch.len(), 9);
    let mut apart: Vec<f64> = Vec::new();
    for (at, left) in batch.iter().enumerate() {
        for right in &batch[..at] {
            let square = |name: &String| (number(left, name) - number(right, name)).powi(2);
            apart.push(left.keys().map(square).sum::<f64>().sqrt());
        }
    }
    apart.sort_by(f64::total_cmp);
    // Near the best that is known, but no two at the same place.
    assert!(apart[0] > 0.03, "{apart:?}");
}

#[test]
fn a_finite_space_is_used_up_before_a_point_comes_twice() {
    let units = Domain::Int { min: 1, max: 12, log: false, count: None };
    let kind = Domain::Categorical(vec![Value::Bool(true), Value::Bool(false)]);
    let space = space(&[("units", units), ("kind", kind)]);
    let config = GpConfig { startup_trials: 1, random_fraction: 0.0, ..GpConfig::default() };
    let config =
        SearcherConfig::ModelBased { inner: Box::new(random(40, 1)), model: ModelConfig::Gp(config) };
    let trials = play(config, &space, 1, 1, &|hparams, _| number(hparams, "units"), NEVER);
    let different = |trials: &[(Assignment, f64)]| {
        let mut texts: Vec<String> = trials.iter().map(|trial| format!("{:?}", trial.0)).collect();
        texts.sort();
        texts.dedup();
        texts.len()
    };
    assert_eq!((trials.len(), different(&trials[..24])), (40, 24));
}

#[test]
fn any_metrics_and_any_spaces_are_borne() {
    let huge = Domain::Int { min: i64::MIN, max: i64::MAX, log: false, count: None };
    let one = Domain::Int { min: 3, max: 3, log: false, count: None };
    let spaces = [
        space(&[]),
        space(&[("a", one)]),
        space(&[("a", huge.clone()), ("b", double(f64::MIN, f64::MAX, false))]),
        mixed(),
    ];
    let metrics: [Metric<'_>; 6] = [
        &|_, _| f64::NAN,
        &|_, _| 1.0,
        &|_, _| f64::NEG_INFINITY,
        &|hparams, _| if format!("{hparams:?}").len().is_multiple_of(2) { 6e18 } else { f64::INFINITY },
        &|hparams, length| format!("{hparams:?}").len() as f64 * 1e306 * length as f64,
        &|_, length| -(length as f64),
    ];
    for space in &spaces {
        for metric in metrics {
            for inner in [random(25, 3), asha(3, 25, 3.0, 9, false)] {
                assert_eq!(play(gp(inner), space, 2, 4, metric, 11).len(), 25);
            }
        }
    }
}

#[test]
fn trials_that_all_fail_end_the_search_as_usual() {
    let mut searcher = Searcher::new(gp(random(30, 1)), mixed(), 1).unwrap();
    let mut events = std::collections::VecDeque::from([Event::Capacity(4)]);
    let mut created = 0;
    while let Some(event) = events.pop_front() {
        for action in searcher.handle(&event) {
            if let Action::Create(create) = action {
                created += 1;
                events.push_back(Event::Exited { trial: create.trial, reason: ExitReason::Errored });
            }
        }
    }
    assert!(searcher.is_over() && created == 30, "{created}");
}

#[test]
fn settings_out_of_range_say_what_is_allowed() {
    let with =
        |config| SearcherConfig::ModelBased { inner: Box::new(random(3, 1)), model: ModelConfig::Gp(config) };
    let standard = GpConfig::default();
    for (config, text) in [
        (
            GpConfig { startup_trials: 1001, ..standard },
            "searcher.gp.startup_trials is 1001, allowed is 0 to 1000",
        ),
        (GpConfig { max_points: 2001, ..standard }, "searcher.gp.max_points is 2001, allowed is 16 to 2000"),
        (
            GpConfig { random_fraction: f64::NAN, ..standard },
            "searcher.gp.random_fraction is NaN, allowed is 0 to 1",
        ),
    ] {
        assert_eq!(with(config).check().unwrap_err().to_string(), text);
    }
    assert!(with(standard).check().is_ok());
}
