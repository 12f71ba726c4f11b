//! What a search will do and cost, known before it starts.
//!
//! In a rung of n trials `max(floor(n/d), 1)` go on. A real search differs: promotion decides on what it has seen so
//! far and lets somewhat more trials go on. PASHA's is that of a search whose rankings never agree. Median
//! stopping only takes away, so its plan is that of the method alone.

use crate::brackets::hyperband;
use crate::config::{MAX_TRIALS, Population, SearcherConfig};
use crate::error::Error;
use crate::ladder::Ladder;
use crate::methods::{AutoSettings, LENGTHS};
use crate::space::Space;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of a population with more rounds, those between are not listed one by one.
const MAX_ROUNDS_LISTED: u32 = 1_000;

/// A search in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How many trials there will be; 0: a program decides (`custom`), and nothing can be foretold.
    pub trials: u64,
    /// The length of a trial trained in full.
    pub max_length: u64,
    /// The brackets, most rungs first. Methods without rungs have one bracket of one rung.
    pub brackets: Vec<BracketPlan>,
    /// How many trials end at each length, shortest first.
    pub ending: Vec<Ending>,
    /// All lengths added up (no more than `u64::MAX`).
    pub total_length: u64,
    /// The same if every trial were trained in full.
    pub full_length: u64,
}

/// One bracket of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BracketPlan {
    /// How many trials begin in it.
    pub trials: u64,
    /// Its rungs, shortest first.
    pub rungs: Vec<RungPlan>,
}

/// One rung of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungPlan {
    /// Trials train to this length for it.
    pub length: u64,
    /// How many trials reach it.
    pub trials: u64,
    /// How many of them end there.
    pub ending: u64,
}

/// How many trials end at a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The length.
    pub length: u64,
    /// How many.
    pub trials: u64,
}

impl BracketPlan {
    /// The plan of one bracket of successive halving with the highest `rungs` rungs.
    pub(crate) fn halving(ladder: &Ladder, rungs: u32, trials: u64) -> Self {
        let lengths = ladder.lengths(rungs);
        let top = lengths.len() - 1;
        let mut here = trials;
        let rungs = lengths.into_iter().enumerate().map(|(index, length)| {
            let go_on = if index == top { 0 } else { ladder.divisor.share(here).max(1) };
            let rung = RungPlan { length, trials: here, ending: here - go_on };
            here = go_on;
            rung
        });
        Self { trials, rungs: rungs.collect() }
    }

    /// One bracket with as many rungs as its length and trials can feed, at most `max_rungs`.
    pub(crate) fn one_bracket(ladder: &Ladder, max_rungs: u32, trials: u64) -> Self {
        Self::halving(ladder, ladder.fed_by(trials).min(max_rungs), trials)
    }

    /// The length of its highest rung.
    pub(crate) fn max_length(&self) -> u64 {
        self.rungs.last().map_or(1, |rung| rung.length)
    }

    /// The lengths of its rungs.
    pub(crate) fn lengths(&self) -> Vec<u64> {
        self.rungs.iter().map(|rung| rung.length).collect()
    }

    /// All lengths of the bracket added up.
    pub fn total_length(&self) -> u64 {
        self.rungs.iter().fold(0, |sum, rung| sum.saturating_add(rung.ending.saturating_mul(rung.length)))
    }

    /// How many trials end at each length, shortest first.
    pub fn ending(&self) -> Vec<Ending> {
        endings(std::slice::from_ref(self))
    }
}

/// What a search of this configuration will do. Checks configuration and space.
pub fn plan(config: &SearcherConfig, space: &Space) -> Result<Plan, Error> {
    config.check()?;
    space.check()?;
    if !matches!(config.base(), SearcherConfig::Grid { .. }) {
        space.check_draws()?;
    }
    if let SearcherConfig::Pbt(population) = config.base() {
        return Ok(of_population(population));
    }
    if config.is_custom() {
        return Ok(of_program(config.max_length()));
    }
    let brackets = brackets(config, space)?;
    let trials = brackets.iter().map(|bracket| bracket.trials).sum::<u64>();
    Ok(Plan {
        trials,
        max_length: config.max_length(),
        ending: endings(&brackets),
        total_length: brackets.iter().fold(0, |sum, bracket| sum.saturating_add(bracket.total_length())),
        full_length: trials.saturating_mul(config.max_length()),
        brackets,
    })
}

