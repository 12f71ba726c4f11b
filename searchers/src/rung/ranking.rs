//! Metrics in order, with ranks.
//!
//! A treap in one vector: a binary search tree by (metric, arrival) whose shape is that of a random tree, because
//! each entry's priority is a hash of its arrival. Every operation takes O(log n) steps with overwhelming probability, whatever
//! the order of the metrics. An entry is named by its arrival number, which never changes and is never used again.
//! Each subtree knows its size (ranks) and how many of its entries are open (the best open one).

use serde::{Deserialize, Serialize};

/// The name of no entry.
pub(crate) const NO_ENTRY: u32 = u32::MAX;
const OPEN: u32 = 1 << 31;

/// A metric as an integer whose order is: numbers, then NaN, then failed. Equal numbers have equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key(u64);

impl Key {
    /// The key of a trial that failed: after all others.
    pub(crate) const FAILED: Self = Self(u64::MAX);
    const NAN: Self = Self(u64::MAX - 1);
    const SIGN: u64 = 1 << 63;

    pub(crate) fn new(metric: f64) -> Self {
        if metric.is_nan() {
            return Self::NAN;
        }
        let bits = (metric + 0.0).to_bits();
        Self(if bits & Self::SIGN == 0 { bits | Self::SIGN } else { !bits })
    }

    /// The number, unless it was NaN or the trial failed.
    pub(crate) fn metric(self) -> Option<f64> {
        let bits = if self.0 & Self::SIGN == 0 { !self.0 } else { self.0 & !Self::SIGN };
        (self < Self::NAN).then(|| f64::from_bits(bits))
    }

    /// The number, infinity for NaN, and nothing for a trial that failed.
    pub(crate) fn ranked(self) -> Option<f64> {
        (self != Self::FAILED).then(|| self.metric().unwrap_or(f64::INFINITY))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    key: Key,
    /// The trial; the highest bit says that the entry is open.
    trial: u32,
    /// The same trial's entry in the rung below.
    below: u32,
    left: u32,
    right: u32,
    /// Entries in this subtree.
    size: u32,
    /// Open entries in this subtree.
    open: u32,
}

/// Entries in order of (metric, arrival).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ranking {
    nodes: Vec<Node>,
    root: u32,
}

