//! `prior`: where a hyperparameter's good values are expected.

use crate::context::{Context, Place, Table};
use crate::language::hyperparameters::{CONFIDENCE, PRIOR};
use crate::nearest::suggestion;
use crate::node::Kind;
use crate::value;
use toprung_searchers::{Domain, Prior, Value};

/// Reads the prior of a hyperparameter, if it has one.
pub(crate) fn read(cx: &mut Context, table: &Table<'_>, domain: &Domain) -> Option<Prior> {
    let place = table.get("prior")?;
    let section = Table::open(cx, Some(&place), &PRIOR, &place.path);
    let confidence = confidence(cx, &section);
    let place = section.get("center")?;
    let center = value::hyperparameter(cx, place.node, &place.path);
    if !domain.has(&center) {
        let message = format!("{} is no value of the hyperparameter", place.node.described());
        cx.error(place.node.span, &place.path, message, values(domain, &place));
        return None;
    }
    Some(Prior { center, confidence: confidence? })
}

fn confidence(cx: &mut Context, section: &Table<'_>) -> Option<f64> {
    let Some(place) = section.get("confidence") else { return Prior::confidence_of("medium") };
    if !matches!(place.node.kind, Kind::Int(_) | Kind::Float(_)) {
        return place.choice(cx, CONFIDENCE).and_then(Prior::confidence_of);
    }
    let number = place.number(cx)?;
    if !(0.0..=1.0).contains(&number) {
        let message = format!("{number} is out of range, expected a number from 0 to 1");
        cx.error(place.node.span, &place.path, message, format!("or one of {}", CONFIDENCE.join(", ")));
        return None;
    }
    Some(number)
}

/// What a center may be.
fn values(domain: &Domain, place: &Place<'_>) -> String {
    match domain {
        Domain::Int { min, max, .. } => format!("give an integer from {min} to {max}"),
        Domain::Double { min, max, .. } => format!("give a number from {min} to {max}"),
        Domain::Log { base, minval, maxval, .. } => {
            let (one, other) = (base.powf(*minval), base.powf(*maxval));
            format!("give a value from {} to {}, not an exponent", one.min(other), one.max(other))
        }
        Domain::Categorical(values) | Domain::Ordinal(values) => {
            let known: Vec<String> = values
                .iter()
                .map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_json().to_string(),
                })
                .collect();
            let word = place.node.scalar_text().unwrap_or_default();
            suggestion(&word, known.iter().map(String::as_str))
        }
        Domain::Const(_) | Domain::Group(_) => String::new(),
    }
}
