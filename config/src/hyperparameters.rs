//! The `hyperparameters` map: leaves, constants, nested groups, and conditions between neighbours.

use crate::context::{Context, Place, Table};
use crate::language::hyperparameters::LEAVES;
use crate::nearest::{listed, nearest};
use crate::node::{Kind, Node};
use crate::{prior, value};
use std::collections::{BTreeMap, BTreeSet};
use toprung_searchers::{Dimension, Domain, Value};

/// Reads the whole map.
pub(crate) fn read(cx: &mut Context, place: Option<&Place<'_>>) -> BTreeMap<String, Dimension> {
    place.map(|place| group(cx, place)).unwrap_or_default()
}

fn group(cx: &mut Context, place: &Place<'_>) -> BTreeMap<String, Dimension> {
    let mut dimensions = BTreeMap::new();
    let entries = place.map(cx, "a map of hyperparameters");
    for (name, inner) in &entries {
        if name.is_empty() {
            cx.error(inner.key, &inner.path, "a hyperparameter needs a name", "");
            continue;
        }
        dimensions.insert((*name).to_owned(), dimension(cx, inner));
    }
    check_conditions(cx, &entries, &dimensions);
    dimensions
}

fn dimension(cx: &mut Context, place: &Place<'_>) -> Dimension {
    match &place.node.kind {
        Kind::Map(_) => match kind(place) {
            Some(node) => leaf(cx, place, node),
            None => {
                warn_of_forgotten_type(cx, place);
                Dimension::always(Domain::Group(group(cx, place)))
            }
        },
        _ => Dimension::always(Domain::Const(value::hyperparameter(cx, place.node, &place.path))),
    }
}

/// The node after `type`. A map after `type` is a hyperparameter of that name in a group.
fn kind<'n>(place: &Place<'n>) -> Option<&'n Node> {
    place.node.get("type").filter(|node| !matches!(node.kind, Kind::Map(_) | Kind::Null))
}

fn warn_of_forgotten_type(cx: &mut Context, place: &Place<'_>) {
    let looks = ["minval", "maxval", "vals"].iter().find(|key| place.node.get(key).is_some());
    if let Some(key) = looks {
        let message = format!("is taken as a group of constants, one of them called `{key}`");
        cx.warning(place.key, &place.path, message, "add `type` if it should be searched");
    }
}

fn leaf(cx: &mut Context, place: &Place<'_>, kind: &Node) -> Dimension {
    let word = kind.scalar_text().unwrap_or_default();
    let Some((name, section)) = LEAVES.iter().find(|(name, _)| *name == word) else {
        let names = LEAVES.iter().map(|(name, _)| *name);
        let message = format!("found {}, expected one of {}", kind.described(), listed(names.clone()));
        let help = nearest(&word, names).map(|name| format!("did you mean `{name}`?"));
        cx.error(kind.span, &format!("{}.type", place.path), message, help.unwrap_or_default());
        return Dimension::always(Domain::Const(Value::Null));
    };
    let table = Table::open(cx, Some(place), section, &place.path);
    let domain = match *name {
        "const" => constant(cx, place),
        "int" => int(cx, &table),
        "double" => double(cx, &table),
        "log" => log(cx, &table),
        "ordinal" => Domain::Ordinal(values(cx, &table)),
        _ => Domain::Categorical(values(cx, &table)),
    };
    let searched = !matches!(domain, Domain::Const(_));
    let prior = if searched { prior::read(cx, &table, &domain) } else { None };
    Dimension { condition: condition(cx, &table), prior, domain }
}

fn constant(cx: &mut Context, place: &Place<'_>) -> Domain {
    // A constant may be null, so null does not mean absent here.
    let Some(node) = place.node.get("val") else {
        cx.error(place.key, &place.path, "`val` is missing in a `const` hyperparameter", "");
        return Domain::Const(Value::Null);
    };
    Domain::Const(value::hyperparameter(cx, node, &format!("{}.val", place.path)))
}

