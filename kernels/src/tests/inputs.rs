//! Inputs for property tests: awkward values, and segments of awkward lengths.

use crate::segments::Segments;
use proptest::prelude::*;

/// Values of several kinds mixed: ordinary, equal, far from zero, not finite, and zeros of both signs.
pub(crate) fn values(length: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        6 => -1000.0_f64..1000.0,
        3 => (-3_i8..3).prop_map(f64::from),
        2 => 1e6_f64..1.000_001e6,
        1 => Just(f64::NAN),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        1 => prop_oneof![Just(0.0), Just(-0.0)],
    ];
    prop::collection::vec(value, length)
}

/// Segments that cover some length: many short ones, and now and then one that is cut into pieces.
pub(crate) fn segments() -> impl Strategy<Value = Segments> {
    let length = prop_oneof![
        2 => Just(0_usize),
        2 => Just(1),
        8 => 2_usize..40,
        3 => 100_usize..300,
        1 => 4097_usize..9000,
    ];
    prop::collection::vec(length, 0..14).prop_map(Segments::of_lengths)
}

/// Segments, and values that they cover.
pub(crate) fn segmented() -> impl Strategy<Value = (Vec<f64>, Segments)> {
    segments().prop_flat_map(|segments| {
        let length = segments.offsets()[segments.len()] as usize;
        (values(length), Just(segments.offsets().to_vec()))
            .prop_map(|(values, offsets)| (values, Segments::new(offsets).unwrap()))
    })
}

/// The same values as `f32`.
pub(crate) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// And widened again.
pub(crate) fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Few cases: an emulated block takes milliseconds.
pub(crate) fn few() -> ProptestConfig {
    ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() }
}
