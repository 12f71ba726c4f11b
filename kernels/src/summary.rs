//! All summary statistics of an array in one pass.

use crate::array::{Element, Input};
use crate::device::Device;
use crate::error::Error;
use crate::partial::{Extremes, Moments};
use crate::segments::{Segments, Statistics};
use crate::{cpu, gpu};

/// What an array holds. Tolerances are those of [`Moments`] and [`Extremes`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many elements there are, of any kind.
    pub length: u64,
    /// Count, sum, mean and variance of the finite ones.
    pub moments: Moments,
    /// The smallest and largest that are not NaN, and where.
    pub extremes: Extremes,
}

impl Summary {
    /// How many elements are NaN or infinite.
    pub fn not_finite(&self) -> u64 {
        self.length - self.moments.count
    }
}

/// The summary of an array.
pub fn summary<'a, T: Element>(device: &Device, values: impl Into<Input<'a, T>>) -> Result<Summary, Error> {
    let values = values.into();
    let whole = Segments::whole(values.len());
    Ok(summaries(device, values, &whole)?.pop().unwrap_or_default())
}

/// The summary of each segment.
pub fn summaries<'a, T: Element>(
    device: &Device,
    values: impl Into<Input<'a, T>>,
    segments: &Segments,
) -> Result<Vec<Summary>, Error> {
    let values = values.into();
    segments.check_within(values.len())?;
    let found: Vec<(Moments, Extremes)> = device.run(
        values,
        |on| gpu::reduction::reduce::<T>(&on, segments, Statistics::All),
        |values| cpu::reduction::reduce(values, segments, Statistics::All),
    )?;
    let lengths = segments.ranges().map(|range| range.len() as u64);
    let summaries = lengths.zip(found);
    Ok(summaries.map(|(length, (moments, extremes))| Summary { length, moments, extremes }).collect())
}
