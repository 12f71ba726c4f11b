//! Regrets reduced over replicates: means, quantiles, and intervals by bootstrap.

use super::{Search, bootstrap, regrets};
use crate::array::{DeviceArray, Input};
use crate::device::Device;
use crate::error::Error;
use crate::segments::{Segments, Wanted, moments, order_statistics, quantiles};

/// What is asked of the regrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    /// Which quantiles, each from 0 to 1.
    pub probabilities: Vec<f64>,
    /// How many resamples the interval of the mean is from, 1 to 65 536.
    pub resamples: u32,
    /// The probability of an interval, between 0 and 1.
    pub level: f64,
}

impl Default for Judge {
    fn default() -> Self {
        Self { probabilities: vec![0.05, 0.25, 0.5, 0.75, 0.95], resamples: 1000, level: 0.95 }
    }
}

/// What the replicates reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How many replicates there were.
    pub replicates: usize,
    /// At each budget, in their order.
    pub at: Vec<AtBudget>,
}

/// Regret at one budget. Tolerance between devices: counts, quantiles and the median's interval are the same bits; the mean and the deviation
/// are those of [`crate::partial::Moments`]; the mean's interval is the same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct AtBudget {
    /// The time.
    pub budget: u64,
    /// How many replicates had a number by then. Mean, deviation and the mean's interval are of these.
    pub count: u64,
    /// The mean regret; NaN if no replicate had a number.
    pub mean: f64,
    /// The standard deviation between replicates.
    pub deviation: f64,
    /// The percentile bootstrap interval of the mean.
    pub mean_interval: (f64, f64),
    /// The median over all replicates; infinite if most had no number.
    pub median: f64,
    /// The bootstrap interval of the median.
    pub median_interval: (f64, f64),
    /// The quantiles that were asked for, over all replicates.
    pub quantiles: Vec<f64>,
}

/// Plays the replicates of a search and reduces their regrets, on one device from beginning to end.
pub fn run(device: &Device, search: &Search<'_>, judge: &Judge) -> Result<Outcome, Error> {
    check(judge)?;
    device.whole(|device| {
        let regrets = regrets(device, search)?;
        reduce(device, search, judge, &regrets)
    })
}

fn check(judge: &Judge) -> Result<(), Error> {
    if !(1..=65_536).contains(&judge.resamples) {
        return Err(Error::input("the number of resamples", judge.resamples, "1 to 65 536"));
    }
    if !(judge.level > 0.0 && judge.level < 1.0) {
        return Err(Error::input("the probability of an interval", judge.level, "between 0 and 1"));
    }
    Ok(())
}

fn reduce(
    device: &Device,
    search: &Search<'_>,
    judge: &Judge,
    regrets: &DeviceArray<f64>,
) -> Result<Outcome, Error> {
    let (budgets, replicates) = (search.budgets.len(), search.replicates);
    let segments = Segments::of_lengths(std::iter::repeat_n(replicates, budgets));
    let moments = moments(device, regrets, &segments)?;
    let mut probabilities = judge.probabilities.clone();
    probabilities.push(0.5);
    let quantiles = quantiles(device, regrets, &segments, &probabilities)?;
    let (low, high) = bootstrap::median_ranks(replicates as u64, judge.level);
    let wanted = Wanted::in_each(&segments, &[low, high]);
    let medians = order_statistics(device, Input::Array(regrets), &segments, &wanted)?;
    let means = bootstrap::means(device, regrets, replicates, judge.resamples, search.seed)?;
    let at = |number: usize| {
        let mut quantiles = quantiles[number * probabilities.len()..][..probabilities.len()].to_vec();
        let means = &means[number * judge.resamples as usize..][..judge.resamples as usize];
        AtBudget {
            budget: search.budgets[number],
            count: moments[number].count,
            mean: moments[number].mean(),
            deviation: moments[number].sample_variance().sqrt(),
            mean_interval: percentiles(means, judge.level),
            median: quantiles.pop().unwrap_or(f64::NAN),
            median_interval: (medians[2 * number] + 0.0, medians[2 * number + 1] + 0.0),
            quantiles,
        }
    };
    Ok(Outcome { replicates, at: (0..budgets).map(at).collect() })
}

/// Between which of the resamples' means the middle `level` of them are. A resample without any number is left out.
fn percentiles(means: &[f64], level: f64) -> (f64, f64) {
    let mut means: Vec<f64> = means.iter().copied().filter(|mean| !mean.is_nan()).collect();
    means.sort_unstable_by(f64::total_cmp);
    let Some(last) = means.len().checked_sub(1) else {
        return (f64::NAN, f64::NAN);
    };
    let tail = (1.0 - level) / 2.0;
    let low = (tail * last as f64).floor() as usize;
    (means[low], means[last - low])
}
