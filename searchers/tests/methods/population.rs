//! Population based training, and how children differ from their parents.

use crate::world::{PAUSED, SEED, brief, capacity, exited, run, space, start, validated};
use std::collections::BTreeMap;
use toprung_searchers::{
    Action, Assignment, Create, Dimension, Domain, Event, ExitReason, Population, Reason, Searcher,
    SearcherConfig, Space, Value, plan,
};

fn population(size: u32, rounds: u32, length: u64, truncate: f64) -> Population {
    Population {
        population_size: size,
        num_rounds: rounds,
        length_per_round: length,
        truncate_fraction: truncate,
        resample_probability: 0.25,
        perturb_factor: 0.2,
    }
}

/// All of `trials` validate at `length`, each by its number, and pause. What follows from the last.
fn round(searcher: &mut Searcher, trials: &[u32], length: u64) -> Vec<Action> {
    let mut last = Vec::new();
    for &trial in trials {
        assert_eq!(brief(&validated(searcher, trial, length, f64::from(trial))), [format!("{trial} pause")]);
        last = exited(searcher, trial, PAUSED);
    }
    last
}

fn parents(actions: &[Action]) -> Vec<(u32, u32, u64)> {
    let parent = |action: &Action| match action {
        Action::Create(Create { trial, clone_from, train_to, .. }) => {
            Some((trial.0, clone_from.map_or(0, |parent| parent.0), *train_to))
        }
        _ => None,
    };
    actions.iter().filter_map(parent).collect()
}

#[test]
fn the_worked_example() {
    let settings = population(2, 2, 200, 0.5);
    for places in [1, 2] {
        let history = run(&mut start(SearcherConfig::Pbt(settings)), places, |trial, _| f64::from(trial));
        let lengths: Vec<(u32, u64)> = history.lengths.into_iter().collect();
        assert_eq!(lengths, [(1, 400), (2, 200), (3, 400)], "the child trains the second 200");
        assert_eq!(history.end, Some(Reason::SearchOver { trials: 3 }));
    }
    let plan = plan(&SearcherConfig::Pbt(settings), &space()).unwrap();
    let ending: Vec<_> = plan.ending.iter().map(|ending| (ending.length, ending.trials)).collect();
    assert_eq!((plan.trials, plan.total_length, ending), (3, 800, vec![(200, 1), (400, 2)]));
}

#[test]
fn the_worst_are_closed_and_children_begin_from_the_best() {
    let mut searcher = start(SearcherConfig::Pbt(population(5, 3, 10, 0.4)));
    assert_eq!(brief(&capacity(&mut searcher, 9)).len(), 5, "never more than the population");
    let actions = round(&mut searcher, &[5, 4, 3, 2, 1], 10);
    assert_eq!(brief(&actions), ["4 stop", "5 stop", "+6", "+7", "1>20", "2>20", "3>20"]);
    assert_eq!(parents(&actions), [(6, 1, 20), (7, 2, 20)]);
    let Action::Stop { ref reason, .. } = actions[1] else { panic!("{actions:?}") };
    assert_eq!(reason.to_string(), "round 1: rank 5 of 5, among the worst, is replaced");
    let actions = round(&mut searcher, &[1, 2, 3, 6, 7], 20);
    assert_eq!(brief(&actions), ["6 stop", "7 stop", "+8", "+9", "1>30", "2>30", "3>30"]);
    for trial in [1, 2, 3, 8, 9] {
        assert_eq!(brief(&validated(&mut searcher, trial, 30, 0.0)), [format!("{trial} stop")]);
    }
    for trial in [1, 2, 3, 8] {
        assert_eq!(brief(&exited(&mut searcher, trial, ExitReason::Stopped)), [""; 0]);
    }
    assert_eq!(brief(&exited(&mut searcher, 9, ExitReason::Stopped)), ["end"]);
}

