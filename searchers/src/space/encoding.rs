//! A space as axes of numbers, for models: every hyperparameter that varies is one coordinate, and back.
//!
//! | domain | coordinate |
//! |---|---|
//! | double, log | where it lies between its bounds, on its own scale, in `0.0 ..= 1.0` |
//! | int, double with `quantize`, ordinal | the middle of its cell: the interval of coordinates that give this value |
//! | categorical | the number of its value, from 0 |
//! | inactive, because its condition does not hold | NaN |
//!
//! Cells are as wide as the value is likely in a random draw, so a density over coordinates has no bias at bounds. Axes are in
//! sorted order of their paths, nested groups in the place of their name. Constants are no axes.

use super::condition::is_active;
use super::draw::{between, finite, log_between, quantized};
use super::prior::{AxisPrior, Prior};
use super::{Assignment, Dimension, Domain, Space, Value, lookup};
use std::collections::BTreeMap;

/// One coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The names from the outermost group to the hyperparameter.
    pub path: Vec<String>,
    /// What its coordinates mean.
    pub kind: AxisKind,
    /// Whether it can be inactive: it has a condition, or a group around it has one.
    pub conditional: bool,
    domain: Domain,
    prior: Option<Prior>,
}

/// What the coordinates of an axis mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisKind {
    /// Every number in `0.0 ..= 1.0` is another value.
    Continuous,
    /// The values have an order; each has a cell in `0.0 ..= 1.0`, see [`Axis::cell`].
    Ordered,
    /// So many values without order; the coordinate is the number of one, from 0.
    Choice(usize),
}

/// All axes of a space.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    axes: Vec<Axis>,
}

impl Encoding {
    /// The axes of a space that has been checked.
    pub fn new(space: &Space) -> Self {
        let mut axes = Vec::new();
        collect(&space.dimensions, &mut Vec::new(), false, &mut axes);
        Self { axes }
    }

    /// The axes, in order.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Whether an axis can be inactive.
    pub fn has_conditions(&self) -> bool {
        self.axes.iter().any(|axis| axis.conditional)
    }

    /// The coordinates of an assignment. NaN where it has no value, or one that the domain does not know.
    pub fn encode(&self, assignment: &Assignment) -> Vec<f64> {
        let coordinate = |axis: &Axis| {
            let value = lookup(assignment, &axis.path);
            value.and_then(|value| axis.coordinate(value)).unwrap_or(f64::NAN)
        };
        self.axes.iter().map(coordinate).collect()
    }

    /// The assignment at a point, with one coordinate for each axis (NaN counts as the middle). Conditions decide which
    /// hyperparameters it has.
    pub fn decode(&self, space: &Space, point: &[f64]) -> Assignment {
        let mut next = 0;
        self.group(&space.dimensions, point, &mut next)
    }

    /// The point with its coordinates in the middle of their cells, and NaN where conditions do not hold.
    pub fn settle(&self, space: &Space, point: &[f64]) -> Vec<f64> {
        self.encode(&self.decode(space, point))
    }

    /// Walks the space in the order in which the axes were collected.
    fn group(&self, dimensions: &BTreeMap<String, Dimension>, point: &[f64], next: &mut usize) -> Assignment {
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, dimension) in dimensions {
            let value = match &dimension.domain {
                Domain::Const(value) => value.clone(),
                Domain::Group(inner) => Value::Map(self.group(inner, point, next)),
                _ => {
                    let value = self.axes[*next].value(point.get(*next).copied().unwrap_or(f64::NAN));
                    *next += 1;
                    value
                }
            };
            values.insert(name, value);
        }
        let active = dimensions.keys().filter(|name| is_active(dimensions, &values, name));
        active.filter_map(|name| Some((name.clone(), values.get(name.as_str())?.clone()))).collect()
    }
}

fn collect(
    dimensions: &BTreeMap<String, Dimension>,
    path: &mut Vec<String>,
    conditional: bool,
    axes: &mut Vec<Axis>,
) {
    for (name, dimension) in dimensions {
        let conditional = conditional || !dimension.condition.is_empty();
        path.push(name.clone());
        match &dimension.domain {
            Domain::Const(_) => {}
            Domain::Group(inner) => collect(inner, path, conditional, axes),
            domain => {
                let kind = kind(domain);
                let prior = dimension.prior.clone();
                axes.push(Axis { path: path.clone(), kind, conditional, domain: domain.clone(), prior });
            }
        }
        path.pop();
    }
}

fn kind(domain: &Domain) -> AxisKind {
    match domain {
        Domain::Categorical(values) => AxisKind::Choice(values.len()),
        Domain::Int { .. } | Domain::Ordinal(_) | Domain::Double { quantize: Some(_), .. } => {
            AxisKind::Ordered
        }
        _ => AxisKind::Continuous,
    }
}

impl Axis {
    /// Where a person expects good values, if one has said so.
    pub(crate) fn prior(&self) -> Option<AxisPrior> {
        AxisPrior::new(self.prior.as_ref()?, self)
    }

