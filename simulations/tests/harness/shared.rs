//! The benchmark tables: in `$TOPRUNG_BENCHMARKS`, else in `../shared/benchmarks` beside the repository. Where they are not,
//! these tests say so and pass.

use std::path::{Path, PathBuf};
use toprung_searchers::{Searcher, SearcherConfig, TrialId};
use toprung_simulations::protocol::CHECKPOINTS;
use toprung_simulations::{Curve, Protocol, Run, Table, Task, World};

fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/benchmarks");
    let folder = std::env::var_os("TOPRUNG_BENCHMARKS").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: the benchmark tables are not in {}; set TOPRUNG_BENCHMARKS", folder.display());
    None
}

const CURVES: [(&str, usize, u64); 4] = [
    ("digits_mlp_sgd", 500, 81),
    ("lcbench_189906", 2_000, 50),
    ("taskset_gru64avg_p32", 1_000, 50),
    ("taskset_lstm128_p128", 1_000, 50),
];

#[test]
fn the_tables_are_as_their_files_say() {
    let Some(folder) = folder() else { return };
    for (name, rows, epochs) in CURVES {
        let table = Table::read_folder(&folder.join(name)).unwrap();
        assert_eq!((table.name(), table.rows(), table.max_length()), (name, rows, epochs));
        // The file's own numbers against those of the rows, which are rounded to six digits.
        let (said, rows) = (table.scale(), table.computed_scale());
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-5 * b.abs(), "{name}: {a} {b}");
        near(rows.best_any, said.best_any);
        near(rows.best_final, said.best_final);
        near(rows.median_final, said.median_final);
        near(rows.mean_full_cost, said.mean_full_cost);
    }
}

#[test]
fn diverged_rows_are_nan_and_huge_values_stay_raw() {
    let Some(folder) = folder() else { return };
    let table = Table::read_folder(&folder.join("taskset_lstm128_p128")).unwrap();
    let points = || (0..1_000).flat_map(|row| (1..=50).map(move |epoch| (row, epoch)));
    let metric = |table: &Table, row, epoch| table.point(&Curve::Row(row), epoch).metric;
    let with_nan =
        (0..1_000).filter(|&row| (1..=50).any(|epoch| metric(&table, row, epoch).is_nan())).count();
    assert_eq!(with_nan, 99);
    let table = Table::read_folder(&folder.join("taskset_gru64avg_p32")).unwrap();
    let greatest = points().map(|(row, epoch)| metric(&table, row, epoch)).fold(0.0, f64::max);
    assert!(greatest > 1e19 && table.scale().capped(greatest) == table.scale().cap, "{greatest}");
}

#[test]
fn a_full_grid_is_answered_exactly() {
    let Some(folder) = folder() else { return };
    let table = Table::read_folder(&folder.join("final_hpolib_naval")).unwrap();
    assert_eq!((table.rows(), table.max_length()), (62_208, 1));
    for trial in 1..40 {
        let (_, distance) = table.nearest(&table.space().draw(0, TrialId(trial)));
        assert_eq!(distance, 0.0);
    }
    // The published numbers of the means of the repeats.
    assert!((table.scale().best_any - 3.191_134_737_789_98e-5).abs() < 1e-9, "{:?}", table.scale());
    assert!((table.scale().median_final - 0.144_474_510_103_464_13).abs() < 1e-5, "{:?}", table.scale());
}

fn asha(max_length: u64, stop_once: bool) -> SearcherConfig {
    let (num_rungs, max_trials, max_concurrent_trials) = (4, 1_000_000, 0);
    SearcherConfig::AsyncHalving {
        num_rungs,
        max_trials,
        divisor: 3.0,
        min_length: None,
        max_length,
        max_concurrent_trials,
        stop_once,
    }
}

fn play(table: &Table, seed: u32) -> Run {
    let mut searcher =
        Searcher::new(asha(table.max_length(), seed.is_multiple_of(2)), table.space().clone(), seed).unwrap();
    Protocol::default().play(table, &mut searcher, "asha", seed)
}

#[test]
fn runs_are_the_same_on_replay_and_on_many_threads() {
    let Some(folder) = folder() else { return };
    let table = Table::read_folder(&folder.join("taskset_gru64avg_p32")).unwrap();
    let alone: Vec<Run> = (0..8).map(|seed| play(&table, seed)).collect();
    let table = &table;
    let together: Vec<Run> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || play(table, seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
    for run in &alone {
        let regrets = CHECKPOINTS.map(|part| Protocol::default().norm_regret(table, run, part));
        assert!(regrets.is_sorted_by(|a, b| a >= b), "{regrets:?}");
        assert!(regrets[3] < 1.0, "{regrets:?}");
    }
}

/// A calm cluster of 8 slots with the protocol's budget does what the protocol does.
#[test]
fn the_world_without_faults_agrees_with_the_protocol() {
    let Some(folder) = folder() else { return };
    for (name, ..) in CURVES {
        let table = Table::read_folder(&folder.join(name)).unwrap();
        let mut world = World::calm(8);
        world.limits.time = Protocol::default().budget(&table);
        let random = || {
            let max_length = table.max_length();
            let config = SearcherConfig::Random { max_trials: 1_000, max_length, max_concurrent_trials: 0 };
            Searcher::new(config, table.space().clone(), 3).unwrap()
        };
        let outcome = world.play(&table, &mut random(), "random", 3).unwrap();
        let run = Protocol::default().play(&table, &mut random(), "random", 3);
        let best = |run: &Run| run.steps.last().unwrap().best;
        assert_eq!(best(&outcome.run), best(&run), "{name}");
        assert_eq!(outcome.run.reports, run.reports, "{name}");
        assert_eq!(outcome.run.trials, run.trials, "{name}");
    }
}
