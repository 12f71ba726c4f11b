//! What to take, from a comparison of settings, and how sure that is. Pure.

use super::arena::Arena;
use super::grid::Setting;
use super::tuning::Out;
use toprung_simulations::judge::{Comparison, Duel, Interval};

/// A setting against the one to take.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Other {
    /// The contestant's place in the arena.
    pub contestant: usize,
    /// Its mean rank and its regret; none: it went out before the end.
    pub standing: Option<(f64, Interval)>,
    /// How much higher its normalised regret is; negative: lower.
    pub worse_by: f64,
    /// The corrected p value of the paired test.
    pub p: f64,
    /// The test shows it to be worse.
    pub is_worse: bool,
    /// The test shows it to be better, in spite of its rank.
    pub is_better: bool,
    /// After how many seeds it went out.
    pub out_after: Option<usize>,
}

/// The outcome of tuning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Advice {
    /// The place of the contestant with the best mean rank that is no baseline.
    pub best: usize,
    /// Its mean rank and regret.
    pub rank: f64,
    /// The interquartile mean of its normalised regret.
    pub regret: Interval,
    /// The trials that a run of it creates, in the mean over tasks and seeds.
    pub trials: f64,
    /// All others, best rank first, then those that went out.
    pub others: Vec<Other>,
}

impl Advice {
    /// From the comparison of the contestants at the places `left`, and those that are out.
    pub(crate) fn new(comparison: &Comparison, left: &[usize], out: &[Out]) -> Option<Self> {
        let (end, setup) = (comparison.at_the_end()?, &comparison.setup);
        let ranking = end.ranking();
        let best = ranking.iter().find(|standing| !setup.searchers[standing.searcher].baseline)?;
        let level = 1.0 - setup.confidence;
        let other = |searcher: usize, rank: f64, regret: Interval| -> Option<Other> {
            let duel: Duel = end.duel(best.searcher, searcher)?;
            let shown = duel.significant(level);
            Some(Other {
                contestant: left[searcher],
                standing: Some((rank, regret)),
                worse_by: -duel.difference.value,
                p: duel.adjusted,
                is_worse: shown && duel.first_leads,
                is_better: shown && !duel.first_leads,
                out_after: None,
            })
        };
        let standings = ranking.iter().filter(|standing| standing.searcher != best.searcher);
        let mut others: Vec<Other> = standings
            .filter_map(|standing| other(standing.searcher, standing.rank, standing.regret))
            .collect();
        others.extend(out.iter().map(|out| Other {
            contestant: out.contestant,
            standing: None,
            worse_by: out.worse_by,
            p: out.p,
            is_worse: true,
            is_better: false,
            out_after: Some(out.seeds),
        }));
        let work = comparison.work.get(best.searcher);
        Some(Self {
            best: left[best.searcher],
            rank: best.rank,
            regret: best.regret,
            trials: work.map_or(f64::NAN, |work| work.trials),
            others,
        })
    }

    /// Those that differ from the best in one value of the grid: the key, the other value, and how they compare.
    pub(crate) fn neighbours<'a>(
        &'a self,
        settings: &'a [Setting],
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Other)> {
        let best = settings.get(self.best);
        let differs = move |other: &Other| {
            let (best, found) = (best?, settings.get(other.contestant)?);
            if best.base != found.base || best.values.len() != found.values.len() {
                return None;
            }
            let mut changed = best.values.iter().zip(&found.values).filter(|(one, other)| one != other);
            match (changed.next(), changed.next()) {
                (Some((_, (key, value))), None) => Some((key.as_str(), value.as_str())),
                _ => None,
            }
        };
        self.others.iter().filter_map(move |other| differs(other).map(|(key, value)| (key, value, other)))
    }

    /// How the best compares with a contestant.
    pub(crate) fn against(&self, contestant: usize) -> Option<&Other> {
        self.others.iter().find(|other| other.contestant == contestant)
    }
}

/// The places of the settings without those that are the same as a later one: the base as it is, where the grid says its values,
/// too. What stays is then marked as the base.
pub(crate) fn without_twins(arena: &Arena, settings: &mut [Setting]) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for place in (0..settings.len()).rev() {
        match kept.iter().find(|&&other| arena.are_same(place, other)) {
            Some(&twin) => settings[twin].is_base |= settings[place].is_base,
            None => kept.push(place),
        }
    }
    kept.sort_unstable();
    kept
}
