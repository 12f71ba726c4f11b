//! How much better a metric is, where that can be told, beside how many are worse.
//!
//! Ranks alone hide how small the differences between the best are, so that a model chases them. Sizes alone are at the mercy
//! of outliers. So metrics are brought on the scale, as they are or as logarithms, on which they look more normal: on which they
//! correlate better with their normal scores (Filliben, Technometrics 1975).
//! There, what is much worse than the middle is cut off. They get the mean and the spread of the normal scores, and count by the
//! square of the correlation, the normal scores by the rest.

/// Fewer metrics than this have no scale.
const LEAST: usize = 4;
/// Logarithms must be so much better than the metrics as they are: they turn the neighbourhood of a best metric of 0 into a gorge.
const MARGIN: f64 = 0.05;
/// Metrics are cut off this many times as far above the middle as a good one is below.
const CUT: f64 = 3.0;
/// No score is farther from the mean than so many deviations.
const FARTHEST: f64 = 4.0;

/// The scores of metrics, given their normal scores, in the same order.
pub(super) fn sizes(metrics: &[f64], ranks: &[f64]) -> Vec<f64> {
    if metrics.len() < LEAST {
        return ranks.to_vec();
    }
    let mut found: (f64, Vec<f64>) = (0.0, Vec::new());
    for scaled in scales(metrics) {
        let Some(standard) = standard(&cut(&scaled)) else { continue };
        let own = correlation(&standard, ranks);
        if own > found.0 + if found.1.is_empty() { 0.0 } else { MARGIN } {
            found = (own, standard);
        }
    }
    let (share, (mean, deviation)) = (found.0 * found.0, moments(ranks));
    if found.1.is_empty() {
        return ranks.to_vec();
    }
    let score = |(size, rank): (&f64, &f64)| {
        let size = mean + deviation * size.clamp(-FARTHEST, FARTHEST);
        share * size + (1.0 - share) * rank
    };
    found.1.iter().zip(ranks).map(score).collect()
}

/// Without what is far above the middle.
fn cut(metrics: &[f64]) -> Vec<f64> {
    let mut sorted = metrics.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted[sorted.len() / 2];
    let good = sorted[sorted.len() / 10];
    let most = (middle + CUT * (middle - good)).min(f64::MAX);
    metrics.iter().map(|metric| metric.min(most)).collect()
}

/// As they are, and, where all are positive, as logarithms.
fn scales(metrics: &[f64]) -> Vec<Vec<f64>> {
    let mut scales = vec![metrics.to_vec()];
    if metrics.iter().all(|&metric| metric > 0.0) {
        scales.push(metrics.iter().map(|&metric| metric.ln()).collect());
    }
    scales
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value / count).sum::<f64>();
    let variance = values.iter().map(|value| (value - mean) * (value - mean) / count).sum::<f64>();
    (mean, variance.sqrt())
}

/// With mean 0 and deviation 1; none if all are the same, or too large to tell.
fn standard(values: &[f64]) -> Option<Vec<f64>> {
    let (mean, deviation) = moments(values);
    let told = deviation.is_finite() && deviation > 1e-12 * mean.abs();
    told.then(|| values.iter().map(|value| (value - mean) / deviation).collect())
}

/// The correlation of standard values with others.
fn correlation(standard: &[f64], others: &[f64]) -> f64 {
    let (mean, deviation) = moments(others);
    let sum: f64 = standard.iter().zip(others).map(|(left, right)| left * (right - mean)).sum();
    if deviation > 0.0 { sum / (deviation * standard.len() as f64) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::gp::normal::quantile;

    /// Ascending metrics and their normal scores.
    fn scored(metric: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let ranks: Vec<f64> = (0..50).map(|at| quantile((f64::from(at) + 0.5) / 50.0)).collect();
        let metrics: Vec<f64> = ranks.iter().map(|&rank| metric(rank)).collect();
        let sizes = sizes(&metrics, &ranks);
        (ranks, metrics, sizes)
    }

    #[test]
    fn normal_metrics_on_any_scale_have_their_normal_scores() {
        let scales: [fn(f64) -> f64; 2] = [|rank| 7.0 * rank - 3.0, |rank| (4.0 * rank).exp()];
        for metric in scales {
            let (ranks, _, sizes) = scored(metric);
            assert!(ranks.iter().zip(&sizes).all(|(rank, size)| (rank - size).abs() < 0.02), "{sizes:?}");
        }
    }

    #[test]
    fn small_differences_stay_small() {
        // Five good ones, and a plateau with a little noise.
        let (ranks, _, sizes) =
            scored(|rank| if rank < -1.2 { 0.3 + 0.1 * rank } else { 0.7 + 0.001 * rank });
        let spread = |scores: &[f64]| scores[49] - scores[8];
        assert!(spread(&sizes) < 0.7 * spread(&ranks), "{sizes:?}");
        assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]), "{sizes:?}");
    }

    #[test]
    fn outliers_do_not_decide() {
        for metric in [
            |rank: f64| if rank > 1.5 { 6e18 } else { rank },
            |rank: f64| if rank < -2.0 { -1e300 } else { rank },
            |rank: f64| rank * 7e307,
        ] {
            let (_, _, sizes) = scored(metric);
            assert!(sizes[10] + 0.3 < sizes[40] && sizes.iter().all(|size| size.abs() < 5.0), "{sizes:?}");
        }
        assert_eq!(sizes(&[2.0; 9], &[0.1; 9]), [0.1; 9]);
    }
}
