//! The `searcher` section.

use crate::config::{SearcherSettings, WarmStart};
use crate::context::{Context, Place, Table, joined};
use crate::language::Section;
use crate::language::population::{EXPLORE, REPLACE};
use crate::language::search::{ANY_SEARCHER, BUILT, MEDIAN_STOPPING, NOT_BUILT, OLD, SEARCHERS};
use crate::length;
use crate::nearest::nearest;
use crate::node::Kind;
use std::collections::BTreeMap;
use toprung_searchers::config::{MAX_BRACKETS, hyperband_round};
use toprung_searchers::divisor::Divisor;
use toprung_searchers::{Dimension, Domain, Mode, Population, SearcherConfig, Space};

/// A grid with more trials than this is taken for a mistake.
const MAX_GRID_TRIALS: u64 = 1_000_000;
const SMALLER_GRID: &str = "give a smaller `count`, also to `int`, or use the searcher `random`";

/// Reads the section. `None` after a mistake that leaves nothing to go on with. `hyperparameters`: where `space` stands.
pub(crate) fn read(
    cx: &mut Context,
    place: Option<&Place<'_>>,
    space: &Space,
    hyperparameters: Option<&Place<'_>>,
) -> Option<SearcherSettings> {
    let place = place?;
    if !matches!(place.node.kind, Kind::Map(_)) {
        place.map(cx, "a map");
        return None;
    }
    let (name, section) = method(cx, place)?;
    let table = Table::open(cx, Some(place), section, &place.path);
    warn_of_old_name(cx, &table, name);
    let length = match name {
        "pbt" => length::length_of_rounds(cx, &table),
        _ => length::searcher_length(cx, &table),
    };
    refuse_old_length(cx, &table);
    let max_length = length.count;
    if name == "grid" {
        check_grid(cx, place, space, hyperparameters);
    }
    let method = searcher(cx, &table, name, max_length);
    check_brackets(cx, &table, &method);
    Some(SearcherSettings {
        method: with_median_stopping(cx, &table, method, &length.unit),
        metric: table.text(cx, "metric").unwrap_or_default(),
        smaller_is_better: table.flag(cx, "smaller_is_better"),
        time_metric: length.unit,
        max_length,
        source: source(cx, &table),
    })
}

/// The method of this name.
fn searcher(cx: &mut Context, table: &Table<'_>, name: &str, max_length: u64) -> SearcherConfig {
    let places = |cx: &mut Context| table.small(cx, "max_concurrent_trials");
    match name {
        "single" => SearcherConfig::Single { max_length },
        "random" => SearcherConfig::Random {
            max_trials: table.large(cx, "max_trials"),
            max_length,
            max_concurrent_trials: places(cx),
        },
        "grid" => SearcherConfig::Grid { max_length, max_concurrent_trials: places(cx) },
        "async_halving" | "asha" => async_halving(cx, table, max_length),
        "sync_halving" => SearcherConfig::SyncHalving {
            max_trials: table.large(cx, "max_trials"),
            divisor: table.number(cx, "divisor"),
            max_length,
            max_concurrent_trials: places(cx),
        },
        "hyperband" => hyperband(cx, table, max_length),
        "pasha" => SearcherConfig::Pasha {
            max_trials: table.large(cx, "max_trials"),
            divisor: table.number(cx, "divisor"),
            max_rungs: table.small(cx, "max_rungs"),
            max_length,
            max_concurrent_trials: places(cx),
        },
        "pbt" => SearcherConfig::Pbt(population(cx, table, max_length)),
        _ => adaptive(cx, table, max_length),
    }
}

fn hyperband(cx: &mut Context, table: &Table<'_>, max_length: u64) -> SearcherConfig {
    let divisor = table.number(cx, "divisor");
    let round = hyperband_round(divisor, max_length);
    if round.is_none() && !table.has("max_trials") {
        let help = "the brackets of the paper are too large for this length and divisor";
        cx.error(table.key, &joined(&table.path, "max_trials"), "`max_trials` is missing", help);
    }
    let max_trials = if table.has("max_trials") { table.large(cx, "max_trials") } else { round.unwrap_or(1) };
    SearcherConfig::Hyperband {
        max_trials,
        divisor,
        max_length,
        max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
    }
}

