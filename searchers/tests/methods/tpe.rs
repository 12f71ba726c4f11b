//! Trials placed by TPE: always within the space, repeatable, better than chance.

use crate::world::{PAUSED, brief, capacity, start, validated};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use toprung_searchers::models::TpeConfig;
use toprung_searchers::space::encoding::Encoding;
use toprung_searchers::{
    Action, Assignment, Dimension, Domain, Error, Event, ExitReason, ModelConfig, Searcher, SearcherConfig,
    Space, TrialId, Value,
};

fn random(max_trials: u64) -> SearcherConfig {
    SearcherConfig::Random { max_trials, max_length: 1, max_concurrent_trials: 0 }
}

pub(crate) fn around(inner: SearcherConfig, config: TpeConfig) -> SearcherConfig {
    SearcherConfig::ModelBased { inner: Box::new(inner), model: ModelConfig::Tpe(config) }
}

fn tpe(max_trials: u64) -> SearcherConfig {
    around(random(max_trials), TpeConfig::default())
}

fn double(min: f64, max: f64, log: bool) -> Domain {
    Domain::Double { min, max, log, quantize: None, count: None }
}

fn int(min: i64, max: i64, log: bool) -> Domain {
    Domain::Int { min, max, log, count: None }
}

fn texts(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| Value::String((*name).to_owned())).collect()
}

fn always<const N: usize>(domains: [(&str, Domain); N]) -> BTreeMap<String, Dimension> {
    domains.map(|(name, domain)| (name.to_owned(), Dimension::always(domain))).into()
}

fn given(sibling: &str, allowed: &[&str], domain: Domain) -> Dimension {
    Dimension { domain, condition: [(sibling.to_owned(), texts(allowed))].into(), prior: None }
}

/// Everything a space can have, in groups within groups with conditions on either.
fn wild_space() -> Space {
    let mut inner = always([("kind", Domain::Categorical(texts(&["u", "v"]))), ("depth", int(1, 3, false))]);
    inner.insert("slope".to_owned(), given("kind", &["v"], double(0.0, 1.0, false)));
    let mut outer = always([
        ("block", Domain::Categorical(texts(&["x", "y", "z"]))),
        ("rate", double(1e-6, 10.0, true)),
        ("huge", int(i64::MIN, i64::MAX, false)),
        ("wide", double(f64::MIN, f64::MAX, false)),
        ("units", int(1, 4096, true)),
        ("drop", Domain::Double { min: 0.0, max: 0.7, log: false, quantize: Some(0.05), count: None }),
        ("power", Domain::Log { base: 10.0, minval: -4.0, maxval: -1.0, count: None }),
        ("batch", Domain::Ordinal([16, 32, 128].map(Value::Int).into())),
        ("one", int(4, 4, false)),
        ("point", double(2.0, 2.0, false)),
        ("fixed", Domain::Const(Value::Null)),
    ]);
    outer.insert("net".to_owned(), given("block", &["x", "y"], Domain::Group(inner)));
    outer.insert("extra".to_owned(), given("block", &["y"], Domain::Ordinal(texts(&["s", "t"]))));
    let more = [("extra".to_owned(), texts(&["t"])), ("block".to_owned(), texts(&["y"]))];
    outer.insert(
        "last".to_owned(),
        Dimension { domain: int(0, 9, false), condition: more.into(), prior: None },
    );
    Space::new(outer)
}

fn is_text(value: Option<&Value>, names: &[&str]) -> bool {
    value.is_some_and(|value| texts(names).contains(value))
}

fn check_group(dimensions: &BTreeMap<String, Dimension>, assignment: &Assignment) {
    for (name, value) in assignment {
        let inside = match (&dimensions[name].domain, value) {
            (Domain::Int { min, max, .. }, Value::Int(value)) => (min..=max).contains(&value),
            (Domain::Double { min, max, quantize, .. }, Value::Double(value)) => {
                let off = quantize.map_or(0.0, |step| (value / step - (value / step).round()).abs());
                (min..=max).contains(&value) && off < 1e-9
            }
            (Domain::Log { base, minval, maxval, .. }, Value::Double(value)) => {
                (base.powf(*minval)..=base.powf(*maxval)).contains(value)
            }
            (Domain::Categorical(values) | Domain::Ordinal(values), value) => values.contains(value),
            (Domain::Const(constant), value) => constant == value,
            (Domain::Group(inner), Value::Map(values)) => {
                check_group(inner, values);
                true
            }
            _ => false,
        };
        assert!(inside, "{name} is {value:?}");
    }
}

/// That all values are of their domains, and that those are there whose conditions hold.
pub(crate) fn check_within(space: &Space, assignment: &Assignment) {
    check_group(&space.dimensions, assignment);
    let encoding = Encoding::new(space);
    let settled = encoding.decode(space, &encoding.encode(assignment));
    assert_eq!(settled.keys().collect::<Vec<_>>(), assignment.keys().collect::<Vec<_>>());
}

