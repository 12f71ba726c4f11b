//! One replicate, step by step: the twin of `cuda/replicates.cu`, in the same order.
//!
//! A rung is one array: the trials that wait are a binary heap at its front; those that were promoted are in order from its back.
//! An entry is one word: key of the metric (24 bits), arrival (20), trial (20).

use super::table::Prepared;
use crate::philox::Words;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A rung below the top one.
#[derive(Debug, Default)]
struct Rung {
    arrived: usize,
    waiting: BinaryHeap<Reverse<u64>>,
    /// In order.
    promoted: Vec<u64>,
    /// How many train for it.
    heading: usize,
}

/// What a thread keeps from replicate to replicate.
#[derive(Debug, Default)]
pub(crate) struct Play {
    rungs: Vec<Rung>,
    order: Vec<u32>,
    /// Displaced configurations by position, a hash table: (position + 1) << 32 | configuration; 0 is free.
    displaced: Vec<u64>,
    busy: BinaryHeap<Reverse<(u64, u32)>>,
    idle: BinaryHeap<Reverse<u32>>,
    job_of: Vec<(u32, usize)>,
    created: usize,
}

impl Play {
    /// Plays a replicate and gives its regret at each budget to `regret`.
    pub(crate) fn run(&mut self, search: &Prepared, replicate: u64, mut regret: impl FnMut(usize, f64)) {
        self.begin(search, replicate);
        let (mut best, mut budget, mut now) = (f64::INFINITY, 0, 0);
        let last = search.budgets[search.budgets.len() - 1];
        loop {
            self.give_jobs(search, now);
            let Some(Reverse((time, slot))) = self.busy.pop() else {
                break;
            };
            now = time;
            if now > last {
                break;
            }
            while search.budgets[budget] < now {
                regret(budget, best - search.reference);
                budget += 1;
            }
            let (trial, rung) = self.job_of[slot as usize];
            let configuration = self.order[trial as usize] as usize;
            let metric = search.metrics[rung * search.configurations + configuration];
            if metric < best {
                best = metric;
            }
            self.arrive(search, trial, rung, configuration);
            self.idle.push(Reverse(slot));
        }
        for budget in budget..search.budgets.len() {
            regret(budget, best - search.reference);
        }
    }

    fn begin(&mut self, search: &Prepared, replicate: u64) {
        self.draw_order(search, replicate);
        self.rungs.resize_with(search.lengths.len(), Rung::default);
        for rung in &mut self.rungs {
            rung.arrived = 0;
            rung.heading = 0;
            rung.waiting.clear();
            rung.promoted.clear();
        }
        self.busy.clear();
        self.idle.clear();
        self.idle.extend((0..search.slots).map(Reverse));
        self.job_of.resize(search.slots as usize, (0, 0));
        self.created = 0;
    }

    /// The beginning of a Fisher-Yates shuffle, which keeps only what it has displaced.
    fn draw_order(&mut self, search: &Prepared, replicate: u64) {
        let mut words = Words::new(search.seed, replicate);
        self.order.clear();
        self.displaced.clear();
        self.displaced.resize(search.places(), 0);
        for at in 0..search.trials as u32 {
            let other = at + words.below(search.configurations as u32 - at);
            let (here, there) = (self.place(at), self.place(other));
            let (mine, its) = (self.displaced[here], self.displaced[there]);
            self.order.push(if its == 0 { other } else { its as u32 });
            let mine = if mine == 0 { at } else { mine as u32 };
            self.displaced[there] = u64::from(other + 1) << 32 | u64::from(mine);
        }
    }

    /// Where a position is in the hash table, or the free place where it belongs.
    fn place(&self, position: u32) -> usize {
        let last = self.displaced.len() - 1;
        let mut at = position.wrapping_mul(0x9E37_79B1) as usize & last;
        while self.displaced[at] != 0 && (self.displaced[at] >> 32) as u32 != position + 1 {
            at = (at + 1) & last;
        }
        at
    }

    /// Gives work to idle slots, the lowest first, while there is any.
    fn give_jobs(&mut self, search: &Prepared, now: u64) {
        while let Some(&Reverse(slot)) = self.idle.peek() {
            let Some((trial, rung)) = self.next_job(search) else {
                return;
            };
            self.idle.pop();
            self.job_of[slot as usize] = (trial, rung);
            let before = if rung == 0 { 0 } else { search.lengths[rung - 1] };
            self.busy.push(Reverse((now + u64::from(search.lengths[rung] - before), slot)));
        }
    }

    fn next_job(&mut self, search: &Prepared) -> Option<(u32, usize)> {
        for rung in (0..self.rungs.len() - 1).rev() {
            if self.promotes(search, rung)
                && let Some(Reverse(entry)) = self.rungs[rung].waiting.pop()
            {
                let promoted = &mut self.rungs[rung].promoted;
                promoted.insert(promoted.partition_point(|&other| other < entry), entry);
                self.rungs[rung + 1].heading += 1;
                return Some(((entry & 0xF_FFFF) as u32, rung + 1));
            }
        }
        if self.created == search.trials {
            return None;
        }
        self.rungs[0].heading += 1;
        self.created += 1;
        Some((self.created as u32 - 1, 0))
    }

    /// Whether the best that waits in a rung is to be promoted.
    fn promotes(&self, search: &Prepared, rung: usize) -> bool {
        let Some(rank) = self.rungs[rung].rank_of_best() else {
            return false;
        };
        match search.shares[self.rungs[rung].arrived] as usize {
            0 => rank == 0 && self.is_sealed(search, rung),
            share => rank < share,
        }
    }

    /// Whether nothing can come to a rung any more.
    fn is_sealed(&self, search: &Prepared, rung: usize) -> bool {
        let goes_on = |below: &Rung| {
            let share = (search.shares[below.arrived] as usize).max(1);
            below.rank_of_best().is_some_and(|rank| rank < share)
        };
        self.created == search.trials
            && self.rungs[..=rung].iter().all(|rung| rung.heading == 0)
            && !self.rungs[..rung].iter().any(goes_on)
    }

    /// Enters a trial in the rung it trained for.
    fn arrive(&mut self, search: &Prepared, trial: u32, rung: usize, configuration: usize) {
        let is_top = rung + 1 == self.rungs.len();
        let here = &mut self.rungs[rung];
        here.heading -= 1;
        if !is_top {
            let key = u64::from(search.keys[rung * search.configurations + configuration]);
            here.waiting.push(Reverse(key << 40 | (here.arrived as u64) << 20 | u64::from(trial)));
            here.arrived += 1;
        }
    }
}

impl Rung {
    /// How many rank before the best that waits; all of them were promoted.
    fn rank_of_best(&self) -> Option<usize> {
        let Reverse(best) = self.waiting.peek()?;
        Some(self.promoted.partition_point(|other| other < best))
    }
}
