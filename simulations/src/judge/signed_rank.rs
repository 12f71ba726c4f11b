//! Wilcoxon's signed-rank test for paired differences (Wilcoxon, "Individual Comparisons by Ranking Methods", 1945).
//!
//! Zero differences are left out, as Wilcoxon did. Up to [`EXACT_UP_TO`] pairs the tail is counted exactly, given the
//! ties that there are; above that it is that of a normal distribution with the variance corrected for ties and half a
//! step of continuity correction.

use super::rank::ranks;
use statrs::distribution::{ContinuousCDF, Normal};

/// Up to how many pairs that differ the tail is counted exactly.
pub const EXACT_UP_TO: usize = 50;

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRank {
    /// How many pairs differ.
    pub pairs: usize,
    /// The sum of the ranks of positive differences.
    pub plus: f64,
    /// The sum of the ranks of negative differences.
    pub minus: f64,
    /// The two-sided p value: 1 where nothing differs.
    pub p: f64,
}

/// Tests whether differences lie around zero. NaN among them is left out.
pub fn signed_rank(differences: &[f64]) -> SignedRank {
    let differing: Vec<f64> =
        differences.iter().copied().filter(|difference| !difference.is_nan() && *difference != 0.0).collect();
    let sizes: Vec<f64> = differing.iter().map(|difference| difference.abs()).collect();
    let ranks = ranks(&sizes);
    let sum_where = |positive: bool| -> f64 {
        ranks
            .iter()
            .zip(&differing)
            .filter(|(_, difference)| (**difference > 0.0) == positive)
            .map(|(rank, _)| rank)
            .sum()
    };
    let (plus, minus) = (sum_where(true), sum_where(false));
    let p = match differing.len() {
        0 => 1.0,
        1..=EXACT_UP_TO => exact(&ranks, plus.min(minus)),
        _ => approximate(&ranks, plus.min(minus)),
    };
    SignedRank { pairs: differing.len(), plus, minus, p }
}

/// Twice the share of all sign patterns whose sum of ranks is at most this. Ranks are counted in halves, so they are
/// integers; 2⁵⁰ patterns fit an `f64` exactly.
fn exact(ranks: &[f64], sum: f64) -> f64 {
    let halves: Vec<usize> = ranks.iter().map(|rank| (rank * 2.0) as usize).collect();
    let mut patterns = vec![0.0; halves.iter().sum::<usize>() + 1];
    patterns[0] = 1.0;
    let mut reached = 0;
    for half in halves {
        reached += half;
        for total in (half..=reached).rev() {
            patterns[total] += patterns[total - half];
        }
    }
    let below: f64 = patterns[..=(sum * 2.0) as usize].iter().sum();
    (2.0 * below / (ranks.len() as f64).exp2()).min(1.0)
}

fn approximate(ranks: &[f64], sum: f64) -> f64 {
    let count = ranks.len() as f64;
    let mean = count * (count + 1.0) / 4.0;
    let mut sorted = ranks.to_vec();
    sorted.sort_by(f64::total_cmp);
    let tied: f64 = sorted
        .chunk_by(|one, other| one == other)
        .map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64)
        .sum();
    let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0 - tied / 48.0;
    let score = ((mean - sum - 0.5) / variance.sqrt()).max(0.0);
    (2.0 * Normal::standard().sf(score)).min(1.0)
}

