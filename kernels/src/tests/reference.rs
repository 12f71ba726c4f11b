//! The plainest way to say what each operation is. Nothing here is shared with the implementations.

use std::cmp::Ordering;

/// Adds with the error of each step kept (Neumaier 1974).
pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    sum + lost
}

pub(crate) fn finite(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|value| value.is_finite()).collect()
}

/// Numbers in their order, NaN last; zeros are equal.
pub(crate) fn before(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => a.partial_cmp(&b).unwrap(),
    }
}

/// Indices, best first.
pub(crate) fn order(values: &[f64], largest: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| match (values[a].is_nan() || values[b].is_nan(), largest) {
        (false, true) => before(values[b], values[a]),
        _ => before(values[a], values[b]),
    });
    order
}

/// The first index of the smallest number.
pub(crate) fn argmin(values: &[f64]) -> Option<usize> {
    order(values, false).into_iter().find(|&index| !values[index].is_nan())
}

/// The first index of the largest number.
pub(crate) fn argmax(values: &[f64]) -> Option<usize> {
    order(values, true).into_iter().find(|&index| !values[index].is_nan())
}

/// Quantile 7 of Hyndman and Fan over values in order.
pub(crate) fn quantile(values: &[f64], probability: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let sorted: Vec<f64> = order(values, false).into_iter().map(|index| values[index] + 0.0).collect();
    let place = probability * (sorted.len() - 1) as f64;
    let (low, fraction) = (sorted[place as usize], place - place.floor());
    let high = sorted[place.ceil() as usize];
    if low == high || fraction == 0.0 {
        low
    } else if low.is_infinite() || high.is_infinite() {
        low * (1.0 - fraction) + high * fraction
    } else {
        low + (high - low) * fraction
    }
}

/// At each place the best number so far; -0 is below +0.
pub(crate) fn running_best(values: &[f64], largest: bool) -> Vec<f64> {
    let mut best = f64::NAN;
    let step = |&value: &f64| {
        let order = value.total_cmp(&best);
        let is_better = if largest { order == Ordering::Greater } else { order == Ordering::Less };
        if !value.is_nan() && (best.is_nan() || is_better) {
            best = value;
        }
        best
    };
    values.iter().map(step).collect()
}

/// Counts of bins, then below, above, NaN.
pub(crate) fn histogram(values: &[f64], low: f64, high: f64, bins: usize) -> (Vec<u64>, u64, u64, u64) {
    let mut counts = vec![0; bins];
    let (mut below, mut above, mut nan) = (0, 0, 0);
    for &value in values {
        if value.is_nan() {
            nan += 1;
        } else if value < low {
            below += 1;
        } else if value > high {
            above += 1;
        } else {
            let bin = ((value - low) * (bins as f64 / (high - low))).floor() as usize;
            counts[if bin >= bins { bins - 1 } else { bin }] += 1;
        }
    }
    (counts, below, above, nan)
}

/// Whether two numbers are the same bits, or both NaN.
pub(crate) fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}
