//! The protocol on a small table, worked by hand.

use crate::{Script, line};
use toprung_searchers::{Searcher, SearcherConfig, Value};
use toprung_simulations::{FirstThenBest, Protocol, Rounds, Row, Scale, Step, Table, Task};

/// Rows at x = 0, 10, 20: costs 1, 2 and 3 an epoch.
fn table() -> Table {
    let row = |x: f64, metrics: [f64; 3], cost: f64| Row {
        hparams: [("x".to_owned(), Value::Double(x))].into(),
        metrics: metrics.to_vec(),
        costs: vec![cost; 3],
    };
    let rows = [
        row(0.0, [0.9, 0.8, 0.7], 1.0),
        row(10.0, [f64::NAN, 6e18, 0.5], 2.0),
        row(20.0, [0.6, 0.4, 0.3], 3.0),
    ];
    Table::new("small", line(), &rows, Some(1.0)).unwrap()
}

fn two_workers() -> Protocol {
    // Mean full cost 6: budget 12.
    Protocol { workers: 2, full_curves: 2.0 }
}

#[test]
fn the_scale_is_that_of_capped_metrics() {
    let expected = Scale { cap: 1.0, best_any: 0.3, best_final: 0.3, median_final: 0.5, mean_full_cost: 6.0 };
    assert_eq!(table().scale(), expected);
    assert_eq!(two_workers().budget(&table()), 12.0);
}

#[test]
fn epochs_end_in_the_order_of_time_and_worker() {
    let mut script = Script::new(&[
        "+1 0>3, +2 10>3", // capacity
        "",                // 1@1 at 1
        "",                // 1@2 at 2, worker 0 before worker 1
        "",                // 2@1 at 2
        "1 stop",          // 1@3 at 3
        "+3 20>2",         // 1 exited: worker 0 is free at 3
        "",                // 2@2 at 4
        "2 pause",         // 3@1 at 6 on worker 0: 2 is in its last epoch, which ends at 6 too, on worker 1
        "2>3",             // 2 exited: it trains its third epoch again, 6 to 8
        "2 stop, end",     // 2@3
    ]);
    let run = two_workers().play(&table(), &mut script, "script", 0);
    let expected = [
        "capacity 2",
        "1@1: 0.9",
        "1@2: 0.8",
        "2@1: NaN",
        "1@3: 0.7",
        "1 Stopped",
        "2@2: 6000000000000000000",
        "3@1: 0.6",
        "2 Paused { resumable: true }",
        "2@3: 0.5",
        "2 Stopped",
    ];
    assert_eq!(script.heard, expected);
    let steps = [
        (1.0, 1, 1.0, 0.9),
        (2.0, 2, 2.0, 0.8),
        (3.0, 4, 5.0, 0.7),
        (6.0, 6, 10.0, 0.6),
        (8.0, 7, 12.0, 0.5),
    ];
    let steps = steps.map(|(time, length, cost, best)| Step { time, length, cost, best });
    assert_eq!(run.steps, steps);
    assert_eq!(
        (run.trials, run.reports, run.total_length, run.total_cost, run.end_time),
        (3, 7, 7, 12.0, 8.0)
    );
    // Worker 0 trained 3 + 5 of 8; worker 1 all 8, of which 2 for nothing.
    assert_eq!(run.utilisation, 1.0);
}

#[test]
fn only_epochs_that_end_in_time_count() {
    let mut script =
        Script::new(&["+1 20>3, +2 20>3", "", "", "", "", "1 stop", "2 stop", "+3 20>3, +4 10>3"]);
    let run = two_workers().play(&table(), &mut script, "script", 0);
    // Both at 3 and 6, trial 1 at 9; trial 2 is stopped as its epoch would end. Trial 4 at 11, not at 13; trial 3 at 12 still.
    assert_eq!(script.heard.last().unwrap(), "3@1: 0.6");
    assert_eq!((run.reports, run.end_time), (7, 12.0));
    let protocol = two_workers();
    let regret = |part| protocol.norm_regret(&table(), &run, part);
    // Nothing by 1.5: the cap, (1 − 0.3) / 0.2. 0.6 at 3, 0.4 at 6, 0.3 at 9.
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
    near(regret(0.125), 3.5);
    near(regret(0.25), 1.5);
    near(regret(0.5), 0.5);
    near(regret(1.0), 0.0);
}

#[test]
fn a_trial_waits_at_its_target_and_completes_at_the_end_of_its_curve() {
    // Trial 1 waits at 1 from time 1 on; trial 2 is to train beyond its curve.
    let mut script = Script::new(&["+1 0>1, +2 0>9", "", "", "", "", "1>2", "end"]);
    two_workers().play(&table(), &mut script, "script", 0);
    let expected = ["capacity 2", "1@1: 0.9", "2@1: 0.9", "2@2: 0.8", "2@3: 0.7", "2 Completed", "1@2: 0.8"];
    assert_eq!(script.heard, expected);
}

#[test]
fn searchers_and_baselines_end_by_themselves() {
    let config = SearcherConfig::SyncHalving {
        max_trials: 3,
        divisor: 3.0,
        min_length: None,
        max_length: 3,
        max_concurrent_trials: 0,
    };
    let unhurried = Protocol { workers: 2, full_curves: 1e3 };
    let mut searcher = Searcher::new(config.clone(), line(), 0).unwrap();
    let run = unhurried.play(&table(), &mut searcher, "sync", 0);
    assert_eq!((run.trials, run.total_length), (3, 5));
    assert!(searcher.is_over());
    let mut baseline = FirstThenBest::new(line(), 0, 10, 2, 1, 3);
    let run = unhurried.play(&table(), &mut baseline, "one epoch", 0);
    assert_eq!((run.trials, run.total_length), (10, 14));
    // Round after round until the budget ends, each with other configurations.
    let mut rounds = Rounds::new(config, line(), 0).unwrap();
    let run = two_workers().play(&table(), &mut rounds, "rounds", 0);
    assert!(run.trials > 3 && run.end_time == 12.0, "{run:?}");
}
