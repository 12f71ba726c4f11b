//! Draws follow their distributions: Kolmogorov-Smirnov and χ² tests on fixed seeds, so that a failure is a change of
//! the code, never chance.

use statrs::distribution::Uniform;
use statrs::stats_tests::NaNPolicy;
use statrs::stats_tests::chisquare::chisquare;
use statrs::stats_tests::ks_test::{KSOneSampleAlternativeMethod, ks_onesample};
use std::collections::BTreeMap;
use toprung_searchers::stream::{Purpose, Stream};
use toprung_searchers::{Dimension, Domain, Space, TrialId, Value};

/// Below this a sample is not of its distribution. The seeds are fixed; each p here is far above it.
const P: f64 = 0.01;
const DRAWS: u32 = 5_000;

fn draws(domain: Domain) -> Vec<Value> {
    let space = Space::new(BTreeMap::from([("x".to_owned(), Dimension::always(domain))]));
    (1..=DRAWS).map(|trial| space.draw(3, TrialId(trial))["x"].clone()).collect()
}

fn numbers(domain: Domain) -> Vec<f64> {
    let number = |value: Value| match value {
        Value::Int(value) => value as f64,
        Value::Double(value) => value,
        other => panic!("{other:?}"),
    };
    draws(domain).into_iter().map(number).collect()
}

fn p_of_uniform(sample: Vec<f64>, min: f64, max: f64) -> f64 {
    let distribution = Uniform::new(min, max).unwrap();
    let method = KSOneSampleAlternativeMethod::TwoSidedAsymptotic;
    ks_onesample(sample, &distribution, method, NaNPolicy::Error).unwrap().1
}

fn p_of_equal_shares(counts: &[usize]) -> f64 {
    chisquare(counts, None, None).unwrap().1
}

#[test]
fn doubles_are_uniform() {
    let sample = numbers(Domain::Double { min: -2.0, max: 6.0, log: false, quantize: None, count: None });
    let p = p_of_uniform(sample.clone(), -2.0, 6.0);
    assert!(p > P, "{p}");
    let p = p_of_uniform(sample, -2.0, 6.5);
    assert!(p < P, "the test tells a wrong distribution apart: {p}");
}

#[test]
fn logarithms_are_uniform() {
    let powers = Domain::Log { base: 10.0, minval: -5.0, maxval: -1.0, count: None };
    let exponents = numbers(powers).into_iter().map(f64::log10).collect();
    let p = p_of_uniform(exponents, -5.0, -1.0);
    assert!(p > P, "{p}");
}

#[test]
fn integers_and_categories_have_equal_shares() {
    let mut counts = [0; 7];
    for value in numbers(Domain::Int { min: 10, max: 16, log: false, count: None }) {
        counts[value as usize - 10] += 1;
    }
    let p = p_of_equal_shares(&counts);
    assert!(p > P, "{p}: {counts:?}");

    let words = ["adam", "sgd", "lamb"].map(|word| Value::String(word.to_owned()));
    let drawn = draws(Domain::Categorical(words.to_vec()));
    let counts = words.map(|word| drawn.iter().filter(|value| **value == word).count());
    let p = p_of_equal_shares(&counts);
    assert!(p > P, "{p}: {counts:?}");
}

#[test]
fn neighbouring_trials_and_seeds_share_nothing() {
    let first = |seed, trial| Stream::new(seed, TrialId(trial), Purpose::Hyperparameter(9)).unit();
    let by_trial = (1..=DRAWS).map(|trial| (first(1, trial) - first(1, trial + 1)).rem_euclid(1.0)).collect();
    let p = p_of_uniform(by_trial, 0.0, 1.0);
    assert!(p > P, "{p}");
    let by_seed = (1..=DRAWS).map(|seed| (first(seed, 1) - first(seed + 1, 1)).rem_euclid(1.0)).collect();
    let p = p_of_uniform(by_seed, 0.0, 1.0);
    assert!(p > P, "{p}");
}
