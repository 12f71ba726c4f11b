//! The points of a grid, computed one by one.
//!
//! Axes are hyperparameters in sorted order, the first outermost, nested groups as if their hyperparameters stood in
//! their place. A constant is an axis of one point.
//!
//! Conditions: the hyperparameters that conditions name come outermost, and an inactive hyperparameter is no axis, so that
//! no point comes twice. Their combinations are enumerated for each point, so there may be no more than
//! [`MAX_COMBINATIONS`] of them in a group.
//!
//! Constraints leave points out. They are looked at one by one, so there may be no more than [`MAX_CONSTRAINED`].

use super::condition::is_active;
use super::draw::{between, finite, log_between, quantized};
use super::{Assignment, Dimension, Domain, Space, Value};
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet};

/// The most combinations of values that the conditions of one group may depend on.
const MAX_COMBINATIONS: u64 = 10_000;

/// The most points that are looked at where constraints leave some out.
pub const MAX_CONSTRAINED: u64 = 1_000_000;

type Dimensions = BTreeMap<String, Dimension>;

impl Space {
    /// How many points the grid has, constraints left aside.
    pub fn grid_len(&self) -> Result<u64, Error> {
        Ok(Grid::new(&self.dimensions, "")?.len)
    }

    /// Point `index` of `0 .. grid_len()`; none beyond, or if the space has no grid. Constraints are left aside.
    pub fn grid_point(&self, index: u64) -> Option<Assignment> {
        Grid::new(&self.dimensions, "").ok()?.point(index)
    }

    /// How many points satisfy the constraints.
    ///
    /// # Errors
    /// It has no grid, none satisfies them, or there are more than [`MAX_CONSTRAINED`] to look at.
    pub fn grid_admissible(&self) -> Result<u64, Error> {
        let grid = Grid::new(&self.dimensions, "")?;
        if self.constraints.is_empty() {
            return Ok(grid.len);
        }
        if grid.len > MAX_CONSTRAINED {
            return Err(Error::GridTooLargeToConstrain { allowed: MAX_CONSTRAINED });
        }
        let points = (0..grid.len).filter_map(|index| grid.point(index));
        match points.filter(|point| self.allows(point)).count() as u64 {
            0 => Err(Error::NothingAdmissible { tried: grid.len, what: "points of the grid" }),
            admissible => Ok(admissible),
        }
    }

    /// The first point from `index` on that satisfies the constraints, and its index.
    pub fn grid_next(&self, index: u64) -> Option<(u64, Assignment)> {
        let grid = Grid::new(&self.dimensions, "").ok()?;
        (index..grid.len)
            .filter_map(|index| Some((index, grid.point(index)?)))
            .find(|(_, point)| self.allows(point))
    }
}

/// The grid of a group, of which what all points share is computed once.
struct Grid<'a> {
    dimensions: &'a Dimensions,
    blocks: Vec<Block<'a>>,
    /// The grids of the groups in it.
    inner: BTreeMap<&'a str, Grid<'a>>,
    len: u64,
}

/// Points with the same values of the hyperparameters that conditions name.
struct Block<'a> {
    fixed: BTreeMap<&'a str, Value>,
    /// The other active hyperparameters and their numbers of points, in order.
    axes: Vec<(&'a str, u64)>,
    /// How many points are in the blocks before it.
    start: u64,
    len: u64,
}

fn too_large() -> Error {
    Error::GridTooLarge { allowed: u64::MAX }
}

impl<'a> Grid<'a> {
    fn new(dimensions: &'a Dimensions, path: &str) -> Result<Self, Error> {
        let mut inner = BTreeMap::new();
        let mut lens = BTreeMap::new();
        for (name, dimension) in dimensions {
            let path = join(path, name);
            let len = if let Domain::Group(group) = &dimension.domain {
                let grid = Grid::new(group, &path)?;
                let len = grid.len;
                inner.insert(name.as_str(), grid);
                len
            } else {
                axis_len(&dimension.domain, &path)?
            };
            lens.insert(name.as_str(), len);
        }
        let mut blocks = blocks(dimensions, &lens, path)?;
        let mut len = 0_u64;
        for block in &mut blocks {
            block.start = len;
            len = len.checked_add(block.len).ok_or_else(too_large)?;
        }
        Ok(Self { dimensions, blocks, inner, len })
    }

    fn point(&self, index: u64) -> Option<Assignment> {
        if index >= self.len {
            return None;
        }
        let after = self.blocks.partition_point(|block| block.start <= index);
        // A block without points begins where the next does.
        let block = self.blocks[..after].iter().rev().find(|block| index - block.start < block.len)?;
        let mut index = index - block.start;
        let mut point: Assignment =
            block.fixed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        for &(name, len) in block.axes.iter().rev() {
            let place = index % len;
            let value = match self.inner.get(name) {
                Some(grid) => Value::Map(grid.point(place)?),
                None => axis_point(&self.dimensions.get(name)?.domain, place, len)?,
            };
            point.insert(name.to_owned(), value);
            index /= len;
        }
        Some(point)
    }
}

