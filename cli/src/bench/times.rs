//! Durations of many like things, and the two that describe them.

use std::time::Duration;

/// Median and 99th percentile, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percentiles {
    /// Half of the times are not longer.
    pub p50: f64,
    /// 99 of 100 are not longer.
    pub p99: f64,
}

impl Percentiles {
    /// Of these times; none of none.
    pub(super) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at =
            |share: usize| times.get((times.len().checked_sub(1)? * share).div_ceil(100)).map(milliseconds);
        Some(Self { p50: at(50)?, p99: at(99)? })
    }
}

/// With fractions.
pub(super) fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_do_not_depend_on_the_order() {
        let times = |order: &mut dyn Iterator<Item = u64>| order.map(Duration::from_millis).collect();
        let expected = Percentiles { p50: 51.0, p99: 100.0 };
        assert_eq!(Percentiles::of(times(&mut (1..=101))), Some(expected));
        assert_eq!(Percentiles::of(times(&mut (1..=101).rev())), Some(expected));
        assert_eq!(Percentiles::of(Vec::new()), None);
    }

    #[test]
    fn of_few_times_the_99th_percentile_is_the_longest() {
        let times = [1, 2, 30].map(Duration::from_millis).to_vec();
        assert_eq!(Percentiles::of(times), Some(Percentiles { p50: 2.0, p99: 30.0 }));
    }
}