/// `max_length`: that of all rounds together.
fn population(cx: &mut Context, table: &Table<'_>, max_length: u64) -> Population {
    let num_rounds = table.small(cx, "num_rounds");
    let inner = |cx: &mut Context, name: &str, section| {
        Table::open(cx, table.get(name).as_ref(), section, &joined(&table.path, name))
    };
    let replace = inner(cx, "replace_function", &REPLACE);
    let explore = inner(cx, "explore_function", &EXPLORE);
    let settings = Population {
        population_size: table.small(cx, "population_size"),
        num_rounds,
        length_per_round: max_length / u64::from(num_rounds.max(1)),
        truncate_fraction: replace.number(cx, "truncate_fraction"),
        resample_probability: explore.number(cx, "resample_probability"),
        perturb_factor: explore.number(cx, "perturb_factor"),
    };
    if settings.population_size > 0 && settings.replaced() == 0 && num_rounds > 1 {
        let at = replace.get("truncate_fraction").map_or(table.key, |place| place.key);
        let message = format!(
            "a fraction of {} of {} trials is less than one: nobody is replaced after a round",
            settings.truncate_fraction, settings.population_size
        );
        cx.warning(
            at,
            &joined(&replace.path, "truncate_fraction"),
            message,
            "raise it, or `population_size`",
        );
    }
    settings
}

/// Median stopping around a method, if the section says so.
fn with_median_stopping(
    cx: &mut Context,
    table: &Table<'_>,
    method: SearcherConfig,
    time_metric: &str,
) -> SearcherConfig {
    let Some(place) = table.get("median_stopping") else { return method };
    let section = Table::open(cx, Some(&place), &MEDIAN_STOPPING, &place.path);
    SearcherConfig::MedianStopping {
        inner: Box::new(method),
        min_length: length::in_time_metric(cx, &section, "min_length", time_metric),
        min_trials: section.large(cx, "min_trials"),
    }
}

/// What every trial starts from.
fn source(cx: &mut Context, table: &Table<'_>) -> Option<WarmStart> {
    let checkpoint = table.text(cx, "source_checkpoint_uuid");
    let Some(place) = table.get("source_trial_id") else { return checkpoint.map(WarmStart::Checkpoint) };
    if checkpoint.is_some() {
        let message = "`source_trial_id` does not go with `source_checkpoint_uuid`";
        cx.error(place.key, &place.path, message, "each names a checkpoint: leave one of them out");
    }
    let text = table.text(cx, "source_trial_id")?;
    let numbers = text.split_once('/').and_then(|(experiment, trial)| {
        let (experiment, trial) = (experiment.parse().ok()?, trial.parse().ok()?);
        (experiment > 0 && trial > 0).then_some(WarmStart::Trial { experiment, trial })
    });
    if numbers.is_none() {
        let message = format!("found {}, expected `experiment/trial`", place.node.described());
        let help = "trials are numbered within their experiment: `3/7` is trial 7 of experiment 3";
        cx.error(place.node.span, &place.path, message, help);
    }
    numbers
}

/// `bracket_rungs` may not name more brackets than there are trials, nor too many.
fn check_brackets(cx: &mut Context, table: &Table<'_>, method: &SearcherConfig) {
    let SearcherConfig::AdaptiveAsha { max_trials, bracket_rungs, .. } = method else {
        return;
    };
    let most = (*max_trials).min(MAX_BRACKETS as u64);
    if let Some(place) = table.get("bracket_rungs").filter(|_| bracket_rungs.len() as u64 > most) {
        let message = format!("{} brackets are too many, at most {most} are possible", bracket_rungs.len());
        cx.error(place.node.span, &place.path, message, "each bracket needs a trial at least");
    }
}

/// The searcher's name and section, or the reason why there is none.
fn method(cx: &mut Context, place: &Place<'_>) -> Option<(&'static str, &'static Section)> {
    let path = joined(&place.path, "name");
    let Some(node) = place.node.get("name").filter(|node| !node.is_null()) else {
        let help = format!("one of {}", BUILT.join(", "));
        cx.error(place.key, &path, "`name` is missing in `searcher`", help);
        Table::check_keys(cx, place, &ANY_SEARCHER);
        return None;
    };
    let word = node.scalar_text().unwrap_or_default();
    if let Some((name, section)) = SEARCHERS.iter().find(|(name, _)| *name == word) {
        return Some((name, section));
    }
    let available = format!("available are {}", BUILT.join(", "));
    if NOT_BUILT.contains(&word.as_str()) {
        cx.error(
            node.span,
            &path,
            format!("the searcher `{word}` is not available in this version"),
            available,
        );
    } else if let Some((_, instead)) = OLD.iter().find(|(name, _)| *name == word) {
        cx.error(
            node.span,
            &path,
            format!("the searcher `{word}` is no longer part of the language"),
            *instead,
        );
    } else {
        let known = BUILT.iter().chain(NOT_BUILT).copied();
        let help = nearest(&word, known).map_or(available, |name| format!("did you mean `{name}`?"));
        let message = format!("found {}, expected one of {}", node.described(), BUILT.join(", "));
        cx.error(node.span, &path, message, help);
        // A slip in the name seldom comes alone. Searchers that are known but not built may have keys of their own.
        Table::check_keys(cx, place, &ANY_SEARCHER);
    }
    None
}

fn warn_of_old_name(cx: &mut Context, table: &Table<'_>, name: &str) {
    if let Some(place) = table.get("name").filter(|_| name == "adaptive_simple") {
        cx.warning(
            place.node.span,
            &place.path,
            "`adaptive_simple` is an old name",
            "it is run as `adaptive_asha`",
        );
    }
}

