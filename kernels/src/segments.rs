//! Segments of an array; their moments, extremes, best k, quantiles and running best.

use crate::array::{DeviceArray, Element, Input, Store};
use crate::device::Device;
use crate::error::Error;
use crate::gpu::Uploaded;
use crate::order::Best;
use crate::partial::{Entry, Extremes, Moments};
use crate::{cpu, gpu};
use std::ops::Range;

/// Where segments begin and end: segment i is `offsets[i]..offsets[i + 1]` (as the rows of a CSR matrix). They may be
/// empty. What lies before the first or behind the last belongs to none. On a GPU the offsets are uploaded once and kept.
#[derive(Debug)]
pub struct Segments {
    offsets: Vec<u64>,
    pub(crate) uploaded: Uploaded,
}

/// What a reduction looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statistics {
    Moments,
    Extremes,
    All,
}

impl Segments {
    /// Checks that there is at least one offset, and that none is lower than the one before it.
    pub fn new(offsets: Vec<u64>) -> Result<Self, Error> {
        if offsets.is_empty() {
            return Err(Error::input("the number of offsets", 0, "one more than there are segments"));
        }
        match offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            None => Ok(Self { offsets, uploaded: Uploaded::default() }),
            Some(at) => Err(Error::input(
                "an offset of the segments",
                format!("{} after {} (number {})", offsets[at + 1], offsets[at], at + 1),
                "not lower than the one before",
            )),
        }
    }

    /// Segments of these lengths, one behind the other.
    pub fn of_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut offsets = vec![0];
        let mut end = 0;
        offsets.extend(lengths.into_iter().map(|length| {
            end += length as u64;
            end
        }));
        Self { offsets, uploaded: Uploaded::default() }
    }

    /// The whole of an array as one segment.
    pub fn whole(length: usize) -> Self {
        Self::of_lengths([length])
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where each begins, and where the last ends.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// The range of each.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// The range of segment `index`.
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        self.offsets[index] as usize..self.offsets[index + 1] as usize
    }

    pub(crate) fn check_within(&self, length: usize) -> Result<(), Error> {
        let end = self.offsets[self.len()];
        if end <= length as u64 {
            return Ok(());
        }
        let found = format!("{end}, the array has {length} elements");
        Err(Error::input("the end of the last segment", found, "not beyond the end of the array"))
    }

    fn check_covers(&self, length: usize) -> Result<(), Error> {
        self.check_within(length)?;
        if self.offsets[0] == 0 && self.offsets[self.len()] == length as u64 {
            return Ok(());
        }
        let found = format!("{}..{} of {length}", self.offsets[0], self.offsets[self.len()]);
        Err(Error::input("what the segments cover", found, "the whole array"))
    }
}

/// Count, sum, mean and variance of each segment.
pub fn moments<'a, T: Element>(
    device: &Device,
    values: impl Into<Input<'a, T>>,
    segments: &Segments,
) -> Result<Vec<Moments>, Error> {
    Ok(reduce(device, values.into(), segments, Statistics::Moments)?
        .into_iter()
        .map(|(found, _)| found)
        .collect())
}

/// The smallest and the largest value of each segment, and where they are.
pub fn extremes<'a, T: Element>(
    device: &Device,
    values: impl Into<Input<'a, T>>,
    segments: &Segments,
) -> Result<Vec<Extremes>, Error> {
    Ok(reduce(device, values.into(), segments, Statistics::Extremes)?
        .into_iter()
        .map(|(_, found)| found)
        .collect())
}

fn reduce<T: Element>(
    device: &Device,
    values: Input<'_, T>,
    segments: &Segments,
    statistics: Statistics,
) -> Result<Vec<(Moments, Extremes)>, Error> {
    segments.check_within(values.len())?;
    device.run(
        values,
        |on| gpu::reduction::reduce::<T>(&on, segments, statistics),
        |values| cpu::reduction::reduce(values, segments, statistics),
    )
}

/// The best of each segment, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    pub(crate) offsets: Vec<usize>,
    pub(crate) entries: Vec<Entry>,
}

impl TopK {
    /// The best of segment `index`: k of them, or all if it has fewer.
    pub fn segment(&self, index: usize) -> &[Entry] {
        &self.entries[self.offsets[index]..self.offsets[index + 1]]
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the entries of each segment begin if it gives at most `k`.
    pub(crate) fn offsets(segments: &Segments, k: usize) -> Vec<usize> {
        let mut offsets = vec![0];
        offsets.extend(segments.ranges().scan(0, |end, range| {
            *end += range.len().min(k);
            Some(*end)
        }));
        offsets
    }
}

/// The best `k` of each segment, best first, NaN last, the lower index first at equal values. Exact.
pub fn top_k<'a, T: Element>(
    device: &Device,
    values: impl Into<Input<'a, T>>,
    segments: &Segments,
    k: usize,
    best: Best,
) -> Result<TopK, Error> {
    let values = values.into();
    segments.check_within(values.len())?;
    device.run(
        values,
        |on| gpu::selection::top_k::<T>(&on, segments, k, best),
        |values| cpu::selection::top_k(values, segments, k, best),
    )
}

