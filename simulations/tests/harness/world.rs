//! The simulated cluster: what faults do, and that accounts settle.

use crate::{Script, line};
use proptest::prelude::*;
use std::collections::BTreeMap;
use toprung_searchers::{Action, Event, ExitReason, Mode, Population, Searcher, SearcherConfig, Value};
use toprung_simulations::synthetic::{PowerLaw, Shape};
use toprung_simulations::{Limits, Outcome, Player, Reports, Row, Table, World};

/// One curve of nine lengths, each a second, whose metric is 1 / length.
fn one_curve() -> Table {
    let hparams = [("x".to_owned(), Value::Double(0.0))].into();
    let metrics = (1..=9).map(|length| 1.0 / f64::from(length)).collect();
    Table::new("one", line(), &[Row { hparams, metrics, costs: vec![1.0; 9] }], None).unwrap()
}

#[test]
fn overheads_add_up() {
    let world = World { start_time: 10.0, resume_time: 5.0, checkpoint_time: 3.0, ..World::calm(1) };
    // 10 to start, 2 lengths, 3 to save; 10 + 5 to go on, 1 length.
    let mut script = Script::new(&["+1 0>2", "", "1 pause", "1>3", "1 stop, end"]);
    let outcome = world.play(&one_curve(), &mut script, "script", 0).unwrap();
    assert_eq!(
        script.heard,
        [
            "capacity 1",
            "1@1: 1",
            "1@2: 0.5",
            "1 Paused { resumable: true }",
            "1@3: 0.3333333333333333",
            "1 Stopped"
        ]
    );
    assert_eq!((outcome.run.end_time, outcome.attempts, outcome.run.total_length), (31.0, 2, 3));
    // Three of 31 seconds trained, and nothing is held at the end.
    assert!((outcome.run.utilisation - 3.0 / 31.0).abs() < 1e-12);
    assert_eq!((outcome.held, outcome.run.wasted_length), (0, 0));
}

#[test]
fn reports_at_targets_are_told_there_only() {
    let world = World { reports: Reports::AtTargets, ..World::calm(2) };
    let mut script = Script::new(&["+1 0>3, +2 0>9", "1>9", "2 stop", "", "1 stop", "end"]);
    world.play(&one_curve(), &mut script, "script", 0).unwrap();
    let expected = ["1@3: 0.3333333333333333", "2@9: 0.1111111111111111", "1@9: 0.1111111111111111"];
    assert_eq!([1, 2, 4].map(|place| script.heard[place].as_str()), expected);
}

#[test]
fn a_trial_without_checkpoints_cannot_resume() {
    let world = World { saves: false, ..World::calm(1) };
    let mut script = Script::new(&["+1 0>2", "", "1 pause", "", "end"]);
    world.play(&one_curve(), &mut script, "script", 0).unwrap();
    assert_eq!(script.heard[3..], ["1 cannot pause", "1 Paused { resumable: false }"]);
}

#[test]
fn a_trial_that_cannot_pause_may_be_told_to_train_on() {
    let world = World { saves: false, ..World::calm(1) };
    let mut script = Script::new(&["+1 0>2", "", "1 pause", "1>3", "1 stop", "end"]);
    let outcome = world.play(&one_curve(), &mut script, "script", 0).unwrap();
    assert_eq!(script.heard[3..], ["1 cannot pause", "1@3: 0.3333333333333333", "1 Stopped"]);
    assert_eq!((outcome.attempts, outcome.run.total_length, outcome.held), (1, 3, 0));
}

#[test]
fn crashes_waste_what_was_not_saved_and_end_the_trial_at_last() {
    let world = World { crash_every: 4.0, max_restarts: 2, checkpoint_every: 3, ..World::calm(1) };
    let mut seen = (0, 0);
    for seed in 0..200 {
        let mut script = Script::new(&["+1 0>9"]);
        let outcome = world.play(&one_curve(), &mut script, "script", seed).unwrap();
        assert_eq!(outcome.useful_length + outcome.run.wasted_length, outcome.run.total_length);
        let end = script.heard.last().unwrap();
        if end == "1 Errored" {
            assert_eq!((outcome.crashes, outcome.errored), (3, 1), "seed {seed}");
            // What counts are whole checkpoints.
            assert!(outcome.useful_length.is_multiple_of(3), "seed {seed}: {outcome:?}");
            seen.0 += 1;
        } else {
            assert!(end.starts_with("1@9"), "seed {seed}: {end}");
            assert!(outcome.crashes <= 2 && outcome.useful_length == 9, "seed {seed}: {outcome:?}");
            seen.1 += 1;
        }
    }
    assert!(seen.0 > 20 && seen.1 > 20, "{seen:?}");
}

#[test]
fn crashes_come_as_often_as_they_should() {
    // A thousand trials of one length: the chance to crash within a second is 1 − exp(−1/4).
    let world = World { crash_every: 4.0, max_restarts: 0, ..World::calm(10) };
    let config = SearcherConfig::Random { max_trials: 4_000, max_length: 1, max_concurrent_trials: 0 };
    let mut searcher = Searcher::new(config, line(), 0).unwrap();
    let outcome = world.play(&one_curve(), &mut searcher, "random", 0).unwrap();
    let share = outcome.errored as f64 / outcome.run.trials as f64;
    assert!((share - 0.2212).abs() < 0.02, "{share}");
}

