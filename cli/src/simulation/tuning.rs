//! Settings, played in rounds of seeds: what is clearly worse than the leader is left out of the next round.
//!
//! After a quarter and after half of the seeds all that are left are compared; out goes what the paired test, corrected by
//! Holm for all comparisons of that look, finds worse than the leader at the level of the final test. Three looks instead of
//! one make it somewhat more likely that one of them errs; what is out stays named with its numbers. Baselines stay.

use super::arena::Arena;
use super::judging;
use super::playing::{self, Played};
use crate::errors::Error;
use crate::interrupt::Interrupts;
use std::sync::Arc;
use toprung_simulations::judge::Comparison;

/// Resamples where only the test counts, the fewest that there can be.
const FEW_RESAMPLES: u32 = 100;
/// Fewer seeds than that are not looked at.
const FIRST_LOOK: usize = 6;

/// A contestant that is out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Out {
    /// The contestant's place in the arena.
    pub contestant: usize,
    /// After so many seeds.
    pub seeds: usize,
    /// How much worse its normalised regret was than the leader's (interquartile means).
    pub worse_by: f64,
    /// The corrected p value.
    pub p: f64,
}

/// What is left, and what went out.
pub(crate) struct Tuned {
    /// All runs, also of those that are out.
    pub played: Vec<Played>,
    /// The contestants that played every seed.
    pub left: Vec<usize>,
    /// Those that did not.
    pub out: Vec<Out>,
    /// Ctrl-C: fewer seeds than asked for.
    pub interrupted: bool,
}

/// Plays all contestants. `all`: nobody goes out.
pub(crate) async fn play(
    arena: &Arc<Arena>,
    all: bool,
    interrupts: &mut Interrupts,
    quiet: bool,
) -> Result<Tuned, Error> {
    let mut tuned = Tuned {
        played: Vec::new(),
        left: (0..arena.contestants.len()).collect(),
        out: Vec::new(),
        interrupted: false,
    };
    let looks = looks(arena.seeds.len(), all);
    let mut from = 0;
    for (place, &until) in looks.iter().enumerate() {
        let seeds = arena.seeds[from..until].to_vec();
        let (found, interrupted) = playing::play(arena, tuned.left.clone(), seeds, interrupts, quiet).await?;
        tuned.played.extend(found);
        tuned.interrupted = interrupted;
        if interrupted {
            break;
        }
        if place + 1 < looks.len() {
            look(arena, &mut tuned, until)?;
        }
        from = until;
    }
    Ok(tuned)
}

/// After how many seeds to compare.
fn looks(seeds: usize, all: bool) -> Vec<usize> {
    if all {
        return vec![seeds];
    }
    let mut looks: Vec<usize> = [seeds.div_ceil(4), seeds.div_ceil(2)]
        .into_iter()
        .filter(|&look| look >= FIRST_LOOK && look < seeds)
        .collect();
    looks.push(seeds);
    looks
}

fn look(arena: &Arena, tuned: &mut Tuned, seeds: usize) -> Result<(), Error> {
    let comparison = judging::comparison(arena, &tuned.left, &tuned.played, FEW_RESAMPLES)?;
    let out = worse(&comparison, &tuned.left, seeds);
    let goes = |contestant: usize| {
        !arena.contestants[contestant].baseline && out.iter().any(|out| out.contestant == contestant)
    };
    tuned.left.retain(|&contestant| !goes(contestant));
    tuned.out.extend(out.into_iter().filter(|out| !arena.contestants[out.contestant].baseline));
    Ok(())
}

/// Who is shown to be worse than the leader. `who`: the arena's places of the comparison's searchers.
fn worse(comparison: &Comparison, who: &[usize], seeds: usize) -> Vec<Out> {
    let Some(end) = comparison.at_the_end() else { return Vec::new() };
    let level = 1.0 - comparison.setup.confidence;
    let ranking = end.ranking();
    let Some(leader) =
        ranking.iter().find(|standing| !comparison.setup.searchers[standing.searcher].baseline)
    else {
        return Vec::new();
    };
    let lost = |place: usize| {
        let duel = end.duel(leader.searcher, place)?;
        (duel.significant(level) && duel.first_leads).then(|| Out {
            contestant: who[place],
            seeds,
            worse_by: -duel.difference.value,
            p: duel.adjusted,
        })
    };
    (0..who.len()).filter_map(lost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::arena::tests::arena;

    #[test]
    fn there_are_looks_after_a_quarter_and_half() {
        assert_eq!(looks(30, false), [8, 15, 30]);
        assert_eq!(looks(12, false), [6, 12]);
        assert_eq!((looks(5, false), looks(100, true)), (vec![5], vec![100]));
    }

    #[tokio::test]
    async fn a_setting_that_is_clearly_worse_goes_out_and_baselines_stay() {
        let searchers = ["asha:divisor=3", "random:max_trials=1,max_concurrent_trials=1", "asha:divisor=4"];
        let arena = Arc::new(arena(&searchers, &["--seeds", "32"]).unwrap());
        let mut interrupts = Interrupts::start().unwrap();
        let tuned = play(&arena, false, &mut interrupts, true).await.unwrap();
        assert_eq!(tuned.out.iter().map(|out| (out.contestant, out.seeds)).collect::<Vec<_>>(), [(1, 16)]);
        // Eight pairs cannot show anything in ten comparisons.
        assert!(tuned.out[0].worse_by > 0.0 && tuned.out[0].p < 0.05, "{:?}", tuned.out);
        assert_eq!(tuned.left, [0, 2, 3, 4]);
        assert_eq!(tuned.played.len(), 5 * 16 + 4 * 16);
        let all = play(&arena, true, &mut interrupts, true).await.unwrap();
        assert_eq!((all.left.len(), all.out.len(), all.played.len()), (5, 0, 5 * 32));
    }
}
