//! From reports at any lengths to curves with a point at every unit of length.
//!
//! The unit is the greatest common divisor of all reported lengths. Between two reports the metric is that of the earlier one
//! (before the first: NaN), and the time is spread evenly.
//!
//! **Curves that end early** (stopped trials, or rows with fewer lengths) are continued by a prediction, and every look-up
//! beyond what was recorded is counted in the result. The prediction takes the shape of the recorded curve of the
//! greatest length that was nearest to it so far (mean absolute difference over the lengths they share; on a tie the first):
//! from its own last metric on it changes by as much as that one did. It is never better than the best recorded metric, so that no
//! search can find what nobody measured. A curve that ended with NaN stays NaN. Each predicted unit costs the mean of its own.

use super::Row;

/// One report of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// How long the trial had trained, at least 1.
    pub length: u64,
    /// The metric, as reported; NaN is allowed.
    pub metric: f64,
    /// Seconds (or cost) since the report before, or since the start. Finite, at least 0.
    pub seconds: f64,
}

/// A curve's metrics and costs, one a unit of length.
pub(crate) type Points = (Vec<f64>, Vec<f64>);

/// So many points a table may have in all.
const MAX_POINTS: u64 = 200_000_000;

/// The unit of length and, for each trial's reports (not empty), a point at every unit. Of two reports at one length the later
/// counts, and their times add up. The error says what is wrong and what is allowed.
pub(crate) fn regular(trials: &[Vec<Report>]) -> Result<(u64, Vec<Points>), String> {
    let lengths = || trials.iter().flatten().map(|report| report.length);
    if lengths().any(|length| length == 0) {
        return Err("a report has length 0; lengths begin at 1".to_owned());
    }
    let unit = lengths().fold(0, greatest_common_divisor).max(1);
    let points = lengths().max().unwrap_or(0) / unit;
    if points.saturating_mul(trials.len() as u64) > MAX_POINTS {
        return Err(format!(
            "{} trials with {points} points (lengths are multiples of {unit} only) are more than {MAX_POINTS}; round the lengths",
            trials.len()
        ));
    }
    Ok((unit, trials.iter().map(|reports| points_of(reports, unit)).collect()))
}

fn points_of(reports: &[Report], unit: u64) -> Points {
    let mut reports = reports.to_vec();
    // Stable: of one length the later stays behind.
    reports.sort_by_key(|report| report.length);
    let (mut metrics, mut costs): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for report in reports {
        let (until, known) = ((report.length / unit) as usize, metrics.len());
        if until == known {
            // Reported again.
            if let (Some(metric), Some(cost)) = (metrics.last_mut(), costs.last_mut()) {
                (*metric, *cost) = (report.metric, *cost + report.seconds);
            }
            continue;
        }
        let held = metrics.last().copied().unwrap_or(f64::NAN);
        metrics.resize(until, held);
        metrics[until - 1] = report.metric;
        costs.resize(until, report.seconds / (until - known) as f64);
    }
    (metrics, costs)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Continues every row to `max_length`, see the [module](self).
pub(super) fn continued(rows: &[Row], max_length: usize) -> Vec<Row> {
    let full: Vec<&Row> = rows.iter().filter(|row| row.metrics.len() == max_length).collect();
    let best = rows.iter().flat_map(|row| row.metrics.iter().copied()).fold(f64::INFINITY, f64::min);
    rows.iter().map(|row| continued_row(row, &full, best, max_length)).collect()
}

fn continued_row(row: &Row, full: &[&Row], best: f64, max_length: usize) -> Row {
    let known = row.metrics.len();
    if known == max_length {
        return row.clone();
    }
    let mut row = row.clone();
    let last = row.metrics[known - 1];
    let mut shape: Option<(f64, &Row)> = None;
    for other in full {
        let apart = mean_difference(&row.metrics, &other.metrics);
        // NaN is never nearer.
        if shape.is_none_or(|(nearest, _)| apart < nearest) && !apart.is_nan() {
            shape = Some((apart, other));
        }
    }
    let cost = row.costs.iter().sum::<f64>() / known as f64;
    for place in known..max_length {
        let change = shape.map_or(f64::NAN, |(_, shape)| shape.metrics[place] - shape.metrics[known - 1]);
        let predicted = last + change;
        row.metrics.push(if predicted.is_nan() { predicted } else { predicted.max(best) });
        row.costs.push(cost);
    }
    row
}

/// Over the lengths where both have a number; NaN if there is none or the last is not one of them.
fn mean_difference(own: &[f64], other: &[f64]) -> f64 {
    let apart = || own.iter().zip(other).map(|(a, b)| (a - b).abs());
    let count = apart().filter(|apart| !apart.is_nan()).count();
    if apart().next_back().is_none_or(f64::is_nan) {
        return f64::NAN;
    }
    apart().filter(|apart| !apart.is_nan()).sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use toprung_searchers::Assignment;

    fn reports(of: &[(u64, f64, f64)]) -> Vec<Report> {
        of.iter().map(|&(length, metric, seconds)| Report { length, metric, seconds }).collect()
    }

    #[test]
    fn points_hold_the_earlier_metric_and_spread_the_time() {
        let (unit, points) =
            regular(&[reports(&[(200, 5.0, 4.0), (600, 3.0, 2.0)]), reports(&[(400, 9.0, 6.0)])]).unwrap();
        assert_eq!(unit, 200);
        assert_eq!(points[0], (vec![5.0, 5.0, 3.0], vec![4.0, 1.0, 1.0]));
        assert!(points[1].0[0].is_nan());
        assert_eq!((points[1].0[1], points[1].1.clone()), (9.0, vec![3.0, 3.0]));
    }

    #[test]
    fn a_length_reported_again_counts_as_reported_last() {
        let (_, points) = regular(&[reports(&[(1, 5.0, 4.0), (2, 4.0, 1.0), (1, 6.0, 2.0)])]).unwrap();
        assert_eq!(points[0], (vec![6.0, 4.0], vec![6.0, 1.0]));
        assert!(regular(&[reports(&[(0, 5.0, 4.0)])]).unwrap_err().contains("length 0"));
    }

    fn row(metrics: &[f64]) -> Row {
        Row { hparams: Assignment::new(), metrics: metrics.to_vec(), costs: vec![2.0; metrics.len()] }
    }

    #[test]
    fn a_short_curve_changes_as_the_nearest_full_one() {
        let rows =
            [row(&[9.0, 8.0, 7.0]), row(&[5.0, 3.0, 1.0]), row(&[5.5, 3.5]), row(&[1.5]), row(&[f64::NAN])];
        let long = continued(&rows, 3);
        assert_eq!(long[2].metrics, [5.5, 3.5, 1.5]);
        assert_eq!(long[2].costs, [2.0; 3]);
        // Never better than the best that was recorded.
        assert_eq!(long[3].metrics, [1.5, 1.0, 1.0]);
        assert!(long[4].metrics.iter().all(|metric| metric.is_nan()));
        assert_eq!(long[0], rows[0]);
    }
}