/// How many pairs are needed before the test can fall below a level at all, if it is one of this many comparisons.
pub fn pairs_needed(level: f64, comparisons: usize) -> usize {
    let strictest = level / comparisons.max(1) as f64;
    // Of 2ⁿ patterns of signs two are the most extreme; 1 074 is where an `f64` ends.
    (1..1_074_u16).find(|&pairs| (1.0 - f64::from(pairs)).exp2() < strictest).map_or(usize::MAX, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fisher's (1935) maize: sums 24 and 96, p = 0.041259765625 (`scipy.stats.wilcoxon`, its documentation's example).
    #[test]
    fn maize() {
        let differences =
            [6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0, 75.0];
        let test = signed_rank(&differences);
        assert_eq!((test.pairs, test.minus, test.plus, test.p), (15, 24.0, 96.0, 0.041259765625));
    }

    #[allow(clippy::approx_constant)] // A difference of the published data happens to be near π.
    /// Hollander & Wolfe's depression scale: V = 40, one-sided p = 0.01953 (the example of R's `wilcox.test`).
    #[test]
    fn depression_scale() {
        let first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
        let test = signed_rank(&differences);
        assert_eq!(test.plus, 40.0);
        assert!((test.p - 2.0 * 0.01953125).abs() < 1e-12);
    }

    /// The two-sided 5 % column of Wilcoxon's table: the largest sum that is still significant.
    #[test]
    fn critical_values_of_the_table() {
        let table = [
            (6, 0),
            (7, 2),
            (8, 3),
            (9, 5),
            (10, 8),
            (11, 10),
            (12, 13),
            (13, 17),
            (14, 21),
            (15, 25),
            (20, 52),
            (25, 89),
        ];
        for (pairs, critical) in table {
            let ranks: Vec<f64> = (1..=pairs).map(f64::from).collect();
            assert!(exact(&ranks, f64::from(critical)) <= 0.05, "{pairs} pairs");
            assert!(exact(&ranks, f64::from(critical + 1)) > 0.05, "{pairs} pairs");
        }
    }

    #[test]
    fn ties_are_counted_exactly() {
        // Ranks 2, 2, 2, 4: of 16 patterns 1 + 3 have a sum of at most 2, so p = 2 × 4/16.
        let test = signed_rank(&[1.0, 1.0, -1.0, 3.0, 0.0]);
        assert_eq!((test.pairs, test.minus, test.plus, test.p), (4, 2.0, 8.0, 0.5));
    }

    /// At the border both ways agree to a percent of the level.
    #[test]
    fn the_normal_tail_meets_the_exact_one() {
        for ranks in [
            (1..=50).map(f64::from).collect::<Vec<_>>(),
            ranks(&(0..50).map(|place| f64::from(place / 4)).collect::<Vec<_>>()),
        ] {
            for sum in [340.0, 400.0, 434.0, 500.0, 637.0] {
                let (counted, approximated) = (exact(&ranks, sum), approximate(&ranks, sum));
                assert!((counted - approximated).abs() < 0.003, "{sum}: {counted} and {approximated}");
            }
        }
    }

    /// 40 rises and 20 falls of one size: every rank is 30.5, so the sums are 610 and 1220, and the variance is
    /// 60 × 30.5² / 4 = 13 953.75. The score is (915 − 610 − 0.5) / √13 953.75 = 2.5778; uncorrected it would be 2.24.
    #[test]
    fn many_ties_narrow_the_normal_tail() {
        let differences: Vec<f64> = (0..60).map(|place| if place < 40 { 1.0 } else { -1.0 }).collect();
        let test = signed_rank(&differences);
        assert_eq!((test.plus, test.minus), (1220.0, 610.0));
        assert!((test.p - 0.0099444).abs() < 1e-6, "{}", test.p);
    }

    #[test]
    fn nothing_differs() {
        assert_eq!(signed_rank(&[0.0, 0.0, f64::NAN]).p, 1.0);
        assert_eq!(signed_rank(&[]).p, 1.0);
    }

    #[test]
    fn too_few_pairs_can_show_nothing() {
        assert_eq!(pairs_needed(0.05, 1), 6); // 2/2⁶ = 0.031
        assert_eq!(pairs_needed(0.05, 10), 9); // 2/2⁹ = 0.0039
        let all_better = signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(all_better.p, 0.0625);
    }

    proptest! {
        #[test]
        fn the_sides_are_equal(values in prop::collection::vec((-9_i8..9).prop_map(f64::from), 0..80)) {
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            let (one, other) = (signed_rank(&values), signed_rank(&mirrored));
            prop_assert_eq!((one.plus, one.minus, one.p), (other.minus, other.plus, other.p));
            prop_assert!((0.0..=1.0).contains(&one.p));
        }
    }
}
