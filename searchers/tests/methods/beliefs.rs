//! Priors and constraints in the models: a right prior helps, a wrong one is outgrown, and every place is admissible.

use crate::world::run_seeing;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use toprung_searchers::models::{GpConfig, TpeConfig};
use toprung_searchers::{
    Assignment, Constraint, Create, Dimension, Domain, ModelConfig, Prior, Searcher, SearcherConfig, Space,
    Value,
};

fn models() -> [ModelConfig; 2] {
    [ModelConfig::Tpe(TpeConfig::default()), ModelConfig::Gp(GpConfig::default())]
}

/// Three numbers, of which two have a prior at this place.
fn guided(center: Option<[f64; 2]>) -> Space {
    let unit = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
    let dimension = |place: usize| {
        let center = center.and_then(|center| center.get(place).copied());
        let prior = center.map(|center| Prior { center: Value::Double(center), confidence: 0.75 });
        Dimension { prior, ..Dimension::always(unit.clone()) }
    };
    Space::new(
        ["x", "y", "z"].iter().zip(0..).map(|(name, place)| ((*name).to_owned(), dimension(place))).collect(),
    )
}

fn number(trial: &Assignment, name: &str) -> f64 {
    match trial[name] {
        Value::Double(number) => number,
        Value::Int(number) => number as f64,
        ref other => panic!("{other:?}"),
    }
}

/// Best where x is 0.3, y 0.7 and z 0.5.
fn bowl(trial: &Assignment) -> f64 {
    [("x", 0.3), ("y", 0.7), ("z", 0.5)].iter().map(|(name, best)| (number(trial, name) - best).powi(2)).sum()
}

/// All trials of a search, one at a time.
fn search(
    space: &Space,
    model: ModelConfig,
    trials: u64,
    seed: u32,
    loss: impl Fn(&Assignment) -> f64,
) -> Vec<Create> {
    let random = SearcherConfig::Random { max_trials: trials, max_length: 1, max_concurrent_trials: 1 };
    let config = SearcherConfig::ModelBased { inner: Box::new(random), model };
    let mut searcher = Searcher::new(config, space.clone(), seed).unwrap();
    let losses = RefCell::new(BTreeMap::new());
    let see = |create: &Create| {
        losses.borrow_mut().insert(create.trial.0, loss(&create.hparams));
    };
    run_seeing(&mut searcher, 1, see, |trial, _| losses.borrow()[&trial]).created
}

/// The mean over seeds of the logarithm of the best loss of so many trials.
fn quality(space: &Space, model: ModelConfig, trials: u64) -> f64 {
    let best = |seed| {
        let created = search(space, model, trials, seed, bowl);
        created.iter().map(|create| bowl(&create.hparams)).fold(f64::INFINITY, f64::min).ln()
    };
    (0..16).map(best).sum::<f64>() / 16.0
}

#[test]
fn a_right_prior_helps_while_little_is_known() {
    for model in models() {
        let without = quality(&guided(None), model, 12);
        let right = quality(&guided(Some([0.3, 0.7])), model, 12);
        assert!(right < without - 0.7, "{}: {right:.2} with, {without:.2} without", model.name());
    }
}

#[test]
fn a_wrong_prior_is_outgrown() {
    let all_random = TpeConfig { random_fraction: 1.0, ..TpeConfig::default() };
    let chance = quality(&guided(None), ModelConfig::Tpe(all_random), 50);
    for model in models() {
        let without = quality(&guided(None), model, 50);
        let wrong = quality(&guided(Some([1.0, 0.0])), model, 50);
        assert!(wrong < chance - 1.0, "{}: {wrong:.2} with, {chance:.2} by chance", model.name());
        assert!(wrong < without + 1.5, "{}: {wrong:.2} with, {without:.2} without", model.name());
        let near =
            |create: &&Create| number(&create.hparams, "x") > 0.75 && number(&create.hparams, "y") < 0.25;
        let (mut early, mut late) = (0, 0);
        for seed in 0..16 {
            let created = search(&guided(Some([1.0, 0.0])), model, 50, seed, bowl);
            early += created[..10].iter().filter(near).count();
            late += created[40..].iter().filter(near).count();
        }
        assert!(early > 40 && late < early / 4, "{}: {early} early, {late} late of 160", model.name());
    }
}

fn constrained(domains: &[(&str, Domain)], constraint: &str) -> Space {
    let dimensions =
        domains.iter().map(|(name, domain)| ((*name).to_owned(), Dimension::always(domain.clone())));
    Space { dimensions: dimensions.collect(), constraints: vec![Constraint::parse(constraint).unwrap()] }
}

#[test]
fn every_place_is_admissible() {
    let unit = || Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
    let int = |max| Domain::Int { min: 1, max, log: false, count: None };
    let nearly_nothing = constrained(&[("x", unit()), ("y", unit())], "0.49 < x + y < 0.51 and y > 0.25");
    let finite = constrained(&[("x", int(6)), ("y", int(6))], "x + y == 7 or x > y");
    for model in models() {
        for (space, least) in [(&nearly_nothing, 20), (&finite, 3)] {
            let loss = |trial: &Assignment| (number(trial, "x") - 0.1).powi(2);
            let created = search(space, model, 60, 3, loss);
            assert!(created.iter().all(|create| space.allows(&create.hparams)), "{}", model.name());
            let placed =
                created.iter().filter(|create| create.hparams != space.draw(3, create.trial)).count();
            assert!(placed >= least, "{}: only {placed} were placed by it", model.name());
        }
        // The finite one has 18 admissible points, and none comes twice before all were tried.
        let config = match model {
            ModelConfig::Gp(gp) => {
                ModelConfig::Gp(GpConfig { random_fraction: 0.0, startup_trials: 1, ..gp })
            }
            other => other,
        };
        let points: BTreeSet<String> = search(&finite, config, 18, 5, |trial| number(trial, "x"))
            .iter()
            .map(|create| format!("{:?}", create.hparams))
            .collect();
        assert_eq!(points.len(), 18, "{}", model.name());
    }
}
