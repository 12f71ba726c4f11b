//! The tables of curves as files, read by the test and by the processes of trials: made up from a seed, or from the benchmark
//! tables in `$TOPRUNG_BENCHMARKS`, else in `../shared/benchmarks` beside the repository.

use crate::searches::Search;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use toprung_config::ExperimentConfig;
use toprung_proto::v1;
use toprung_searchers::{TrialId, Value};
use toprung_simulations::synthetic::{PowerLaw, Shape};
use toprung_simulations::{Curve, Mapping, Table, Task};

/// Lengths of the made-up curves, and so many of them.
const LENGTHS: u64 = 27;
const CURVES: u32 = 80;
/// So many configurations of a benchmark table.
const SHARED_CURVES: usize = 120;

/// A search that is ready to run.
pub struct Prepared {
    pub file: String,
    pub config: ExperimentConfig,
    pub table: Table,
}

impl Prepared {
    /// Whether a trial has the hyperparameters that a random draw gives it.
    pub fn is_drawn(&self, created: &v1::TrialCreated) -> bool {
        let drawn = self.config.space.draw(self.config.experiment_seed.unwrap(), TrialId(created.trial));
        toprung_searchers::to_json_text(&drawn) == created.hparams_json
    }
}

/// Hyperparameters, and the table of their curves.
struct Content {
    hyperparameters: &'static str,
    csv: String,
}

/// Writes the curves and the experiment file into this directory.
pub fn prepare(directory: &Path, search: &Search) -> Prepared {
    let content =
        if search.is_on_real_table { benchmark(&benchmark_folder().unwrap()) } else { made_up(search.seed) };
    let curves = directory.join("curves.csv");
    std::fs::write(&curves, content.csv).unwrap();
    let path = directory.join("search.yaml");
    let file = format!(
        "\
name: {}
entrypoint: ['{}', trial, --exact, --nocapture]
hyperparameters: {{{}}}
searcher: {{{}, metric: error}}
data: {{search: '{}', curves: '{}'}}
reproducibility: {{experiment_seed: {}}}
",
        search.name,
        std::env::current_exe().unwrap().display(),
        content.hyperparameters,
        search.searcher,
        path.display(),
        curves.display(),
        search.seed,
    );
    std::fs::write(&path, &file).unwrap();
    let config = config(&file);
    let table = table(&curves, &config);
    Prepared { file, config, table }
}

/// What an experiment file says.
pub fn config(file: &str) -> ExperimentConfig {
    toprung_config::parse(file).unwrap_or_else(|problems| panic!("{problems}")).config
}

/// The curves in a file, by the hyperparameters of this experiment.
pub fn table(path: &Path, config: &ExperimentConfig) -> Table {
    let mapping = Mapping {
        name: "recorded".to_owned(),
        hyperparameters: config.space.dimensions.keys().cloned().collect(),
        configuration: Some("id".to_owned()),
        length: Some("epoch".to_owned()),
        metric: "error".to_owned(),
        smaller_is_better: true,
        cost: Some("seconds".to_owned()),
        cost_is_sum: false,
        cap: None,
        space: Some(config.space.clone()),
    };
    Table::read_csv(path, &mapping).unwrap()
}

/// Curves that cross, stand still, are noisy, and some that diverge. No two epochs take the same time.
fn made_up(seed: u32) -> Content {
    let shape = Shape { crossings: 0.6, plateaus: 0.1, divergence: 0.1, noise: 0.01, uneven: 0.5 };
    let family = PowerLaw::new("made up", seed, 4, LENGTHS, shape).unwrap();
    let mut csv = "id,momentum,rate,units,kind,epoch,error,seconds\n".to_owned();
    for id in 1..=CURVES {
        // Not the seed of the search: its trials have to find their nearest curves.
        let drawn = family.space().draw(seed + 1_000, TrialId(id));
        let unit = |name: &str| if let Value::Double(unit) = drawn[name] { unit } else { unreachable!() };
        let (rate, units) = (10_f64.powf(4.0 * unit("x01") - 4.0), 1 + (64.0 * unit("x02")) as u64);
        let kind = if unit("x03") < 0.5 { "sgd" } else { "adam" };
        let curve = family.curve(seed, id, &drawn);
        for length in 1..=LENGTHS {
            let point = family.point(&curve, length);
            let (momentum, error, seconds) = (unit("x00"), point.metric, point.cost);
            writeln!(csv, "{id},{momentum},{rate},{units},{kind},{length},{error},{seconds}").unwrap();
        }
    }
    let hyperparameters = "momentum: {type: double, minval: 0, maxval: 1}, \
                           rate: {type: log, base: 10, minval: -4, maxval: 0}, \
                           units: {type: int, minval: 1, maxval: 64}, \
                           kind: {type: categorical, vals: [sgd, adam]}";
    Content { hyperparameters, csv }
}

/// The folder of a real table, if it is there.
pub fn benchmark_folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/benchmarks");
    let folder = std::env::var_os("TOPRUNG_BENCHMARKS").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder.join("digits_mlp_sgd"));
    }
    eprintln!("skipped: the benchmark tables are not in {}; set TOPRUNG_BENCHMARKS", folder.display());
    None
}

/// The first configurations of a benchmark table.
fn benchmark(folder: &Path) -> Content {
    let table = Table::read_folder(folder).unwrap();
    let configurations = std::fs::read_to_string(folder.join("configs.csv")).unwrap();
    let mut lines = configurations.lines();
    let heads = lines.next().unwrap().strip_prefix("config_id,").unwrap();
    let mut csv = format!("id,{heads},epoch,error,seconds\n");
    for (row, line) in (0..).zip(lines.take(SHARED_CURVES)) {
        for length in 1..=table.max_length() {
            let point = table.point(&Curve::Row(row), length);
            writeln!(csv, "{line},{length},{},{}", point.metric, point.cost).unwrap();
        }
    }
    let hyperparameters = "learning_rate: {type: log, base: 10, minval: -4, maxval: 0}, \
                           momentum: {type: double, minval: 0, maxval: 0.99}, \
                           batch_size: {type: int, minval: 16, maxval: 256}, \
                           units: {type: int, minval: 4, maxval: 128}, \
                           layers: {type: int, minval: 1, maxval: 3}, \
                           alpha: {type: log, base: 10, minval: -6, maxval: 0}, \
                           nesterov: {type: categorical, vals: [0, 1]}";
    Content { hyperparameters, csv }
}
