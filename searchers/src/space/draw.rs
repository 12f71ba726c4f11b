//! A trial's hyperparameters by chance, whether or not they satisfy the constraints.
//!
//! Every hyperparameter has a stream of its own, named by its path, so a draw depends only on seed, trial, path and domain: not
//! on other hyperparameters, nor on conditions. Numbers are made by the inverse of the distribution function.

use super::condition::is_active;
use super::{Assignment, Dimension, Domain, Space, Value};
use crate::method::TrialId;
use crate::stream::{Purpose, Stream};
use std::collections::BTreeMap;

impl Space {
    /// A draw for a trial that does not look at constraints. Attempts are numbered from 0 and differ.
    pub(super) fn attempt(&self, seed: u32, trial: TrialId, attempt: u32) -> Assignment {
        let path = Path(Path::ROOT);
        Source { seed, trial, attempt }.group(&self.dimensions, path)
    }
}

/// The place of a hyperparameter as a hash (FNV-1a over its names, each closed by a byte that no name contains).
#[derive(Clone, Copy)]
pub(super) struct Path(pub(super) u64);

impl Path {
    pub(super) const ROOT: u64 = 0xCBF2_9CE4_8422_2325;

    pub(super) fn child(self, name: &str) -> Self {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        Self(name.bytes().chain([0xFF]).fold(self.0, step))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) seed: u32,
    pub(super) trial: TrialId,
    pub(super) attempt: u32,
}

impl Source {
    pub(super) fn stream(self, purpose: Purpose) -> Stream {
        Stream::attempt(self.seed, self.trial, purpose, self.attempt)
    }

    fn group(self, dimensions: &BTreeMap<String, Dimension>, path: Path) -> Assignment {
        // Without conditions all are active, and nothing need be kept to see which.
        if dimensions.values().all(|dimension| dimension.condition.is_empty()) {
            let value = |(name, dimension): (&String, &Dimension)| {
                (name.clone(), self.value(&dimension.domain, path.child(name)))
            };
            return dimensions.iter().map(value).collect();
        }
        let drawn = dimensions
            .iter()
            .map(|(name, dimension)| (name.as_str(), self.value(&dimension.domain, path.child(name))));
        let drawn: BTreeMap<&str, Value> = drawn.collect();
        let active = dimensions.keys().filter(|name| is_active(dimensions, &drawn, name));
        active.filter_map(|name| Some((name.clone(), drawn.get(name.as_str())?.clone()))).collect()
    }

    pub(super) fn value(self, domain: &Domain, path: Path) -> Value {
        let mut stream = self.stream(Purpose::Hyperparameter(path.0));
        match domain {
            Domain::Const(value) => value.clone(),
            Domain::Int { min, max, log: false, .. } => Value::Int(stream.integer(*min, *max)),
            Domain::Int { min, max, log: true, .. } => Value::Int(log_integer(stream.unit(), *min, *max)),
            Domain::Double { min, max, log, quantize, .. } => {
                let number = if *log {
                    log_between(stream.unit(), *min, *max)
                } else {
                    between(stream.unit(), *min, *max)
                };
                Value::Double(quantized(number, *min, *max, *quantize))
            }
            Domain::Log { base, minval, maxval, .. } => {
                Value::Double(finite(base.powf(between(stream.unit(), *minval, *maxval))))
            }
            Domain::Categorical(values) | Domain::Ordinal(values) => {
                let last = (values.len() as u64).saturating_sub(1);
                values.get(stream.index(last) as usize).cloned().unwrap_or(Value::Null)
            }
            Domain::Group(dimensions) => Value::Map(self.group(dimensions, path)),
        }
    }
}

/// `unit` of the way from `min` to `max`, without overflow.
pub(super) fn between(unit: f64, min: f64, max: f64) -> f64 {
    (min * (1.0 - unit) + max * unit).clamp(min, max)
}

/// The same on a logarithmic scale. Decimal logarithms keep decimal grids clean: 0.001 lies between 1e-4 and 0.01.
pub(super) fn log_between(unit: f64, min: f64, max: f64) -> f64 {
    10_f64.powf(between(unit, min.log10(), max.log10())).clamp(min, max)
}

/// An integer with a probability in proportion to the logarithmic width of its unit interval.
fn log_integer(unit: f64, min: i64, max: i64) -> i64 {
    let (low, high) = ((min as f64 - 0.5).ln(), (max as f64 + 0.5).ln());
    (between(unit, low, high).exp().round() as i64).clamp(min, max)
}

/// The nearest multiple of `step` within the bounds; as it is if there is none.
pub(super) fn quantized(number: f64, min: f64, max: f64, step: Option<f64>) -> f64 {
    let Some(step) = step else { return number };
    let count = (number / step).round();
    let near = [0.0, 1.0, -1.0].map(|off| multiple_of(count + off, step));
    near.into_iter().find(|value| (min..=max).contains(value)).unwrap_or(number)
}

/// `count` steps. Steps like 0.05 are no exact doubles but their inverses are integers: k / 20 is the double nearest to
/// k · 0.05.
pub(super) fn multiple_of(count: f64, step: f64) -> f64 {
    let inverse = (1.0 / step).round();
    if inverse >= 1.0 && inverse * step == 1.0 { count / inverse } else { count * step }
}

/// Doubles are always finite: what overflows is the greatest.
pub(super) fn finite(number: f64) -> f64 {
    number.clamp(f64::MIN, f64::MAX)
}
