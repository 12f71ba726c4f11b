//! `constraints`: relations that every trial must satisfy.

use crate::context::{Context, Place};
use crate::nearest::suggestion;
use crate::node::{Node, Span};
use std::collections::BTreeMap;
use toprung_searchers::space::admissible::PROBES;
use toprung_searchers::space::constraint::Mistake;
use toprung_searchers::{Constraint, Dimension, Space};

/// More constraints than this are taken for a mistake.
const MAX_CONSTRAINTS: usize = 100;
/// Of this many random draws in a hundred at least one should be admissible.
const FEW: u32 = PROBES / 100;

/// Reads the list. Names are looked up only if the hyperparameters are without mistakes.
pub(crate) fn read(
    cx: &mut Context,
    place: Option<&Place<'_>>,
    dimensions: &BTreeMap<String, Dimension>,
) -> Vec<Constraint> {
    let Some(place) = place else { return Vec::new() };
    let elements = place.list(cx, "a list of relations such as `[hidden1 >= hidden2]`");
    if elements.len() > MAX_CONSTRAINTS {
        let message = format!("{} constraints are too many", elements.len());
        cx.error(place.key, &place.path, message, format!("at most {MAX_CONSTRAINTS}; join them with `and`"));
    }
    let known = !cx.has_errors();
    let mut constraints = Vec::new();
    for element in elements.iter().take(MAX_CONSTRAINTS) {
        let Some(text) = element.text(cx) else { continue };
        let read = Constraint::parse(&text).and_then(|constraint| {
            if known { constraint.check(dimensions).map(|()| constraint) } else { Ok(constraint) }
        });
        match read {
            Ok(constraint) => constraints.push(constraint),
            Err(mistake) => record(cx, element, &text, mistake),
        }
    }
    constraints
}

fn record(cx: &mut Context, place: &Place<'_>, text: &str, mistake: Mistake) {
    let help = match &mistake.unknown {
        Some((word, known)) => suggestion(word, known.iter().map(String::as_str)),
        None => mistake.help,
    };
    let span = part(place.node, text, mistake.at, mistake.len);
    cx.error(span, &place.path, mistake.message, help);
}

/// Where a part of a text stands in the file; the whole text if it is written with escapes or over several lines.
fn part(node: &Node, text: &str, at: usize, len: usize) -> Span {
    let quote = match node.span.len.checked_sub(text.len()) {
        Some(quotes @ (0 | 2)) if !text.contains('\n') => quotes / 2,
        _ => return node.span,
    };
    let before = text.get(..at).map_or(0, |before| before.chars().count());
    Span {
        line: node.span.line,
        column: node.span.column + (quote + before) as u32,
        offset: node.span.offset + quote + at,
        len,
    }
}

/// Records that no random draw, or few of them, satisfy the constraints.
pub(crate) fn check_draws(cx: &mut Context, place: &Place<'_>, space: &Space) {
    let admissible = space.admissible_draws();
    let help = "narrow the ranges to where the constraints hold, or loosen them";
    if admissible == 0 {
        let message = format!("none of {PROBES} random draws satisfies {}", strictest(space));
        cx.error(place.key, &place.path, message, help);
    } else if admissible < FEW {
        let message = format!("only {admissible} of {PROBES} random draws satisfy {}", strictest(space));
        cx.warning(place.key, &place.path, message, help);
    }
}

/// The constraints, and which of several leaves the least.
fn strictest(space: &Space) -> String {
    let alone = |constraint: &Constraint| {
        let constraints = vec![constraint.clone()];
        Space { dimensions: space.dimensions.clone(), constraints }.admissible_draws()
    };
    match &space.constraints[..] {
        [only] => format!("`{}`", only.text()),
        several => {
            let counted = several.iter().map(|constraint| (alone(constraint), constraint.text()));
            let least = counted.min_by_key(|(count, _)| *count).unwrap_or_default();
            format!("the constraints; `{}` alone holds in {}", least.1, least.0)
        }
    }
}
