//! Best k, quantiles and running best against the reference.

use super::inputs::{few, narrow, segmented, values, widen};
use super::{devices, reference};
use crate::Best;
use crate::segments::{Segments, TopK, quantiles, running_best, top_k};
use proptest::prelude::*;

fn check_top_k(
    found: &TopK,
    values: &[f64],
    segments: &Segments,
    k: usize,
    best: Best,
) -> Result<(), TestCaseError> {
    for (number, range) in segments.ranges().enumerate() {
        let values = &values[range];
        let mut expected = reference::order(values, best == Best::Largest);
        expected.truncate(k);
        let indices: Vec<usize> = found.segment(number).iter().map(|entry| entry.index).collect();
        prop_assert_eq!(indices, expected);
        for entry in found.segment(number) {
            prop_assert!(reference::same(entry.value, values[entry.index]));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn the_best_k_are_those_of_the_reference(
        (wide, segments) in segmented(), k in 0_usize..200, best in prop_oneof![Just(Best::Smallest), Just(Best::Largest)]
    ) {
        let short = narrow(&wide);
        for device in devices() {
            check_top_k(&top_k(device, &wide, &segments, k, best).unwrap(), &wide, &segments, k, best)?;
            check_top_k(&top_k(device, &short, &segments, k, best).unwrap(), &widen(&short), &segments, k, best)?;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_reference(
        (wide, segments) in segmented(), mut probabilities in prop::collection::vec(0.0..=1.0, 0..3)
    ) {
        probabilities.extend([0.5, 1.0]);
        let short = narrow(&wide);
        let rounded = widen(&short);
        for device in devices() {
            let both = [
                (quantiles(device, &wide, &segments, &probabilities), &wide),
                (quantiles(device, &short, &segments, &probabilities), &rounded),
            ];
            for (found, values) in both {
                let found = found.unwrap();
                let mut expected = Vec::new();
                for range in segments.ranges() {
                    expected.extend(probabilities.iter().map(|&p| reference::quantile(&values[range.clone()], p)));
                }
                prop_assert_eq!(found.len(), expected.len());
                for (&found, &expected) in found.iter().zip(&expected) {
                    prop_assert!(reference::same(found, expected), "{found} is {expected} {device:?}");
                }
            }
        }
    }

    #[test]
    fn the_running_best_is_that_of_the_reference(
        (wide, segments) in segmented(), best in prop_oneof![Just(Best::Smallest), Just(Best::Largest)]
    ) {
        let short = narrow(&wide);
        let rounded = widen(&short);
        for device in devices() {
            let both = [
                (running_best(device, &wide, &segments, best).unwrap().into_vec().unwrap(), &wide),
                (widen(&running_best(device, &short, &segments, best).unwrap().into_vec().unwrap()), &rounded),
            ];
            for (found, values) in both {
                for range in segments.ranges() {
                    let expected = reference::running_best(&values[range.clone()], best == Best::Largest);
                    for (&found, &expected) in found[range].iter().zip(&expected) {
                        prop_assert!(reference::same(found, expected), "{found} is {expected} {device:?}");
                    }
                }
            }
        }
    }

    /// The bits of a key that are shared and those that are not fall into different digits.
    #[test]
    fn close_values_are_told_apart(values in values(129..400)) {
        let close: Vec<f64> = values.iter().map(|value| f64::from_bits(1.5_f64.to_bits() + (value.to_bits() >> 53))).collect();
        let segments = Segments::whole(close.len());
        for device in devices() {
            check_top_k(&top_k(device, &close, &segments, 50, Best::Smallest).unwrap(), &close, &segments, 50, Best::Smallest)?;
            let median = quantiles(device, &close, &segments, &[0.5]).unwrap()[0];
            prop_assert!(reference::same(median, reference::quantile(&close, 0.5)));
        }
    }
}

#[test]
fn at_equal_values_the_lowest_indices_are_the_best() {
    let values = vec![7.0_f32; 20_000];
    let segments = Segments::new(vec![1, 40, 19_999]).unwrap();
    for device in devices() {
        let found = top_k(device, &values, &segments, 30, Best::Largest).unwrap();
        for number in 0..2 {
            let indices: Vec<usize> = found.segment(number).iter().map(|entry| entry.index).collect();
            assert_eq!(indices, (0..30).collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_cannot_be_asked_is_explained() {
    let values = [1.0, 2.0];
    for device in devices() {
        let error = |result: Result<Vec<f64>, crate::Error>| result.unwrap_err().to_string();
        let beyond = error(quantiles(device, &values, &Segments::whole(3), &[0.5]));
        assert!(beyond.contains("end of the last segment is 3, the array has 2"), "{beyond}");
        let probability = error(quantiles(device, &values, &Segments::whole(2), &[f64::NAN]));
        assert!(probability.contains("from 0 to 1"), "{probability}");
        let part = Segments::new(vec![1, 2]).unwrap();
        let uncovered = running_best(device, &values, &part, Best::Smallest).unwrap_err().to_string();
        assert!(uncovered.contains("1..2 of 2"), "{uncovered}");
    }
    assert!(Segments::new(vec![0, 3, 2]).unwrap_err().to_string().contains("2 after 3 (number 2)"));
    assert!(Segments::new(Vec::new()).is_err());
}
