//! Plans against the tables of the design.

use crate::world::{asha, space};
use toprung_searchers::{Error, Mode, Plan, SearcherConfig, plan};

fn adaptive(mode: Mode, trials: u64) -> Plan {
    let config = SearcherConfig::AdaptiveAsha {
        max_trials: trials,
        mode,
        divisor: 4.0,
        max_rungs: 5,
        bracket_rungs: Vec::new(),
        min_length: None,
        max_length: 1000,
        max_concurrent_trials: 16,
        stop_once: false,
    };
    plan(&config, &space()).unwrap()
}

fn brackets(plan: &Plan) -> Vec<(usize, u64)> {
    plan.brackets.iter().map(|bracket| (bracket.rungs.len(), bracket.trials)).collect()
}

fn ending(plan: &Plan) -> Vec<(u64, u64)> {
    plan.ending.iter().map(|ending| (ending.length, ending.trials)).collect()
}

#[test]
fn adaptive_follows_the_table() {
    let aggressive = adaptive(Mode::Aggressive, 64);
    assert_eq!(brackets(&aggressive), [(4, 64)]);
    assert_eq!(ending(&aggressive), [(15, 48), (62, 12), (250, 3), (1000, 1)]);

    let standard = adaptive(Mode::Standard, 64);
    assert_eq!(brackets(&standard), [(4, 45), (3, 14), (2, 5)]);
    assert_eq!(ending(&standard), [(15, 34), (62, 20), (250, 7), (1000, 3)]);

    let conservative = adaptive(Mode::Conservative, 64);
    assert_eq!(brackets(&conservative), [(4, 43), (3, 14), (2, 5), (1, 2)]);
    assert_eq!(ending(&conservative), [(15, 33), (62, 19), (250, 7), (1000, 5)]);

    let large = adaptive(Mode::Standard, 500);
    assert_eq!(brackets(&large), [(5, 354), (4, 110), (3, 36)]);
    assert_eq!(ending(&large), [(3, 266), (15, 149), (62, 65), (250, 16), (1000, 4)]);
}

#[test]
fn lengths_add_up() {
    let plan = adaptive(Mode::Aggressive, 64);
    assert_eq!(plan.total_length, 48 * 15 + 12 * 62 + 3 * 250 + 1000);
    assert_eq!((plan.full_length, plan.trials, plan.max_length), (64_000, 64, 1000));
}

#[test]
fn a_least_length_anchors_the_rungs() {
    let lengths = |config: &SearcherConfig| {
        let plan = plan(config, &space()).unwrap();
        let rungs = |bracket: &toprung_searchers::plan::BracketPlan| {
            bracket.rungs.iter().map(|rung| rung.length).collect::<Vec<_>>()
        };
        plan.brackets.iter().map(rungs).collect::<Vec<_>>()
    };
    let (divisor, min_length, max_length, max_concurrent_trials) = (3.0, Some(1), 50, 0);
    let whole = [1, 3, 9, 27, 50];
    let sync = |max_trials| SearcherConfig::SyncHalving {
        max_trials,
        divisor,
        min_length,
        max_length,
        max_concurrent_trials,
    };
    assert_eq!(lengths(&sync(100)), [whole]);
    assert_eq!(lengths(&sync(4)), [whole], "trials do not decide where it begins");
    let pasha = |max_rungs| SearcherConfig::Pasha {
        max_trials: 9,
        divisor,
        max_rungs,
        min_length,
        max_length,
        max_concurrent_trials,
    };
    assert_eq!(lengths(&pasha(64)), [whole]);
    assert_eq!(lengths(&pasha(2)), [[27, 50]]);
    let asha = |num_rungs| SearcherConfig::AsyncHalving {
        num_rungs,
        max_trials: 9,
        divisor,
        min_length,
        max_length,
        max_concurrent_trials,
        stop_once: false,
    };
    assert_eq!(lengths(&asha(64)), [whole]);
    assert_eq!(lengths(&asha(3)), [[9, 27, 50]]);
    let hyperband =
        SearcherConfig::Hyperband { max_trials: 500, divisor, min_length, max_length, max_concurrent_trials };
    let brackets: Vec<_> = (0..5).map(|first| whole[first..].to_vec()).collect();
    assert_eq!(lengths(&hyperband), brackets);
}

#[test]
fn one_trial_gets_one_rung() {
    assert_eq!(brackets(&adaptive(Mode::Conservative, 1)), [(1, 1)]);
}

#[test]
fn halving_and_fixed_methods_have_plans() {
    let halving = plan(&asha(3, 9, 3.0, 9, false), &space()).unwrap();
    assert_eq!(ending(&halving), [(1, 6), (3, 2), (9, 1)]);
    let repeated = plan(&asha(4, 9, 3.0, 3, false), &space()).unwrap();
    assert_eq!(ending(&repeated), [(1, 8), (3, 1)], "rungs of the same length are added up");
    let grid = plan(&SearcherConfig::Grid { max_length: 7, max_concurrent_trials: 1 }, &space()).unwrap();
    assert_eq!((ending(&grid), grid.total_length), (vec![(7, 6)], 42));
    let single = plan(&SearcherConfig::Single { max_length: 7 }, &space()).unwrap();
    assert_eq!((single.trials, single.total_length, single.full_length), (1, 7, 7));
}

#[test]
fn enormous_lengths_do_not_overflow() {
    let plan = plan(&asha(2, 100, 3.0, u64::MAX, false), &space()).unwrap();
    assert_eq!((plan.total_length, plan.full_length), (u64::MAX, u64::MAX));
}

#[test]
fn a_wrong_setting_is_an_error() {
    let error = plan(&asha(0, 9, 3.0, 9, false), &space()).unwrap_err();
    assert_eq!(error.to_string(), "searcher.num_rungs is 0, allowed is 1 to 64");
    assert!(matches!(error, Error::Setting { .. }));
}