    /// How many values it has, where they can be counted.
    pub fn len(&self) -> Option<u64> {
        match &self.domain {
            Domain::Int { min, max, .. } => (max.wrapping_sub(*min) as u64).checked_add(1),
            Domain::Categorical(values) | Domain::Ordinal(values) => Some(values.len() as u64),
            Domain::Double { min, max, quantize: Some(step), .. } => {
                let (first, last) = ((min / step).ceil(), (max / step).floor());
                Some((last - first).max(0.0) as u64 + 1)
            }
            _ => None,
        }
    }

    /// Whether it has no value at all, which a checked space does not have.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The coordinate of a random draw, from a number in `0.0 .. 1.0`.
    pub fn at(&self, unit: f64) -> f64 {
        match self.kind {
            AxisKind::Choice(values) => (unit * values as f64).floor(),
            AxisKind::Continuous | AxisKind::Ordered => unit,
        }
    }

    /// The value at a coordinate; what lies outside is moved to the nearest bound.
    pub fn value(&self, coordinate: f64) -> Value {
        let unit = if coordinate.is_nan() { 0.5 } else { coordinate.clamp(0.0, 1.0) };
        match &self.domain {
            Domain::Int { min, max, log: false, .. } => {
                let count = max.wrapping_sub(*min) as u64 as f64 + 1.0;
                let steps = (unit * count).floor().min(count - 1.0) as u64;
                Value::Int(min.saturating_add_unsigned(steps).min(*max))
            }
            Domain::Int { min, max, log: true, .. } => {
                let (low, high) = ((*min as f64 - 0.5).ln(), (*max as f64 + 0.5).ln());
                Value::Int((between(unit, low, high).exp().round() as i64).clamp(*min, *max))
            }
            Domain::Double { min, max, log, quantize, .. } => {
                let number = if *log { log_between(unit, *min, *max) } else { between(unit, *min, *max) };
                Value::Double(quantized(number, *min, *max, *quantize))
            }
            Domain::Log { base, minval, maxval, .. } => {
                Value::Double(finite(base.powf(between(unit, *minval, *maxval))))
            }
            Domain::Categorical(values) => {
                let index = if coordinate.is_nan() { 0.0 } else { coordinate.round().max(0.0) };
                values
                    .get((index as usize).min(values.len().saturating_sub(1)))
                    .cloned()
                    .unwrap_or(Value::Null)
            }
            Domain::Ordinal(values) => {
                let index = (unit * values.len() as f64).floor() as usize;
                values.get(index.min(values.len().saturating_sub(1))).cloned().unwrap_or(Value::Null)
            }
            // Collected axes are neither.
            Domain::Const(_) | Domain::Group(_) => Value::Null,
        }
    }

    /// The coordinate of a value; none if the domain does not know it. The middle of its cell if it has one.
    pub fn coordinate(&self, value: &Value) -> Option<f64> {
        match (&self.domain, value) {
            (Domain::Categorical(values), value) => {
                values.iter().position(|known| known.is_same(value)).map(|index| index as f64)
            }
            (Domain::Log { .. } | Domain::Double { quantize: None, .. }, value) => {
                let unit = self.unit(number(value)?)?;
                unit.is_finite().then(|| unit.clamp(0.0, 1.0))
            }
            _ => self.cell(value).map(|(low, high)| 0.5 * (low + high)),
        }
    }

    /// The interval of coordinates that give this value, within `0.0 ..= 1.0`; none for axes without an order and for
    /// continuous ones.
    pub fn cell(&self, value: &Value) -> Option<(f64, f64)> {
        match &self.domain {
            Domain::Ordinal(values) => {
                let index = values.iter().position(|known| known.is_same(value))? as f64;
                let count = values.len() as f64;
                Some((index / count, (index + 1.0) / count))
            }
            Domain::Int { min, max, log: false, .. } => {
                let count = max.wrapping_sub(*min) as u64 as f64 + 1.0;
                let steps = number(value)? - *min as f64;
                let low = (steps / count).clamp(0.0, 1.0);
                Some((low, ((steps + 1.0) / count).clamp(low, 1.0)))
            }
            Domain::Int { log: true, .. } => self.cell_around(number(value)?, 0.5),
            Domain::Double { quantize: Some(step), .. } => self.cell_around(number(value)?, step * 0.5),
            _ => None,
        }
    }

    /// The cell from `half` below a number to `half` above.
    fn cell_around(&self, number: f64, half: f64) -> Option<(f64, f64)> {
        let edge =
            |edge: f64| self.unit(edge).map(|unit| if unit.is_nan() { 0.0 } else { unit.clamp(0.0, 1.0) });
        let low = edge(number - half)?;
        Some((low, edge(number + half)?.max(low)))
    }

