//! Priors: better when they are right, and safe when they are wrong.

use crate::world::run;
use std::collections::BTreeMap;
use toprung_searchers::models::{ModelConfig, PriorConfig};
use toprung_searchers::{
    Assignment, Create, Dimension, Domain, Prior, Searcher, SearcherConfig, Space, Value,
};

const TRIALS: u64 = 40;

/// Three numbers, of which two have a prior at this place.
fn space(center: Option<[f64; 2]>) -> Space {
    let unit =
        || Dimension::always(Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None });
    let prior =
        |place: usize| center.map(|center| Prior { center: Value::Double(center[place]), confidence: 0.75 });
    Space::new(BTreeMap::from([
        ("x".to_owned(), Dimension { prior: prior(0), ..unit() }),
        ("y".to_owned(), Dimension { prior: prior(1), ..unit() }),
        ("z".to_owned(), unit()),
    ]))
}

fn number(trial: &Assignment, name: &str) -> f64 {
    match trial[name] {
        Value::Double(number) => number,
        ref other => panic!("{other:?}"),
    }
}

/// Best where x is 0.3, y 0.7 and z 0.5.
fn loss(trial: &Assignment) -> f64 {
    [("x", 0.3), ("y", 0.7), ("z", 0.5)].iter().map(|(name, best)| (number(trial, name) - best).powi(2)).sum()
}

fn search(space: &Space, guided: bool, seed: u32) -> Vec<Create> {
    let random = SearcherConfig::Random { max_trials: TRIALS, max_length: 1, max_concurrent_trials: 1 };
    let model = ModelConfig::Prior(PriorConfig::default());
    let config = if guided { SearcherConfig::ModelBased { inner: Box::new(random), model } } else { random };
    let mut searcher = Searcher::new(config, space.clone(), seed).unwrap();
    // The loss of a trial is known once it is created, before it reports.
    let created = std::cell::RefCell::new(BTreeMap::new());
    let history = crate::world::run_seeing(
        &mut searcher,
        1,
        |create| {
            created.borrow_mut().insert(create.trial.0, loss(&create.hparams));
        },
        |trial, _| created.borrow()[&trial],
    );
    history.created
}

/// The mean of the logarithm of the best loss over many seeds.
fn quality(space: &Space, guided: bool) -> f64 {
    let best = |seed| {
        search(space, guided, seed)
            .iter()
            .map(|create| loss(&create.hparams))
            .fold(f64::INFINITY, f64::min)
            .ln()
    };
    (0..60).map(best).sum::<f64>() / 60.0
}

#[test]
fn a_right_prior_helps_and_a_wrong_one_does_not_harm() {
    let random = quality(&space(None), false);
    let right = quality(&space(Some([0.3, 0.7])), true);
    let wrong = quality(&space(Some([1.0, 0.0])), true);
    assert!(right < random - 1.0, "right {right:.2}, random {random:.2}");
    assert!(wrong < random + 0.3, "wrong {wrong:.2}, random {random:.2}");
}

#[test]
fn a_wrong_prior_loses_its_share() {
    let space = space(Some([1.0, 0.0]));
    let near = |create: &Create| number(&create.hparams, "x") > 0.75 && number(&create.hparams, "y") < 0.25;
    let (mut early, mut late) = (0, 0);
    for seed in 0..60 {
        let created = search(&space, true, seed);
        early += created[..8].iter().filter(|create| near(create)).count();
        late += created[32..].iter().filter(|create| near(create)).count();
    }
    assert!(early > 60 * 8 / 4, "{early} of 480");
    assert!(late < early / 2, "{early} early, {late} late");
}

#[test]
fn half_of_all_trials_are_the_random_draws() {
    let space = space(Some([0.3, 0.7]));
    let guided = search(&space, true, 3);
    let drawn = |create: &Create| create.hparams == space.draw(3, create.trial);
    let random = guided.iter().filter(|create| drawn(create)).count();
    assert!((10..=30).contains(&random), "{random} of 40");
}

#[test]
fn a_guided_search_is_the_same_every_time_and_after_it_was_stored() {
    let space = space(Some([0.3, 0.7]));
    assert_eq!(search(&space, true, 5), search(&space, true, 5));
    let random = SearcherConfig::Random { max_trials: TRIALS, max_length: 1, max_concurrent_trials: 1 };
    let model = ModelConfig::Prior(PriorConfig::default());
    let config = SearcherConfig::ModelBased { inner: Box::new(random), model };
    let mut searcher = Searcher::new(config, space, 5).unwrap();
    let bytes = postcard::to_stdvec(&searcher).unwrap();
    let mut restored: Searcher = postcard::from_bytes(&bytes).unwrap();
    let metric = |trial: u32, _: u64| f64::from(trial % 5);
    assert_eq!(run(&mut searcher, 2, metric).created, run(&mut restored, 2, metric).created);
}
