//! What a grid asks of the hyperparameters.

use crate::context::{Context, Place};
use crate::node::Kind;
use std::collections::BTreeMap;
use toprung_searchers::{Dimension, Domain, Space};

/// A grid with more trials than this is taken for a mistake.
const MAX_GRID_TRIALS: u64 = 1_000_000;
const SMALLER_GRID: &str = "give a smaller `count`, also to `int`, or use the searcher `random`";

/// Records what keeps a space from having a grid. `place`: the searcher; `hyperparameters`: where `space` stands.
pub(crate) fn check(cx: &mut Context, place: &Place<'_>, space: &Space, hyperparameters: Option<&Place<'_>>) {
    let missing = hyperparameters.map_or_else(Vec::new, |place| without_count(place, &space.dimensions));
    for place in &missing {
        let message = "the searcher `grid` needs a `count` here";
        cx.error(place.key, &place.path, message, "say how many values it takes");
    }
    if !missing.is_empty() || space.check().is_err() {
        return;
    }
    match space.grid_len() {
        Ok(trials) if trials <= MAX_GRID_TRIALS => {
            // Looked at one by one.
            if let Err(error) = space.grid_admissible() {
                let help = "loosen the constraints, or give the grid values that satisfy them";
                cx.error(place.key, &place.path, error.to_string(), help);
            }
        }
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
