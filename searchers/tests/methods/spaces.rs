//! Spaces: draws and grids.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toprung_searchers::{Assignment, Dimension, Domain, Error, Space, TrialId, Value, to_json_text};

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn of<const N: usize>(domains: [(&str, Domain); N]) -> BTreeMap<String, Dimension> {
    domains.map(|(name, domain)| (name.to_owned(), Dimension::always(domain))).into()
}

fn int(min: i64, max: i64, count: Option<u64>) -> Domain {
    Domain::Int { min, max, log: false, count }
}

fn double(min: f64, max: f64) -> Domain {
    Domain::Double { min, max, log: false, quantize: None, count: None }
}

/// Momentum only with sgd; nesterov only with momentum's optimizer and a choice of momentum.
fn conditional() -> Space {
    let mut dimensions = of([
        ("a_momentum", Domain::Ordinal(vec![Value::Double(0.5), Value::Double(0.9)])),
        ("nesterov", Domain::Categorical(vec![Value::Bool(false), Value::Bool(true)])),
        ("optimizer", Domain::Categorical(vec![text("adam"), text("sgd")])),
        ("rate", Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: Some(2) }),
    ]);
    dimensions.get_mut("a_momentum").unwrap().condition =
        [("optimizer".to_owned(), vec![text("sgd")])].into();
    dimensions.get_mut("nesterov").unwrap().condition =
        [("a_momentum".to_owned(), vec![Value::Double(0.9)])].into();
    Space::new(dimensions)
}

fn grid(domain: Domain) -> Vec<Value> {
    let space = Space::new(of([("x", domain)]));
    (0..space.grid_len().unwrap()).map(|index| space.grid_point(index).unwrap()["x"].clone()).collect()
}

fn ints(values: &[i64]) -> Vec<Value> {
    values.iter().map(|&value| Value::Int(value)).collect()
}

#[test]
fn draws_are_pinned() {
    let space = Space::new(of([
        ("choice", Domain::Categorical(vec![text("a"), text("b"), text("c")])),
        ("constant", Domain::Const(Value::Int(5))),
        ("double", double(-1.0, 1.0)),
        ("int", int(-100, 100, None)),
        ("net", Domain::Group(of([("units", int(1, 1_000_000, None))]))),
    ]));
    let drawn = [1, 2].map(|trial| to_json_text(&space.draw(7, TrialId(trial))));
    assert_eq!(drawn, PINNED, "a change of these changes every search that is not finished");
}

const PINNED: [&str; 2] = [
    r#"{"choice":"a","constant":5,"double":-0.8201455439495022,"int":-33,"net":{"units":221009}}"#,
    r#"{"choice":"c","constant":5,"double":-0.7685951430481397,"int":-97,"net":{"units":559732}}"#,
];

#[test]
fn a_draw_does_not_depend_on_other_hyperparameters() {
    let mut more = conditional();
    more.dimensions.insert("another".to_owned(), Dimension::always(int(0, 9, None)));
    more.dimensions.get_mut("a_momentum").unwrap().condition.clear();
    for trial in 1..50 {
        let (few, more) = (conditional().draw(3, TrialId(trial)), more.draw(3, TrialId(trial)));
        for (name, value) in &few {
            assert_eq!(&more[name], value, "{name}");
        }
    }
}