impl Ranking {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new(), root: NO_ENTRY }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> u32 {
        self.size(self.root)
    }

    /// How many entries are open.
    pub(crate) fn open(&self) -> u32 {
        self.get(self.root).map_or(0, |node| node.open)
    }

    /// Adds a closed entry, ranked after all with the same key, and names it.
    pub(crate) fn insert(&mut self, key: Key, trial: u32, below: u32) -> u32 {
        let entry = self.nodes.len() as u32;
        self.nodes.push(Node { key, trial, below, left: NO_ENTRY, right: NO_ENTRY, size: 1, open: 0 });
        // Down to the first entry of lower priority: the new one takes its place, above the two parts of its subtree.
        let (mut at, mut above) = (self.root, NO_ENTRY);
        while at != NO_ENTRY && priority(at) >= priority(entry) {
            above = at;
            let node = self.node_mut(at);
            node.size += 1;
            at = if (node.key, above) < (key, entry) { node.right } else { node.left };
        }
        let (left, right) = self.split(at, (key, entry));
        let node = self.node_mut(entry);
        (node.left, node.right) = (left, right);
        self.recount(entry);
        match self.nodes.get_mut(above as usize) {
            None => self.root = entry,
            Some(node) if (node.key, above) < (key, entry) => node.right = entry,
            Some(node) => node.left = entry,
        }
        entry
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, entry: u32) {
        let key = self.node(entry).key;
        let (better, rest) = self.split(self.root, (key, entry));
        let (_, worse) = self.split(rest, (key, entry + 1));
        self.root = self.merge(better, worse);
    }

    /// How many entries are before this one.
    pub(crate) fn rank(&self, entry: u32) -> u64 {
        let place = (self.node(entry).key, entry);
        let (mut at, mut before) = (self.root, 0);
        while let Some(node) = self.get(at) {
            if (node.key, at) < place {
                before += u64::from(self.size(node.left)) + 1;
                at = node.right;
            } else {
                at = node.left;
            }
        }
        before
    }

    /// How many entries are better than a metric.
    pub(crate) fn better_than(&self, key: Key) -> u64 {
        let (mut at, mut before) = (self.root, 0);
        while let Some(node) = self.get(at) {
            if node.key < key {
                before += u64::from(self.size(node.left)) + 1;
                at = node.right;
            } else {
                at = node.left;
            }
        }
        before
    }

    /// The best `count` entries, in order.
    pub(crate) fn first(&self, count: usize) -> Vec<u32> {
        let (mut found, mut open, mut at) = (Vec::new(), Vec::new(), self.root);
        while found.len() < count {
            if let Some(node) = self.get(at) {
                open.push(at);
                at = node.left;
            } else if let Some(next) = open.pop() {
                found.push(next);
                at = self.node(next).right;
            } else {
                break;
            }
        }
        found
    }

    /// Opens or closes an entry.
    pub(crate) fn set_open(&mut self, entry: u32, open: bool) {
        if self.is_open(entry) == open {
            return;
        }
        let place = (self.node(entry).key, entry);
        self.node_mut(entry).trial ^= OPEN;
        let mut at = self.root;
        while at != NO_ENTRY {
            let node = self.node_mut(at);
            node.open = if open { node.open + 1 } else { node.open - 1 };
            at = match (node.key, at).cmp(&place) {
                std::cmp::Ordering::Less => node.right,
                std::cmp::Ordering::Greater => node.left,
                std::cmp::Ordering::Equal => NO_ENTRY,
            };
        }
    }

    /// The best open entry.
    pub(crate) fn first_open(&self) -> Option<u32> {
        self.find_open(|node| (node.left, node.right))
    }

    /// The worst open entry.
    pub(crate) fn last_open(&self) -> Option<u32> {
        self.find_open(|node| (node.right, node.left))
    }

    fn find_open(&self, sides: impl Fn(&Node) -> (u32, u32)) -> Option<u32> {
        let mut at = self.root;
        while let Some(node) = self.get(at).filter(|node| node.open > 0) {
            let (near, far) = sides(node);
            if self.get(near).is_some_and(|near| near.open > 0) {
                at = near;
            } else if node.trial & OPEN != 0 {
                return Some(at);
            } else {
                at = far;
            }
        }
        None
    }

    /// The key of the first entry.
    pub(crate) fn best(&self) -> Option<Key> {
        let (mut at, mut best) = (self.root, None);
        while let Some(node) = self.get(at) {
            best = Some(node.key);
            at = node.left;
        }
        best
    }

    pub(crate) fn is_open(&self, entry: u32) -> bool {
        self.node(entry).trial & OPEN != 0
    }

    pub(crate) fn trial(&self, entry: u32) -> u32 {
        self.node(entry).trial & !OPEN
    }

    pub(crate) fn below(&self, entry: u32) -> u32 {
        self.node(entry).below
    }

    pub(crate) fn key(&self, entry: u32) -> Key {
        self.node(entry).key
    }

    fn get(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    fn size(&self, at: u32) -> u32 {
        self.get(at).map_or(0, |node| node.size)
    }

    /// Counts a subtree again after its children changed.
    fn recount(&mut self, at: u32) {
        let (left, right) = (self.node(at).left, self.node(at).right);
        let size = 1 + self.size(left) + self.size(right);
        let below =
            [left, right].iter().filter_map(|&side| self.get(side)).map(|node| node.open).sum::<u32>();
        let open = below + u32::from(self.is_open(at));
        let node = self.node_mut(at);
        (node.size, node.open) = (size, open);
    }

    /// Parts a subtree into what is before `place` and the rest.
    fn split(&mut self, at: u32, place: (Key, u32)) -> (u32, u32) {
        if at == NO_ENTRY {
            return (NO_ENTRY, NO_ENTRY);
        }
        let (key, left, right) = (self.node(at).key, self.node(at).left, self.node(at).right);
        let parts = if (key, at) < place {
            let (before, after) = self.split(right, place);
            self.node_mut(at).right = before;
            (at, after)
        } else {
            let (before, after) = self.split(left, place);
            self.node_mut(at).left = after;
            (before, at)
        };
        self.recount(at);
        parts
    }

    /// Joins two subtrees, all of the first before all of the second.
    fn merge(&mut self, first: u32, second: u32) -> u32 {
        if first == NO_ENTRY {
            return second;
        }
        if second == NO_ENTRY {
            return first;
        }
        let root = if priority(first) >= priority(second) {
            let right = self.node(first).right;
            self.node_mut(first).right = self.merge(right, second);
            first
        } else {
            let left = self.node(second).left;
            self.node_mut(second).left = self.merge(first, left);
            second
        };
        self.recount(root);
        root
    }
}

