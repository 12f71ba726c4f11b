//! The `searcher` section.

use crate::config::{Length, SearcherSettings, WarmStart};
use crate::context::{Context, Place, Table, joined};
use crate::language::Section;
use crate::language::population::{EXPLORE, REPLACE};
use crate::language::search::{ANY_SEARCHER, BUILT, MEDIAN_STOPPING, NOT_BUILT, OLD, SEARCHERS};
use crate::nearest::nearest;
use crate::node::Kind;
use crate::{grid, halving, length, model};
use toprung_searchers::{Population, SearcherConfig, Space};

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
    if name == "grid" {
        grid::check(cx, place, space, hyperparameters);
    }
    let method = searcher(cx, &table, name, &length);
    let method = model::around(cx, &table, name, method, space);
    Some(SearcherSettings {
        method: with_median_stopping(cx, &table, method, &length.unit),
        metric: table.text(cx, "metric").unwrap_or_default(),
        smaller_is_better: table.flag(cx, "smaller_is_better"),
        max_length: length.count,
        time_metric: length.unit,
        source: source(cx, &table),
    })
}

/// The method of this name, without what may be around it.
fn searcher(cx: &mut Context, table: &Table<'_>, name: &str, length: &Length) -> SearcherConfig {
    let max_length = length.count;
    let places = |cx: &mut Context| table.small(cx, "max_concurrent_trials");
    match name {
        "single" => SearcherConfig::Single { max_length },
        "random" | "tpe" | "gp" => SearcherConfig::Random {
            max_trials: table.large(cx, "max_trials"),
            max_length,
            max_concurrent_trials: places(cx),
        },
        "auto" => SearcherConfig::Auto {
            max_trials: table.large(cx, "max_trials"),
            max_length,
            max_concurrent_trials: places(cx),
        },
        "custom" => SearcherConfig::Custom { max_length, max_concurrent_trials: places(cx) },
        "grid" => SearcherConfig::Grid { max_length, max_concurrent_trials: places(cx) },
        "pbt" => SearcherConfig::Pbt(population(cx, table, max_length)),
        _ => halving::read(cx, table, name, length),
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
    if method.is_custom() {
        let message = "`median_stopping` does not go with `custom`";
        cx.error(place.key, &place.path, message, "leave it out: the program itself stops trials");
        return method;
    }
    let section = Table::open(cx, Some(&place), &MEDIAN_STOPPING, &place.path);
    SearcherConfig::MedianStopping {
        inner: Box::new(method),
        min_length: length::in_time_metric(cx, &section, "min_length", 0, time_metric).unwrap_or(0),
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
