//! Hyperparameters that a program gives: whether they lie in the space, and what is allowed where they do not.

use super::condition::is_active;
use super::draw::quantized;
use super::{Assignment, Dimension, Domain, Space, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Bounds that are powers, and numbers that were calculated, are rounded: so far beyond a bound counts as the bound.
const ROUNDING: f64 = 1e-12;
/// A number this near to a multiple, in parts of the step, is that multiple.
const NEAR: f64 = 1e-9;
/// Letters of a value that are shown.
const SHOWN: usize = 60;
/// Values of a category that are listed.
const LISTED: usize = 20;

/// What is wrong with a hyperparameter, or with all of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The hyperparameter, groups joined by dots; empty: a constraint.
    pub path: String,
    /// What was found, and what is allowed.
    pub problem: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => out.write_str(&self.problem),
            path => write!(out, "hyperparameter {path}: {}", self.problem),
        }
    }
}

impl Space {
    /// What was given as the space has it: constants are filled in where they are missing, and numbers are of their
    /// domain's kind.
    ///
    /// # Errors
    /// All that is wrong: names that are unknown, missing or not active, values out of range, constraints that do not hold.
    pub fn admit(&self, given: &Assignment) -> Result<Assignment, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let admitted = group(&self.dimensions, given, "", &mut refusals);
        if refusals.is_empty() {
            let broken = self.constraints.iter().filter(|constraint| !constraint.holds(&admitted));
            refusals.extend(broken.map(|constraint| {
                refusal("", format!("the constraint `{}` does not hold", constraint.text()))
            }));
        }
        if refusals.is_empty() { Ok(admitted) } else { Err(refusals) }
    }
}

fn refusal(path: &str, problem: String) -> Refusal {
    Refusal { path: path.to_owned(), problem }
}

fn group(
    dimensions: &BTreeMap<String, Dimension>,
    given: &Assignment,
    path: &str,
    refusals: &mut Vec<Refusal>,
) -> Assignment {
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for name in given.keys().filter(|name| !dimensions.contains_key(*name)) {
        let names: Vec<&str> = dimensions.keys().map(String::as_str).collect();
        refusals.push(refusal(
            &at(&cut(name)),
            format!("there is none of this name; there are {}", names.join(", ")),
        ));
    }
    let mut values: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, dimension) in dimensions {
        let value = match (&dimension.domain, given.get(name)) {
            (Domain::Const(value), None) => Ok(value.clone()),
            (Domain::Group(inner), None) => {
                Ok(Value::Map(group(inner, &Assignment::new(), &at(name), &mut Vec::new())))
            }
            (Domain::Group(inner), Some(Value::Map(found))) => {
                Ok(Value::Map(group(inner, found, &at(name), refusals)))
            }
            (_, None) => continue,
            (domain, Some(value)) => leaf(domain, value),
        };
        match value {
            Ok(value) => drop(values.insert(name, value)),
            Err(problem) => refusals.push(refusal(&at(name), problem)),
        }
    }
    let mut admitted = Assignment::new();
    for (name, dimension) in dimensions {
        let wrong = refusals.iter().any(|known| known.path == at(name));
        match (is_active(dimensions, &values, name), given.get(name), values.get(name.as_str())) {
            _ if wrong => {}
            (true, None, _) if let Domain::Group(inner) = &dimension.domain => {
                let inner = group(inner, &Assignment::new(), &at(name), refusals);
                admitted.insert(name.clone(), Value::Map(inner));
            }
            (true, _, Some(value)) => drop(admitted.insert(name.clone(), value.clone())),
            (true, ..) => {
                refusals.push(refusal(
                    &at(name),
                    format!("it is missing, allowed is {}", allowed(&dimension.domain)),
                ));
            }
            (false, Some(_), _) => refusals.push(refusal(&at(name), inactive(dimension))),
            (false, None, _) => {}
        }
    }
    admitted
}

fn inactive(dimension: &Dimension) -> String {
    let when = |(sibling, values): (&String, &Vec<Value>)| format!("{sibling} is {}", listed(values));
    let all: Vec<String> = dimension.condition.iter().map(when).collect();
    format!("it counts only if {}: leave it out", all.join(" and "))
}

