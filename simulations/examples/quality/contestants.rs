//! Who takes part: one list of all searchers and baselines, each with its settings in words.

use toprung_searchers::config::hyperband_round;
use toprung_searchers::models::{GpConfig, TpeConfig};
use toprung_searchers::{Mode, ModelConfig, Searcher, SearcherConfig, Space};
use toprung_simulations::{Error, FirstThenBest, Player, Rounds};

/// The divisor of all halving, as the protocol has it.
const DIVISOR: f64 = 3.0;
/// More trials than any budget here has room for.
const MANY: u64 = 1_000_000;

/// How a searcher is played.
pub enum Way {
    /// One search, which outlasts the budget.
    Once(SearcherConfig),
    /// A search that begins anew with other configurations each time it is over.
    Rounds(SearcherConfig),
    /// All trials to the first length, the best in full.
    FirstThenBest {
        /// How many trials.
        trials: u32,
        /// How many of them go on.
        keep: u32,
    },
}

/// In which picture a searcher is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// There to be measured against; in all pictures.
    Baseline,
    /// Rungs, with trials at random.
    Halving,
    /// Several brackets at once.
    Adaptive,
    /// Trials placed by a model.
    Model,
    /// `auto`.
    Auto,
}

/// A searcher that takes part.
pub struct Contestant {
    /// Its name here, unique.
    pub label: &'static str,
    /// Its settings in words, beside those of the protocol.
    pub settings: &'static str,
    /// Its picture.
    pub group: Group,
    /// How it is played where a trial in full has this length.
    way: fn(u64) -> Way,
}

impl Contestant {
    /// A player of it, before its first event.
    pub fn player(&self, space: &Space, max_length: u64, seed: u32) -> Result<Box<dyn Player>, Error> {
        let space = space.clone();
        Ok(match (self.way)(max_length) {
            Way::Once(config) => Box::new(Searcher::new(config, space, seed)?),
            Way::Rounds(config) => Box::new(Rounds::new(config, space, seed)?),
            Way::FirstThenBest { trials, keep } => {
                Box::new(FirstThenBest::new(space, seed, trials, keep, 1, max_length))
            }
        })
    }
}

/// All of them, in the order of the page. A new searcher is added here and nowhere else.
pub fn all() -> Vec<Contestant> {
    let mut all = baselines();
    all.extend(halving());
    all.extend(adaptive());
    all.extend(models());
    all.push(auto());
    all
}

const fn contestant(
    label: &'static str,
    group: Group,
    settings: &'static str,
    way: fn(u64) -> Way,
) -> Contestant {
    Contestant { label, settings, group, way }
}

fn baselines() -> Vec<Contestant> {
    vec![
        contestant("random", Group::Baseline, "every trial in full", |length| Way::Once(random(length))),
        contestant(
            "one-epoch",
            Group::Baseline,
            "half of the budget: 16 trials of length 1 for each unit of R; the rest: the best 16 in full",
            |length| Way::FirstThenBest { trials: u32::try_from(16 * length).unwrap_or(u32::MAX), keep: 16 },
        ),
    ]
}

fn halving() -> Vec<Contestant> {
    use Group::Halving;
    vec![
        contestant("asha-promotion", Halving, "`async_halving`, rungs divided down from R", |length| {
            Way::Once(asha(length, None, false))
        }),
        contestant("asha-stopping", Halving, "the same with `stop_once`", |length| {
            Way::Once(asha(length, None, true))
        }),
        contestant("asha-promotion-1", Halving, "`async_halving` with `min_length: 1`", |length| {
            Way::Once(asha(length, Some(1), false))
        }),
        contestant("asha-stopping-1", Halving, "the same with `stop_once`", |length| {
            Way::Once(asha(length, Some(1), true))
        }),
        contestant(
            "sync-halving",
            Halving,
            "`sync_halving`, d^(rungs − 1) trials, again and again with new ones",
            |length| Way::Rounds(sync_halving(length)),
        ),
        contestant("hyperband", Halving, "the paper's numbers, again and again with new trials", |length| {
            Way::Rounds(hyperband(length, 1))
        }),
        contestant("pasha", Halving, "rungs divided down from R", |length| Way::Once(pasha(length))),
        contestant("median-stopping", Halving, "around `random`, from length 1, after 5 others", |length| {
            Way::Once(SearcherConfig::MedianStopping {
                inner: Box::new(random(length)),
                min_length: 1,
                min_trials: 5,
            })
        }),
    ]
}

fn auto() -> Contestant {
    contestant(
        "auto",
        Group::Auto,
        "as it comes; it does not follow the divisor of the protocol",
        |max_length| {
            Way::Once(SearcherConfig::Auto { max_trials: MANY, max_length, max_concurrent_trials: 0 })
        },
    )
}