#[test]
fn inactive_hyperparameters_are_absent() {
    let mut seen = BTreeSet::new();
    for trial in 1..200 {
        let drawn = conditional().draw(3, TrialId(trial));
        let sgd = drawn["optimizer"] == text("sgd");
        assert_eq!(drawn.contains_key("a_momentum"), sgd);
        let high = drawn.get("a_momentum") == Some(&Value::Double(0.9));
        assert_eq!(drawn.contains_key("nesterov"), high, "an inactive one activates nothing");
        seen.insert((sgd, high));
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_condition_on_a_number_takes_integers_and_doubles_for_the_same() {
    let mut dimensions = of([("layers", int(2, 2, None)), ("width", int(1, 9, None))]);
    dimensions.get_mut("width").unwrap().condition = [("layers".to_owned(), vec![Value::Double(2.0)])].into();
    assert!(Space::new(dimensions).draw(1, TrialId(1)).contains_key("width"));
}

fn numbers(domain: Domain, count: u32) -> Vec<f64> {
    let space = Space::new(of([("x", domain)]));
    let number = |assignment: Assignment| match assignment["x"] {
        Value::Int(value) => value as f64,
        Value::Double(value) => value,
        ref other => panic!("{other:?}"),
    };
    (1..=count).map(|trial| number(space.draw(5, TrialId(trial)))).collect()
}

#[test]
fn logarithmic_draws_give_every_decade_the_same_share() {
    let doubles = Domain::Double { min: 1e-4, max: 1.0, log: true, quantize: None, count: None };
    let powers = Domain::Log { base: 10.0, minval: -4.0, maxval: 0.0, count: None };
    for domain in [doubles, powers] {
        let drawn = numbers(domain, 8000);
        for decade in -4..0 {
            let (low, high) = (10_f64.powi(decade), 10_f64.powi(decade + 1));
            let inside = drawn.iter().filter(|value| (low..high).contains(*value)).count();
            assert!((1800..2200).contains(&inside), "{inside} in {low}..{high}");
        }
    }
}

#[test]
fn logarithmic_integers_have_no_bias_at_the_ends() {
    let drawn = numbers(Domain::Int { min: 1, max: 4, log: true, count: None }, 20_000);
    for value in 1..=4_u32 {
        let (low, high) = (f64::from(value) - 0.5, f64::from(value) + 0.5);
        let expected = (high / low).ln() / (4.5_f64 / 0.5).ln();
        let share = drawn.iter().filter(|&&one| one == f64::from(value)).count() as f64 / 20_000.0;
        assert!((share - expected).abs() < 0.015, "{value}: {share} of {expected}");
    }
}

#[test]
fn quantized_draws_are_clean_multiples_within_bounds() {
    let domain = Domain::Double { min: 0.07, max: 0.52, log: false, quantize: Some(0.05), count: None };
    let drawn: BTreeSet<String> = numbers(domain, 500).iter().map(f64::to_string).collect();
    let expected = ["0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45", "0.5"];
    assert_eq!(drawn.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn integer_axes_follow_the_table() {
    assert_eq!(grid(int(1, 4, Some(3))), ints(&[1, 3, 4]));
    assert_eq!(grid(int(-5, 5, Some(4))), ints(&[-5, -2, 2, 5]));
    assert_eq!(grid(int(0, 3, Some(10))), ints(&[0, 1, 2, 3]));
    assert_eq!(grid(int(1, 2, Some(1))), ints(&[2]));
    assert_eq!(grid(int(-2, -1, Some(1))), ints(&[-2]), "halves away from zero");
    assert_eq!(grid(int(-2, 3, None)), ints(&[-2, -1, 0, 1, 2, 3]));
    assert_eq!(grid(int(i64::MIN, i64::MAX, Some(3))), ints(&[i64::MIN, -1, i64::MAX]));
}

#[test]
fn a_logarithmic_integer_axis_has_no_point_twice() {
    let points = grid(Domain::Int { min: 1, max: 1000, log: true, count: Some(20) });
    assert_eq!(points.len(), 20);
    assert_eq!((&points[0], &points[19]), (&Value::Int(1), &Value::Int(1000)));
    let distinct: BTreeSet<String> = points.iter().map(|value| value.to_json().to_string()).collect();
    assert_eq!(distinct.len(), 20, "{points:?}");
}

#[test]
fn double_axes_are_evenly_spaced_with_both_ends() {
    let doubles = |domain| {
        let close = |value: &Value| match value {
            Value::Double(value) => (value * 1e9).round() / 1e9,
            other => panic!("{other:?}"),
        };
        grid(domain).iter().map(close).collect::<Vec<f64>>()
    };
    let linear = Domain::Double { min: -1.0, max: 1.0, log: false, quantize: None, count: Some(5) };
    assert_eq!(doubles(linear), [-1.0, -0.5, 0.0, 0.5, 1.0]);
    let by_value = Domain::Double { min: 0.01, max: 1.0, log: true, quantize: None, count: Some(3) };
    assert_eq!(doubles(by_value), [0.01, 0.1, 1.0]);
    let by_exponent = Domain::Log { base: 2.0, minval: -1.0, maxval: 3.0, count: Some(5) };
    assert_eq!(doubles(by_exponent), [0.5, 1.0, 2.0, 4.0, 8.0]);
}

#[test]
fn the_first_axis_is_outermost_and_groups_stand_in_their_place() {
    let inner = of([("p", int(0, 1, None)), ("q", int(0, 1, None))]);
    let space = Space::new(of([("a", int(0, 1, None)), ("b", Domain::Group(inner)), ("c", int(0, 1, None))]));
    assert_eq!(space.grid_len(), Ok(16));
    let points: Vec<String> = (0..16).map(|index| to_json_text(&space.grid_point(index).unwrap())).collect();
    for (index, point) in points.iter().enumerate() {
        let bit = |place: usize| index >> place & 1;
        assert_eq!(
            point,
            &format!(r#"{{"a":{},"b":{{"p":{},"q":{}}},"c":{}}}"#, bit(3), bit(2), bit(1), bit(0))
        );
    }
    assert_eq!(space.grid_point(16), None);
}

#[test]
fn a_conditional_grid_has_no_point_twice() {
    let space = conditional();
    // adam: 2 rates; sgd with 0.5: 2 rates; sgd with 0.9: 2 rates, nesterov or not.
    assert_eq!(space.grid_len(), Ok(8));
    let points: BTreeSet<String> =
        (0..8).map(|index| to_json_text(&space.grid_point(index).unwrap())).collect();
    assert_eq!(points.len(), 8, "{points:?}");
    assert!(points.contains(r#"{"optimizer":"adam","rate":0.0}"#), "{points:?}");
    assert!(points.contains(r#"{"a_momentum":0.9,"nesterov":true,"optimizer":"sgd","rate":1.0}"#));
    assert_eq!(space.grid_point(8), None);
}

#[test]
fn what_a_grid_cannot_enumerate_is_an_error() {
    let inner = Domain::Group(of([("rate", double(0.0, 1.0))]));
    assert_eq!(
        Space::new(of([("net", inner)])).grid_len(),
        Err(Error::GridCount { path: "net.rate".to_owned() })
    );
    let wide = int(i64::MIN, i64::MAX, None);
    assert!(matches!(Space::new(of([("x", wide)])).grid_len(), Err(Error::GridTooLarge { .. })));
    let axes = || int(0, i64::MAX, None);
    assert!(matches!(
        Space::new(of([("x", axes()), ("y", axes())])).grid_len(),
        Err(Error::GridTooLarge { .. })
    ));
    let mut many = of([("x", int(0, 20_000, None)), ("y", int(0, 1, None))]);
    many.get_mut("y").unwrap().condition = [("x".to_owned(), vec![Value::Int(1)])].into();
    assert!(matches!(Space::new(many).grid_len(), Err(Error::GridConditions { .. })));
}

#[test]
fn mistakes_in_a_space_are_named() {
    let wrong = [
        int(2, 1, None),
        Domain::Int { min: 0, max: 1, log: true, count: None },
        double(0.0, f64::INFINITY),
        double(f64::NAN, 1.0),
        Domain::Double { min: 0.0, max: 1.0, log: true, quantize: None, count: None },
        Domain::Double { min: 0.0, max: 1.0, log: false, quantize: Some(0.0), count: None },
        Domain::Log { base: -1.0, minval: 0.0, maxval: 1.0, count: None },
        Domain::Log { base: 10.0, minval: 0.0, maxval: 400.0, count: None },
        Domain::Categorical(Vec::new()),
        Domain::Const(Value::List(vec![Value::Double(f64::NAN)])),
        Domain::Ordinal(vec![Value::Double(f64::INFINITY)]),
        Domain::Ordinal(Vec::new()),
    ];
    for domain in wrong {
        let space = Space::new(of([("net", Domain::Group(of([("x", domain.clone())])))]));
        assert!(matches!(space.check(), Err(Error::Domain { path, .. }) if path == "net.x"), "{domain:?}");
    }
    let mut circle = conditional();
    circle.dimensions.get_mut("optimizer").unwrap().condition =
        [("nesterov".to_owned(), vec![Value::Bool(true)])].into();
    assert!(matches!(circle.check(), Err(Error::ConditionCycle { .. })));
    assert!(circle.draw(1, TrialId(1)).len() < 4, "a circle ends in spite of that");
    let mut stranger = conditional();
    stranger.dimensions.get_mut("rate").unwrap().condition =
        [("optimiser".to_owned(), vec![text("sgd")])].into();
    assert!(matches!(stranger.check(), Err(Error::ConditionUnknown { .. })));
}

proptest! {
    #[test]
    fn draws_stay_within_their_domain(
        seed: u32, trial: u32, a: i64, b: i64, x in -1e308_f64..1e308, y in -1e308_f64..1e308, step in 1e-3_f64..10.0,
    ) {
        let (min, max) = (a.min(b), a.max(b));
        let (low, high) = (x.min(y), x.max(y));
        let (first, last) = (min.saturating_abs().max(1), i64::MAX);
        let space = Space::new(of([
            ("double", double(low, high)),
            ("int", int(min, max, None)),
            ("log_int", Domain::Int { min: first, max: last, log: true, count: None }),
            ("stepped", Domain::Double { min: -20.0, max: 20.0, log: false, quantize: Some(step), count: None }),
        ]));
        prop_assert_eq!(space.check(), Ok(()));
        let drawn = space.draw(seed, TrialId(trial));
        let Value::Double(value) = drawn["double"] else { panic!() };
        prop_assert!(value.is_finite() && (low..=high).contains(&value));
        let Value::Int(value) = drawn["int"] else { panic!() };
        prop_assert!((min..=max).contains(&value));
        let Value::Int(value) = drawn["log_int"] else { panic!() };
        prop_assert!((first..=last).contains(&value));
        let Value::Double(value) = drawn["stepped"] else { panic!() };
        let steps = value / step;
        prop_assert!((-20.0..=20.0).contains(&value) && (steps - steps.round()).abs() < 1e-6, "{}", value);
    }

    #[test]
    fn a_grid_of_integers_is_strictly_increasing(a: i64, b: i64, count in 1_u64..200, log: bool) {
        let (min, max) = if log { (a.saturating_abs().max(1), i64::MAX) } else { (a.min(b), a.max(b)) };
        let values: Vec<i64> = grid(Domain::Int { min, max, log, count: Some(count) })
            .iter()
            .map(|value| match value { Value::Int(value) => *value, other => panic!("{other:?}") })
            .collect();
        prop_assert!(values.is_sorted_by(|a, b| a < b), "{:?}", values);
        prop_assert!(values.iter().all(|value| (min..=max).contains(value)));
        if values.len() > 1 && !log {
            prop_assert_eq!((values[0], values[values.len() - 1]), (min, max));
        }
    }
}