fn int(cx: &mut Context, table: &Table<'_>) -> Domain {
    let (min, max) = (table.optional_int(cx, "minval"), table.optional_int(cx, "maxval"));
    let log = table.flag(cx, "log");
    let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
    check_order(cx, table, min < max, &min, &max);
    check_log(cx, table, log && table.has("minval") && min < 1, "1");
    Domain::Int { min, max, log, count: count(cx, table) }
}

fn double(cx: &mut Context, table: &Table<'_>) -> Domain {
    let (given_min, given_max) = (table.optional_number(cx, "minval"), table.optional_number(cx, "maxval"));
    let (min, max) = (given_min.unwrap_or(f64::MIN), given_max.unwrap_or(f64::MAX));
    let log = table.flag(cx, "log");
    check_order(cx, table, min < max, &min, &max);
    check_log(cx, table, log && given_min.is_some_and(|min| min <= 0.0), "a number above 0");
    let quantize = table.optional_number(cx, "quantize");
    if let (Some(step), Some(min), Some(max), Some(place)) =
        (quantize, given_min, given_max, table.get("quantize"))
        && step > max - min
        && min < max
    {
        let message = format!("{step} is wider than the range from {min} to {max}");
        cx.error(place.node.span, &place.path, message, "");
    }
    Domain::Double { min, max, log, quantize, count: count(cx, table) }
}

fn log(cx: &mut Context, table: &Table<'_>) -> Domain {
    let (given_min, given_max) = (table.optional_number(cx, "minval"), table.optional_number(cx, "maxval"));
    let (minval, maxval) = (given_min.unwrap_or(f64::MIN), given_max.unwrap_or(f64::MAX));
    let base = table.number(cx, "base");
    check_order(cx, table, minval < maxval, &minval, &maxval);
    if let Some(place) = table.get("base").filter(|_| base == 1.0) {
        cx.error(
            place.node.span,
            &place.path,
            "is 1, every power of which is 1",
            "choose another base, such as 10",
        );
    }
    for (given, name) in [(given_min, "minval"), (given_max, "maxval")] {
        let power = given.map_or(1.0, |exponent| base.powf(exponent));
        if let Some(place) = table.get(name).filter(|_| !power.is_normal()) {
            let message =
                format!("{base} to the power of {} is no number that can be used", given.unwrap_or_default());
            cx.error(
                place.node.span,
                &place.path,
                message,
                "`minval` and `maxval` are exponents, not values",
            );
        }
    }
    Domain::Log { base, minval, maxval, count: count(cx, table) }
}

fn check_order(
    cx: &mut Context,
    table: &Table<'_>,
    ordered: bool,
    min: &dyn std::fmt::Display,
    max: &dyn std::fmt::Display,
) {
    let (Some(_), Some(place), false) = (table.get("minval"), table.get("maxval"), ordered) else {
        return;
    };
    let message = format!("`minval` {min} is not below `maxval` {max}");
    cx.error(place.node.span, &place.path, message, "a single value is written as `type: const` with `val`");
}

fn check_log(cx: &mut Context, table: &Table<'_>, broken: bool, least: &str) {
    if let Some(place) = table.get("minval").filter(|_| broken) {
        let message = format!("with `log: true`, `minval` must be at least {least}")
            .replace("at least a number", "a number");
        cx.error(place.node.span, &place.path, message, "");
    }
}

fn count(cx: &mut Context, table: &Table<'_>) -> Option<u64> {
    table.optional_int(cx, "count").and_then(|count| u64::try_from(count).ok())
}

fn values(cx: &mut Context, table: &Table<'_>) -> Vec<Value> {
    let Some(place) = table.get("vals") else {
        return Vec::new();
    };
    if matches!(&place.node.kind, Kind::List(nodes) if nodes.is_empty()) {
        cx.error(place.node.span, &place.path, "is empty, expected at least one value", "");
    }
    let mut read: Vec<Value> = Vec::new();
    for element in place.list(cx, "a list of values") {
        let value = value::hyperparameter(cx, element.node, &element.path);
        if read.contains(&value) {
            cx.warning(element.node.span, &element.path, "is there twice", "it is drawn twice as often");
        }
        read.push(value);
    }
    read
}