fn blocks<'a>(
    dimensions: &'a Dimensions,
    lens: &BTreeMap<&'a str, u64>,
    path: &str,
) -> Result<Vec<Block<'a>>, Error> {
    let named: BTreeSet<&str> =
        dimensions.values().flat_map(|dimension| dimension.condition.keys().map(String::as_str)).collect();
    let named: Vec<(&str, u64)> =
        lens.iter().filter(|(name, _)| named.contains(*name)).map(|(&n, &l)| (n, l)).collect();
    let combinations = named.iter().try_fold(1_u64, |product, (_, len)| product.checked_mul(*len));
    let Some(combinations) = combinations.filter(|&count| count <= MAX_COMBINATIONS) else {
        return Err(Error::GridConditions { path: path.to_owned(), allowed: MAX_COMBINATIONS });
    };
    let all = (0..combinations).map(|combination| block(dimensions, lens, &named, combination));
    all.filter_map(Result::transpose).collect()
}

/// The block of one combination of the `named`; none if it differs from another only in what is inactive.
fn block<'a>(
    dimensions: &'a Dimensions,
    lens: &BTreeMap<&'a str, u64>,
    named: &[(&'a str, u64)],
    mut combination: u64,
) -> Result<Option<Block<'a>>, Error> {
    let mut places: BTreeMap<&str, u64> = BTreeMap::new();
    let mut fixed = BTreeMap::new();
    for &(name, len) in named.iter().rev() {
        let place = combination % len;
        combination /= len;
        places.insert(name, place);
        if let Some(value) =
            dimensions.get(name).and_then(|dimension| axis_point(&dimension.domain, place, len))
        {
            fixed.insert(name, value);
        }
    }
    let active = |name: &str| is_active(dimensions, &fixed, name);
    if places.iter().any(|(name, &place)| place > 0 && !active(name)) {
        return Ok(None);
    }
    let axes: Vec<(&str, u64)> = lens
        .iter()
        .filter(|(name, _)| !places.contains_key(*name) && active(name))
        .map(|(&name, &len)| (name, len))
        .collect();
    let len =
        axes.iter().try_fold(1_u64, |product, (_, len)| product.checked_mul(*len)).ok_or_else(too_large)?;
    let inactive: Vec<&str> = places.keys().copied().filter(|name| !active(name)).collect();
    fixed.retain(|name, _| !inactive.contains(name));
    Ok(Some(Block { fixed, axes, start: 0, len }))
}

fn axis_len(domain: &Domain, path: &str) -> Result<u64, Error> {
    let given = |count: Option<u64>| {
        count.filter(|&count| count > 0).ok_or(Error::GridCount { path: path.to_owned() })
    };
    match domain {
        Domain::Const(_) => Ok(1),
        Domain::Int { min, max, count, .. } => {
            let last = max.wrapping_sub(*min) as u64;
            match count {
                Some(_) => Ok(given(*count)?.min(last.saturating_add(1))),
                None => last.checked_add(1).ok_or_else(too_large),
            }
        }
        Domain::Double { count, .. } | Domain::Log { count, .. } => given(*count),
        Domain::Categorical(values) | Domain::Ordinal(values) => Ok(values.len() as u64),
        // Groups have grids of their own.
        Domain::Group(_) => Ok(1),
    }
}

fn axis_point(domain: &Domain, index: u64, len: u64) -> Option<Value> {
    Some(match domain {
        Domain::Const(value) => value.clone(),
        Domain::Int { min, max, log: false, .. } => Value::Int(spaced_integer(*min, *max, index, len)),
        Domain::Int { min, max, log: true, .. } => Value::Int(log_spaced_integer(*min, *max, index, len)),
        Domain::Double { min, max, log, quantize, .. } => {
            let unit = fraction(index, len);
            let number = if *log { log_between(unit, *min, *max) } else { between(unit, *min, *max) };
            Value::Double(quantized(number, *min, *max, *quantize))
        }
        Domain::Log { base, minval, maxval, .. } => {
            Value::Double(finite(base.powf(between(fraction(index, len), *minval, *maxval))))
        }
        Domain::Categorical(values) | Domain::Ordinal(values) => values.get(index as usize)?.clone(),
        Domain::Group(_) => return None,
    })
}

/// `len` points from 0 to 1; one point is the middle.
fn fraction(index: u64, len: u64) -> f64 {
    if len == 1 { 0.5 } else { index as f64 / (len - 1) as f64 }
}

/// `min + index · (max − min) / (len − 1)`, exactly, rounded to the nearest, halves away from zero.
fn spaced_integer(min: i64, max: i64, index: u64, len: u64) -> i64 {
    let range = u128::from(max.wrapping_sub(min) as u64);
    let (steps, of) = if len == 1 { (1, 2) } else { (u128::from(index), u128::from(len - 1)) };
    let (whole, part) = (range * steps / of, range * steps % of);
    let floor = i128::from(min) + whole as i128;
    let up = if part * 2 == of { floor >= 0 } else { part * 2 > of };
    (floor + i128::from(up)) as i64
}

/// Evenly spaced in the logarithm and rounded, but at least one apart, so that no integer comes twice.
fn log_spaced_integer(min: i64, max: i64, index: u64, len: u64) -> i64 {
    let rounded = log_between(fraction(index, len), min as f64, max as f64).round() as i64;
    rounded.max(min.saturating_add_unsigned(index)).min(max)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
