//! Running best: the best value of a segment up to each place.

use crate::array::Element;
use crate::order::{Best, exact_key};
use crate::segments::Segments;
use rayon::prelude::*;

/// Values that one task takes of a long segment.
const CHUNK: usize = 1 << 17;

pub(crate) fn running_best<T: Element>(values: &[T], segments: &Segments, best: Best) -> Vec<T> {
    let mut out = values.to_vec();
    let mut rest = &mut out[..];
    let mut parts = Vec::with_capacity(segments.len());
    for range in segments.ranges() {
        let (part, behind) = rest.split_at_mut(range.len());
        parts.push(part);
        rest = behind;
    }
    parts.into_par_iter().with_min_len(16).for_each(|part| run_segment(part, best));
    out
}

fn run_segment<T: Element>(values: &mut [T], best: Best) {
    if values.len() <= CHUNK {
        run(values, T::NAN, best);
        return;
    }
    let ends: Vec<T> = values
        .par_chunks(CHUNK)
        .map(|chunk| chunk.iter().fold(T::NAN, |so_far, &value| better(so_far, value, best)))
        .collect();
    let before: Vec<T> = std::iter::once(T::NAN)
        .chain(ends.iter().scan(T::NAN, |so_far, &end| {
            *so_far = better(*so_far, end, best);
            Some(*so_far)
        }))
        .collect();
    values.par_chunks_mut(CHUNK).zip(before).for_each(|(chunk, before)| run(chunk, before, best));
}

fn run<T: Element>(values: &mut [T], before: T, best: Best) {
    let mut so_far = before;
    for value in values {
        so_far = better(so_far, *value, best);
        *value = so_far;
    }
}

fn better<T: Element>(earlier: T, later: T, best: Best) -> T {
    if exact_key(later.widen(), best) < exact_key(earlier.widen(), best) { later } else { earlier }
}
