//! Histogram of equal bins.

use crate::array::Element;
use crate::histogram::Bins;
use rayon::prelude::*;

/// Values that one task counts.
const CHUNK: usize = 1 << 20;

/// The bins' counts, then those below, above and NaN.
pub(crate) fn count<T: Element>(values: &[T], bins: &Bins) -> Vec<u64> {
    let zeros = || vec![0_u64; bins.count() + 3];
    let chunk = |mut counts: Vec<u64>, values: &[T]| {
        for value in values {
            counts[bin_of(value.widen(), bins)] += 1;
        }
        counts
    };
    let added = |mut a: Vec<u64>, b: Vec<u64>| {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    };
    values.par_chunks(CHUNK.max(bins.count())).fold(zeros, chunk).reduce(zeros, added)
}

/// The twin of `bin_of` in `cuda/histogram.cu`.
fn bin_of(value: f64, bins: &Bins) -> usize {
    if value.is_nan() {
        bins.count() + 2
    } else if value < bins.low() {
        bins.count()
    } else if value > bins.high() {
        bins.count() + 1
    } else {
        (((value - bins.low()) * bins.scale()) as usize).min(bins.count() - 1)
    }
}
