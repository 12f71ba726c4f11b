//! Resamples of replicates (Efron 1979): means by drawing, medians in closed form.
//!
//! Resample r draws the same replicates at every budget. An index is the high word of a random word times the number of replicates:
//! its bias is below replicates / 2³².

use crate::array::DeviceArray;
use crate::device::Device;
use crate::error::Error;
use crate::gpu;
use crate::philox::{Purpose, philox};
use rayon::prelude::*;

/// Sums are taken in as many lanes as a block of the GPU has threads, so that both round alike.
const LANES: usize = 256;

/// The mean of the finite regrets of each resample at each budget: mean r of budget b at `b * resamples + r`.
pub(crate) fn means(
    device: &Device,
    regrets: &DeviceArray<f64>,
    replicates: usize,
    resamples: u32,
    seed: u64,
) -> Result<Vec<f64>, Error> {
    device.run(
        regrets.into(),
        |on| gpu::replicates::bootstrap_means(&on, replicates, resamples, seed),
        |regrets| on_cpu(regrets, replicates, resamples, seed),
    )
}

fn on_cpu(regrets: &[f64], replicates: usize, resamples: u32, seed: u64) -> Vec<f64> {
    let budgets = regrets.len() / replicates;
    let by_resample: Vec<Vec<f64>> = (0..resamples)
        .into_par_iter()
        .map_init(Vec::new, |drawn, resample| {
            draw(drawn, replicates as u32, resample, seed);
            regrets.chunks(replicates).map(|row| mean(row, drawn)).collect()
        })
        .collect();
    (0..budgets).flat_map(|budget| by_resample.iter().map(move |means| means[budget])).collect()
}

fn draw(drawn: &mut Vec<u32>, replicates: u32, resample: u32, seed: u64) {
    drawn.clear();
    for block in 0..replicates.div_ceil(4) {
        let words = philox([block, Purpose::Bootstrap as u32, resample, 0], seed);
        drawn.extend(words.map(|word| ((u64::from(word) * u64::from(replicates)) >> 32) as u32));
    }
    drawn.truncate(replicates as usize);
}

fn mean(row: &[f64], drawn: &[u32]) -> f64 {
    let (mut sums, mut count) = ([0.0; LANES], 0_u32);
    for (four, lane) in drawn.chunks(4).zip((0..LANES).cycle()) {
        for &replicate in four {
            let regret = row[replicate as usize];
            if regret.is_finite() {
                sums[lane] += regret;
                count += 1;
            }
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    if count > 0 { sums[0] / f64::from(count) } else { f64::NAN }
}

/// Between which ranks (from 0) of `count` values the median of a resample lies with this probability.
///
/// The k-th smallest of `count` draws is at rank i or below with the probability that at least k draws are, each with i + 1 in
/// `count`: a binomial tail. So no resample is drawn.
pub(crate) fn median_ranks(count: u64, level: f64) -> (u64, u64) {
    let tail = (1.0 - level) / 2.0;
    let reaches = |rank: u64, middle: u64, probability: f64| {
        at_least(count, (rank + 1) as f64 / count as f64, middle) >= probability
    };
    let first = |middle: u64, probability: f64| {
        let (mut low, mut high) = (0, count - 1);
        while low < high {
            let rank = low.midpoint(high);
            if reaches(rank, middle, probability) { high = rank } else { low = rank + 1 }
        }
        low
    };
    (first(count.div_ceil(2), tail), first(count / 2 + 1, 1.0 - tail))
}

/// The probability of at least `wanted` successes among `count`: the terms around the most probable one, each from its neighbour.
fn at_least(count: u64, probability: f64, wanted: u64) -> f64 {
    if probability >= 1.0 {
        return 1.0;
    }
    let odds = probability / (1.0 - probability);
    let mode = ((count + 1) as f64 * probability).floor() as u64;
    let (mut all, mut reached) = (0.0, 0.0);
    let mut add = |successes: u64, term: f64| {
        all += term;
        if successes >= wanted {
            reached += term;
        }
    };
    let mut term = 1.0;
    for successes in mode..=count {
        add(successes, term);
        term *= (count - successes) as f64 / (successes + 1) as f64 * odds;
        if term < 1e-20 {
            break;
        }
    }
    term = 1.0;
    for successes in (1..=mode).rev() {
        term *= successes as f64 / (count - successes + 1) as f64 / odds;
        if term < 1e-20 {
            break;
        }
        add(successes - 1, term);
    }
    reached / all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binomial_tails_are_those_of_the_tables() {
        assert!((at_least(10, 0.5, 8) - 56.0 / 1024.0).abs() < 1e-15);
        assert!((at_least(3, 0.2, 1) - (1.0 - 0.512)).abs() < 1e-15);
        assert_eq!(at_least(5, 1.0, 5), 1.0);
        assert!((at_least(101, 0.5, 51) - 0.5).abs() < 1e-12);
    }

    /// Against resamples that are drawn.
    #[test]
    fn ranks_of_the_median_are_those_of_drawn_resamples() {
        for count in [1_u32, 2, 9, 40, 501] {
            let mut medians: Vec<u32> = (0..4000)
                .map(|resample| {
                    let mut drawn = Vec::new();
                    draw(&mut drawn, count, resample, 5);
                    drawn.sort_unstable();
                    drawn[(count as usize - 1) / 2]
                })
                .collect();
            medians.sort_unstable();
            let (low, _) = median_ranks(u64::from(count), 0.9);
            let share = |rank: u64| {
                medians.iter().filter(|&&median| u64::from(median) <= rank).count() as f64 / 4000.0
            };
            assert!(share(low) > 0.05 - 0.02, "{count}: {}", share(low));
            assert!(low == 0 || share(low - 1) < 0.05 + 0.02, "{count}: {}", share(low - 1));
        }
    }

    #[test]
    fn intervals_of_the_median_are_as_wide_as_the_normal_law_says() {
        let (low, high) = median_ranks(100_000, 0.95);
        let half = 1.96 * 100_000_f64.sqrt() / 2.0;
        assert!(((high - low) as f64 / 2.0 - half).abs() < 3.0, "{low} {high}");
    }
}
