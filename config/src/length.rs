//! Lengths, in both styles of the language: `max_length: {epochs: 32}`, or `time_metric: epochs` with `max_time: 32`.

use crate::config::Length;
use crate::context::{Context, Place, Table, joined};
use crate::language::LARGEST;
use crate::nearest::suggestion;
use crate::node::{Key, Kind, Node};

/// The units of the language. Any other counter needs `time_metric`.
pub(crate) const UNITS: &[&str] = &["batches", "records", "epochs"];

/// Lengths of the language before version 0, in steps of 100 batches.
pub(crate) const OLD_LENGTHS: &[&str] = &["max_steps", "target_trial_steps"];

/// What lengths count if nothing says so.
const DEFAULT_UNIT: &str = "batches";

/// The searcher's time metric and maximum; after a mistake, some.
pub(crate) fn searcher_length(cx: &mut Context, table: &Table<'_>) -> Length {
    let named = table.text(cx, "time_metric");
    let by_map = table.get("max_length").and_then(|place| read(cx, &place, 1, named.as_deref()));
    let by_time = table.optional_int(cx, "max_time");
    let unit =
        named.unwrap_or_else(|| by_map.as_ref().map_or(DEFAULT_UNIT, |length| &length.unit).to_owned());
    let given = ["max_length", "max_time"].iter().any(|name| table.has(name));
    // Lengths of an older language are a mistake of their own.
    if !given && !OLD_LENGTHS.iter().any(|name| table.has(name)) {
        let help = "write `max_length: {epochs: 32}`, or `time_metric: epochs` and `max_time: 32`";
        table.missing_one_of(cx, &["max_length", "max_time"], help);
    }
    if table.has("max_time") && !table.has("time_metric") && by_map.is_none() {
        let at = table.get("max_time").map_or(table.key, |place| place.key);
        cx.warning(
            at,
            &joined(&table.path, "max_time"),
            "is taken as batches",
            "say what it counts with `time_metric`",
        );
    }
    let by_time = by_time.and_then(|count| u64::try_from(count).ok());
    if let Some(length) = &by_map {
        check_agreement(cx, table, length, &unit, by_time);
    }
    let count = by_map.map(|length| length.count).or(by_time).unwrap_or(1);
    Length { unit, count }
}

/// The time metric and maximum of rounds of one length; after a mistake, some.
pub(crate) fn length_of_rounds(cx: &mut Context, table: &Table<'_>) -> Length {
    let named = table.text(cx, "time_metric");
    let by_round = table.get("length_per_round").and_then(|place| read(cx, &place, 1, named.as_deref()));
    let by_round = by_round.unwrap_or_else(|| Length { unit: DEFAULT_UNIT.to_owned(), count: 1 });
    let unit = named.unwrap_or_else(|| by_round.unit.clone());
    if let Some(place) = table.get("length_per_round").filter(|_| by_round.unit != unit) {
        let message = format!("counts {}, but `time_metric` is `{unit}`", by_round.unit);
        cx.error(place.node.span, &place.path, message, "make the two agree");
    }
    let rounds = table.large(cx, "num_rounds").max(1);
    let count = by_round.count.saturating_mul(rounds);
    if let Some(place) = table.get("num_rounds").filter(|_| count > LARGEST as u64) {
        let message = format!("{rounds} rounds of {} are too long", by_round.count);
        cx.error(place.node.span, &place.path, message, format!("together at most {LARGEST}"));
    }
    let given = table.get("max_length").and_then(|place| read(cx, &place, 1, Some(&unit)));
    let by_time = table.optional_int(cx, "max_time").and_then(|count| u64::try_from(count).ok());
    let by_time = by_time.map(|count| Length { unit: unit.clone(), count });
    let known = table.has("length_per_round") && table.has("num_rounds");
    for (name, other) in [("max_length", given), ("max_time", by_time)] {
        let other = other.filter(|other| known && (other.count != count || other.unit != unit));
        if let (Some(other), Some(place)) = (other, table.get(name)) {
            let message =
                format!("is {} {}, but all rounds together are {count} {unit}", other.count, other.unit);
            cx.error(place.node.span, &place.path, message, "leave it out, or make it agree");
        }
    }
    Length { unit, count }
}