    /// Where a number lies between the bounds, unclamped.
    fn unit(&self, number: f64) -> Option<f64> {
        let part = |number: f64, low: f64, high: f64| {
            // In halves, so that bounds of the whole range of numbers do not overflow.
            let width = 0.5 * high - 0.5 * low;
            if width == 0.0 { 0.5 } else { (0.5 * number - 0.5 * low) / width }
        };
        match &self.domain {
            Domain::Int { min, max, log: true, .. } => {
                Some(part(number.ln(), (*min as f64 - 0.5).ln(), (*max as f64 + 0.5).ln()))
            }
            Domain::Double { min, max, log: true, .. } => {
                Some(part(number.log10(), min.log10(), max.log10()))
            }
            Domain::Double { min, max, log: false, .. } => Some(part(number, *min, *max)),
            Domain::Log { base, minval, maxval, .. } => {
                if *base == 1.0 {
                    return Some(0.5);
                }
                Some(part(number.ln() / base.ln(), *minval, *maxval))
            }
            _ => None,
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::TrialId;
    use proptest::prelude::*;

    fn domains() -> Vec<(&'static str, Domain)> {
        let double = |min, max, log, quantize| Domain::Double { min, max, log, quantize, count: None };
        let int = |min, max, log| Domain::Int { min, max, log, count: None };
        let texts = |names: &[&str]| names.iter().map(|name| Value::String((*name).to_owned())).collect();
        vec![
            ("a", double(-3.0, 5.0, false, None)),
            ("b", double(1e-6, 10.0, true, None)),
            ("c", double(0.0, 1.0, false, Some(0.05))),
            ("d", int(-3, 11, false)),
            ("e", int(1, 4096, true)),
            ("f", int(i64::MIN, i64::MAX, false)),
            ("g", Domain::Log { base: 10.0, minval: -4.0, maxval: -1.0, count: None }),
            ("h", Domain::Categorical(texts(&["x", "y", "z"]))),
            ("i", Domain::Ordinal(vec![Value::Int(16), Value::Int(32), Value::Int(128)])),
            ("j", Domain::Const(Value::Int(7))),
        ]
    }

    fn space() -> Space {
        let always = |(name, domain): (&str, Domain)| (name.to_owned(), Dimension::always(domain));
        let mut dimensions: BTreeMap<String, Dimension> = domains().into_iter().map(always).collect();
        let nested: BTreeMap<String, Dimension> = domains().into_iter().map(always).collect();
        let condition = BTreeMap::from([("h".to_owned(), vec![Value::String("x".to_owned())])]);
        dimensions
            .insert("net".to_owned(), Dimension { condition, ..Dimension::always(Domain::Group(nested)) });
        Space::new(dimensions)
    }

    #[test]
    fn constants_are_no_axes_and_groups_stand_in_their_place() {
        let encoding = Encoding::new(&space());
        assert_eq!(encoding.axes().len(), 18);
        assert_eq!(encoding.axes()[9].path, ["net", "a"]);
        assert!(
            encoding.axes()[9].conditional && !encoding.axes()[0].conditional && encoding.has_conditions()
        );
    }

    #[test]
    fn cells_cover_the_axis_without_gaps() {
        for name in ["c", "d", "e", "i"] {
            let space = Space::new(space().dimensions.into_iter().filter(|(key, _)| key == name).collect());
            let encoding = Encoding::new(&space);
            let axis = &encoding.axes()[0];
            let (mut at, mut cells) = (0.0, 0);
            while at < 1.0 - 1e-9 {
                let (low, high) = axis.cell(&axis.value(at + 1e-9)).unwrap();
                assert!((low - at).abs() < 1e-6, "{name}: a gap before {low}, after {at}");
                (at, cells) = (high, cells + 1);
            }
            assert_eq!(Some(cells), axis.len(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_drawn_survives_the_way_there_and_back(seed in any::<u32>()) {
            let (space, encoding) = (space(), Encoding::new(&space()));
            let drawn = space.draw(seed, TrialId(1));
            let point = encoding.encode(&drawn);
            prop_assert!(point.iter().zip(encoding.axes()).all(|(at, axis)| axis.conditional || !at.is_nan()));
            let back = encoding.decode(&space, &point);
            prop_assert_eq!(back.keys().collect::<Vec<_>>(), drawn.keys().collect::<Vec<_>>());
            for axis in encoding.axes() {
                match (lookup(&drawn, &axis.path), lookup(&back, &axis.path)) {
                    (Some(Value::Double(was)), Some(Value::Double(is))) => {
                        prop_assert!((was - is).abs() <= 1e-9 * was.abs().max(1e-9), "{:?}: {was} {is}", axis.path);
                    }
                    // A double has fewer bits than the widest integers.
                    (Some(Value::Int(was)), Some(Value::Int(is))) if axis.path.last().unwrap() == "f" => {
                        prop_assert!((*was as f64 - *is as f64).abs() <= 1e-9 * (*was as f64).abs().max(1e9));
                    }
                    (was, is) => prop_assert_eq!(was, is),
                }
            }
            prop_assert_eq!(encoding.settle(&space, &point).len(), point.len());
        }
    }
}
