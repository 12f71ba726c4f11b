//! Replicate searches: every device against each other, against a plain reference, and against the searcher that the engine runs.

use super::devices;
use super::inputs::few;
use crate::replicates::{Judge, Search, regrets, run};
use crate::{Device, philox::Words};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toprung_searchers::{Action, Event, ExitReason, Searcher, SearcherConfig, Space, TrialId};

const CURVES: [f64; 8] = [5.0, 4.0, 3.0, 2.5, 4.0, f64::NAN, 1.0, 2.0];

/// Four curves of length 2.
pub(crate) fn small() -> Search<'static> {
    Search {
        curves: &CURVES,
        length: 2,
        rungs: &[1, 2],
        divisor: 2.0,
        trials: 4,
        slots: 2,
        budgets: &[0, 1, 2, 4],
        replicates: 50,
        seed: 3,
    }
}

/// A search that owns what it is made of.
#[derive(Clone, Debug)]
struct Case {
    curves: Vec<f64>,
    rungs: Vec<u32>,
    divisor: f64,
    trials: usize,
    slots: u32,
    budgets: Vec<u64>,
    seed: u64,
    replicates: usize,
}

impl Case {
    fn search(&self) -> Search<'_> {
        Search {
            curves: &self.curves,
            length: *self.rungs.last().unwrap() as usize,
            rungs: &self.rungs,
            divisor: self.divisor,
            trials: self.trials,
            slots: self.slots,
            budgets: &self.budgets,
            replicates: self.replicates,
            seed: self.seed,
        }
    }

    fn metric(&self, configuration: usize, length: u64) -> f64 {
        self.curves[configuration * *self.rungs.last().unwrap() as usize + length as usize - 1]
    }

    fn best(&self) -> f64 {
        self.curves.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The order that replicate `replicate` draws: a shuffle of all configurations.
    fn order(&self, replicate: u64) -> Vec<usize> {
        let configurations = self.curves.len() / *self.rungs.last().unwrap() as usize;
        let mut words = Words::new(self.seed, replicate);
        let mut order: Vec<usize> = (0..configurations).collect();
        for at in 0..self.trials {
            order.swap(at, at + words.below((configurations - at) as u32) as usize);
        }
        order
    }

    /// The regret at each budget of a search whose metrics came at these times.
    fn regrets(&self, metrics: &[(u64, f64)]) -> Vec<f64> {
        let by = |budget: u64| metrics.iter().filter(move |(time, _)| *time <= budget);
        let regret =
            |&budget: &u64| by(budget).map(|(_, metric)| *metric).fold(f64::INFINITY, f64::min) - self.best();
        self.budgets.iter().map(regret).collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let metric = prop_oneof![5 => -3.0..3.0_f64, 5 => (-2_i8..2).prop_map(f64::from), 1 => Just(f64::NAN)];
    let shape = (1_usize..40, 1_u32..5, prop_oneof![Just(2.0), Just(3.0), Just(4.0), Just(2.5)]);
    shape.prop_flat_map(move |(configurations, rungs, divisor)| {
        let top = 40_u64;
        let mut lengths = toprung_searchers::divisor::Divisor::new(divisor).unwrap().rung_lengths(rungs, top);
        lengths.dedup();
        let rungs: Vec<u32> = lengths.into_iter().map(|length| length as u32).collect();
        (
            prop::collection::vec(metric.clone(), configurations * top as usize),
            Just(rungs),
            Just(divisor),
            1..=configurations,
            prop_oneof![Just(1_u32), 1_u32..6],
            prop::collection::btree_set(0_u64..600, 1..8),
            any::<u64>(),
            prop_oneof![Just(0.0), Just(0.2)],
        )
            .prop_map(move |(mut curves, rungs, divisor, trials, slots, budgets, seed, slope)| {
                // In curves that fall, every promotion shows in the regret.
                for curve in curves.chunks_mut(top as usize) {
                    curve.iter_mut().zip(0..).for_each(|(metric, at)| *metric -= slope * f64::from(at));
                }
                let budgets = budgets.into_iter().collect();
                let mut case = Case { curves, rungs, divisor, trials, slots, budgets, seed, replicates: 20 };
                case.curves[0] = 1.5;
                case
            })
    })
}

/// Who trains where, and when it is done.
#[derive(Default)]
struct Slots {
    busy: BTreeMap<(u64, u32), (u32, u64)>,
    idle: BTreeSet<u32>,
}

impl Slots {
    fn start(&mut self, now: u64, trial: u32, from: u64, to: u64) {
        let slot = self.idle.pop_first().expect("a slot is idle for what is started");
        self.busy.insert((now + to - from, slot), (trial, to));
    }
}

/// Metrics and their times of a replicate played by the searcher that the engine runs.
fn by_the_searcher(case: &Case, replicate: u64) -> Vec<(u64, f64)> {
    let config = SearcherConfig::AsyncHalving {
        num_rungs: case.rungs.len() as u32,
        max_trials: case.trials as u64,
        divisor: case.divisor,
        min_length: None,
        max_length: u64::from(*case.rungs.last().unwrap()),
        max_concurrent_trials: 0,
        stop_once: false,
    };
    let mut searcher = Searcher::new(config, Space::new(BTreeMap::new()), 1).unwrap();
    let order = case.order(replicate);
    let mut slots = Slots { idle: (0..case.slots).collect(), ..Slots::default() };
    let (mut lengths, mut metrics, mut now) = (BTreeMap::new(), Vec::new(), 0);
    let mut events = std::collections::VecDeque::from([Event::Capacity(case.slots)]);
    loop {
        while let Some(event) = events.pop_front() {
            for action in searcher.handle(&event) {
                match action {
                    Action::Create(create) => slots.start(now, create.trial.0, 0, create.train_to),
                    Action::TrainTo { trial, length, .. } => {
                        slots.start(now, trial.0, lengths[&trial.0], length)
                    }
                    Action::Pause { trial, .. } => events
                        .push_back(Event::Exited { trial, reason: ExitReason::Paused { resumable: true } }),
                    Action::Stop { trial, .. } => {
                        events.push_back(Event::Exited { trial, reason: ExitReason::Stopped });
                    }
                    Action::Shutdown { .. } => {}
                }
            }
        }
        let Some(((time, slot), (trial, length))) = slots.busy.pop_first() else {
            return metrics;
        };
        now = time;
        let metric = case.metric(order[trial as usize - 1], length);
        metrics.push((time, metric));
        lengths.insert(trial, length);
        slots.idle.insert(slot);
        events.push_back(Event::Validated { trial: TrialId(trial), length, metric });
    }
}

/// A rung as a plain list in order of arrival: metric, trial, whether it was promoted.
type List = Vec<(f64, u32, bool)>;

/// The places of a list in order of rank.
fn ranked(list: &List) -> Vec<usize> {
    let metrics: Vec<f64> = list.iter().map(|entry| entry.0).collect();
    super::reference::order(&metrics, false)
}

/// The same by the rule as it is written down, with sorted lists.
fn by_lists(case: &Case, replicate: u64) -> Vec<(u64, f64)> {
    let order = case.order(replicate);
    let mut slots = Slots { idle: (0..case.slots).collect(), ..Slots::default() };
    let mut rungs: Vec<List> = vec![Vec::new(); case.rungs.len()];
    let (mut created, mut now, mut metrics) = (0, 0, Vec::new());
    loop {
        while !slots.idle.is_empty() {
            let heading = |rung: usize| slots.busy.values().any(|&(_, to)| to == u64::from(case.rungs[rung]));
            let promotable = |rung: usize, least: usize| {
                let list = &rungs[rung];
                let share = ((list.len() as f64 / case.divisor) * (1.0 + 1e-12)).floor() as usize;
                let best = ranked(list).into_iter().enumerate().find(|&(_, place)| !list[place].2);
                best.filter(|&(rank, _)| rank < share.max(least)).map(|(_, place)| place)
            };
            let sealed = |rung: usize| {
                created == case.trials
                    && (0..=rung).all(|below| !heading(below))
                    && (0..rung).all(|below| promotable(below, 1).is_none())
            };
            let place = |rung: usize| promotable(rung, usize::from(sealed(rung))).map(|place| (rung, place));
            let next = (0..rungs.len() - 1).rev().find_map(place);
            if let Some((rung, place)) = next {
                rungs[rung][place].2 = true;
                let trial = rungs[rung][place].1;
                slots.start(now, trial, u64::from(case.rungs[rung]), u64::from(case.rungs[rung + 1]));
            } else if created < case.trials {
                created += 1;
                slots.start(now, created as u32, 0, u64::from(case.rungs[0]));
            } else {
                break;
            }
        }
        let Some(((time, slot), (trial, length))) = slots.busy.pop_first() else {
            return metrics;
        };
        now = time;
        let metric = case.metric(order[trial as usize - 1], length);
        metrics.push((time, metric));
        let rung = case.rungs.iter().position(|&rung| u64::from(rung) == length).unwrap();
        rungs[rung].push((metric, trial, false));
        slots.idle.insert(slot);
    }
}

proptest! {
    // An emulated replicate is cheap: it has no step that threads take together.
    #![proptest_config(ProptestConfig { cases: 96, ..few() })]

    #[test]
    fn every_device_plays_as_the_reference_and_the_searcher_do(case in cases()) {
        let expected: Vec<Vec<f64>> =
            (0..case.replicates as u64).map(|replicate| case.regrets(&by_lists(&case, replicate))).collect();
        for (replicate, expected) in (0..).zip(&expected) {
            let by_searcher = case.regrets(&by_the_searcher(&case, replicate));
            prop_assert_eq!(&by_searcher, expected, "replicate {} by the searcher", replicate);
        }
        for device in devices() {
            let found = regrets(device, &case.search()).unwrap().into_vec().unwrap();
            for (at, &regret) in found.iter().enumerate() {
                let (budget, replicate) = (at / case.replicates, at % case.replicates);
                let expected = expected[replicate][budget];
                prop_assert!(
                    regret.to_bits() == expected.to_bits(),
                    "replicate {replicate} at budget {budget}: {regret}, expected {expected}, on {}", device.label()
                );
            }
        }
    }
}

/// More replicates than the emulated GPU plays in a batch, and rungs of hundreds of trials.
#[test]
fn large_searches_are_the_same_bits_on_every_device() {
    let mut words = Words::new(1, 0);
    let curves: Vec<f64> =
        (0..700 * 27).map(|_| f64::from(words.below(1 << 20)) / f64::from(1 << 20)).collect();
    let rungs = vec![1, 3, 9, 27];
    let budgets = vec![3, 10, 30, 100, 300];
    let case =
        Case { curves, rungs, divisor: 3.0, trials: 500, slots: 7, budgets, seed: 11, replicates: 300 };
    let cpu = regrets(&Device::cpu(), &case.search()).unwrap().into_vec().unwrap();
    for device in devices() {
        let found = regrets(device, &case.search()).unwrap().into_vec().unwrap();
        assert!(found.iter().zip(&cpu).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", device.label());
    }
    for replicate in [0, 299] {
        let expected = case.regrets(&by_the_searcher(&case, replicate as u64));
        let found: Vec<f64> = (0..5).map(|budget| cpu[budget * 300 + replicate]).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn outcomes_agree_between_devices_and_hold_what_the_regrets_say() {
    let search = small();
    let judge = Judge { resamples: 40, ..Judge::default() };
    let expected = run(&Device::cpu(), &search, &judge).unwrap();
    for device in devices() {
        let found = run(device, &search, &judge).unwrap();
        for (found, expected) in found.at.iter().zip(&expected.at) {
            assert!(
                (found.mean - expected.mean).abs() < 1e-12 || (found.mean.is_nan() && expected.mean.is_nan())
            );
            assert_eq!(format!("{:?}", found.mean_interval), format!("{:?}", expected.mean_interval));
            assert_eq!(found.quantiles, expected.quantiles);
            assert_eq!((found.median_interval, found.count), (expected.median_interval, expected.count));
        }
    }
    let [before, first, .., last] = &expected.at[..] else { panic!("four budgets") };
    assert!(before.count == 0 && before.mean.is_nan() && before.median == f64::INFINITY);
    assert!(first.count == 50 && first.mean >= last.mean && last.mean >= 0.0);
    assert!(first.mean_interval.0 <= first.mean && first.mean <= first.mean_interval.1);
    assert!(first.median_interval.0 <= first.median && first.median <= first.median_interval.1);
}

/// The best trial of three waits alone in the middle rung when the last arrives in the lowest and is not promoted: only
/// that arrival says that nothing can come any more, and that it goes on to the top, where the best metric is.
#[test]
fn an_arrival_below_lets_the_last_of_a_rung_go_on() {
    let curves = [0.5, 0.5, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0];
    let case = Case {
        curves: curves.to_vec(),
        rungs: vec![1, 2, 3],
        divisor: 2.0,
        trials: 3,
        slots: 1,
        budgets: vec![5, 6],
        seed: 1,
        replicates: 30,
    };
    for device in devices() {
        let found = regrets(device, &case.search()).unwrap().into_vec().unwrap();
        for (replicate, &last) in found[30..].iter().enumerate() {
            let expected = case.regrets(&by_lists(&case, replicate as u64));
            assert_eq!(
                (found[replicate], last),
                (expected[0], expected[1]),
                "{replicate} on {}",
                device.label()
            );
        }
        assert!(found[30..].contains(&0.0));
    }
}

#[test]
fn a_search_that_makes_no_sense_is_explained() {
    let good = small();
    let wrong: [(Search<'_>, &str); 9] = [
        (Search { length: 3, ..good }, "the table is 8 metrics in curves of length 3"),
        (Search { rungs: &[2, 1], ..good }, "the rungs is [2, 1]"),
        (Search { rungs: &[1, 3], ..good }, "from 1 to the length of the curves"),
        (Search { divisor: 1.0, ..good }, "the divisor is 1"),
        (Search { trials: 5, ..good }, "5 of 4 configurations"),
        (Search { slots: 0, ..good }, "the number of slots is 0"),
        (Search { budgets: &[], ..good }, "the budgets is []"),
        (Search { replicates: 0, ..good }, "the number of replicates"),
        (Search { curves: &[f64::NAN; 4], ..good }, "at least one finite metric"),
    ];
    for (search, says) in wrong {
        let error = regrets(&Device::cpu(), &search).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