/// The `probabilities` (each in 0..=1) quantiles of each segment, a segment after the other.
///
/// Of n values in order (NaN last) the quantile p is the one at `h = p · (n − 1)`, between two neighbours a and b on the line from one to the
/// other: `a + (b − a) · frac(h)` if `b − a` is finite, else `a · (1 − frac(h)) + b · frac(h)` (definition 7 of Hyndman and Fan, 1996).
/// So NaN counts as the worst value, and a quantile that falls on one is NaN. The same bits on every device; -0 is given as 0.
pub fn quantiles<'a, T: Element>(
    device: &Device,
    values: impl Into<Input<'a, T>>,
    segments: &Segments,
    probabilities: &[f64],
) -> Result<Vec<f64>, Error> {
    let values = values.into();
    segments.check_within(values.len())?;
    if let Some(found) = probabilities.iter().find(|found| !(0.0..=1.0).contains(*found)) {
        return Err(Error::input("a probability of a quantile", found, "a number from 0 to 1"));
    }
    let wanted = Wanted::new(segments, probabilities);
    let sorted = order_statistics(device, values, segments, &wanted)?;
    Ok(wanted.interpolate(segments, probabilities, &sorted))
}

/// The values at some ranks.
pub(crate) fn order_statistics<T: Element>(
    device: &Device,
    values: Input<'_, T>,
    segments: &Segments,
    wanted: &Wanted,
) -> Result<Vec<f64>, Error> {
    device.run(
        values,
        |on| gpu::selection::order_statistics::<T>(&on, segments, wanted),
        |values| cpu::selection::order_statistics(values, segments, wanted),
    )
}

/// The ranks that quantiles need: two of each segment and probability, ascending within a segment or equal.
pub(crate) struct Wanted {
    /// Where the ranks of each segment begin.
    pub offsets: Vec<u64>,
    pub ranks: Vec<u64>,
}

impl Wanted {
    fn new(segments: &Segments, probabilities: &[f64]) -> Self {
        let (mut offsets, mut ranks) = (vec![0], Vec::new());
        for range in segments.ranges() {
            if !range.is_empty() {
                for &probability in probabilities {
                    let (rank, fraction) = place(range.len(), probability);
                    ranks.push(rank);
                    ranks.push(rank + u64::from(fraction > 0.0));
                }
            }
            offsets.push(ranks.len() as u64);
        }
        Self { offsets, ranks }
    }

    /// The same ranks in each segment.
    pub(crate) fn in_each(segments: &Segments, ranks: &[u64]) -> Self {
        let offsets = (0..=segments.len()).map(|segment| (segment * ranks.len()) as u64).collect();
        Self { offsets, ranks: ranks.repeat(segments.len()) }
    }

    fn interpolate(&self, segments: &Segments, probabilities: &[f64], sorted: &[f64]) -> Vec<f64> {
        let mut quantiles = Vec::with_capacity(segments.len() * probabilities.len());
        for (range, &first) in segments.ranges().zip(&self.offsets) {
            for (number, &probability) in probabilities.iter().enumerate() {
                let at = first as usize + 2 * number;
                quantiles.push(if range.is_empty() {
                    f64::NAN
                } else {
                    between(sorted[at], sorted[at + 1], place(range.len(), probability).1)
                });
            }
        }
        quantiles
    }
}

/// The rank of a quantile, and how far it is to the next.
fn place(length: usize, probability: f64) -> (u64, f64) {
    let place = probability * (length - 1) as f64;
    (place.floor() as u64, place.fract())
}

fn between(low: f64, high: f64, fraction: f64) -> f64 {
    let (low, high) = (low + 0.0, high + 0.0);
    if fraction == 0.0 || low == high {
        low
    } else if (high - low).is_finite() {
        low + (high - low) * fraction
    } else {
        low * (1.0 - fraction) + high * fraction
    }
}

/// At each place the best value of its segment so far: NaN before the first number. The segments cover the whole array.
/// -0 is better than +0 for the smallest and worse for the largest. The same bits on every device.
pub fn running_best<'a, T: Element>(
    device: &Device,
    values: impl Into<Input<'a, T>>,
    segments: &Segments,
    best: Best,
) -> Result<DeviceArray<T>, Error> {
    let values = values.into();
    segments.check_covers(values.len())?;
    device.run(
        values,
        |on| gpu::running_best::running_best::<T>(&on, segments, best),
        |values| {
            let values = cpu::running_best::running_best(values, segments, best);
            DeviceArray { length: values.len(), store: Store::Host(values) }
        },
    )
}
