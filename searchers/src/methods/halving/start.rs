//! Where new members begin, for [`super::super::Auto`]: above the rungs that tell nothing.
//!
//! A rung is worth its cost only if the ranks in it say something about the ranks above. On some tasks they do not: after
//! one epoch the best settings may look like the worst. So the agreement of each rung with the next is measured, by
//! Kendall's rank correlation of the newest [`KEPT`] members that have a metric at both, and new members skip the lowest
//! rungs as long as it is below [`AGREE`] there, once [`ENOUGH`] members have shown it. Members that were promoted are a
//! selection, so one in [`SCOUTS`] new members skips one rung more than the others: of these both metrics are known
//! whatever they are.

use super::Halving;
use crate::rung::Key;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// A rung agrees with the next from this correlation on.
const AGREE: f64 = 0.2;
/// So many members must have both metrics.
const ENOUGH: usize = 10;
/// Of more only the newest count, so that a comparison has a bound.
const KEPT: usize = 96;
/// One in so many new members begins a rung higher.
const SCOUTS: u32 = 20;

/// Two metrics of a member: in a rung, and in the next.
type Pair = (Key, Key);

/// What is known of the agreement of rungs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Start {
    /// The rung in which new members begin.
    rung: u8,
    created: u32,
    /// Pairs of each rung with the next.
    pairs: Vec<VecDeque<Pair>>,
    /// What members reported at the length of the rung below their first.
    below: BTreeMap<u32, Key>,
}

/// A rung that new members skip.
#[derive(Clone, Copy, Debug)]
pub(in crate::methods) struct Skipped {
    pub(in crate::methods) length: u64,
    /// The length of the rung above.
    pub(in crate::methods) next: u64,
    /// So many members have shown that the two agree by no more than this.
    pub(in crate::methods) members: usize,
    pub(in crate::methods) agreement: f64,
}

impl Start {
    /// Of a bracket with so many rungs.
    pub(super) fn new(rungs: usize) -> Self {
        let pairs = vec![VecDeque::new(); rungs.saturating_sub(1)];
        Self { rung: 0, created: 0, pairs, below: BTreeMap::new() }
    }

    /// The rung in which the next member begins.
    fn next(&mut self) -> u8 {
        self.created += 1;
        let scouts = self.created.is_multiple_of(SCOUTS) && usize::from(self.rung) + 1 < self.pairs.len();
        self.rung + u8::from(scouts)
    }

    fn note(&mut self, rung: usize, pair: Pair) {
        let Some(pairs) = self.pairs.get_mut(rung) else { return };
        if pairs.len() == KEPT {
            pairs.pop_front();
        }
        pairs.push_back(pair);
        // The highest but one still separates members; no member skips to the top.
        let skipped = self.pairs.iter().take(self.pairs.len() - 1);
        self.rung =
            skipped.take_while(|pairs| pairs.len() >= ENOUGH && agreement(pairs) < AGREE).count() as u8;
    }
}

/// Kendall's τ_a.
fn agreement(pairs: &VecDeque<Pair>) -> f64 {
    let (mut sum, mut count) = (0_i64, 0_i64);
    for (place, (low, high)) in pairs.iter().enumerate() {
        for (other_low, other_high) in pairs.iter().take(place) {
            let (one, other) = (low.cmp(other_low), high.cmp(other_high));
            sum += one as i64 * other as i64;
            count += 1;
        }
    }
    sum as f64 / count.max(1) as f64
}

impl Halving {
    /// The rung in which the next new member begins.
    pub(super) fn first_rung(&mut self) -> usize {
        self.start.as_mut().map_or(0, |start| usize::from(start.next()))
    }

    /// The rungs that new members skip, the lowest first.
    pub(in crate::methods) fn skipped(&self) -> Vec<Skipped> {
        let Some(start) = &self.start else { return Vec::new() };
        let skipped = start.pairs.iter().zip(self.rungs.windows(2)).take(usize::from(start.rung));
        let skipped = skipped.map(|(pairs, rungs)| Skipped {
            length: rungs[0].length,
            next: rungs[1].length,
            members: pairs.len(),
            agreement: agreement(pairs),
        });
        skipped.collect()
    }

    /// A member reported below its first rung.
    pub(super) fn note_below(&mut self, member: u32, rung: usize, length: u64, key: Key) {
        let reached = rung > 0 && length >= self.rungs[rung - 1].length;
        if let Some(start) = self.start.as_mut().filter(|_| reached) {
            start.below.entry(member).or_insert(key);
        }
    }

    /// A member has entered a rung; `before` is its metric in the rung below, if it has been there.
    pub(super) fn note_pair(&mut self, member: u32, rung: usize, before: Option<Key>, key: Key) {
        let Some(start) = self.start.as_mut() else { return };
        let before = before.or_else(|| start.below.remove(&member));
        if let (Some(before), Some(below)) = (before, rung.checked_sub(1)) {
            start.note(below, (before, key));
        }
    }

    /// A member that is gone will not report any more.
    pub(super) fn forget_start(&mut self, member: u32) {
        if let Some(start) = self.start.as_mut() {
            start.below.remove(&member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: impl Fn(u32) -> (f64, f64), count: u32) -> Vec<Pair> {
        (0..count).map(of).map(|(low, high)| (Key::new(low), Key::new(high))).collect()
    }

    #[test]
    fn agreement_is_kendalls() {
        let of = |of: fn(u32) -> (f64, f64)| agreement(&pairs(of, 20).into());
        assert_eq!(of(|at| (f64::from(at), f64::from(at) * 2.0)), 1.0);
        assert_eq!(of(|at| (f64::from(at), -f64::from(at))), -1.0);
        assert_eq!(of(|_| (1.0, 2.0)), 0.0, "ties say nothing");
        // 1 2 3 4 against 2 1 4 3: four pairs of six agree.
        let four = [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0)];
        assert!((agreement(&pairs(|at| four[at as usize], 4).into()) - 2.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn members_skip_rungs_that_tell_nothing_and_come_back_when_they_do() {
        let mut start = Start::new(4);
        for pair in pairs(|at| (f64::from(at), -f64::from(at)), 9) {
            start.note(0, pair);
        }
        assert_eq!(start.rung, 0, "too few");
        start.note(0, (Key::new(9.0), Key::new(-9.0)));
        assert_eq!(start.rung, 1);
        for pair in pairs(|at| (f64::from(at), -f64::from(at)), 10) {
            start.note(1, pair);
            start.note(2, pair);
        }
        assert_eq!(start.rung, 2, "never the top");
        for pair in pairs(|at| (f64::from(at), f64::from(at)), KEPT as u32) {
            start.note(0, pair);
        }
        assert_eq!((start.rung, start.pairs[0].len()), (0, KEPT));
        let first: Vec<u8> = (0..40).map(|_| start.next()).collect();
        assert_eq!(first.iter().map(|&rung| u32::from(rung)).sum::<u32>(), 2, "scouts");
    }
}
