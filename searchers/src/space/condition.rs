//! Which hyperparameters of a group are active.

use super::{Dimension, Value};
use std::collections::BTreeMap;

/// Whether `name` is active, given a value for every hyperparameter that a condition depends on. A hyperparameter
/// that depends on an inactive one is inactive itself.
pub(super) fn is_active(
    dimensions: &BTreeMap<String, Dimension>,
    values: &BTreeMap<&str, Value>,
    name: &str,
) -> bool {
    active_within(dimensions, values, name, dimensions.len())
}

/// `depth` ends conditions in a circle, which [`super::Space::check`] refuses.
fn active_within(
    dimensions: &BTreeMap<String, Dimension>,
    values: &BTreeMap<&str, Value>,
    name: &str,
    depth: usize,
) -> bool {
    let (Some(dimension), Some(depth)) = (dimensions.get(name), depth.checked_sub(1)) else {
        return false;
    };
    dimension.condition.iter().all(|(sibling, allowed)| {
        let value = values.get(sibling.as_str());
        value.is_some_and(|value| allowed.iter().any(|one| one.is_same(value)))
            && active_within(dimensions, values, sibling, depth)
    })
}