fn check_wild(assignment: &Assignment) {
    check_within(&wild_space(), assignment);
    let has = |name: &str| assignment.contains_key(name);
    let block = assignment.get("block");
    assert_eq!(has("net"), is_text(block, &["x", "y"]), "{assignment:?}");
    assert_eq!(has("extra"), is_text(block, &["y"]), "{assignment:?}");
    assert_eq!(has("last"), is_text(assignment.get("extra"), &["t"]), "{assignment:?}");
    if let Some(Value::Map(net)) = assignment.get("net") {
        assert_eq!(net.contains_key("slope"), is_text(net.get("kind"), &["v"]), "{net:?}");
    }
}

fn play(
    searcher: Searcher,
    places: u32,
    report: impl Fn(u32, &Assignment) -> Result<f64, ExitReason>,
) -> Vec<Assignment> {
    play_stored(searcher, places, u32::MAX, report)
}

/// Runs a search to its end, and stores and restores it when so many trials were created. Trials report in the order in
/// which they began.
fn play_stored(
    mut searcher: Searcher,
    places: u32,
    stored_after: u32,
    report: impl Fn(u32, &Assignment) -> Result<f64, ExitReason>,
) -> Vec<Assignment> {
    let (mut created, mut running) = (Vec::new(), VecDeque::new());
    let mut events: VecDeque<Event> = [Event::Capacity(places)].into();
    loop {
        while let Some(event) = events.pop_front() {
            if created.len() as u32 == stored_after {
                searcher = postcard::from_bytes(&postcard::to_stdvec(&searcher).unwrap()).unwrap();
            }
            for action in searcher.handle(&event) {
                match action {
                    Action::Create(create) => {
                        running.push_back((create.trial, create.train_to));
                        created.push(create.hparams);
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
        let Some((trial, length)) = running.pop_front() else { return created };
        events.push_back(match report(trial.0, &created[trial.0 as usize - 1]) {
            Ok(metric) => Event::Validated { trial, length, metric },
            Err(reason) => Event::Exited { trial, reason },
        });
    }
}

fn number(assignment: &Assignment, name: &str) -> f64 {
    match &assignment[name] {
        Value::Double(number) => *number,
        Value::Int(number) => *number as f64,
        other => panic!("{other:?}"),
    }
}

fn search(space: &Space, config: SearcherConfig, seed: u32) -> Searcher {
    Searcher::new(config, space.clone(), seed).unwrap()
}

/// The median over seeds of the best of 100 trials.
fn median_best(space: &Space, config: &SearcherConfig, metric: impl Fn(&Assignment) -> f64) -> f64 {
    let best = |seed| {
        let trials = play(search(space, config.clone(), seed), 1, |_, assignment| Ok(metric(assignment)));
        trials.iter().map(&metric).fold(f64::INFINITY, f64::min)
    };
    let mut all: Vec<f64> = (0..10).map(best).collect();
    all.sort_by(f64::total_cmp);
    f64::midpoint(all[4], all[5])
}

fn check_better(space: &Space, factor: f64, metric: impl Fn(&Assignment) -> f64) {
    let (by_model, by_chance) =
        (median_best(space, &tpe(100), &metric), median_best(space, &random(100), &metric));
    assert!(by_model < factor * by_chance, "{by_model} by the model, {by_chance} by chance");
}

fn cube(names: [&str; 5]) -> Space {
    Space::new(always(names.map(|name| (name, double(-2.0, 2.0, false)))))
}

#[test]
fn it_finds_the_bottom_of_a_bowl() {
    check_better(&cube(["a", "b", "c", "d", "e"]), 0.2, |assignment| {
        assignment.keys().map(|name| (number(assignment, name) - 0.5).powi(2)).sum()
    });
}

#[test]
fn it_follows_a_curved_valley() {
    let names = ["a", "b", "c", "d", "e"];
    check_better(&cube(names), 0.35, |assignment| {
        let at: Vec<f64> = names.iter().map(|name| number(assignment, name)).collect();
        at.windows(2).map(|two| 100.0 * (two[1] - two[0] * two[0]).powi(2) + (1.0 - two[0]).powi(2)).sum()
    });
}

#[test]
fn it_learns_of_all_kinds_at_once() {
    let space = Space::new(always([
        ("rate", double(1e-5, 1.0, true)),
        ("layers", int(1, 12, false)),
        ("units", int(4, 4096, true)),
        ("kind", Domain::Categorical(texts(&["a", "b", "c", "d"]))),
    ]));
    check_better(&space, 0.3, |assignment| {
        let rate = 0.5 * number(assignment, "rate").log10() + 1.25;
        let layers = (number(assignment, "layers") - 3.0) / 3.0;
        let units = (number(assignment, "units") / 100.0).ln() / 2.0;
        let kind = if is_text(assignment.get("kind"), &["c"]) { 0.0 } else { 0.4 };
        rate * rate + layers * layers + units * units + kind + 0.3 * rate * units
    });
}

#[test]
fn it_learns_within_the_branch_of_a_condition() {
    let mut dimensions = always([("kind", Domain::Categorical(texts(&["x", "y", "z"])))]);
    for (name, on) in [("p", "x"), ("q", "y"), ("r", "y"), ("s", "z")] {
        dimensions.insert(name.to_owned(), given("kind", &[on], double(0.0, 1.0, false)));
    }
    check_better(&Space::new(dimensions), 0.6, |assignment| {
        let bowl = |name, best: f64| (number(assignment, name) - best).powi(2) * 8.0;
        match &assignment["kind"] {
            kind if is_text(Some(kind), &["x"]) => 0.5 + bowl("p", 0.3),
            kind if is_text(Some(kind), &["y"]) => 0.02 + bowl("q", 0.7) + bowl("r", 0.2),
            _ => 0.3 + bowl("s", 0.1),
        }
    });
}

#[test]
fn a_finite_space_is_tried_whole_before_anything_comes_again() {
    let space =
        Space::new(always([("a", int(1, 4, false)), ("b", Domain::Categorical(texts(&["x", "y", "z"])))]));
    for seed in 0..5 {
        let trials = play(search(&space, tpe(60), seed), 3, |_, assignment| Ok(number(assignment, "a")));
        assert_eq!(trials.len(), 60, "an exhausted space does not end a search");
        let texts = |trials: &[Assignment]| {
            trials.iter().map(toprung_searchers::to_json_text).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(texts(&trials[..12]), 12, "seed {seed}");
    }
}

#[test]
fn spaces_without_choice_are_searched() {
    for space in
        [Space::default(), Space::new(always([("one", int(4, 4, false)), ("c", Domain::Const(Value::Null))]))]
    {
        let trials = play(search(&space, tpe(40), 1), 4, |trial, _| Ok(f64::from(trial)));
        assert_eq!(trials.len(), 40);
        trials.iter().for_each(|assignment| check_within(&space, assignment));
    }
}

#[test]
fn nothing_but_nan_or_failures_is_searched_on() {
    let space = wild_space();
    for report in [Ok(f64::NAN), Ok(f64::INFINITY), Err(ExitReason::Errored)] {
        let trials = play(search(&space, tpe(50), 3), 4, |_, _| report);
        assert!(trials.len() >= 50);
        trials.iter().for_each(check_wild);
    }
    assert_eq!(play(search(&space, tpe(1), 3), 4, |_, _| Ok(0.0)).len(), 1);
}

#[test]
fn the_first_trials_are_random_and_later_ones_are_not() {
    let mut searcher = start(tpe(30));
    let mut placed = Vec::new();
    let mut actions = capacity(&mut searcher, 1);
    for trial in 1..=30 {
        let found = actions.iter().find_map(|action| match action {
            Action::Create(create) => Some(create.hparams.clone()),
            _ => None,
        });
        let found = found.unwrap_or_else(|| panic!("{:?}", brief(&actions)));
        placed.push(found != searcher.space().draw(crate::world::SEED, TrialId(trial)));
        validated(&mut searcher, trial, 1, f64::from(trial % 7));
        actions = searcher.handle(&Event::Exited { trial: TrialId(trial), reason: ExitReason::Stopped });
    }
    assert!(placed[..10].iter().all(|placed| !placed) && placed[10..].iter().filter(|&&p| p).count() > 12);
}

#[test]
fn settings_out_of_range_are_named() {
    let good = TpeConfig::default();
    for (config, name) in [
        (TpeConfig { startup_trials: 0, ..good }, "tpe.startup_trials"),
        (TpeConfig { candidates: 0, ..good }, "tpe.candidates"),
        (TpeConfig { candidates: 1001, ..good }, "tpe.candidates"),
        (TpeConfig { gamma: 0.0, ..good }, "tpe.gamma"),
        (TpeConfig { gamma: f64::NAN, ..good }, "tpe.gamma"),
        (TpeConfig { random_fraction: 1.1, ..good }, "tpe.random_fraction"),
    ] {
        let error = around(random(9), config).check().unwrap_err();
        assert!(matches!(error, Error::Setting { setting, .. } if setting == name), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Suggestions are within the space whatever was reported, and the same from a searcher that was stored and restored.
    #[test]
    fn suggestions_are_within_the_space_and_repeatable(
        seed in any::<u32>(),
        places in 1..9_u32,
        halving in any::<bool>(),
        reports in prop::collection::vec((0..12_u8, -3.0..3.0_f64), 60),
        stored_after in 0..60_u32,
    ) {
        let inner = if halving { crate::world::asha(3, 60, 3.0, 9, false) } else { random(60) };
        let config = TpeConfig { startup_trials: 5, ..TpeConfig::default() };
        let searcher = search(&wild_space(), around(inner, config), seed);
        let report = |trial: u32, _: &Assignment| match reports[trial as usize % 60] {
            (0, _) => Err(ExitReason::Errored),
            (1, _) => Err(ExitReason::InvalidHyperparameters),
            (2, _) => Ok(f64::NAN),
            (3, _) => Ok(f64::NEG_INFINITY),
            (_, metric) => Ok(metric),
        };
        let trials = play(searcher.clone(), places, report);
        trials.iter().for_each(check_wild);
        let again = play_stored(searcher, places, stored_after, report);
        prop_assert_eq!(again, trials);
    }
}
