//! The searchers with rungs: how many there are, and where they stand.

use crate::config::Length;
use crate::context::{Context, Table, joined};
use crate::length;
use toprung_searchers::config::{MAX_BRACKETS, MAX_RUNGS, hyperband_round, rungs_possible};
use toprung_searchers::{Mode, SearcherConfig};

/// The method of this name. `length`: the searcher's time metric and greatest length.
pub(crate) fn read(cx: &mut Context, table: &Table<'_>, name: &str, length: &Length) -> SearcherConfig {
    let rungs = Rungs::read(cx, table, length);
    match name {
        "async_halving" | "asha" => async_halving(cx, table, &rungs),
        "sync_halving" => SearcherConfig::SyncHalving {
            max_trials: table.large(cx, "max_trials"),
            divisor: rungs.divisor,
            min_length: rungs.min_length,
            max_length: rungs.max_length,
            max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
        },
        "hyperband" | "bohb" => hyperband(cx, table, &rungs),
        "pasha" => SearcherConfig::Pasha {
            max_trials: table.large(cx, "max_trials"),
            divisor: rungs.divisor,
            max_rungs: rungs.most(cx, table),
            min_length: rungs.min_length,
            max_length: rungs.max_length,
            max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
        },
        _ => adaptive(cx, table, &rungs),
    }
}

/// What says where rungs stand.
struct Rungs {
    divisor: f64,
    min_length: Option<u64>,
    max_length: u64,
    /// Whether the greatest length is given, so that something can be said about it.
    known: bool,
}

impl Rungs {
    fn read(cx: &mut Context, table: &Table<'_>, length: &Length) -> Self {
        let divisor = table.number(cx, "divisor");
        let known = table.has("max_length") || table.has("max_time");
        let mut min_length = length::in_time_metric(cx, table, "min_length", 1, &length.unit);
        let beyond = min_length.is_some_and(|least| known && least > length.count);
        if let (Some(least), Some(place)) = (min_length.filter(|_| beyond), table.get("min_length")) {
            let message = format!("is {least}, longer than the greatest length {}", length.count);
            cx.error(place.node.span, &place.path, message, "it is the length of the lowest rung");
            min_length = None;
        }
        Self { divisor, min_length, max_length: length.count, known }
    }

    /// How many rungs there is room for; no limit where that hangs on a mistake. `max_trials`: where they count.
    fn possible(&self, max_trials: Option<u64>) -> u32 {
        rungs_possible(self.divisor, self.min_length, self.max_length, max_trials).unwrap_or(u32::MAX)
    }

    /// `max_rungs`, or its default.
    fn most(&self, cx: &mut Context, table: &Table<'_>) -> u32 {
        if self.min_length.is_some() && !table.has("max_rungs") {
            self.possible(None).min(MAX_RUNGS)
        } else {
            table.small(cx, "max_rungs")
        }
    }
}

fn async_halving(cx: &mut Context, table: &Table<'_>, rungs: &Rungs) -> SearcherConfig {
    SearcherConfig::AsyncHalving {
        num_rungs: num_rungs(cx, table, rungs),
        max_trials: table.large(cx, "max_trials"),
        divisor: rungs.divisor,
        min_length: rungs.min_length,
        max_length: rungs.max_length,
        max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
        stop_once: table.flag(cx, "stop_once"),
    }
}

fn num_rungs(cx: &mut Context, table: &Table<'_>, rungs: &Rungs) -> u32 {
    let possible = rungs.possible(None);
    let Some(place) = table.get("num_rungs") else {
        if !table.has("min_length") {
            let help = "say how many rungs there are, or how long the lowest is";
            table.missing_one_of(cx, &["num_rungs", "min_length"], help);
        }
        return possible.min(MAX_RUNGS);
    };
    let num_rungs = table.small(cx, "num_rungs");
    if num_rungs > possible && rungs.known {
        let Rungs { divisor, max_length, .. } = rungs;
        let message = match rungs.min_length {
            Some(least) => format!("there are no more than {possible} rungs from {least} to {max_length}"),
            None => {
                format!(
                    "{num_rungs} rungs do not fit in a length of {max_length}: the lowest are all of length 1"
                )
            }
        };
        let help = format!("with `divisor` {divisor} there is room for {possible}");
        cx.warning(place.node.span, &place.path, message, help);
    }
    num_rungs
}

fn hyperband(cx: &mut Context, table: &Table<'_>, rungs: &Rungs) -> SearcherConfig {
    let round = hyperband_round(rungs.divisor, rungs.min_length, rungs.max_length);
    if round.is_none() && !table.has("max_trials") {
        let help = "the brackets of the paper are too large for this length and divisor";
        cx.error(table.key, &joined(&table.path, "max_trials"), "`max_trials` is missing", help);
    }
    let max_trials = if table.has("max_trials") { table.large(cx, "max_trials") } else { round.unwrap_or(1) };
    SearcherConfig::Hyperband {
        max_trials,
        divisor: rungs.divisor,
        min_length: rungs.min_length,
        max_length: rungs.max_length,
        max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
    }
}

fn adaptive(cx: &mut Context, table: &Table<'_>, rungs: &Rungs) -> SearcherConfig {
    let max_trials = table.large(cx, "max_trials");
    let mode = match table.choice(cx, "mode") {
        Some("aggressive") => Mode::Aggressive,
        Some("conservative") => Mode::Conservative,
        _ => Mode::Standard,
    };
    let known = table.has("max_trials") && rungs.known;
    let possible = if known { rungs.possible(Some(max_trials)) } else { u32::MAX };
    SearcherConfig::AdaptiveAsha {
        max_trials,
        mode,
        divisor: rungs.divisor,
        max_rungs: rungs.most(cx, table),
        bracket_rungs: bracket_rungs(cx, table, possible, max_trials),
        min_length: rungs.min_length,
        max_length: rungs.max_length,
        max_concurrent_trials: table.small(cx, "max_concurrent_trials"),
        stop_once: table.flag(cx, "stop_once"),
    }
}

/// The list says neither more rungs than are `possible`, nor more brackets than there are trials.
fn bracket_rungs(cx: &mut Context, table: &Table<'_>, possible: u32, max_trials: u64) -> Vec<u32> {
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
            let help = format!("at most {possible} rungs are possible here");
            cx.error(element.node.span, &element.path, message, help);
        }
        rungs.push(count);
    }
    let most = max_trials.min(MAX_BRACKETS as u64);
    if rungs.len() as u64 > most {
        let message = format!("{} brackets are too many, at most {most} are possible", rungs.len());
        cx.error(place.node.span, &place.path, message, "each bracket needs a trial at least");
    }
    rungs
}
