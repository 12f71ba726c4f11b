//! Two searchers against each other, in pairs that share task and seed.

use super::holm;
use super::interval::{Interval, Resampler, percentiles};
use super::scores::Board;
use super::signed_rank::signed_rank;
use serde::Serialize;

/// The first of two searchers against the second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Duel {
    /// The first searcher's place in the setup.
    pub first: usize,
    /// The second searcher's place in the setup.
    pub second: usize,
    /// In how many pairs (task, seed) the first has the lower regret.
    pub wins: usize,
    /// In how many both have the same.
    pub ties: usize,
    /// In how many the second has the lower.
    pub losses: usize,
    /// The interquartile mean of the first minus that of the second: negative where the first is better.
    pub difference: Interval,
    /// How likely a search by the first ends lower than an independent one by the second on the same task; a tie counts
    /// half. The mean over tasks. 0.5 is no difference.
    pub improvement: f64,
    /// The two-sided p value of Wilcoxon's signed-rank test of the paired differences.
    pub p: f64,
    /// The same after Holm's correction for all duels at this budget.
    pub adjusted: f64,
    /// Whether the ranks of the test lean to the first.
    pub first_leads: bool,
}

impl Duel {
    /// The same duel, seen from the second searcher.
    pub fn turned(&self) -> Self {
        let Interval { value, low, high } = self.difference;
        Self {
            first: self.second,
            second: self.first,
            wins: self.losses,
            losses: self.wins,
            difference: Interval { value: -value, low: -high, high: -low },
            improvement: 1.0 - self.improvement,
            first_leads: !self.first_leads,
            ..self.clone()
        }
    }

    /// Whether the test, corrected, finds a difference at a level.
    pub fn significant(&self, level: f64) -> bool {
        self.adjusted < level
    }
}

/// All pairs of searchers, the p values corrected for their number.
pub fn duels(board: &Board, resampler: &Resampler, confidence: f64) -> Vec<Duel> {
    let means: Vec<(f64, Vec<f64>)> =
        (0..board.searchers).map(|searcher| resampler.means(board, searcher, 0..board.tasks)).collect();
    let mut duels = Vec::with_capacity(board.searchers * board.searchers.saturating_sub(1) / 2);
    for first in 0..board.searchers {
        for second in first + 1..board.searchers {
            let resampled = means[first].1.iter().zip(&means[second].1).map(|(first, second)| first - second);
            let difference = percentiles(means[first].0 - means[second].0, resampled.collect(), confidence);
            duels.push(duel(board, first, second, difference));
        }
    }
    let corrected = holm::adjusted(&duels.iter().map(|duel| duel.p).collect::<Vec<_>>());
    for (duel, adjusted) in duels.iter_mut().zip(corrected) {
        duel.adjusted = adjusted;
    }
    duels
}

fn duel(board: &Board, first: usize, second: usize, difference: Interval) -> Duel {
    let mut differences = Vec::with_capacity(board.tasks * board.seeds);
    for task in 0..board.tasks {
        let pairs = board.row(task, first).iter().zip(board.row(task, second));
        differences
            .extend(pairs.map(|(first, second)| first - second).filter(|difference| !difference.is_nan()));
    }
    let test = signed_rank(&differences);
    let count = |sign: fn(&f64) -> bool| differences.iter().filter(|difference| sign(difference)).count();
    Duel {
        first,
        second,
        wins: count(|difference| *difference < 0.0),
        ties: count(|difference| *difference == 0.0),
        losses: count(|difference| *difference > 0.0),
        difference,
        improvement: improvement(board, first, second),
        p: test.p,
        adjusted: test.p,
        first_leads: test.minus > test.plus,
    }
}

/// The mean over tasks of the share of pairs of runs (each seed of one with each of the other) that the first wins.
fn improvement(board: &Board, first: usize, second: usize) -> f64 {
    let of_task = |task: usize| {
        let present = |searcher| board.row(task, searcher).iter().copied().filter(|value| !value.is_nan());
        let (mut won, mut all) = (0.0_f64, 0.0_f64);
        for one in present(first) {
            for other in present(second) {
                won += if one < other {
                    1.0
                } else if one == other {
                    0.5
                } else {
                    0.0
                };
                all += 1.0;
            }
        }
        won / all
    };
    let shares: Vec<f64> = (0..board.tasks).map(of_task).filter(|share| !share.is_nan()).collect();
    shares.iter().sum::<f64>() / shares.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        // Searcher 0 is better by a little on every pair but one tie; searcher 2 equals searcher 1.
        Board::from_fn(2, 3, 10, |task, searcher, seed| {
            let base = (task * 10 + seed) as f64;
            if searcher == 0 && (task, seed) != (0, 0) { base - 0.1 - base / 100.0 } else { base }
        })
    }

    #[test]
    fn a_clear_difference_and_none() {
        let board = board();
        let duels = duels(&board, &Resampler::new(3, 300, 2, 10), 0.95);
        let pairs: Vec<(usize, usize)> = duels.iter().map(|duel| (duel.first, duel.second)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (1, 2)]);
        let clear = &duels[0];
        assert_eq!((clear.wins, clear.ties, clear.losses), (19, 1, 0));
        // All 19 differences have one sign: 2/2¹⁹, times 3 for three duels.
        assert_eq!((clear.p, clear.adjusted), (2.0_f64.powi(-18), 3.0 * 2.0_f64.powi(-18)));
        assert!(clear.first_leads && clear.difference.high < 0.0);
        assert!(clear.significant(0.05) && !duels[2].significant(0.05));
        assert_eq!((duels[2].p, duels[2].improvement, duels[2].ties), (1.0, 0.5, 20));
    }

    #[test]
    fn a_duel_can_be_turned() {
        let board = board();
        let duel = &duels(&board, &Resampler::new(3, 300, 2, 10), 0.95)[0];
        let turned = duel.turned();
        assert_eq!((turned.first, turned.second, turned.wins, turned.losses), (1, 0, 0, 19));
        assert!(!turned.first_leads && turned.difference.low > 0.0);
        assert_eq!(turned.improvement + duel.improvement, 1.0);
    }

    #[test]
    fn improvement_by_hand() {
        let values = [[1.0, 2.0], [2.0, 3.0]];
        let board = Board::from_fn(1, 2, 2, |_, searcher, seed| values[searcher][seed]);
        // 1 < 2, 1 < 3, 2 = 2, 2 < 3: 3.5 of 4.
        assert_eq!(improvement(&board, 0, 1), 0.875);
    }
}
