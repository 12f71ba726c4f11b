//! Moments, extremes and histograms against the reference.

use super::inputs::{few, narrow, segmented, values, widen};
use super::{devices, reference};
use crate::histogram::{Bins, histogram};
use crate::partial::{Extremes, Moments};
use crate::segments::{Segments, extremes, moments};
use crate::summary::{summaries, summary};
use crate::{Device, Input};
use proptest::prelude::*;

fn check_moments(found: &Moments, values: &[f64], device: &Device) -> Result<(), TestCaseError> {
    let finite = reference::finite(values);
    let n = finite.len() as f64;
    prop_assert_eq!(found.count, finite.len() as u64, "{:?}", device);
    if finite.is_empty() {
        prop_assert!(found.sum == 0.0 && found.mean().is_nan() && found.variance().is_nan());
        return Ok(());
    }
    let sum = reference::sum(finite.iter().copied());
    let mean = sum / n;
    let m2 = reference::sum(finite.iter().map(|value| (value - mean) * (value - mean)));
    let size = reference::sum(finite.iter().map(|value| value.abs()));
    let spread = reference::sum(finite.iter().map(|value| (value - finite[0]) * (value - finite[0])));
    prop_assert!((found.sum - sum).abs() <= 1e-12 * size, "sum {} is {sum} {device:?}", found.sum);
    prop_assert!(
        (found.mean() * n - sum).abs() <= 1e-12 * size,
        "mean {} is {mean} {device:?}",
        found.mean()
    );
    let allowed = 1e-10 * m2 + 1e-12 * spread + 1e-24 * size * size;
    prop_assert!((found.m2 - m2).abs() <= allowed, "m2 {} is {m2} {device:?}", found.m2);
    Ok(())
}

fn check_extremes(found: &Extremes, values: &[f64], device: &Device) -> Result<(), TestCaseError> {
    for (found, index) in [(found.min, reference::argmin(values)), (found.max, reference::argmax(values))] {
        prop_assert_eq!(found.map(|entry| entry.index), index, "{:?}", device);
        if let (Some(entry), Some(index)) = (found, index) {
            prop_assert!(reference::same(entry.value, values[index]), "{} {}", entry.value, values[index]);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn segments_have_the_moments_and_extremes_of_the_reference((wide, segments) in segmented()) {
        let (short, rounded) = (narrow(&wide), widen(&narrow(&wide)));
        for device in devices() {
            let both = [
                (moments(device, &wide, &segments), extremes(device, &wide, &segments), &wide),
                (moments(device, &short, &segments), extremes(device, &short, &segments), &rounded),
            ];
            for (moments, extremes, values) in both {
                let (moments, extremes) = (moments.unwrap(), extremes.unwrap());
                prop_assert_eq!((moments.len(), extremes.len()), (segments.len(), segments.len()));
                for (number, range) in segments.ranges().enumerate() {
                    check_moments(&moments[number], &values[range.clone()], device)?;
                    check_extremes(&extremes[number], &values[range], device)?;
                }
            }
        }
    }

    #[test]
    fn an_array_has_the_summary_of_the_reference(wide in prop_oneof![values(0..50), values(4000..12_000)]) {
        let (short, rounded) = (narrow(&wide), widen(&narrow(&wide)));
        for device in devices() {
            for (found, values) in [(summary(device, &wide), &wide), (summary(device, &short), &rounded)] {
                let found = found.unwrap();
                prop_assert_eq!(found.length, values.len() as u64);
                prop_assert_eq!(found.not_finite(), values.iter().filter(|value| !value.is_finite()).count() as u64);
                check_moments(&found.moments, values, device)?;
                check_extremes(&found.extremes, values, device)?;
            }
        }
    }

    #[test]
    fn histograms_count_what_the_reference_counts(
        wide in values(0..3000), low in -1000.0..0.0, width in 0.1..2000.0, bins in prop_oneof![1..300_usize, 8000..9000_usize]
    ) {
        let bins = Bins::new(low, low + width, bins).unwrap();
        let (short, rounded) = (narrow(&wide), widen(&narrow(&wide)));
        for device in devices() {
            for (found, values) in [(histogram(device, &wide, &bins), &wide), (histogram(device, &short, &bins), &rounded)] {
                let found = found.unwrap();
                let expected = reference::histogram(values, bins.low(), bins.high(), bins.count());
                prop_assert_eq!((found.counts, found.below, found.above, found.nan), expected, "{:?}", device);
            }
        }
    }
}

/// A long segment that begins and ends between groups of four, between short ones and parts that belong to no segment.
#[test]
fn segments_need_not_begin_at_groups_or_cover_the_array() {
    let values: Vec<f32> = (0..20_000_u32).map(|number| ((number * 7919) % 10_007) as f32).collect();
    let segments = Segments::new(vec![3, 5, 5, 12_345, 12_346, 19_999]).unwrap();
    let wide = widen(&values);
    for device in devices() {
        let array = device.upload(&values).unwrap();
        for (found, range) in summaries(device, &array, &segments).unwrap().iter().zip(segments.ranges()) {
            check_moments(&found.moments, &wide[range.clone()], device).unwrap();
            check_extremes(&found.extremes, &wide[range], device).unwrap();
        }
    }
}

/// The spread of far-away values is lost to cancellation if squares are summed around zero, or around an outlier.
#[test]
fn variance_survives_values_that_are_far_from_zero() {
    let mut values: Vec<f64> = (0..9000_u32).map(|number| 1e9 + f64::from(number % 10)).collect();
    for device in devices() {
        let found = summary(device, &values).unwrap().moments;
        assert!((found.variance() - 8.25).abs() < 1e-9, "{} {device:?}", found.variance());
    }
    values[0] = -1e9;
    for device in devices() {
        check_moments(&summary(device, &values).unwrap().moments, &values, device).unwrap();
    }
}

#[test]
fn infinities_are_extremes_but_no_part_of_a_mean() {
    let values = [f64::NAN, f64::INFINITY, 2.0, f64::NEG_INFINITY, f64::INFINITY, 4.0];
    for device in devices() {
        let found = summary(device, &values).unwrap();
        assert_eq!((found.length, found.not_finite(), found.moments.mean()), (6, 4, 3.0));
        assert_eq!(found.extremes.min.map(|entry| entry.index), Some(3));
        assert_eq!(found.extremes.max.map(|entry| entry.index), Some(1));
        let nothing = summary(device, &vec![f32::NAN; 5000]).unwrap();
        assert_eq!((nothing.extremes, nothing.moments.count), (Extremes::default(), 0));
        let all = summary(device, &vec![f32::INFINITY; 5000]).unwrap();
        assert_eq!(all.extremes.min.map(|entry| entry.index), Some(0));
    }
}

#[test]
fn a_bin_has_its_lower_edge_and_the_last_both() {
    let values = [0.0, 0.25, 0.5, 1.0, -0.001, 1.001, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let bins = Bins::new(0.0, 1.0, 4).unwrap();
    for device in devices() {
        let found = histogram(device, &values, &bins).unwrap();
        assert_eq!((found.counts, found.below, found.above, found.nan), (vec![1, 1, 1, 1], 2, 2, 1));
    }
}

#[test]
fn an_empty_array_has_an_empty_summary() {
    for device in devices() {
        let none: &[f32] = &[];
        let found = summary(device, Input::Host(none)).unwrap();
        assert_eq!((found.length, found.moments.count, found.extremes), (0, 0, Extremes::default()));
        assert!(summaries(device, none, &Segments::new(vec![0]).unwrap()).unwrap().is_empty());
    }
}
