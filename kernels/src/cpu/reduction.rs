//! Moments and extremes of segments.
//!
//! A block of values is summed around its first finite value in eight lanes, which the compiler keeps in vector registers; blocks
//! are merged in order.

use crate::array::Element;
use crate::partial::{Entry, Extremes, Moments};
use crate::segments::{Segments, Statistics};
use rayon::prelude::*;

const LANES: usize = 8;
/// Values that are summed around one shift.
const BLOCK: usize = 4096;
/// Values that one task takes of a long segment.
const CHUNK: usize = 1 << 17;

/// What is looked for in each segment.
pub(crate) fn reduce<T: Element>(
    values: &[T],
    segments: &Segments,
    statistics: Statistics,
) -> Vec<(Moments, Extremes)> {
    let segment = |index: usize| {
        let values = &values[segments.range(index)];
        if values.len() <= CHUNK {
            return chunk(values, 0, statistics);
        }
        let chunks = values.par_chunks(CHUNK).enumerate();
        let found: Vec<_> =
            chunks.map(|(number, chunk_)| chunk(chunk_, number * CHUNK, statistics)).collect();
        found.into_iter().reduce(merged).unwrap_or_default()
    };
    let least = (CHUNK * segments.len() / values.len().max(1)).clamp(1, 4096);
    (0..segments.len()).into_par_iter().with_min_len(least).map(segment).collect()
}

fn merged(a: (Moments, Extremes), b: (Moments, Extremes)) -> (Moments, Extremes) {
    (a.0.merged(b.0), a.1.merged(b.1))
}

/// Values whose first has this index in its segment.
fn chunk<T: Element>(values: &[T], first: usize, statistics: Statistics) -> (Moments, Extremes) {
    let (mut moments, mut extremes) = (Moments::default(), Extremes::default());
    for (number, block) in values.chunks(BLOCK).enumerate() {
        if statistics != Statistics::Extremes {
            moments = moments.merged(block_moments(block));
        }
        if statistics != Statistics::Moments {
            extremes = block_extremes(block, first + number * BLOCK, extremes);
        }
    }
    (moments, extremes)
}

fn block_moments<T: Element>(values: &[T]) -> Moments {
    let Some(shift) = values.iter().map(|value| value.widen()).find(|value| value.is_finite()) else {
        return Moments::default();
    };
    let (mut sums, mut squares, mut counts) = ([0.0; LANES], [0.0; LANES], [0_u64; LANES]);
    let mut add = |lane: usize, value: T| {
        let value = value.widen();
        let finite = value.is_finite();
        let apart = if finite { value - shift } else { 0.0 };
        sums[lane] += apart;
        squares[lane] += apart * apart;
        counts[lane] += u64::from(finite);
    };
    let eights = values.chunks_exact(LANES);
    let rest = eights.remainder();
    for eight in eights {
        for (lane, &value) in eight.iter().enumerate() {
            add(lane, value);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        add(lane, value);
    }
    let (sum, squares): (f64, f64) = (sums.iter().sum(), squares.iter().sum());
    let count: u64 = counts.iter().sum();
    let n = count as f64;
    let m2 = if squares < f64::INFINITY { (squares - sum * (sum / n)).max(0.0) } else { f64::INFINITY };
    Moments { count, sum: shift.mul_add(n, sum), center: shift + sum / n, m2 }
}

/// The extremes of what came before together with a block's.
fn block_extremes<T: Element>(values: &[T], first: usize, so_far: Extremes) -> Extremes {
    let (mut least, mut most) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let mut see = |lane: usize, value: T| {
        let value = value.widen();
        least[lane] = if value < least[lane] { value } else { least[lane] };
        most[lane] = if value > most[lane] { value } else { most[lane] };
    };
    let eights = values.chunks_exact(LANES);
    let rest = eights.remainder();
    for eight in eights {
        for (lane, &value) in eight.iter().enumerate() {
            see(lane, value);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        see(lane, value);
    }
    let least = least.into_iter().fold(f64::INFINITY, f64::min);
    let most = most.into_iter().fold(f64::NEG_INFINITY, f64::max);
    // A block of NaN also comes to infinity; then none of its values is found.
    let entry = |wanted: f64| {
        let index = values.iter().position(|value| value.widen() == wanted)?;
        Some(Entry { value: values[index].widen(), index: first + index })
    };
    let min = if so_far.min.is_some_and(|min| min.value <= least) {
        so_far.min
    } else {
        entry(least).or(so_far.min)
    };
    let max =
        if so_far.max.is_some_and(|max| max.value >= most) { so_far.max } else { entry(most).or(so_far.max) };
    Extremes { min, max }
}