/// A length of at least `least` that is compared with the searcher's own; `None` if it is absent, or after a mistake.
pub(crate) fn in_time_metric(
    cx: &mut Context,
    table: &Table<'_>,
    name: &str,
    least: i64,
    time_metric: &str,
) -> Option<u64> {
    let place = table.get(name)?;
    let length = read(cx, &place, least, Some(time_metric))?;
    if length.unit != time_metric {
        let message = format!("counts {}, but the searcher counts {time_metric}", length.unit);
        cx.error(place.node.span, &place.path, message, "write a bare number in the time metric");
    }
    Some(length.count)
}

fn check_agreement(cx: &mut Context, table: &Table<'_>, length: &Length, unit: &str, by_time: Option<u64>) {
    let Some(place) = table.get("max_length") else {
        return;
    };
    let help = "give one of the two styles, or make them agree";
    if length.unit != unit {
        let message = format!("counts {}, but `time_metric` is `{unit}`", length.unit);
        cx.error(place.node.span, &place.path, message, help);
    }
    if let Some(time) = by_time.filter(|time| *time != length.count) {
        let message = format!("is {}, but `max_time` is {time}", length.count);
        cx.error(place.node.span, &place.path, message, help);
    }
}

/// A length outside the searcher, such as `min_validation_period`; a bare number is in the searcher's time metric.
pub(crate) fn period(cx: &mut Context, table: &Table<'_>, name: &str, time_metric: &str) -> Length {
    let read = table.get(name).and_then(|place| read(cx, &place, 0, Some(time_metric)));
    read.unwrap_or_else(|| Length { unit: DEFAULT_UNIT.to_owned(), count: 0 })
}

/// Reads a length. `counter` is the unit of a bare number, and a unit that a map may name beside [`UNITS`].
fn read(cx: &mut Context, place: &Place<'_>, least: i64, counter: Option<&str>) -> Option<Length> {
    let entries = match &place.node.kind {
        Kind::Map(entries) => entries,
        Kind::Int(_) | Kind::Float(_) => {
            let count = u64::try_from(place.int(cx, least, LARGEST)?).ok()?;
            return Some(Length { unit: counter.unwrap_or(DEFAULT_UNIT).to_owned(), count });
        }
        _ => {
            let message =
                format!("found {}, expected a length such as `{{epochs: 32}}`", place.node.described());
            cx.error(place.node.span, &place.path, message, "");
            return None;
        }
    };
    match &entries[..] {
        [(key, node)] => named_length(cx, place, key, node, least, counter),
        _ => {
            let found: Vec<_> = entries.iter().map(|(key, _)| key.text.as_str()).collect();
            let found = if found.is_empty() { "none".to_owned() } else { found.join(" and ") };
            let message = format!("found {found}, expected exactly one of {}", UNITS.join(", "));
            cx.error(place.key, &place.path, message, "");
            None
        }
    }
}

fn named_length(
    cx: &mut Context,
    place: &Place<'_>,
    key: &Key,
    node: &Node,
    least: i64,
    counter: Option<&str>,
) -> Option<Length> {
    let inner = place.entry(key, node);
    if !UNITS.contains(&key.text.as_str()) && counter != Some(&key.text) {
        let message = format!("unknown unit `{}`, expected one of {}", key.text, UNITS.join(", "));
        let mut help = suggestion(&key.text, UNITS.iter().copied());
        if counter.is_none() && !help.starts_with("did") {
            help = format!(
                "for a counter of the script's own, write `time_metric: {}` and `max_time`",
                key.text
            );
        }
        cx.error(key.span, &inner.path, message, help);
        return None;
    }
    let count = u64::try_from(inner.int(cx, least, LARGEST)?).ok()?;
    Some(Length { unit: key.text.clone(), count })
}