/// The value as the domain has it, or what is wrong with it.
fn leaf(domain: &Domain, value: &Value) -> Result<Value, String> {
    let found = || format!("found {}, allowed is {}", shown(value), allowed(domain));
    match domain {
        Domain::Const(only) => only.is_same(value).then(|| only.clone()).ok_or_else(found),
        Domain::Int { min, max, .. } => {
            whole(value).filter(|value| (min..=max).contains(&value)).map(Value::Int).ok_or_else(found)
        }
        Domain::Double { min, max, quantize, .. } => {
            let number = number(value).and_then(|number| within(number, *min, *max)).ok_or_else(found)?;
            let near = quantized(number, *min, *max, *quantize);
            match quantize {
                Some(step) if (near - number).abs() > NEAR * step => {
                    Err(format!("{}; the nearest is {near:?}", found()))
                }
                _ => Ok(Value::Double(near)),
            }
        }
        Domain::Log { base, minval, maxval, .. } => {
            let (low, high) = powers(*base, *minval, *maxval);
            let number = number(value).and_then(|number| within(number, low, high));
            number.map(Value::Double).ok_or_else(found)
        }
        Domain::Categorical(values) | Domain::Ordinal(values) => {
            values.iter().find(|one| one.is_same(value)).cloned().ok_or_else(found)
        }
        Domain::Group(_) => Err(found()),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Double(value) => Some(*value).filter(|value| value.is_finite()),
        _ => None,
    }
}

/// An integer, also where a program wrote `3.0`.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        // Exact up to 2^53.
        Value::Double(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => {
            Some(*value as i64)
        }
        _ => None,
    }
}

fn within(number: f64, min: f64, max: f64) -> Option<f64> {
    let slack = |bound: f64| bound.abs() * ROUNDING;
    (number >= min - slack(min) && number <= max + slack(max)).then(|| number.clamp(min, max))
}

/// The bounds of a `log` domain, the lesser first.
fn powers(base: f64, minval: f64, maxval: f64) -> (f64, f64) {
    let (one, other) = (base.powf(minval), base.powf(maxval));
    (one.min(other), one.max(other))
}

/// What a domain allows.
fn allowed(domain: &Domain) -> String {
    match domain {
        Domain::Const(value) => shown(value),
        Domain::Int { min, max, .. } => format!("a whole number from {min} to {max}"),
        Domain::Double { min, max, quantize: Some(step), .. } => {
            format!("a multiple of {step:?} from {min:?} to {max:?}")
        }
        Domain::Double { min, max, .. } => format!("a number from {min:?} to {max:?}"),
        Domain::Log { base, minval, maxval, .. } => {
            let (low, high) = powers(*base, *minval, *maxval);
            format!("a number from {low:?} to {high:?}")
        }
        Domain::Categorical(values) | Domain::Ordinal(values) => listed(values),
        Domain::Group(inner) => {
            let names: Vec<&str> = inner.keys().map(String::as_str).collect();
            format!("a map of {}", names.join(", "))
        }
    }
}

fn listed(values: &[Value]) -> String {
    let mut words: Vec<String> = values.iter().take(LISTED).map(shown).collect();
    if values.len() > LISTED {
        words.push(format!("… ({} in all)", values.len()));
    }
    match words.as_slice() {
        [one] => one.clone(),
        _ => format!("one of {}", words.join(", ")),
    }
}