#[test]
fn preempted_trials_that_save_lose_nothing() {
    let limits = Limits { time: 1e4, ..Limits::default() };
    let world =
        World { preempt_every: 3.0, preempted_for: 2.0, preempted_saves: true, limits, ..World::calm(2) };
    let mut script = Script::new(&["+1 0>9, +2 0>9"]);
    let outcome = world.play(&one_curve(), &mut script, "script", 5).unwrap();
    assert!(outcome.preemptions > 2, "{outcome:?}");
    assert_eq!((outcome.run.wasted_length, outcome.useful_length), (0, 18));
    let reports = |trial: &str| script.heard.iter().filter(|line| line.starts_with(trial)).count();
    assert_eq!((reports("1@"), reports("2@")), (9, 9));
}

#[test]
fn a_lost_node_takes_its_slots_along() {
    let limits = Limits { time: 1e3, ..Limits::default() };
    let world =
        World { slots_per_node: 2, node_loss_every: 5.0, node_lost_for: 4.0, limits, ..World::calm(4) };
    let mut script = Script::new(&["+1 0>9, +2 0>9, +3 0>9, +4 0>9"]);
    let outcome = world.play(&one_curve(), &mut script, "script", 1).unwrap();
    assert!(outcome.node_losses > 0 && outcome.run.wasted_length > 0, "{outcome:?}");
    assert_eq!(outcome.useful_length, 36);
    assert!(script.heard.iter().any(|line| line == "capacity 2"), "{:?}", script.heard);
    assert_eq!(outcome.most_slots, 4);
}

#[test]
fn limits_end_a_search() {
    let play = |limits| {
        let mut script = Script::new(&["+1 0>9"]);
        World { limits, ..World::calm(1) }.play(&one_curve(), &mut script, "script", 0).unwrap()
    };
    let none = Limits::default();
    let timed = play(Limits { time: 4.5, ..none });
    assert_eq!((timed.run.end_time, timed.run.total_length, timed.held), (4.5, 4, 1));
    assert_eq!(play(Limits { length: 5, ..none }).run.total_length, 5);
    assert_eq!(play(Limits { cost: 6.0, ..none }).run.total_cost, 6.0);
}

#[test]
fn settings_out_of_range_are_named() {
    let error = |world: World| world.check().unwrap_err().to_string();
    assert_eq!(error(World::calm(0)), "slots is 0, allowed is 1 to 16777216");
    assert!(error(World { crash_every: 0.0, ..World::calm(1) }).contains("crash_every is 0"));
    assert!(error(World { start_time: f64::NAN, ..World::calm(1) }).contains("start_time is NaN"));
    assert!(error(World { preempt_every: 1.0, ..World::calm(1) }).contains("limits.time is infinite"));
}

/// Checks from outside that the contract holds on both sides.
struct Watch {
    searcher: Searcher,
    /// By trial: whether it is outstanding.
    outstanding: BTreeMap<u32, bool>,
    capacity: u32,
    most_over: u32,
    over: u32,
    after_end: u32,
}

impl Watch {
    fn new(searcher: Searcher) -> Self {
        Self { searcher, outstanding: BTreeMap::new(), capacity: 0, most_over: 0, over: 0, after_end: 0 }
    }
}

impl Player for Watch {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        self.after_end += u32::from(self.over > 0);
        match event {
            Event::Capacity(capacity) => self.capacity = self.capacity.max(*capacity),
            Event::Validated { trial, .. } => {
                assert_eq!(self.outstanding.get(&trial.0), Some(&true), "{event:?}")
            }
            Event::Directed(_) | Event::CannotPause { .. } => {}
            Event::Exited { trial, reason } => {
                let was = self.outstanding.insert(trial.0, false);
                assert!(was == Some(true) || *reason == ExitReason::Killed, "{event:?}: {was:?}");
            }
        }
        self.searcher.handle_into(event, None, actions);
        for action in actions.iter() {
            match action {
                Action::Create(create) => {
                    assert!(self.outstanding.insert(create.trial.0, true).is_none());
                }
                Action::TrainTo { trial, .. } => {
                    self.outstanding.insert(trial.0, true);
                }
                Action::Shutdown { .. } => self.over += 1,
                Action::Pause { .. } | Action::Stop { .. } => {}
            }
        }
        let now = self.outstanding.values().filter(|outstanding| **outstanding).count() as u32;
        self.most_over = self.most_over.max(now.saturating_sub(self.capacity));
    }
}