#[test]
fn parents_wait_until_their_children_have_begun() {
    let mut searcher = start(SearcherConfig::Pbt(population(4, 2, 10, 0.5)));
    capacity(&mut searcher, 4);
    capacity(&mut searcher, 1);
    let actions = round(&mut searcher, &[1, 2, 3, 4], 10);
    assert_eq!(brief(&actions), ["3 stop", "4 stop", "+5"], "one place: the first child");
    validated(&mut searcher, 5, 20, 0.0);
    assert_eq!(brief(&exited(&mut searcher, 5, ExitReason::Stopped)), ["+6"]);
    validated(&mut searcher, 6, 20, 0.0);
    assert_eq!(brief(&exited(&mut searcher, 6, ExitReason::Stopped)), ["1>20"]);
}

#[test]
fn a_parent_that_is_lost_is_replaced_by_the_best_of_the_others() {
    let mut searcher = start(SearcherConfig::Pbt(population(4, 2, 10, 0.5)));
    capacity(&mut searcher, 4);
    capacity(&mut searcher, 1);
    round(&mut searcher, &[1, 2, 3, 4], 10);
    exited(&mut searcher, 2, ExitReason::Killed);
    validated(&mut searcher, 5, 20, 0.0);
    assert_eq!(parents(&exited(&mut searcher, 5, ExitReason::Stopped)), [(6, 1, 20)]);
}

#[test]
fn no_barrier_hangs_on_a_lost_member() {
    for reason in [ExitReason::Errored, ExitReason::Killed, ExitReason::Paused { resumable: false }] {
        let mut searcher = start(SearcherConfig::Pbt(population(4, 2, 10, 0.25)));
        capacity(&mut searcher, 4);
        round(&mut searcher, &[1, 2], 10);
        assert_eq!(
            exited(&mut searcher, 3, reason).len(),
            usize::from(matches!(reason, ExitReason::Paused { .. }))
        );
        let actions = exited(&mut searcher, 4, reason);
        // Two are lost, more than the one that would have been replaced: nobody is closed for them.
        assert_eq!(parents(&actions), [(5, 1, 20), (6, 1, 20)], "{reason:?}");
        assert!(brief(&actions).ends_with(&["1>20".to_owned(), "2>20".to_owned()]), "{actions:?}");
    }
}

#[test]
fn no_barrier_hangs_on_a_child_whose_parents_are_lost() {
    let mut searcher = start(SearcherConfig::Pbt(population(4, 3, 10, 0.5)));
    capacity(&mut searcher, 4);
    capacity(&mut searcher, 1);
    round(&mut searcher, &[1, 2, 3, 4], 10);
    validated(&mut searcher, 5, 20, 0.0);
    capacity(&mut searcher, 0);
    for (trial, reason) in [(5, PAUSED), (1, ExitReason::Killed), (2, ExitReason::Killed)] {
        exited(&mut searcher, trial, reason);
    }
    let actions = capacity(&mut searcher, 9);
    assert_eq!(
        parents(&actions),
        [(6, 5, 30), (7, 5, 30), (8, 5, 30)],
        "the next round begins from the one that is left"
    );
}

#[test]
fn a_population_that_is_lost_ends_the_search() {
    let mut searcher = start(SearcherConfig::Pbt(population(2, 3, 10, 0.5)));
    capacity(&mut searcher, 2);
    exited(&mut searcher, 1, ExitReason::Errored);
    let end = exited(&mut searcher, 2, ExitReason::Errored);
    assert_eq!(end, [Action::Shutdown { reason: Reason::NobodyLeft { round: 1 } }]);
}

#[test]
fn invalid_hyperparameters_are_drawn_again_in_the_first_round_only() {
    let mut searcher = start(SearcherConfig::Pbt(population(2, 2, 10, 0.5)));
    capacity(&mut searcher, 2);
    assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::InvalidHyperparameters)), ["+3"]);
    let actions = round(&mut searcher, &[1, 3], 10);
    assert_eq!(brief(&actions), ["3 stop", "+4", "1>20"]);
    assert_eq!(brief(&exited(&mut searcher, 4, ExitReason::InvalidHyperparameters)), [""; 0]);
    assert_eq!(brief(&validated(&mut searcher, 1, 20, 1.0)), ["1 stop"]);
    assert_eq!(
        exited(&mut searcher, 1, ExitReason::Stopped),
        [Action::Shutdown { reason: Reason::SearchOver { trials: 2 } }]
    );
}

