//! Metrics in order, with ranks.
//!
//! Entries are in the order of (metric, arrival). An entry is named by its arrival number, which never changes and is never used
//! again. What is known of an entry is kept in the order of arrival, and beside that a tree of them in the order of rank
//! ([`tree`]), which follows from the former: only the entries are stored and compared. Every operation takes O(log n) steps,
//! whatever the order of the metrics.
//!
//! | file | holds |
//! |---|---|
//! | `place` | where an entry stands among the others |
//! | `tree` | places in order, with counts |
//! | `leaves` | the blocks of places at its bottom |
//! | `inner` | the nodes above them |
//! | `room` | how vectors grow |
//!
//! Memory: 16 bytes an entry, and 12 for its place in a block that is two thirds full on average; about 35 in all.

use crate::rung::Key;
use place::Place;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tree::Tree;

mod inner;
mod leaves;
mod place;
mod room;
#[cfg(test)]
mod tests;
mod tree;

/// The name of no entry.
pub(crate) const NO_ENTRY: u32 = u32::MAX;
const OPEN: u32 = 1 << 31;
const GONE: u32 = 1 << 30;

/// What is known of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    key: Key,
    /// The trial; the highest bit says that the entry is open, the next that it was taken out.
    trial: u32,
    /// The same trial's entry in the rung below.
    below: u32,
}

/// An entry and its rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) entry: u32,
    /// How many entries are before it.
    pub(crate) rank: u64,
}

impl Ranked {
    fn of((place, rank): (Place, u64)) -> Self {
        Self { entry: place.entry(), rank }
    }
}

/// Entries in order of (metric, arrival), `LEAF` in a block.
#[derive(Clone, Debug)]
pub(crate) struct Ranking<const LEAF: usize = 64, const FAN: usize = 32> {
    /// All there ever were, in the order of arrival.
    entries: Vec<Entry>,
    tree: Tree<LEAF, FAN>,
}

impl<const LEAF: usize, const FAN: usize> Ranking<LEAF, FAN> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), tree: Tree::new() }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> u32 {
        self.tree.len()
    }

    /// How many entries are open.
    pub(crate) fn open(&self) -> u32 {
        self.tree.open()
    }

    /// Adds a closed entry, ranked after all with the same key, and names it.
    pub(crate) fn insert(&mut self, key: Key, trial: u32, below: u32) -> Ranked {
        let entry = self.entries.len() as u32;
        room::make_room(&mut self.entries, 1);
        self.entries.push(Entry { key, trial, below });
        let rank = self.tree.insert(Place::new(key, entry));
        Ranked { entry, rank }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, entry: u32) {
        self.set_open(entry, false);
        if self.entry(entry).trial & GONE == 0 {
            self.entries[entry as usize].trial |= GONE;
            self.tree.remove(self.place(entry));
        }
    }

    /// How many entries are before this one.
    pub(crate) fn rank(&self, entry: u32) -> u64 {
        self.tree.before(self.place(entry))
    }

    /// How many entries are better than a metric.
    pub(crate) fn better_than(&self, key: Key) -> u64 {
        self.tree.before(Place::new(key, 0))
    }

    /// The best `count` entries, in order.
    pub(crate) fn first(&self, count: usize) -> Vec<u32> {
        self.tree.first_of(count).into_iter().map(Place::entry).collect()
    }

    /// Opens or closes an entry. One that was taken out stays closed.
    pub(crate) fn set_open(&mut self, entry: u32, open: bool) {
        let state = self.entry(entry).trial & (OPEN | GONE);
        if state == if open { 0 } else { OPEN } {
            self.entries[entry as usize].trial ^= OPEN;
            self.tree.set_open(self.place(entry), open);
        }
    }

    /// The best open entry.
    pub(crate) fn first_open(&self) -> Option<Ranked> {
        self.tree.first_open().map(Ranked::of)
    }

    /// The worst open entry.
    pub(crate) fn last_open(&self) -> Option<Ranked> {
        self.tree.last_open().map(Ranked::of)
    }

    /// The key of the first entry.
    pub(crate) fn best(&self) -> Option<Key> {
        self.tree.first().map(Place::key)
    }

    pub(crate) fn trial(&self, entry: u32) -> u32 {
        self.entry(entry).trial & !(OPEN | GONE)
    }

    pub(crate) fn below(&self, entry: u32) -> u32 {
        self.entry(entry).below
    }

    pub(crate) fn key(&self, entry: u32) -> Key {
        self.entry(entry).key
    }

    fn entry(&self, entry: u32) -> &Entry {
        &self.entries[entry as usize]
    }

    fn place(&self, entry: u32) -> Place {
        Place::new(self.key(entry), entry)
    }

    /// The ranking of these entries.
    fn of_entries(entries: Vec<Entry>) -> Self {
        let mut tree = Tree::new();
        let there = (0..).zip(&entries).filter(|(_, entry)| entry.trial & GONE == 0);
        let mut places: Vec<(Place, bool)> =
            there.map(|(name, entry)| (Place::new(entry.key, name), entry.trial & OPEN != 0)).collect();
        places.sort_unstable_by_key(|(place, _)| place.order());
        for (place, open) in places {
            tree.insert(place);
            if open {
                tree.set_open(place, true);
            }
        }
        Self { entries, tree }
    }
}

impl<const LEAF: usize, const FAN: usize> PartialEq for Ranking<LEAF, FAN> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<const LEAF: usize, const FAN: usize> Serialize for Ranking<LEAF, FAN> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

impl<'de, const LEAF: usize, const FAN: usize> Deserialize<'de> for Ranking<LEAF, FAN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::of_entries)
    }
}
