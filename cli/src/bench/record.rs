//! What trials of the benchmark `neighbours` write down, and how it is read: lines of two numbers. Pure but for files.

use crate::errors::Error;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Files with the times of calm trials: `<when it ended> <how long it took>`, in seconds.
pub(super) const TIMES: &str = "times";
/// Files with the counts of flooding trials: `<when> <answered so far>`.
pub(super) const COUNTS: &str = "counts";

/// Seconds since 1970. One clock for all processes.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A line of [`TIMES`].
pub(super) fn time(when: f64, took: Duration) -> String {
    format!("{when} {}\n", took.as_secs_f64())
}

/// A line of [`COUNTS`].
pub(super) fn count(when: f64, answered: u64) -> String {
    format!("{when} {answered}\n")
}

/// Times of a stretch of time.
pub(super) fn times(directory: &Path, from: f64, to: f64) -> Result<Vec<Duration>, Error> {
    let files = files(directory, TIMES)?;
    let of = files.iter().flat_map(|text| within(text, from, to));
    Ok(of.map(|(_, took)| Duration::from_secs_f64(took.max(0.0))).collect())
}

/// Reports a second of a stretch of time, of all flooding trials together.
pub(super) fn rate(directory: &Path, from: f64, to: f64) -> Result<f64, Error> {
    Ok(files(directory, COUNTS)?.iter().map(|text| slope(&within(text, from, to))).sum())
}

fn slope(counts: &[(f64, f64)]) -> f64 {
    match (counts.first(), counts.last()) {
        (Some(first), Some(last)) if last.0 > first.0 => (last.1 - first.1) / (last.0 - first.0),
        _ => 0.0,
    }
}

/// The pairs of a file whose first number is in the range. A line that is being written is left out.
fn within(text: &str, from: f64, to: f64) -> Vec<(f64, f64)> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let pair = |line: &str| {
        let (when, value) = line.split_once(' ')?;
        Some((when.parse::<f64>().ok()?, value.parse::<f64>().ok()?))
    };
    whole.lines().filter_map(pair).filter(|(when, _)| (from..=to).contains(when)).collect()
}

fn files(directory: &Path, name: &str) -> Result<Vec<String>, Error> {
    let failed = || Error::io(format!("cannot read {}", directory.display()));
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            texts.push(std::fs::read_to_string(entry.path()).map_err(failed())?);
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stretch_counts_and_no_half_line() {
        let directory = tempfile::tempdir().unwrap();
        let text: String = (1..=4).map(|at| time(f64::from(at), Duration::from_millis(at as u64))).collect();
        std::fs::write(directory.path().join("times-1"), text + "5 0.00").unwrap();
        let found = times(directory.path(), 2.0, 9.0).unwrap();
        assert_eq!(found, [2, 3, 4].map(Duration::from_millis));
    }

    #[test]
    fn the_rate_is_that_of_all_floods() {
        let directory = tempfile::tempdir().unwrap();
        for (name, step) in [("counts-1", 100), ("counts-2", 10)] {
            let text: String = (0..=9).map(|at| count(f64::from(at as u32), at * step)).collect();
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        assert_eq!(rate(directory.path(), 2.0, 7.0).unwrap(), 110.0);
        assert_eq!(rate(directory.path(), 20.0, 70.0).unwrap(), 0.0);
    }
}
