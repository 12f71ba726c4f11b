//! Compares searchers on the benchmark tables by the protocol, for quick looks while a searcher is written.
//!
//! `cargo run --release -p toprung-simulations --example protocol -- random asha-promotion asha-stopping hyperband pasha`
//! prints the median normalised regret at four parts of the budget, and mean ranks. `--seeds N` and `--tasks a,b` narrow it.
//! The tables are in `$TOPRUNG_BENCHMARKS`, else in `../shared/benchmarks` beside the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use toprung_searchers::models::{GpConfig, ModelConfig, TpeConfig};
use toprung_searchers::{Mode, Searcher, SearcherConfig, config::hyperband_round};
use toprung_simulations::protocol::CHECKPOINTS;
use toprung_simulations::{Error, FirstThenBest, Player, Protocol, Rounds, Table, Task};

const NAMES: &str = "random one-epoch asha-promotion asha-stopping adaptive-{conservative,standard,aggressive}[-stopping] \
                     hyperband sync-halving pasha median; NAME-up: rungs at 1, 3, 9, ...; tpe+NAME, gp+NAME: trials placed by a model";

fn main() {
    let mut names = Vec::new();
    let (mut seeds, mut tasks) =
        (30, "digits_mlp_sgd,lcbench_189906,taskset_gru64avg_p32,taskset_lstm128_p128".to_owned());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seeds" => seeds = arguments.next().and_then(|number| number.parse().ok()).unwrap_or(seeds),
            "--tasks" => tasks = arguments.next().unwrap_or(tasks),
            _ => names.push(argument),
        }
    }
    if names.is_empty() {
        names = ["random", "one-epoch", "asha-promotion", "asha-stopping", "hyperband", "pasha"]
            .map(str::to_owned)
            .into();
    }
    let folder = std::env::var_os("TOPRUNG_BENCHMARKS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/benchmarks"), PathBuf::from);
    let tables: Result<Vec<Table>, Error> =
        tasks.split(',').map(|task| Table::read_folder(&folder.join(task))).collect();
    match tables.and_then(|tables| compare(&names, &tables, seeds)) {
        Ok(()) => {}
        Err(error) => eprintln!("{error}\nsearchers: {NAMES}"),
    }
}

/// A searcher by its name.
fn player(name: &str, table: &Table, seed: u32) -> Result<Box<dyn Player>, Error> {
    match name.split_once('+') {
        Some(("tpe", name)) => unplaced(name, table, seed, Some(ModelConfig::Tpe(TpeConfig::default()))),
        Some(("gp", name)) => unplaced(name, table, seed, Some(ModelConfig::Gp(GpConfig::default()))),
        _ => unplaced(name, table, seed, None),
    }
}

/// The method with the model around it, if there is one.
fn placed(inner: SearcherConfig, model: Option<ModelConfig>) -> SearcherConfig {
    match model {
        Some(model) => SearcherConfig::ModelBased { inner: Box::new(inner), model },
        None => inner,
    }
}