/// Lengths of the language before version 0 counted steps of 100 batches; without another length they cannot be ignored.
fn refuse_old_length(cx: &mut Context, table: &Table<'_>) {
    if table.has("max_length") || table.has("max_time") {
        return;
    }
    for old in length::OLD_LENGTHS {
        if let Some(place) = table.get(old) {
            let help = "a step had 100 batches: write `max_length: {batches: …}`";
            cx.error(place.key, &place.path, "steps are no longer part of the language", help);
        }
    }
}

fn async_halving(cx: &mut Context, table: &Table<'_>, max_length: u64) -> SearcherConfig {
    let num_rungs = table.small(cx, "num_rungs");
    let divisor = table.number(cx, "divisor");
    let possible = rungs_within(max_length, divisor);
    if let Some(place) = table.get("num_rungs").filter(|_| num_rungs > possible) {
        let message = format!(
            "{num_rungs} rungs do not fit in a length of {max_length}: the lowest are all of length 1"
        );
        let help = format!("with `divisor` {divisor} there is room for {possible}");
        cx.warning(place.node.span, &place.path, message, help);
    }
    SearcherConfig::AsyncHalving {
        num_rungs,
        max_trials: table.large(cx, "max_trials"),
        divisor,
        max_length,
        max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
        stop_once: table.flag(cx, "stop_once"),
    }
}

fn adaptive(cx: &mut Context, table: &Table<'_>, max_length: u64) -> SearcherConfig {
    let divisor = table.number(cx, "divisor");
    let max_trials = table.large(cx, "max_trials");
    let mode = match table.choice(cx, "mode") {
        Some("aggressive") => Mode::Aggressive,
        Some("conservative") => Mode::Conservative,
        _ => Mode::Standard,
    };
    let known = table.has("max_trials") && (table.has("max_length") || table.has("max_time"));
    let possible = rungs_within(max_length, divisor).min(rungs_within(max_trials, divisor));
    SearcherConfig::AdaptiveAsha {
        max_trials,
        mode,
        divisor,
        max_rungs: table.small(cx, "max_rungs"),
        bracket_rungs: bracket_rungs(cx, table, if known { possible } else { u32::MAX }),
        max_length,
        max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
        stop_once: table.flag(cx, "stop_once"),
    }
}

fn bracket_rungs(cx: &mut Context, table: &Table<'_>, possible: u32) -> Vec<u32> {
    let Some(place) = table.get("bracket_rungs") else {
        return Vec::new();
    };
    let mut rungs = Vec::new();
    for element in place.list(cx, "a list of integers") {
        let Some(count) = element.int(cx, 1, 64).and_then(|count| u32::try_from(count).ok()) else {
            continue;
        };
        if count > possible {
            let message =
                format!("a bracket of {count} rungs is not possible with this length and so many trials");
            cx.error(
                element.node.span,
                &element.path,
                message,
                format!("at most {possible} rungs are possible here"),
            );
        }
        rungs.push(count);
    }
    rungs
}

/// How many rungs a length or a number of trials can feed; no limit where the divisor is a mistake of its own.
fn rungs_within(count: u64, divisor: f64) -> u32 {
    Divisor::new(divisor).map_or(u32::MAX, |divisor| divisor.rungs_within(count.max(1)))
}

fn check_grid(cx: &mut Context, place: &Place<'_>, space: &Space, hyperparameters: Option<&Place<'_>>) {
    let missing = hyperparameters.map_or_else(Vec::new, |place| without_count(place, &space.0));
    for place in &missing {
        let message = "the searcher `grid` needs a `count` here";
        cx.error(place.key, &place.path, message, "say how many values it takes");
    }
    if !missing.is_empty() || space.check().is_err() {
        return;
    }
    match space.grid_len() {
        Ok(trials) if trials <= MAX_GRID_TRIALS => {}
        Ok(trials) => {
            let message = format!("the grid has {trials} trials, more than {MAX_GRID_TRIALS}");
            cx.error(place.key, &place.path, message, SMALLER_GRID);
        }
        Err(error) => cx.error(place.key, &place.path, error.to_string(), SMALLER_GRID),
    }
}

/// The hyperparameters that a grid cannot divide by itself.
fn without_count<'n>(place: &Place<'n>, dimensions: &BTreeMap<String, Dimension>) -> Vec<Place<'n>> {
    let Kind::Map(entries) = &place.node.kind else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, node) in entries {
        let inner = place.entry(key, node);
        match dimensions.get(&key.text).map(|dimension| &dimension.domain) {
            Some(Domain::Group(group)) => found.extend(without_count(&inner, group)),
            Some(Domain::Double { count: None, .. } | Domain::Log { count: None, .. }) => found.push(inner),
            _ => {}
        }
    }
    found
}
