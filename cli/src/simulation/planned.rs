//! What a search will cost where no formula says: its own searcher, played some times on made-up curves.
//!
//! The same file gives the same numbers: nothing is drawn but by counters, and what is too much to play is decided by
//! counts.

use super::made_up::{InSteps, MadeUp};
use super::refused;
use crate::errors::Error;
use std::collections::BTreeMap;
use toprung_config::ExperimentConfig;
use toprung_searchers::{ModelConfig, Plan, Searcher, SearcherConfig};
use toprung_simulations::{Reports, World};

/// So many searches are played, if they are small enough.
const SEARCHES: u64 = 20;
/// Fewer say too little.
const FEWEST: u64 = 5;
/// All searches together have about so many validations: a second or so.
const MOST_WORK: u64 = 300_000;
/// One search has no more.
const MOST_WORK_EACH: u64 = MOST_WORK / FEWEST;
/// Trials at once where the file has no limit.
const USUAL_AT_ONCE: u32 = 16;
/// Median stopping is played with about so many reports of a trial.
const REPORTS: u64 = 27;

/// Whether the cost of a search had to be simulated, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Simulated {
    /// Its plan is exact.
    Exact,
    /// There would be too much to play.
    TooLarge {
        /// The validations of a search, and what its model costs in validations.
        work: u64,
        /// So many are played.
        most: u64,
    },
    /// It was played.
    Played(Played),
}

/// What the searches had in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// How many were played.
    pub searches: u64,
    /// So many of them lie within each interval.
    pub within: u64,
    /// So many trials ran at once.
    pub at_once: u32,
    /// All lengths added up.
    pub total_length: Interval,
    /// How many trials ended at each length, shortest first.
    pub ending: Vec<(u64, Interval)>,
    /// How many ended before the greatest length.
    pub ended_early: Interval,
}

/// Where a number lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Of twenty searches the second lowest; of fewer the lowest.
    pub low: u64,
    /// The middle.
    pub median: u64,
    /// Of twenty searches the second highest; of fewer the highest.
    pub high: u64,
}

impl Interval {
    fn of(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        let left_out = numbers.len() / SEARCHES as usize;
        let at = |place: usize| numbers.get(place).copied().unwrap_or(0);
        let high = at(numbers.len().saturating_sub(1 + left_out));
        Self { low: at(left_out), median: at(numbers.len() / 2), high }
    }
}

/// Plays the search of a file, whose plan is `planned`.
pub(crate) fn simulate(config: &ExperimentConfig, planned: &Plan) -> Result<Simulated, Error> {
    let method = &config.searcher.method;
    // What a program will want is not known either.
    if method.is_custom() || is_exact(method, planned) {
        return Ok(Simulated::Exact);
    }
    let work = work(method, planned);
    let searches = (MOST_WORK / work.max(1)).min(SEARCHES);
    if searches < FEWEST {
        return Ok(Simulated::TooLarge { work, most: MOST_WORK_EACH });
    }
    let lengths = lengths(method, planned);
    let at_once = at_once(config, planned);
    let reports = if stops_by_median(method) { Reports::EveryLength } else { Reports::AtTargets };
    let world = World { reports, ..World::calm(at_once) };
    let families = MadeUp::families(&config.space, &lengths).map_err(refused)?;
    let first = config.experiment_seed.unwrap_or(0);
    let mut outcomes = Vec::new();
    // The families take turns.
    for (number, family) in (0..searches as u32).zip(families.iter().cycle()) {
        let searcher = Searcher::new(method.clone(), config.space.clone(), first.wrapping_add(number));
        let searcher = searcher.map_err(|error| refused(error.into()))?;
        let mut player = InSteps::new(searcher, &lengths);
        let outcome = world.play(family, &mut player, method.name(), number).map_err(refused)?;
        outcomes.push(Outcome::new(outcome.run.total_cost as u64, player.reached()));
    }
    Ok(Simulated::Played(summary(&outcomes, at_once, planned.max_length)))
}

/// One search.
struct Outcome {
    total_length: u64,
    /// How many trials ended at each length.
    ending: BTreeMap<u64, u64>,
}