/// A hash of the entry's name (the finaliser of SplitMix64).
fn priority(entry: u32) -> u64 {
    let mut hash = (u64::from(entry) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_keep_the_order_of_numbers_and_put_nan_and_failures_last() {
        let ascending =
            [f64::NEG_INFINITY, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        let keys: Vec<Key> = ascending.iter().map(|&metric| Key::new(metric)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b) && *keys.last().unwrap() < Key::FAILED);
        assert_eq!(Key::new(-0.0), Key::new(0.0));
        assert_eq!(Key::new(-f64::NAN), Key::new(f64::NAN));
        for metric in &ascending[..7] {
            assert_eq!(Key::new(*metric).metric(), Some(*metric));
        }
        assert_eq!((Key::new(f64::NAN).metric(), Key::FAILED.metric()), (None, None));
    }

    #[test]
    fn an_entry_takes_32_bytes() {
        assert_eq!(size_of::<Node>(), 32);
    }

    fn depth(ranking: &Ranking, at: u32) -> u32 {
        ranking.get(at).map_or(0, |node| 1 + depth(ranking, node.left).max(depth(ranking, node.right)))
    }

    #[test]
    fn sorted_arrivals_keep_the_tree_shallow() {
        let mut ranking = Ranking::new();
        for entry in 0..100_000 {
            ranking.insert(Key::new(f64::from(entry)), entry, NO_ENTRY);
        }
        let depth = depth(&ranking, ranking.root);
        assert!(depth < 60, "{depth}");
    }

    proptest! {
        /// Against a sorted list.
        #[test]
        fn agrees_with_a_sorted_list(steps in prop::collection::vec((0_u8..5, 0_u32..1000, -3_i8..3), 1..200)) {
            let mut ranking = Ranking::new();
            let mut list: Vec<(Key, u32, bool)> = Vec::new();
            for (step, pick, metric) in steps {
                if step < 2 || list.is_empty() {
                    let key = Key::new(f64::from(metric));
                    let entry = ranking.insert(key, pick, NO_ENTRY);
                    list.push((key, entry, false));
                    list.sort();
                } else {
                    let place = pick as usize % list.len();
                    let entry = list[place].1;
                    prop_assert_eq!(ranking.rank(entry), place as u64);
                    if step == 2 {
                        ranking.remove(entry);
                        list.remove(place);
                    } else {
                        ranking.set_open(entry, step == 3);
                        list[place].2 = step == 3;
                    }
                }
                prop_assert_eq!(ranking.len() as usize, list.len());
                let keys: Vec<u32> = list.iter().map(|item| item.1).collect();
                prop_assert_eq!(&ranking.first(7)[..], &keys[..keys.len().min(7)]);
                let key = Key::new(f64::from(metric));
                let better = list.iter().filter(|item| item.0 < key).count();
                prop_assert_eq!(ranking.better_than(key), better as u64);
                prop_assert_eq!(ranking.best(), list.first().map(|item| item.0));
                prop_assert_eq!(ranking.open() as usize, list.iter().filter(|item| item.2).count());
                prop_assert_eq!(ranking.first_open(), list.iter().find(|item| item.2).map(|item| item.1));
                prop_assert_eq!(ranking.last_open(), list.iter().rfind(|item| item.2).map(|item| item.1));
            }
        }
    }
}