/// The children of a population of two over many rounds, and their parents' hyperparameters.
fn families(space: &Space, resample_probability: f64) -> Vec<(Assignment, Assignment)> {
    let settings = Population { resample_probability, ..population(2, 400, 1, 0.5) };
    let mut searcher = Searcher::new(SearcherConfig::Pbt(settings), space.clone(), SEED).unwrap();
    let mut known: BTreeMap<u32, Assignment> = BTreeMap::new();
    let mut families = Vec::new();
    let mut events: std::collections::VecDeque<Event> = [Event::Capacity(2)].into();
    while let Some(event) = events.pop_front() {
        for action in searcher.handle(&event) {
            match action {
                Action::Create(create) => {
                    if let Some(parent) = create.clone_from {
                        families.push((known[&parent.0].clone(), create.hparams.clone()));
                    }
                    known.insert(create.trial.0, create.hparams);
                    let (trial, length) = (create.trial, create.train_to);
                    // The newer is the better, so that changes add up.
                    events.push_back(Event::Validated { trial, length, metric: -f64::from(trial.0) });
                }
                Action::TrainTo { trial, length, .. } => {
                    events.push_back(Event::Validated { trial, length, metric: -f64::from(trial.0) });
                }
                Action::Pause { trial, .. } => events.push_back(Event::Exited { trial, reason: PAUSED }),
                Action::Stop { trial, .. } => {
                    events.push_back(Event::Exited { trial, reason: ExitReason::Stopped });
                }
                Action::Shutdown { .. } => {}
            }
        }
    }
    assert_eq!(families.len(), 399);
    families
}

fn double(value: &Value) -> f64 {
    let Value::Double(number) = value else { panic!("{value:?}") };
    *number
}

fn int(value: &Value) -> i64 {
    let Value::Int(number) = value else { panic!("{value:?}") };
    *number
}

fn always(entries: Vec<(&str, Domain)>) -> BTreeMap<String, Dimension> {
    entries.into_iter().map(|(name, domain)| (name.to_owned(), Dimension::always(domain))).collect()
}

#[test]
fn children_move_by_the_factor_within_bounds() {
    let texts = |all: [&str; 3]| all.map(|text| Value::String(text.to_owned())).to_vec();
    let inner = always(vec![("count", Domain::Int { min: 2, max: 40, log: false, count: None })]);
    let space = Space::new(always(vec![
        ("plain", Domain::Double { min: 0.1, max: 3.0, log: false, quantize: None, count: None }),
        ("steps", Domain::Double { min: 0.0, max: 1.0, log: false, quantize: Some(0.05), count: None }),
        ("rate", Domain::Log { base: 10.0, minval: -3.0, maxval: 0.0, count: None }),
        ("kind", Domain::Categorical(texts(["a", "b", "c"]))),
        ("order", Domain::Ordinal(texts(["x", "y", "z"]))),
        ("fixed", Domain::Const(Value::Int(7))),
        ("group", Domain::Group(inner)),
    ]));
    let mut moved = [0; 4];
    for (parent, child) in families(&space, 0.0) {
        let (was, is) = (double(&parent["plain"]), double(&child["plain"]));
        assert!([0.8, 1.2].iter().any(|factor| (was * factor).clamp(0.1, 3.0) == is), "{was} {is}");
        moved[usize::from(is > was)] += usize::from(is != was);
        let (was, is) = (double(&parent["rate"]), double(&child["rate"]));
        assert!([0.8, 1.2].iter().any(|factor| (was * factor).clamp(1e-3, 1.0) == is), "{was} {is}");
        let (was, is) = (double(&parent["steps"]), double(&child["steps"]));
        assert!((is * 20.0).fract() == 0.0 && (0.0..=1.0).contains(&is), "{is} is no multiple");
        assert!(was == 0.0 || was == 1.0 || is != was, "a small step is not lost by rounding: {was}");
        let group = |values: &Assignment| {
            let Value::Map(inner) = &values["group"] else { panic!("{values:?}") };
            int(&inner["count"])
        };
        let (was, is) = (group(&parent), group(&child));
        let (down, up) = ((was * 4).div_euclid(5), (was * 6 + 4).div_euclid(5));
        assert!([down, up].iter().any(|near| (*near).clamp(2, 40) == is), "{was} {is}");
        moved[2 + usize::from(is > was)] += usize::from(is != was);
        assert_eq!((&child["kind"], &child["fixed"]), (&parent["kind"], &parent["fixed"]));
        let place = |values: &Assignment| {
            texts(["x", "y", "z"]).iter().position(|text| *text == values["order"]).unwrap()
        };
        assert!(place(&parent).abs_diff(place(&child)) <= 1);
    }
    assert!(moved.iter().all(|&count| count > 20), "both ways: {moved:?}");
}

