//! Where an axis has its marks: round numbers, not too many.

use super::chart::{ChartAxis, Scale, Tick};
use crate::judge::wording::round_number;

/// The most marks on an axis.
const MOST: usize = 9;

/// A logarithmic axis over positive ends, marked at 1, 2, 5 of each decade, or at fewer where that were too many.
pub(super) fn log_axis(label: String, from: f64, to: f64) -> ChartAxis {
    let patterns: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
    let decades = from.log10().floor() as i32..=to.log10().ceil() as i32;
    let marks = |pattern: &[f64], every: usize| -> Vec<f64> {
        let decades = decades.clone().filter(|decade| decade.rem_euclid(every as i32) == 0);
        let all = decades.flat_map(|decade| pattern.iter().map(move |digit| digit * 10_f64.powi(decade)));
        all.filter(|mark| *mark >= from * 0.999 && *mark <= to * 1.001).collect()
    };
    let few = patterns.iter().map(|pattern| marks(pattern, 1)).find(|marks| marks.len() <= MOST);
    let ticks = few
        .unwrap_or_else(|| marks(&[1.0], 3))
        .into_iter()
        .map(|at| Tick { at, label: round_number(at) })
        .collect();
    ChartAxis { label, scale: Scale::Log, from, to, ticks }
}

/// An even axis, marked at multiples of 1, 2 or 5 times a power of ten.
pub(super) fn linear_axis(label: String, from: f64, to: f64) -> ChartAxis {
    let to = if to > from { to } else { from + 1.0 };
    let coarse = (to - from) / 6.0;
    let power = 10_f64.powf(coarse.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= coarse)
        .unwrap_or(coarse);
    let first = (from / step - 1e-9).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    let ticks = (first..=last)
        .map(|place| place as f64 * step)
        .map(|at| Tick { at, label: round_number(at) })
        .collect();
    ChartAxis { label, scale: Scale::Linear, from, to, ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &ChartAxis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(
            labels(&log_axis(String::new(), 40.0, 4000.0)),
            ["50", "100", "200", "500", "1\u{202f}000", "2\u{202f}000"]
        );
        assert_eq!(
            labels(&log_axis(String::new(), 0.001, 2.0)),
            ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1"]
        );
        assert_eq!(labels(&linear_axis(String::new(), 1.0, 12.0)), ["2", "4", "6", "8", "10", "12"]);
        assert_eq!(labels(&linear_axis(String::new(), 0.05, 0.52)), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(&linear_axis(String::new(), -0.2, 0.1)), ["−0.2", "−0.1", "0", "0.1"]);
    }

    #[test]
    fn wide_ranges_have_marks_too() {
        let axis = log_axis(String::new(), 1e-12, 1e9);
        assert!((3..=MOST).contains(&axis.ticks.len()), "{:?}", labels(&axis));
    }

    #[test]
    fn parts_stay_inside() {
        let axis = log_axis(String::new(), 0.01, 1.0);
        assert_eq!([0.0, 0.01, 0.1, 1.0, 7.0].map(|value| axis.part(value)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(linear_axis(String::new(), 2.0, 2.0).part(2.5), 0.5);
    }
}
