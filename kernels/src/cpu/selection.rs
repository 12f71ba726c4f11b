//! The best k and order statistics of segments.

use crate::array::Element;
use crate::order::{Best, order_key};
use crate::partial::Entry;
use crate::segments::{Segments, TopK, Wanted};
use rayon::prelude::*;

/// Segments that one task takes at least.
const FEWEST: usize = 16;

pub(crate) fn top_k<T: Element>(values: &[T], segments: &Segments, k: usize, best: Best) -> TopK {
    let segment = |index: usize| {
        let values = &values[segments.range(index)];
        let count = k.min(values.len());
        let mut keys: Vec<(u64, u32)> =
            values.iter().zip(0..).map(|(value, place)| (order_key(value.widen(), best), place)).collect();
        if count > 0 && count < keys.len() {
            keys.select_nth_unstable(count - 1);
        }
        keys.truncate(count);
        keys.sort_unstable();
        let entry = |(_, place)| Entry { value: values[place as usize].widen(), index: place as usize };
        keys.into_iter().map(entry).collect::<Vec<_>>()
    };
    let found: Vec<Vec<Entry>> =
        (0..segments.len()).into_par_iter().with_min_len(FEWEST).map(segment).collect();
    TopK { offsets: TopK::offsets(segments, k), entries: found.into_iter().flatten().collect() }
}

/// The value at each wanted rank.
pub(crate) fn order_statistics<T: Element>(values: &[T], segments: &Segments, wanted: &Wanted) -> Vec<f64> {
    let segment = |index: usize| {
        let ranks = &wanted.ranks[wanted.offsets[index] as usize..wanted.offsets[index + 1] as usize];
        let mut values: Vec<f64> = values[segments.range(index)].iter().map(|value| value.widen()).collect();
        let key = |value: &f64| order_key(*value, Best::Smallest);
        // A few ranks are selected one by one, each in what lies behind the one before it.
        if ranks.len() > 8 || values.len() < 64 {
            values.sort_unstable_by_key(key);
        } else {
            let mut ascending = ranks.to_vec();
            ascending.sort_unstable();
            ascending.dedup();
            let mut sorted = 0;
            for rank in ascending {
                values[sorted..].select_nth_unstable_by_key(rank as usize - sorted, key);
                sorted = rank as usize + 1;
            }
        }
        ranks.iter().map(|&rank| values[rank as usize]).collect::<Vec<_>>()
    };
    let found: Vec<Vec<f64>> =
        (0..segments.len()).into_par_iter().with_min_len(FEWEST).map(segment).collect();
    found.into_iter().flatten().collect()
}
