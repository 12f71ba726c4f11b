//! Mean ranks: per task and seed the searchers are ranked by regret, then the ranks are averaged.

use super::scores::Board;

/// A searcher's place among the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanRank {
    /// The mean over tasks and seeds; 1 is the best.
    pub mean: f64,
    /// The standard error over seeds (of the means over tasks); NaN for fewer than two seeds.
    pub error: f64,
}

/// The ranks of values, smallest first, from 1. Equal values share the mean of their places.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&one, &other| values[one] == values[other]) {
        let first = order.partition_point(|&place| values[place].total_cmp(&values[tied[0]]).is_lt());
        for &place in tied {
            ranks[place] = first as f64 + (tied.len() + 1) as f64 / 2.0;
        }
    }
    ranks
}

/// Each searcher's mean rank, and how many (task, seed) pairs were left out because a searcher has no run there.
pub fn mean_ranks(board: &Board) -> (Vec<MeanRank>, usize) {
    let mut by_seed: Vec<Vec<f64>> = Vec::with_capacity(board.seeds);
    let mut left_out = 0;
    for seed in 0..board.seeds {
        let (mut sums, mut blocks) = (vec![0.0; board.searchers], 0);
        for task in 0..board.tasks {
            let values: Vec<f64> =
                (0..board.searchers).map(|searcher| board.get(task, searcher, seed)).collect();
            if values.iter().any(|value| value.is_nan()) {
                left_out += 1;
                continue;
            }
            blocks += 1;
            for (sum, rank) in sums.iter_mut().zip(ranks(&values)) {
                *sum += rank;
            }
        }
        if blocks > 0 {
            by_seed.push(sums.iter().map(|sum| sum / f64::from(blocks)).collect());
        }
    }
    let all = (0..board.searchers).map(|searcher| over_seeds(by_seed.iter().map(|ranks| ranks[searcher])));
    (all.collect(), left_out)
}

fn over_seeds(ranks: impl ExactSizeIterator<Item = f64> + Clone) -> MeanRank {
    let count = ranks.len() as f64;
    let mean = ranks.clone().sum::<f64>() / count;
    let variance = ranks.map(|rank| (rank - mean).powi(2)).sum::<f64>() / (count - 1.0);
    MeanRank { mean, error: (variance / count).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_share_the_mean_rank() {
        assert_eq!(ranks(&[0.3, 0.1, 0.3, 0.0]), [3.5, 2.0, 3.5, 1.0]);
        assert_eq!(ranks(&[0.0, -0.0, 0.0]), [2.0, 2.0, 2.0]);
        assert_eq!(ranks(&[]), [0.0; 0]);
    }

    #[test]
    fn means_and_errors_by_hand() {
        // Seed 0: searcher 0 wins both tasks; seed 1: it wins one and ties the other.
        let values = [[[0.1, 0.1], [0.2, 0.2]], [[0.1, 0.5], [0.4, 0.5]]];
        let board = Board::from_fn(2, 2, 2, |task, searcher, seed| values[task][searcher][seed]);
        let (means, left_out) = mean_ranks(&board);
        assert_eq!(left_out, 0);
        assert_eq!((means[0].mean, means[1].mean), (1.125, 1.875));
        // Means over tasks are 1 and 1.25: standard deviation 0.1768, over √2 0.125.
        assert!((means[0].error - 0.125).abs() < 1e-12);
    }

    #[test]
    fn incomplete_pairs_are_left_out() {
        let board =
            Board::from_fn(
                1,
                2,
                3,
                |_, searcher, seed| if seed == 1 && searcher == 1 { f64::NAN } else { searcher as f64 },
            );
        let (means, left_out) = mean_ranks(&board);
        assert_eq!((means[0].mean, means[1].mean, left_out), (1.0, 2.0, 1));
    }

    proptest! {
        #[test]
        fn ranks_always_sum_to_the_same(values in prop::collection::vec((0_u8..6).prop_map(f64::from), 1..20)) {
            let count = values.len() as f64;
            prop_assert_eq!(ranks(&values).iter().sum::<f64>(), count * (count + 1.0) / 2.0);
        }
    }
}