fn searchers() -> impl Strategy<Value = SearcherConfig> {
    let (max_length, divisor, max_concurrent_trials) = (9, 3.0, 0);
    let halving = |stop_once| SearcherConfig::AsyncHalving {
        num_rungs: 3,
        max_trials: 40,
        divisor,
        min_length: None,
        max_length,
        max_concurrent_trials,
        stop_once,
    };
    let adaptive = |stop_once| SearcherConfig::AdaptiveAsha {
        max_trials: 40,
        mode: Mode::Conservative,
        divisor,
        max_rungs: 3,
        bracket_rungs: Vec::new(),
        min_length: None,
        max_length,
        max_concurrent_trials: 6,
        stop_once,
    };
    let population = Population {
        population_size: 6,
        num_rounds: 3,
        length_per_round: 3,
        truncate_fraction: 0.34,
        resample_probability: 0.2,
        perturb_factor: 0.2,
    };
    let random = SearcherConfig::Random { max_trials: 15, max_length, max_concurrent_trials };
    prop_oneof![
        Just(random.clone()),
        Just(halving(false)),
        Just(halving(true)),
        Just(adaptive(false)),
        Just(adaptive(true)),
        Just(SearcherConfig::Hyperband {
            max_trials: 40,
            divisor,
            min_length: None,
            max_length,
            max_concurrent_trials
        }),
        Just(SearcherConfig::SyncHalving {
            max_trials: 27,
            divisor,
            min_length: None,
            max_length,
            max_concurrent_trials
        }),
        Just(SearcherConfig::Pasha {
            max_trials: 40,
            divisor,
            max_rungs: 3,
            min_length: None,
            max_length,
            max_concurrent_trials
        }),
        Just(SearcherConfig::Pbt(population)),
        Just(SearcherConfig::MedianStopping { inner: Box::new(random), min_length: 2, min_trials: 3 }),
    ]
}

fn worlds() -> impl Strategy<Value = World> {
    let often = |mean: f64| prop_oneof![Just(f64::INFINITY), Just(mean), Just(3.0 * mean)];
    let faults = (often(15.0), often(20.0), often(40.0), 0_u32..4);
    let times = (0.0..2.0_f64, 0.0..2.0_f64, 0.0..1.0_f64, 0.0..5.0_f64, 0.0..1.0_f64);
    let flags =
        (any::<bool>(), any::<bool>(), any::<bool>(), prop_oneof![Just(0_u32), Just(1), Just(2), Just(5)]);
    (1_u32..13, 1_u32..5, faults, times, flags).prop_map(|(slots, slots_per_node, faults, times, flags)| {
        World {
            slots,
            slots_per_node,
            start_time: times.0,
            resume_time: times.1,
            checkpoint_time: times.2,
            checkpoint_every: flags.3,
            saves: flags.0,
            straggler: times.4,
            crash_every: faults.0,
            max_restarts: faults.3,
            preempt_every: faults.1,
            preempted_for: times.3,
            preempted_saves: flags.1,
            node_loss_every: faults.2,
            node_lost_for: times.3,
            reports: if flags.2 { Reports::EveryLength } else { Reports::AtTargets },
            limits: Limits { time: 20_000.0, ..Limits::default() },
        }
    })
}

fn hard_task() -> PowerLaw {
    let shape = Shape { crossings: 0.5, plateaus: 0.2, divergence: 0.1, noise: 0.05, uneven: 0.5 };
    PowerLaw::new("hard", 3, 2, 9, shape).unwrap()
}

fn watched(world: &World, task: &PowerLaw, config: &SearcherConfig, seed: u32) -> (Outcome, Watch) {
    let mut watch = Watch::new(
        Searcher::new(config.clone(), toprung_simulations::Task::space(task).clone(), seed).unwrap(),
    );
    let outcome = world.play(task, &mut watch, "watched", seed).unwrap();
    (outcome, watch)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn accounts_settle_in_any_world(world in worlds(), config in searchers(), seed in any::<u32>()) {
        let task = hard_task();
        let (outcome, watch) = watched(&world, &task, &config, seed);
        let run = &outcome.run;
        prop_assert_eq!(outcome.useful_length + run.wasted_length, run.total_length);
        prop_assert!(outcome.most_slots <= world.slots);
        prop_assert_eq!(watch.most_over, 0);
        prop_assert!((0.0..=1.0).contains(&run.utilisation));
        prop_assert!(watch.over <= 1 && watch.after_end == 0);
        prop_assert!(run.steps.is_sorted_by(|a, b| a.best > b.best && a.time <= b.time && a.length <= b.length));
        if outcome.over {
            // All slots are back.
            prop_assert_eq!(outcome.held, 0);
        } else {
            // Nothing but the limit ends a search before its end.
            prop_assert_eq!(run.end_time, world.limits.time);
        }
        // The same again.
        prop_assert_eq!(&watched(&world, &task, &config, seed).0, &outcome);
    }
}

#[test]
fn compared_searchers_meet_the_same_luck() {
    // Random search in a world of stragglers: trial 1 takes as long whether 1 or 4 run beside it.
    let task = hard_task();
    let first_report = |slots| {
        let world = World { straggler: 1.0, ..World::calm(slots) };
        let mut script = Script::new(&["+1 0>1", "1 stop", "end"]);
        world.play(&task, &mut script, "script", 9).unwrap().run.end_time
    };
    assert_eq!(first_report(1), first_report(4));
}