impl Outcome {
    fn new(total_length: u64, reached: &[u64]) -> Self {
        let mut ending = BTreeMap::new();
        for length in reached {
            *ending.entry(*length).or_default() += 1;
        }
        Self { total_length, ending }
    }
}

fn summary(outcomes: &[Outcome], at_once: u32, max_length: u64) -> Played {
    let interval = |number: &dyn Fn(&Outcome) -> u64| Interval::of(outcomes.iter().map(number).collect());
    let mut lengths: Vec<u64> = outcomes.iter().flat_map(|outcome| outcome.ending.keys().copied()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let at = |length: u64| (length, interval(&|outcome| outcome.ending.get(&length).copied().unwrap_or(0)));
    let searches = outcomes.len() as u64;
    Played {
        searches,
        within: searches - 2 * (searches / SEARCHES),
        at_once,
        total_length: interval(&|outcome| outcome.total_length),
        ending: lengths.into_iter().map(at).collect(),
        ended_early: interval(&|outcome| outcome.ending.range(..max_length).map(|(_, count)| count).sum()),
    }
}

/// Whether the metrics cannot change how long trials train in all. A model changes only where they lie.
fn is_exact(method: &SearcherConfig, planned: &Plan) -> bool {
    let has_rungs = planned.brackets.iter().any(|bracket| bracket.rungs.len() > 1);
    let decides_as_they_come = matches!(
        method.base(),
        SearcherConfig::AsyncHalving { .. }
            | SearcherConfig::AdaptiveAsha { .. }
            | SearcherConfig::Pasha { .. }
            | SearcherConfig::Auto { .. }
    );
    !(stops_by_median(method) || decides_as_they_come && has_rungs)
}

fn stops_by_median(method: &SearcherConfig) -> bool {
    match method {
        SearcherConfig::MedianStopping { .. } => true,
        SearcherConfig::ModelBased { inner, .. } => stops_by_median(inner),
        _ => false,
    }
}

/// What one search costs to play, in validations.
fn work(method: &SearcherConfig, planned: &Plan) -> u64 {
    let targets = match method.base() {
        SearcherConfig::Pbt(population) => {
            u64::from(population.population_size).saturating_mul(u64::from(population.num_rounds))
        }
        _ => {
            let rungs = planned.brackets.iter().flat_map(|bracket| &bracket.rungs);
            rungs.fold(0_u64, |sum, rung| sum.saturating_add(rung.trials))
        }
    };
    let reports = if stops_by_median(method) { planned.trials.saturating_mul(REPORTS) } else { 0 };
    let placing = match method.model() {
        Some(ModelConfig::Gp(_)) => 1_000,
        Some(ModelConfig::Tpe(_)) => 100,
        Some(ModelConfig::Prior(_)) => 10,
        Some(ModelConfig::Evolution(_)) => 4,
        Some(ModelConfig::Portfolio(_)) => 100,
        None if method.places() => 100,
        None => 1,
    };
    targets.saturating_add(reports).saturating_add(planned.trials.saturating_mul(placing))
}

/// Where trials report: at every rung or round; for the median also between them.
fn lengths(method: &SearcherConfig, planned: &Plan) -> Vec<u64> {
    let rungs = planned.brackets.iter().flat_map(|bracket| &bracket.rungs).map(|rung| rung.length);
    let mut lengths: Vec<u64> = rungs.chain([planned.max_length]).collect();
    if let SearcherConfig::Pbt(population) = method.base() {
        let round = |round| population.length_per_round.saturating_mul(u64::from(round));
        lengths.extend((1..=population.num_rounds).map(round));
    }
    if stops_by_median(method) {
        let step = planned.max_length.div_ceil(REPORTS).max(1);
        lengths.extend((1..=REPORTS).map(|report| report.saturating_mul(step).min(planned.max_length)));
    }
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

fn at_once(config: &ExperimentConfig, planned: &Plan) -> u32 {
    let wanted = match config.searcher.method.max_concurrent_trials() {
        0 => USUAL_AT_ONCE,
        wanted => wanted,
    };
    let room =
        config.resources.max_slots.map_or(u32::MAX, |slots| slots / config.resources.slots_per_trial.max(1));
    let trials = u32::try_from(planned.trials).unwrap_or(u32::MAX);
    wanted.min(room).min(trials).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(searcher: &str) -> (Simulated, Plan) {
        let text = format!(
            "entrypoint: ./run\nhyperparameters: {{x: {{type: double, minval: 0, maxval: 1}}, y: {{type: int, minval: 1, \
             maxval: 9}}}}\nsearcher: {{metric: e, max_length: 81, {searcher}}}\n"
        );
        let config = toprung_config::parse(&text).unwrap().config;
        let planned = toprung_searchers::plan(&config.searcher.method, &config.space).unwrap();
        (simulate(&config, &planned).unwrap(), planned)
    }

    fn numbers(searcher: &str) -> (Played, Plan) {
        match played(searcher) {
            (Simulated::Played(played), planned) => (played, planned),
            other => panic!("{searcher}: {other:?}"),
        }
    }

    #[test]
    fn a_plan_is_met_from_the_side_its_method_errs_to() {
        let (asha, plan) = numbers("name: asha, num_rungs: 5, max_trials: 80, divisor: 3");
        assert!(asha.total_length.low >= plan.total_length, "{asha:?} {plan:?}");
        assert!(asha.total_length.high < plan.full_length, "{asha:?}");
        let (pasha, plan) = numbers("name: pasha, max_trials: 80, divisor: 3");
        let (whole, _) = numbers("name: asha, num_rungs: 4, max_trials: 80, divisor: 3");
        assert!(pasha.total_length.low >= 80 * 3, "{pasha:?} {plan:?}");
        assert!(pasha.total_length.median <= whole.total_length.median, "{pasha:?} {whole:?}");
        let (median, plan) = numbers("name: random, max_trials: 30, median_stopping: {}");
        assert!(median.total_length.high < plan.total_length, "{median:?} {plan:?}");
        assert!(median.ended_early.low > 0, "{median:?}");
    }

    #[test]
    fn every_method_without_a_formula_is_played() {
        for searcher in [
            "name: auto, max_trials: 40",
            "name: adaptive_asha, max_trials: 40",
            "name: asha, num_rungs: 5, max_trials: 40, stop_once: true",
            "name: asha, num_rungs: 5, max_trials: 40, model: tpe",
            "name: hyperband, median_stopping: {}",
        ] {
            let (found, plan) = numbers(searcher);
            let trials: u64 = found.ending.iter().map(|(_, count)| count.high).sum();
            assert!(trials >= plan.trials, "{searcher}: {found:?}");
            assert!(found.searches >= FEWEST, "{searcher}: {found:?}");
            let Interval { low, median, high } = found.total_length;
            assert!(0 < low && low <= median && median <= high, "{searcher}: {found:?}");
            assert!(high <= plan.full_length, "{searcher}: {found:?}");
        }
    }

    #[test]
    fn an_exact_plan_is_not_played() {
        for searcher in [
            "name: random, max_trials: 9",
            "name: random, max_trials: 9, model: tpe",
            "name: single",
            "name: hyperband",
            "name: sync_halving, max_trials: 30",
            "name: asha, max_trials: 9, num_rungs: 1",
        ] {
            assert_eq!(played(searcher).0, Simulated::Exact, "{searcher}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_played() {
        let (huge, _) = played("name: asha, num_rungs: 5, max_trials: 1000000");
        assert!(
            matches!(huge, Simulated::TooLarge { work, most: MOST_WORK_EACH } if work > MOST_WORK_EACH),
            "{huge:?}"
        );
        let (slow, _) = played("name: asha, num_rungs: 5, max_trials: 1000, model: gp");
        assert!(matches!(slow, Simulated::TooLarge { .. }), "{slow:?}");
    }

    #[test]
    fn the_same_file_gives_the_same_numbers() {
        let searcher = "name: auto, max_trials: 30";
        assert_eq!(played(searcher), played(searcher));
    }

    #[test]
    fn an_interval_leaves_out_one_of_twenty_at_each_end() {
        let of = |count: u64| Interval::of((1..=count).rev().collect());
        assert_eq!(of(20), Interval { low: 2, median: 11, high: 19 });
        assert_eq!(of(5), Interval { low: 1, median: 3, high: 5 });
    }
}
