//! A child's hyperparameters from its parent's (the exploration of population based training).
//!
//! Each hyperparameter is drawn anew with a probability, else moved by a factor, up or down with equal chance:
//!
//! | domain | moved |
//! |---|---|
//! | double, log | times 1 ± factor |
//! | int | the same, down to the next integer below, up to the next above |
//! | double with `quantize` | the same with multiples of the step |
//! | ordinal | to the neighbour |
//! | categorical, const | kept |
//!
//! Everything stays within its bounds. Zero stays zero until it is drawn anew. A hyperparameter that the parent did not
//! have, because its condition did not hold, is drawn. A child that does not satisfy the constraints is made anew, and after a
//! hundred attempts has its parent's values. Conditions are judged on the child's own values. Each decision
//! has a stream of its own, named by the child and the path.

use super::condition::is_active;
use super::draw::{Path, Source, finite, multiple_of};
use super::{Assignment, Dimension, Domain, Space, Value};
use crate::method::TrialId;
use crate::stream::Purpose;
use std::collections::BTreeMap;

/// How far a child moves from its parent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Explore {
    /// The probability with which a hyperparameter is drawn anew, in `0.0 ..= 1.0`.
    pub(crate) resample_probability: f64,
    /// How far it moves else, in `0.0 .. 1.0`.
    pub(crate) perturb_factor: f64,
}

impl Space {
    /// The hyperparameters of a child of a trial that has `parent`.
    pub(crate) fn explore(
        &self,
        explore: Explore,
        parent: &Assignment,
        seed: u32,
        child: TrialId,
    ) -> Assignment {
        self.first_admissible(parent, |attempt| {
            let source = Source { seed, trial: child, attempt };
            Explorer { explore, source }.group(&self.dimensions, parent, Path(Path::ROOT))
        })
    }
}

struct Explorer {
    explore: Explore,
    source: Source,
}

impl Explorer {
    fn group(
        &self,
        dimensions: &BTreeMap<String, Dimension>,
        parent: &BTreeMap<String, Value>,
        path: Path,
    ) -> Assignment {
        let value = |(name, dimension): (&String, &Dimension)| {
            self.value(&dimension.domain, parent.get(name), path.child(name))
        };
        let moved: BTreeMap<&str, Value> =
            dimensions.iter().map(|entry| (entry.0.as_str(), value(entry))).collect();
        let active = dimensions.keys().filter(|name| is_active(dimensions, &moved, name));
        active.filter_map(|name| Some((name.clone(), moved.get(name.as_str())?.clone()))).collect()
    }

    fn value(&self, domain: &Domain, parent: Option<&Value>, path: Path) -> Value {
        if let (Domain::Group(inner), Some(Value::Map(parent))) = (domain, parent) {
            return Value::Map(self.group(inner, parent, path));
        }
        let drawn = || self.source.value(domain, path);
        let Some(parent) = parent else { return drawn() };
        let mut stream = self.source.stream(Purpose::Decision(path.0));
        if stream.unit() < self.explore.resample_probability {
            return drawn();
        }
        self.moved(domain, parent, stream.index(1) == 1).unwrap_or_else(|| parent.clone())
    }

    /// The neighbour of a value; none where values have no neighbours.
    fn moved(&self, domain: &Domain, parent: &Value, up: bool) -> Option<Value> {
        let factor = 1.0 + if up { self.explore.perturb_factor } else { -self.explore.perturb_factor };
        let rounded = |number: f64| if up { number.ceil() } else { number.floor() };
        match (domain, parent) {
            (&Domain::Int { min, max, .. }, Value::Int(value)) => {
                let number = rounded(steady(*value as f64 * factor)) as i64;
                Some(Value::Int(number.clamp(min, max)))
            }
            (&Domain::Double { min, max, quantize, .. }, Value::Double(value)) => {
                let number = (value * factor).clamp(min, max);
                let Some(step) = quantize else { return Some(Value::Double(number)) };
                let number = multiple_of(rounded(steady(number / step)), step);
                Some(if (min..=max).contains(&number) { Value::Double(number) } else { parent.clone() })
            }
            (Domain::Log { base, minval, maxval, .. }, Value::Double(value)) => {
                let (one, other) = (finite(base.powf(*minval)), finite(base.powf(*maxval)));
                Some(Value::Double((value * factor).clamp(one.min(other), one.max(other))))
            }
            (Domain::Ordinal(values), value) => {
                let place = values.iter().position(|known| known.is_same(value))?;
                let next = if up { place + 1 } else { place.saturating_sub(1) };
                values.get(next).cloned()
            }
            _ => None,
        }
    }
}

/// A number that rounding errors have moved off an integer, back on it.
fn steady(number: f64) -> f64 {
    let near = number.round();
    if (number - near).abs() <= 1e-12 * near.abs() { near } else { number }
}