fn adaptive() -> Vec<Contestant> {
    use Group::Adaptive;
    let promotion = "`adaptive_asha`, promotion";
    let stopping = "`adaptive_asha` with `stop_once`";
    vec![
        contestant("adaptive-conservative", Adaptive, promotion, |length| {
            Way::Once(brackets(length, None, Mode::Conservative, false))
        }),
        contestant("adaptive-conservative-1", Adaptive, "the same with `min_length: 1`", |length| {
            Way::Once(brackets(length, Some(1), Mode::Conservative, false))
        }),
        contestant("adaptive-standard", Adaptive, promotion, |length| {
            Way::Once(brackets(length, None, Mode::Standard, false))
        }),
        contestant("adaptive-aggressive", Adaptive, promotion, |length| {
            Way::Once(brackets(length, None, Mode::Aggressive, false))
        }),
        contestant("adaptive-conservative-stopping", Adaptive, stopping, |length| {
            Way::Once(brackets(length, None, Mode::Conservative, true))
        }),
        contestant("adaptive-standard-stopping", Adaptive, stopping, |length| {
            Way::Once(brackets(length, None, Mode::Standard, true))
        }),
        contestant("adaptive-aggressive-stopping", Adaptive, stopping, |length| {
            Way::Once(brackets(length, None, Mode::Aggressive, true))
        }),
    ]
}

fn models() -> Vec<Contestant> {
    use Group::Model;
    vec![
        contestant("tpe", Model, "every trial in full", |length| Way::Once(tpe_in(random(length)))),
        contestant("gp", Model, "every trial in full", |length| Way::Once(gp_in(random(length)))),
        contestant(
            "bohb",
            Model,
            "TPE in one `hyperband` of twice the paper's trials, so that the model outlasts the budget",
            |length| Way::Rounds(tpe_in(hyperband(length, 2))),
        ),
        contestant("tpe-in-asha", Model, "TPE in `async_halving`, promotion", |length| {
            Way::Once(tpe_in(asha(length, None, false)))
        }),
        contestant("gp-in-asha", Model, "a Gaussian process in `async_halving`, promotion", |length| {
            Way::Once(gp_in(asha(length, None, false)))
        }),
    ]
}

fn random(max_length: u64) -> SearcherConfig {
    SearcherConfig::Random { max_trials: MANY, max_length, max_concurrent_trials: 0 }
}

/// How many rungs there are from 1 up to this length, divided down from it.
fn rungs(max_length: u64) -> u32 {
    toprung_searchers::config::rungs_possible(DIVISOR, None, max_length, None).unwrap_or(1)
}

fn asha(max_length: u64, min_length: Option<u64>, stop_once: bool) -> SearcherConfig {
    SearcherConfig::AsyncHalving {
        num_rungs: toprung_searchers::config::MAX_RUNGS
            .min(rungs(max_length) + u32::from(min_length.is_some())),
        max_trials: MANY,
        divisor: DIVISOR,
        min_length,
        max_length,
        max_concurrent_trials: 0,
        stop_once,
    }
}

fn sync_halving(max_length: u64) -> SearcherConfig {
    SearcherConfig::SyncHalving {
        max_trials: 3_u64.pow(rungs(max_length) - 1),
        divisor: DIVISOR,
        min_length: None,
        max_length,
        max_concurrent_trials: 0,
    }
}

/// Hyperband with so many times the trials of the paper.
fn hyperband(max_length: u64, times: u64) -> SearcherConfig {
    SearcherConfig::Hyperband {
        max_trials: times * hyperband_round(DIVISOR, None, max_length).unwrap_or(1),
        divisor: DIVISOR,
        min_length: None,
        max_length,
        max_concurrent_trials: 0,
    }
}

fn pasha(max_length: u64) -> SearcherConfig {
    SearcherConfig::Pasha {
        max_trials: MANY,
        divisor: DIVISOR,
        max_rungs: rungs(max_length),
        min_length: None,
        max_length,
        max_concurrent_trials: 0,
    }
}

fn brackets(max_length: u64, min_length: Option<u64>, mode: Mode, stop_once: bool) -> SearcherConfig {
    SearcherConfig::AdaptiveAsha {
        max_trials: MANY,
        mode,
        divisor: DIVISOR,
        max_rungs: rungs(max_length) + u32::from(min_length.is_some()),
        bracket_rungs: Vec::new(),
        min_length,
        max_length,
        max_concurrent_trials: 0,
        stop_once,
    }
}

fn tpe_in(inner: SearcherConfig) -> SearcherConfig {
    SearcherConfig::ModelBased { inner: Box::new(inner), model: ModelConfig::Tpe(TpeConfig::default()) }
}

fn gp_in(inner: SearcherConfig) -> SearcherConfig {
    SearcherConfig::ModelBased { inner: Box::new(inner), model: ModelConfig::Gp(GpConfig::default()) }
}
