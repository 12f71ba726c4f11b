//! Constraints, ordinals, conditions and steps, in every searcher.

use crate::world::{SEED, run};
use proptest::prelude::*;
use std::collections::BTreeMap;
use toprung_searchers::models::{ModelConfig, TpeConfig};
use toprung_searchers::{
    Action, Assignment, Constraint, Dimension, Domain, Error, Event, Population, Searcher, SearcherConfig,
    Space, TrialId, Value, plan,
};

fn int(min: i64, max: i64) -> Domain {
    Domain::Int { min, max, log: false, count: None }
}

fn constrained(dimensions: Vec<(&str, Dimension)>, constraints: &[&str]) -> Space {
    let dimensions = dimensions.into_iter().map(|(name, dimension)| (name.to_owned(), dimension)).collect();
    let constraints = constraints.iter().map(|text| Constraint::parse(text).unwrap()).collect();
    Space { dimensions, constraints }
}

/// One of each kind, of which `momentum` is active in a part.
fn space(constraints: &[&str]) -> Space {
    let text = |text: &str| Value::String(text.to_owned());
    let momentum = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: Some(0.25), count: Some(3) };
    let condition = BTreeMap::from([("kind".to_owned(), vec![text("sgd")])]);
    constrained(
        vec![
            ("a", Dimension::always(int(1, 8))),
            ("b", Dimension::always(Domain::Int { min: 1, max: 64, log: true, count: Some(4) })),
            ("kind", Dimension::always(Domain::Categorical(vec![text("sgd"), text("adam")]))),
            ("momentum", Dimension { condition, ..Dimension::always(momentum) }),
            ("size", Dimension::always(Domain::Ordinal([16, 32, 64].map(Value::Int).to_vec()))),
        ],
        constraints,
    )
}

fn searchers() -> Vec<SearcherConfig> {
    let (max_trials, divisor, min_length, max_length, max_concurrent_trials) = (24, 3.0, None, 9, 4);
    let random = SearcherConfig::Random { max_trials, max_length, max_concurrent_trials };
    let population = Population {
        population_size: 6,
        num_rounds: 4,
        length_per_round: 3,
        truncate_fraction: 0.34,
        resample_probability: 0.25,
        perturb_factor: 0.3,
    };
    vec![
        SearcherConfig::Single { max_length },
        random.clone(),
        SearcherConfig::Grid { max_length, max_concurrent_trials },
        SearcherConfig::AsyncHalving {
            num_rungs: 3,
            max_trials,
            divisor,
            min_length,
            max_length,
            max_concurrent_trials,
            stop_once: false,
        },
        SearcherConfig::SyncHalving { max_trials, divisor, min_length, max_length, max_concurrent_trials },
        SearcherConfig::Hyperband { max_trials, divisor, min_length, max_length, max_concurrent_trials },
        SearcherConfig::Pasha {
            max_trials,
            divisor,
            max_rungs: 3,
            min_length,
            max_length,
            max_concurrent_trials,
        },
        SearcherConfig::Pbt(population),
        SearcherConfig::ModelBased { inner: Box::new(random), model: ModelConfig::Tpe(TpeConfig::default()) },
    ]
}

/// Every trial of a search.
fn trials(config: &SearcherConfig, space: &Space) -> Vec<Assignment> {
    let mut searcher = Searcher::new(config.clone(), space.clone(), SEED).unwrap();
    let history = run(&mut searcher, 4, |trial, length| f64::from(trial % 7) / length as f64);
    history.created.into_iter().map(|create| create.hparams).collect()
}

#[test]
fn every_searcher_keeps_to_domains_conditions_and_constraints() {
    let space = space(&["a >= 3", "momentum <= 0.5", "size > 16 or kind == 'adam'"]);
    for config in searchers() {
        let trials = trials(&config, &space);
        assert!(!trials.is_empty());
        for trial in &trials {
            assert!(space.allows(trial), "{config:?}: {trial:?}");
            let Value::Int(a) = trial["a"] else { panic!("{trial:?}") };
            assert!((3..=8).contains(&a));
            assert!([16, 32, 64].map(Value::Int).contains(&trial["size"]), "{trial:?}");
            let sgd = trial["kind"] == Value::String("sgd".to_owned());
            match trial.get("momentum") {
                Some(Value::Double(momentum)) => {
                    assert!(sgd && (momentum * 4.0).fract() == 0.0 && *momentum <= 0.5, "{trial:?}");
                }
                other => assert!(other.is_none() && !sgd, "{config:?}: {trial:?}"),
            }
        }
    }
}

#[test]
fn without_constraints_nothing_is_drawn_otherwise() {
    let (free, bound) = (space(&[]), space(&["a >= 3"]));
    for trial in 1..200 {
        let drawn = free.draw(SEED, TrialId(trial));
        if bound.allows(&drawn) {
            assert_eq!(bound.draw(SEED, TrialId(trial)), drawn, "the first attempt is the draw");
        } else {
            assert_ne!(bound.draw(SEED, TrialId(trial)), drawn);
        }
    }
}