/// A searcher by the name of its method.
fn unplaced(
    name: &str,
    table: &Table,
    seed: u32,
    model: Option<ModelConfig>,
) -> Result<Box<dyn Player>, Error> {
    let (max_length, space, max_trials) = (table.max_length(), table.space().clone(), 1_000_000);
    let rungs = (0_u32..40).take_while(|&rung| 3_u64.pow(rung) <= max_length).count() as u32;
    // Rungs at powers of the divisor from 1 up, the last one beyond the end of the curve.
    let (max_length, rungs, name) = match name.strip_suffix("-up") {
        Some(name) if 3_u64.pow(rungs - 1) == max_length => (max_length, rungs, name),
        Some(name) => (3_u64.pow(rungs), rungs + 1, name),
        None => (max_length, rungs, name),
    };
    let asha = |stop_once| SearcherConfig::AsyncHalving {
        num_rungs: rungs,
        max_trials,
        divisor: 3.0,
        min_length: None,
        max_length,
        max_concurrent_trials: 0,
        stop_once,
    };
    let random = SearcherConfig::Random { max_trials, max_length, max_concurrent_trials: 0 };
    let config = match name {
        "random" => random,
        "one-epoch" => {
            return Ok(Box::new(FirstThenBest::new(space, seed, 16 * max_length as u32, 16, 1, max_length)));
        }
        "asha-promotion" => asha(false),
        "asha-stopping" => asha(true),
        "hyperband" => {
            let max_trials = hyperband_round(3.0, None, max_length).unwrap_or(max_trials);
            let config = SearcherConfig::Hyperband {
                max_trials,
                divisor: 3.0,
                min_length: None,
                max_length,
                max_concurrent_trials: 0,
            };
            return Ok(Box::new(Rounds::new(placed(config, model), space, seed)?));
        }
        "sync-halving" => {
            let config = SearcherConfig::SyncHalving {
                max_trials: 3_u64.pow(rungs - 1),
                divisor: 3.0,
                min_length: None,
                max_length,
                max_concurrent_trials: 0,
            };
            return Ok(Box::new(Rounds::new(placed(config, model), space, seed)?));
        }
        "pasha" => SearcherConfig::Pasha {
            max_trials,
            divisor: 3.0,
            max_rungs: rungs,
            min_length: None,
            max_length,
            max_concurrent_trials: 0,
        },
        "median" => SearcherConfig::MedianStopping { inner: Box::new(random), min_length: 1, min_trials: 5 },
        _ => {
            let (mode, stop_once) = match name.strip_prefix("adaptive-").unwrap_or_default() {
                "conservative" => (Mode::Conservative, false),
                "standard" => (Mode::Standard, false),
                "aggressive" => (Mode::Aggressive, false),
                "conservative-stopping" => (Mode::Conservative, true),
                "standard-stopping" => (Mode::Standard, true),
                "aggressive-stopping" => (Mode::Aggressive, true),
                _ => {
                    return Err(Error::Setting {
                        setting: "searcher",
                        found: name.to_owned(),
                        allowed: NAMES,
                    });
                }
            };
            SearcherConfig::AdaptiveAsha {
                max_trials,
                mode,
                divisor: 3.0,
                max_rungs: rungs,
                bracket_rungs: Vec::new(),
                min_length: None,
                max_length,
                max_concurrent_trials: 0,
                stop_once,
            }
        }
    };
    Ok(Box::new(Searcher::new(placed(config, model), space, seed)?))
}

/// Regrets by (task, searcher, seed), one a checkpoint.
type Regrets = BTreeMap<(usize, usize, u32), [f64; 4]>;

fn compare(names: &[String], tables: &[Table], seeds: u32) -> Result<(), Error> {
    for name in names {
        player(name, &tables[0], 0)?;
    }
    let jobs: Vec<(usize, usize, u32)> = (0..tables.len())
        .flat_map(|task| {
            (0..names.len()).flat_map(move |name| (0..seeds).map(move |seed| (task, name, seed)))
        })
        .collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Regrets::new()));
    let work = || {
        while let Some(&(task, name, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (table, protocol) = (&tables[task], Protocol::default());
            // Checked above.
            let Ok(mut player) = player(&names[name], table, seed) else { continue };
            let run = protocol.play(table, player.as_mut(), &names[name], seed);
            let regrets = CHECKPOINTS.map(|part| protocol.norm_regret(table, &run, part));
            found.lock().unwrap_or_else(PoisonError::into_inner).insert((task, name, seed), regrets);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    print(names, tables, seeds, &found);
    Ok(())
}

fn print(names: &[String], tables: &[Table], seeds: u32, found: &Regrets) {
    for (task, table) in tables.iter().enumerate() {
        println!("{}: median norm_regret at T/8 T/4 T/2 T", table.name());
        for (name, label) in names.iter().enumerate() {
            let at = |part: usize| {
                median((0..seeds).filter_map(|seed| Some(found.get(&(task, name, seed))?[part])).collect())
            };
            println!("  {label:<32} {:8.4} {:8.4} {:8.4} {:8.4}", at(0), at(1), at(2), at(3));
        }
    }
    println!("mean rank over tasks and seeds at T/8 T/4 T/2 T");
    for (name, label) in names.iter().enumerate() {
        let mut sums = [0.0; 4];
        for (task, seed) in (0..tables.len()).flat_map(|task| (0..seeds).map(move |seed| (task, seed))) {
            for (part, sum) in sums.iter_mut().enumerate() {
                let of =
                    |name: usize| found.get(&(task, name, seed)).map_or(f64::NAN, |regrets| regrets[part]);
                let (own, all) = (of(name), 0..names.len());
                let (less, same) = (
                    all.clone().filter(|&other| of(other) < own).count(),
                    all.filter(|&other| of(other) == own).count(),
                );
                *sum += less as f64 + f64::midpoint(same as f64, 1.0);
            }
        }
        let runs = tables.len() as f64 * f64::from(seeds);
        println!(
            "  {label:<32} {:8.3} {:8.3} {:8.3} {:8.3}",
            sums[0] / runs,
            sums[1] / runs,
            sums[2] / runs,
            sums[3] / runs
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    if values.is_empty() {
        f64::NAN
    } else {
        f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
    }
}