fn condition(cx: &mut Context, table: &Table<'_>) -> BTreeMap<String, Vec<Value>> {
    let Some(place) = table.get("condition") else {
        return BTreeMap::new();
    };
    let mut condition = BTreeMap::new();
    for (name, inner) in place.map(cx, "a map such as `{optimizer: sgd}`") {
        let values = match &inner.node.kind {
            Kind::List(_) => {
                let elements = inner.list(cx, "a list of values");
                elements
                    .iter()
                    .map(|element| value::hyperparameter(cx, element.node, &element.path))
                    .collect()
            }
            _ => vec![value::hyperparameter(cx, inner.node, &inner.path)],
        };
        if values.is_empty() {
            cx.error(inner.node.span, &inner.path, "is empty, expected at least one value", "");
        }
        condition.insert(name.to_owned(), values);
    }
    condition
}

fn check_conditions(
    cx: &mut Context,
    entries: &[(&str, Place<'_>)],
    dimensions: &BTreeMap<String, Dimension>,
) {
    for (name, inner) in entries {
        let Some(dimension) = dimensions.get(*name).filter(|dimension| !dimension.condition.is_empty())
        else {
            continue;
        };
        let Some(node) = inner.node.get("condition") else {
            continue;
        };
        let path = format!("{}.condition", inner.path);
        let place = Place { node, path, key: node.span };
        for (sibling, entry) in place.map(cx, "") {
            let values = dimension.condition.get(sibling).map(Vec::as_slice).unwrap_or_default();
            check_sibling(cx, name, sibling, &entry, values, dimensions);
        }
        if depends_on_itself(name, dimensions) {
            let help =
                "a condition may only name hyperparameters whose own conditions do not lead back to it";
            cx.error(place.key, &place.path, "the condition depends on itself", help);
        }
    }
}

fn check_sibling(
    cx: &mut Context,
    name: &str,
    sibling: &str,
    place: &Place<'_>,
    values: &[Value],
    dimensions: &BTreeMap<String, Dimension>,
) {
    let Some(other) = dimensions.get(sibling) else {
        let known = dimensions.keys().map(String::as_str).filter(|other| *other != name);
        let help = nearest(sibling, known).map(|other| format!("did you mean `{other}`?"));
        let message = format!("there is no hyperparameter `{sibling}` beside `{name}`");
        cx.error(place.key, &place.path, message, help.unwrap_or_default());
        return;
    };
    if matches!(other.domain, Domain::Group(_)) {
        cx.error(place.key, &place.path, format!("`{sibling}` is a group and has no value"), "");
    }
    if let Some(value) = values.iter().find(|value| !possible(&other.domain, value)) {
        let message = format!("`{sibling}` is never {}", value.to_json());
        cx.error(place.node.span, &place.path, message, "the hyperparameter would never exist");
    }
}

/// Whether a domain may have a value; a group, which is a mistake of its own, may have any.
fn possible(domain: &Domain, value: &Value) -> bool {
    match domain {
        Domain::Const(only) => only.is_same(value),
        Domain::Categorical(values) | Domain::Ordinal(values) => {
            values.iter().any(|known| known.is_same(value))
        }
        Domain::Int { min, max, .. } => {
            matches!(value, Value::Int(value) if (min..=max).contains(&value))
        }
        Domain::Double { .. } | Domain::Log { .. } => {
            matches!(value, Value::Int(_) | Value::Double(_))
        }
        Domain::Group(_) => true,
    }
}

fn depends_on_itself(name: &str, dimensions: &BTreeMap<String, Dimension>) -> bool {
    let needs =
        |name: &str| dimensions.get(name).into_iter().flat_map(|dimension| dimension.condition.keys());
    let mut open: Vec<&String> = needs(name).collect();
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if next == name {
            return true;
        }
        if seen.insert(next) {
            open.extend(needs(next));
        }
    }
    false
}