#[test]
fn what_is_drawn_is_evenly_spread_over_what_is_admissible() {
    let space = constrained(
        vec![("a", Dimension::always(int(1, 4))), ("b", Dimension::always(int(1, 4)))],
        &["a > b"],
    );
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for trial in 1..=6_000 {
        *counts.entry(format!("{:?}", space.draw(SEED, TrialId(trial)))).or_default() += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(counts.values().all(|&count| (900..1100).contains(&count)), "{counts:?}");
}

#[test]
fn a_grid_leaves_out_what_is_not_admissible() {
    let space = constrained(
        vec![("a", Dimension::always(int(1, 4))), ("b", Dimension::always(int(1, 4)))],
        &["a > b", "a != 3"],
    );
    let config = SearcherConfig::Grid { max_length: 2, max_concurrent_trials: 0 };
    assert_eq!(plan(&config, &space).unwrap().trials, 4);
    let pair = |trial: &Assignment| match (&trial["a"], &trial["b"]) {
        (Value::Int(a), Value::Int(b)) => (*a, *b),
        other => panic!("{other:?}"),
    };
    let expected = [(2, 1), (4, 1), (4, 2), (4, 3)];
    assert_eq!(trials(&config, &space).iter().map(pair).collect::<Vec<_>>(), expected);
    for (number, expected) in (1..).zip(expected) {
        assert_eq!(config.sample(&space, 0, TrialId(number)).map(|trial| pair(&trial)), Some(expected));
    }
    assert_eq!(config.sample(&space, 0, TrialId(5)), None);
}

#[test]
fn a_space_of_which_nothing_is_admissible_is_refused() {
    let empty = space(&["a > 8"]);
    for config in searchers() {
        let error = Searcher::new(config.clone(), empty.clone(), SEED).unwrap_err();
        assert!(matches!(error, Error::NothingAdmissible { .. }), "{error}");
        assert_eq!(plan(&config, &empty).unwrap_err(), error);
    }
    let wide = constrained(
        vec![("a", Dimension::always(int(1, 1001))), ("b", Dimension::always(int(1, 1000)))],
        &["a > b"],
    );
    let grid = SearcherConfig::Grid { max_length: 2, max_concurrent_trials: 0 };
    assert!(matches!(plan(&grid, &wide), Err(Error::GridTooLargeToConstrain { .. })));
    let unknown = space(&["c > 1"]);
    let error = Searcher::new(grid, unknown, SEED).unwrap_err();
    assert!(error.to_string().contains("there is no hyperparameter `c`"), "{error}");
}

#[test]
fn children_that_cannot_move_keep_their_parents_values() {
    let space = constrained(
        vec![("a", Dimension::always(int(1, 100))), ("b", Dimension::always(int(1, 100)))],
        &["a + b == 57"],
    );
    let config = searchers().into_iter().find(|config| matches!(config, SearcherConfig::Pbt(_))).unwrap();
    assert!(trials(&config, &space).iter().all(|trial| space.allows(trial)));
}

#[test]
fn a_search_with_constraints_survives_being_stored() {
    let space = space(&["a >= 3", "size > 16"]);
    for config in searchers() {
        let mut searcher = Searcher::new(config, space.clone(), SEED).unwrap();
        let first = searcher.handle(&Event::Capacity(2));
        let mut restored: Searcher = postcard::from_bytes(&postcard::to_stdvec(&searcher).unwrap()).unwrap();
        assert_eq!(restored, searcher);
        let Some(Action::Create(create)) = first.first() else { panic!("{first:?}") };
        let event = Event::Validated { trial: create.trial, length: create.train_to, metric: 1.0 };
        assert_eq!(restored.handle(&event), searcher.handle(&event));
    }
}

proptest! {
    #[test]
    fn the_next_points_of_a_grid_are_all_that_are_admissible(
        limit in 0..16_i64, widths in prop::array::uniform3(1..5_i64), adam in any::<bool>(),
    ) {
        let inner = BTreeMap::from([("w".to_owned(), Dimension::always(int(0, widths[2])))]);
        let text = format!("a + b + net.w >= {limit}");
        let only = if adam { "kind == 'adam'" } else { "true" };
        let kinds = ["sgd", "adam"].map(|kind| Value::String(kind.to_owned())).to_vec();
        let condition = BTreeMap::from([("kind".to_owned(), kinds[..1].to_vec())]);
        let space = constrained(vec![
            ("a", Dimension::always(int(0, widths[0]))),
            ("b", Dimension { condition, ..Dimension::always(int(0, widths[1])) }),
            ("kind", Dimension::always(Domain::Categorical(kinds))),
            ("net", Dimension::always(Domain::Group(inner))),
        ], &[&text, only]);
        let all: Vec<_> = (0..space.grid_len().unwrap())
            .filter_map(|index| space.grid_point(index))
            .filter(|point| space.allows(point))
            .collect();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((index, point)) = space.grid_next(at) {
            found.push(point);
            at = index + 1;
        }
        prop_assert_eq!(&found, &all);
        match space.grid_admissible() {
            Ok(count) => prop_assert_eq!(count, all.len() as u64),
            Err(error) => prop_assert!(all.is_empty(), "{error}"),
        }
    }
}