fn brackets(config: &SearcherConfig, space: &Space) -> Result<Vec<BracketPlan>, Error> {
    let max_length = config.max_length();
    let full = |trials| Ok(vec![full_training(trials, max_length)]);
    match *config {
        SearcherConfig::Single { .. } => full(1),
        SearcherConfig::Random { max_trials, .. } => full(max_trials),
        SearcherConfig::Grid { .. } => full(grid_trials(space)?),
        SearcherConfig::AsyncHalving { num_rungs, max_trials, .. } => {
            Ok(vec![BracketPlan::halving(&config.ladder()?, num_rungs, max_trials)])
        }
        SearcherConfig::AdaptiveAsha { .. } => Ok(config.brackets()?.plans()),
        SearcherConfig::SyncHalving { max_trials, .. } => {
            Ok(vec![BracketPlan::one_bracket(&config.ladder()?, u32::MAX, max_trials)])
        }
        SearcherConfig::Hyperband { max_trials, .. } => Ok(hyperband(max_trials, config.ladder()?)),
        SearcherConfig::Pasha { max_trials, max_rungs, .. } => {
            Ok(vec![BracketPlan::one_bracket(&config.ladder()?, max_rungs, max_trials)])
        }
        SearcherConfig::Auto { max_trials, max_concurrent_trials, .. } => {
            let settings =
                AutoSettings { trials: max_trials, length: max_length, at_once: max_concurrent_trials };
            if max_length < LENGTHS { full(max_trials) } else { Ok(vec![settings.plan()?]) }
        }
        SearcherConfig::Pbt(population) => Ok(of_population(&population).brackets),
        SearcherConfig::Custom { .. } => Ok(Vec::new()),
        SearcherConfig::MedianStopping { ref inner, .. } | SearcherConfig::ModelBased { ref inner, .. } => {
            brackets(inner, space)
        }
    }
}

/// Nothing can be foretold of what a program will want.
fn of_program(max_length: u64) -> Plan {
    Plan { trials: 0, max_length, brackets: Vec::new(), ending: Vec::new(), total_length: 0, full_length: 0 }
}

/// Rounds as rungs. A child begins at its parent's length, so lengths add up to the population's alone.
fn of_population(population: &Population) -> Plan {
    let Population { population_size, num_rounds, length_per_round, .. } = *population;
    let (size, replaced) = (u64::from(population_size), u64::from(population.replaced()));
    let listed = num_rounds.min(MAX_ROUNDS_LISTED);
    let round = |round: u32| {
        let last = round == listed;
        let length =
            if last { population.max_length() } else { length_per_round.saturating_mul(u64::from(round)) };
        // Rounds that are not listed end with the one before the last.
        let unlisted = if round + 1 == listed { u64::from(num_rounds - listed) } else { 0 };
        RungPlan { length, trials: size, ending: if last { size } else { replaced * (1 + unlisted) } }
    };
    let bracket = BracketPlan { trials: population.trials(), rungs: (1..=listed).map(round).collect() };
    Plan {
        trials: bracket.trials,
        max_length: population.max_length(),
        ending: bracket.ending(),
        total_length: size.saturating_mul(population.max_length()),
        full_length: bracket.trials.saturating_mul(population.max_length()),
        brackets: vec![bracket],
    }
}

/// How many trials a grid of this space has: one for each point that satisfies the constraints.
pub(crate) fn grid_trials(space: &Space) -> Result<u64, Error> {
    let points = space.grid_admissible()?;
    if points > MAX_TRIALS { Err(Error::GridTooLarge { allowed: MAX_TRIALS }) } else { Ok(points) }
}

/// Trials that all train in full.
pub(crate) fn full_training(trials: u64, length: u64) -> BracketPlan {
    BracketPlan { trials, rungs: vec![RungPlan { length, trials, ending: trials }] }
}

fn endings(brackets: &[BracketPlan]) -> Vec<Ending> {
    let mut ending: BTreeMap<u64, u64> = BTreeMap::new();
    for rung in brackets.iter().flat_map(|bracket| &bracket.rungs) {
        *ending.entry(rung.length).or_default() += rung.ending;
    }
    let reached = ending.into_iter().filter(|&(_, trials)| trials > 0);
    reached.map(|(length, trials)| Ending { length, trials }).collect()
}