#[test]
fn children_are_drawn_anew_as_often_as_asked() {
    let space = Space::new(always(vec![(
        "kind",
        Domain::Int { min: 1, max: 1_000_000_000, log: false, count: None },
    )]));
    let fresh = |probability: f64| {
        let far = |(parent, child): &&(Assignment, Assignment)| {
            let (was, is) = (int(&parent["kind"]), int(&child["kind"]));
            let near = [was * 4 / 5, (was * 6 + 4) / 5];
            !near.iter().any(|near| (*near).clamp(1, 1_000_000_000) == is)
        };
        families(&space, probability).iter().filter(far).count()
    };
    assert_eq!(fresh(0.0), 0);
    assert!((60..140).contains(&fresh(0.25)), "{}", fresh(0.25));
    assert!(fresh(1.0) > 390);
}

#[test]
fn conditions_are_judged_on_the_childs_own_values() {
    let momentum = Domain::Double { min: 0.5, max: 0.9, log: false, quantize: None, count: None };
    let text = |text: &str| Value::String(text.to_owned());
    let condition = [("kind".to_owned(), vec![text("sgd")])].into();
    let mut dimensions = always(vec![("kind", Domain::Categorical(vec![text("sgd"), text("adam")]))]);
    dimensions.insert("momentum".to_owned(), Dimension { condition, ..Dimension::always(momentum) });
    let (mut appears, mut vanishes) = (0, 0);
    for (parent, child) in families(&Space::new(dimensions), 0.3) {
        let has = |values: &Assignment| values.contains_key("momentum");
        for values in [&parent, &child] {
            assert_eq!(has(values), values["kind"] == text("sgd"), "{values:?}");
        }
        assert!(!has(&child) || (0.5..=0.9).contains(&double(&child["momentum"])));
        appears += usize::from(has(&child) && !has(&parent));
        vanishes += usize::from(!has(&child) && has(&parent));
    }
    assert!(appears > 5 && vanishes > 5, "{appears} {vanishes}");
}

#[test]
fn settings_out_of_range_are_named() {
    for (settings, name) in [
        (Population { population_size: 0, ..population(1, 1, 1, 0.5) }, "population_size"),
        (population(10_001, 1, 1, 0.5), "population_size"),
        (population(1, 0, 1, 0.5), "num_rounds"),
        (population(1, 1, 0, 0.5), "length_per_round"),
        (population(1, 1, 1, 0.6), "replace_function.truncate_fraction"),
        (population(1, 1, 1, f64::NAN), "replace_function.truncate_fraction"),
        (Population { perturb_factor: 1.5, ..population(1, 1, 1, 0.5) }, "explore_function.perturb_factor"),
        (
            Population { resample_probability: -0.1, ..population(1, 1, 1, 0.5) },
            "explore_function.resample_probability",
        ),
    ] {
        let error = SearcherConfig::Pbt(settings).check().unwrap_err();
        assert!(error.to_string().starts_with(&format!("searcher.{name} is")), "{error}");
    }
}

#[test]
fn a_fraction_does_not_lose_one_by_rounding() {
    let replaced = |size, fraction| population(size, 1, 1, fraction).replaced();
    assert_eq!((replaced(100, 0.29), replaced(10, 0.3), replaced(3, 0.5), replaced(1, 0.5)), (29, 3, 1, 0));
}