fn shown(value: &Value) -> String {
    cut(&value.to_json().to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::TrialId;
    use crate::space::{Constraint, from_json_text, to_json_text};

    fn space() -> Space {
        let double = |quantize| Domain::Double { min: 0.1, max: 1.0, log: false, quantize, count: None };
        let int = Domain::Int { min: 1, max: 9, log: false, count: None };
        let kinds = Domain::Categorical(vec![Value::String("sgd".into()), Value::Int(2)]);
        let mut momentum = Dimension::always(double(None));
        momentum.condition.insert("kind".into(), vec![Value::String("sgd".into())]);
        let net = [("units", int.clone()), ("depth", int.clone())]
            .map(|(name, domain)| (name.to_owned(), Dimension::always(domain)));
        let mut space = Space::new(
            [
                ("kind", Dimension::always(kinds)),
                ("momentum", momentum),
                (
                    "rate",
                    Dimension::always(Domain::Log { base: 10.0, minval: -4.0, maxval: -1.0, count: None }),
                ),
                ("share", Dimension::always(double(Some(0.05)))),
                ("width", Dimension::always(int)),
                ("fixed", Dimension::always(Domain::Const(Value::Int(7)))),
                ("net", Dimension::always(Domain::Group(net.into()))),
            ]
            .map(|(name, dimension)| (name.to_owned(), dimension))
            .into(),
        );
        space.constraints.push(Constraint::parse("net.units >= net.depth").unwrap());
        space
    }

    const GIVEN: &str = r#"{"kind":2,"rate":0.1,"share":0.3,"width":3.0,"net":{"units":2,"depth":1}}"#;

    fn said(text: &str) -> Vec<String> {
        let refusals = space().admit(&from_json_text(text).unwrap()).unwrap_err();
        refusals.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_given_takes_the_kinds_of_the_space() {
        let admitted = space().admit(&from_json_text(GIVEN).unwrap()).unwrap();
        let text = r#"{"fixed":7,"kind":2,"net":{"depth":1,"units":2},"rate":0.1,"share":0.3,"width":3}"#;
        assert_eq!(to_json_text(&admitted), text);
        assert_eq!(space().admit(&admitted), Ok(admitted.clone()), "once admitted, always");
        let rounded = GIVEN.replace("\"rate\":0.1", "\"rate\":0.10000000000000002");
        assert_eq!(space().admit(&from_json_text(&rounded).unwrap()).unwrap(), admitted);
    }

    #[test]
    fn every_draw_is_admitted_as_it_is() {
        let space = space();
        for trial in 1..=200 {
            let drawn = space.draw(3, TrialId(trial));
            assert_eq!(space.admit(&drawn), Ok(drawn.clone()));
            assert_eq!(space.admit(&from_json_text(&to_json_text(&drawn)).unwrap()), Ok(drawn));
        }
    }

    #[test]
    fn refusals_name_what_was_found_and_what_is_allowed() {
        for (from, to, expected) in [
            (
                "\"width\":3.0",
                "\"width\":3.5",
                "hyperparameter width: found 3.5, allowed is a whole number from 1 to 9",
            ),
            (
                "\"width\":3.0",
                "\"width\":12",
                "hyperparameter width: found 12, allowed is a whole number from 1 to 9",
            ),
            (
                "\"width\":3.0,",
                "",
                "hyperparameter width: it is missing, allowed is a whole number from 1 to 9",
            ),
            (
                "\"rate\":0.1",
                "\"rate\":\"x\"",
                "hyperparameter rate: found \"x\", allowed is a number from 0.0001 to 0.1",
            ),
            (
                "\"rate\":0.1",
                "\"rate\":0.11",
                "hyperparameter rate: found 0.11, allowed is a number from 0.0001 to 0.1",
            ),
            (
                "\"share\":0.3",
                "\"share\":0.33",
                "hyperparameter share: found 0.33, allowed is a multiple of 0.05 from 0.1 to 1.0; the nearest is 0.35",
            ),
            ("\"kind\":2", "\"kind\":3", "hyperparameter kind: found 3, allowed is one of \"sgd\", 2"),
            ("\"kind\":2", "\"kind\":2,\"fixed\":8", "hyperparameter fixed: found 8, allowed is 7"),
            (
                "\"kind\":2",
                "\"kind\":2,\"momentum\":0.5",
                "hyperparameter momentum: it counts only if kind is \"sgd\": leave it out",
            ),
            (
                "\"kind\":2",
                "\"kind\":\"sgd\"",
                "hyperparameter momentum: it is missing, allowed is a number from 0.1 to 1.0",
            ),
            (
                "{\"units\":2,\"depth\":1}",
                "3",
                "hyperparameter net: found 3, allowed is a map of depth, units",
            ),
            (
                "\"units\":2",
                "\"unit\":2,\"units\":2",
                "hyperparameter net.unit: there is none of this name; there are depth, units",
            ),
            ("\"depth\":1", "\"depth\":3", "the constraint `net.units >= net.depth` does not hold"),
            (
                ",\"net\":{\"units\":2,\"depth\":1}",
                "",
                "hyperparameter net.depth: it is missing, allowed is a whole number from 1 to 9",
            ),
        ] {
            let found = said(&GIVEN.replace(from, to));
            assert_eq!(found.first().map(String::as_str), Some(expected), "{found:?}");
        }
        assert_eq!(said("{}").len(), 6, "all at once: {:?}", said("{}"));
    }
}
