//! The `searcher` section.

use crate::config::SearcherSettings;
use crate::context::{Context, Place, Table, joined};
use crate::language::Section;
use crate::language::search::{BUILT, NOT_BUILT, OLD, SEARCHERS};
use crate::length;
use crate::nearest::nearest;
use crate::node::Kind;
use toprung_searchers::{Dimension, Domain, Mode, SearcherConfig, Space};

/// A grid with more trials than this is taken for a mistake.
const MAX_GRID_TRIALS: u128 = 1_000_000;

/// Reads the section. `None` after a mistake that leaves nothing to go on with.
pub(crate) fn read(
    cx: &mut Context,
    place: Option<&Place<'_>>,
    space: &Space,
) -> Option<SearcherSettings> {
    let place = place?;
    if !matches!(place.node.kind, Kind::Map(_)) {
        place.map(cx, "a map");
        return None;
    }
    let (name, section) = method(cx, place)?;
    let table = Table::open(cx, Some(place), section, &place.path);
    warn_of_old_name(cx, &table, name);
    let length = length::searcher_length(cx, &table);
    refuse_old_length(cx, &table);
    let max_length = length.count;
    let method = match name {
        "single" => SearcherConfig::Single { max_length },
        "random" => SearcherConfig::Random {
            max_trials: table.large(cx, "max_trials"),
            max_length,
            max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
        },
        "grid" => {
            check_grid(cx, place, space);
            SearcherConfig::Grid {
                max_length,
                max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
            }
        }
        "async_halving" | "asha" => async_halving(cx, &table, max_length),
        _ => adaptive(cx, &table, max_length),
    };
    Some(SearcherSettings {
        method,
        metric: table.text(cx, "metric").unwrap_or_default(),
        smaller_is_better: table.flag(cx, "smaller_is_better"),
        time_metric: length.unit,
        max_length,
    })
}

/// The searcher's name and section, or the reason why there is none.
fn method(cx: &mut Context, place: &Place<'_>) -> Option<(&'static str, &'static Section)> {
    let path = joined(&place.path, "name");
    let Some(node) = place.node.get("name").filter(|node| !node.is_null()) else {
        let help = format!("one of {}", BUILT.join(", "));
        cx.error(place.key, &path, "`name` is missing in `searcher`", help);
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
        let help =
            nearest(&word, known).map_or(available, |name| format!("did you mean `{name}`?"));
        let message = format!(
            "found {}, expected one of {}",
            node.described(),
            BUILT.join(", ")
        );
        cx.error(node.span, &path, message, help);
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
    for old in ["max_steps", "target_trial_steps"] {
        if let Some(place) = table.get(old) {
            let help = "a step had 100 batches: write `max_length: {batches: …}`";
            cx.error(
                place.key,
                &place.path,
                "steps are no longer part of the language",
                help,
            );
        }
    }
}

fn async_halving(cx: &mut Context, table: &Table<'_>, max_length: u64) -> SearcherConfig {
    let num_rungs = table.small(cx, "num_rungs");
    let divisor = table.number(cx, "divisor");
    let possible = rungs_within(max_length as f64, divisor);
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
    let possible =
        rungs_within(max_length as f64, divisor).min(rungs_within(max_trials as f64, divisor));
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
        let Some(count) = element
            .int(cx, 1, 64)
            .and_then(|count| u32::try_from(count).ok())
        else {
            continue;
        };
        if count > possible {
            let message = format!(
                "a bracket of {count} rungs is not possible with this length and so many trials"
            );
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

/// `floor(log_divisor(size)) + 1`, found by multiplication, which is exact for integers.
fn rungs_within(size: f64, divisor: f64) -> u32 {
    if divisor <= 1.0 || divisor.is_nan() {
        return u32::MAX;
    }
    let mut rungs = 1;
    let mut power = divisor;
    while power <= size && rungs < 64 {
        rungs += 1;
        power *= divisor;
    }
    rungs
}

fn check_grid(cx: &mut Context, place: &Place<'_>, space: &Space) {
    let mut trials: u128 = 1;
    for (path, domain) in axes("hyperparameters", &space.0) {
        match points(domain) {
            Some(points) => trials = trials.saturating_mul(points),
            None => cx.error(
                place.key,
                &path,
                "the searcher `grid` needs a `count` here",
                "say how many values it takes",
            ),
        }
    }
    if trials > MAX_GRID_TRIALS {
        let message = format!("the grid has {trials} trials, more than {MAX_GRID_TRIALS}");
        cx.error(
            place.key,
            &place.path,
            message,
            "make some `count` smaller, or use the searcher `random`",
        );
    }
}

fn axes<'a>(
    path: &str,
    dimensions: &'a std::collections::BTreeMap<String, Dimension>,
) -> Vec<(String, &'a Domain)> {
    let mut found = Vec::new();
    for (name, dimension) in dimensions {
        let inner = joined(path, name);
        match &dimension.domain {
            Domain::Group(group) => found.extend(axes(&inner, group)),
            domain => found.push((inner, domain)),
        }
    }
    found
}

/// How many values of a domain a grid takes; `None` if a `count` is missing.
fn points(domain: &Domain) -> Option<u128> {
    match domain {
        Domain::Const(_) | Domain::Group(_) => Some(1),
        Domain::Int {
            min, max, count, ..
        } => {
            let width = i128::from(*max)
                .saturating_sub(i128::from(*min))
                .saturating_add(1);
            let width = u128::try_from(width).unwrap_or(1);
            count.map(|count| u128::from(count).min(width))
        }
        Domain::Double { count, .. } | Domain::Log { count, .. } => count.map(u128::from),
        Domain::Categorical(values) | Domain::Ordinal(values) => Some(values.len() as u128),
    }
}
