//! Histogram of equal bins.

use crate::array::{Element, Input};
use crate::device::Device;
use crate::error::Error;
use crate::{cpu, gpu};

/// The bins a histogram has: `count` equal ones from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bins {
    low: f64,
    high: f64,
    count: usize,
}

impl Bins {
    /// Checks that `low < high`, both finite and not too far apart, and that there are 1 to 2²⁴ bins.
    pub fn new(low: f64, high: f64, count: usize) -> Result<Self, Error> {
        let scale = count as f64 / (high - low);
        if !(low < high && (high - low).is_finite() && scale.is_finite() && scale > 0.0) {
            return Err(Error::input(
                "the range of the bins",
                format!("{low} to {high}"),
                "two finite numbers, the first lower, whose difference is finite and not tiny",
            ));
        }
        if !(1..=1 << 24).contains(&count) {
            return Err(Error::input("the number of bins", count, "1 to 16 777 216"));
        }
        Ok(Self { low, high, count })
    }

    /// Where the first begins.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// Where the last ends.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bins per unit, the factor both implementations multiply by.
    pub(crate) fn scale(&self) -> f64 {
        self.count as f64 / (self.high - self.low)
    }
}

/// How many values are in each bin, and how many in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Of each bin. A bin contains its lower edge, the last one also the upper edge.
    pub counts: Vec<u64>,
    /// Below the first, minus infinity included.
    pub below: u64,
    /// Above the last, infinity included.
    pub above: u64,
    /// Not a number.
    pub nan: u64,
}

impl Histogram {
    /// From the bins' counts followed by the three others.
    pub(crate) fn from_counts(mut counts: Vec<u64>) -> Self {
        let nan = counts.pop().unwrap_or_default();
        let above = counts.pop().unwrap_or_default();
        let below = counts.pop().unwrap_or_default();
        Self { counts, below, above, nan }
    }
}

/// Counts values in bins: `floor((x − low) · (count / (high − low)))`, computed in `f64` in this order, at most the last. The same
/// counts on every device.
pub fn histogram<'a, T: Element>(
    device: &Device,
    values: impl Into<Input<'a, T>>,
    bins: &Bins,
) -> Result<Histogram, Error> {
    let counts = device.run(
        values.into(),
        |on| gpu::histogram::count::<T>(&on, bins),
        |values| cpu::histogram::count(values, bins),
    )?;
    Ok(Histogram::from_counts(counts))
}
