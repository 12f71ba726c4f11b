//! Places in order, with counts: a B⁺ tree.
//!
//! Entries are in the leaves only, a block of them in each, so that the way to one of a million passes three or four blocks of
//! memory. The nodes above count the entries of each child, and the open ones. A node is split when an insertion meets
//! it full: at its middle, but a leaf at its end where entries arrive in order, so that the leaves they leave behind are full.
//! Nodes never join: few entries are ever taken out, and an empty node is used again when a place in its range comes.

use super::inner::{Child, Inner};
use super::leaves::Leaves;
use super::place::Place;
use super::room::make_room;

/// A tree whose leaves hold up to `L` entries, and whose nodes above up to `F` children.
#[derive(Clone, Debug)]
pub(super) struct Tree<const L: usize, const F: usize> {
    leaves: Leaves<L>,
    inners: Vec<Inner<F>>,
    root: u32,
    /// Levels above the leaves. The nodes of level 0 are leaves, all others inner ones.
    height: u32,
    entries: u32,
    open: u32,
}

/// Whether a node is the first or the last of its level.
#[derive(Clone, Copy)]
struct Ends {
    first: bool,
    last: bool,
}

impl Ends {
    /// Of the child at `at` of `len`.
    fn of_child(self, at: usize, len: usize) -> Self {
        Self { first: self.first && at == 0, last: self.last && at + 1 == len }
    }
}

impl<const L: usize, const F: usize> Tree<L, F> {
    pub(super) fn new() -> Self {
        Self { leaves: Leaves::new(), inners: Vec::new(), root: 0, height: 0, entries: 0, open: 0 }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u32 {
        self.entries
    }

    /// How many are open.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Adds a closed entry. How many are before it.
    pub(super) fn insert(&mut self, place: Place) -> u64 {
        self.make_room_at_root();
        let (mut node, mut before) = (self.root, 0);
        let mut ends = Ends { first: true, last: true };
        for level in (0..self.height).rev() {
            let mut at = self.inner(node).find(place);
            if self.is_full(level, self.inner(node).node(at)) {
                self.split_child(level, node, at, ends.of_child(at, self.inner(node).len()), place);
                at = self.inner(node).find(place);
            }
            let inner = &mut self.inners[node as usize];
            ends = ends.of_child(at, inner.len());
            before += inner.before(at);
            inner.count(at, 1, 0);
            node = inner.node(at);
        }
        let at = self.leaves.before(node, place);
        self.leaves.insert(node, at, place);
        self.entries += 1;
        before + at as u64
    }

    /// Takes a closed entry out, which must be there.
    pub(super) fn remove(&mut self, place: Place) {
        let (leaf, at) = self.go_to(place, -1, 0);
        self.leaves.remove(leaf, at);
        self.entries -= 1;
    }

    /// Opens a closed entry, or closes an open one, which must be there.
    pub(super) fn set_open(&mut self, place: Place, open: bool) {
        let change = if open { 1 } else { -1 };
        let (leaf, at) = self.go_to(place, 0, change);
        self.leaves.flip(leaf, at);
        self.open = self.open.wrapping_add_signed(change);
    }

    /// Where an entry is; what is counted on the way there changes by `entries` and `open`.
    fn go_to(&mut self, place: Place, entries: i32, open: i32) -> (u32, usize) {
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &mut self.inners[node as usize];
            let at = inner.find(place);
            inner.count(at, entries, open);
            node = inner.node(at);
        }
        (node, self.leaves.before(node, place))
    }

    /// How many entries are before a place.
    pub(super) fn before(&self, place: Place) -> u64 {
        if self.entries == 0 {
            return 0;
        }
        let (mut node, mut before) = (self.root, 0);
        for _ in 0..self.height {
            let inner = self.inner(node);
            let at = inner.find(place);
            before += inner.before(at);
            node = inner.node(at);
        }
        before + self.leaves.before(node, place) as u64
    }

    /// The first open entry, and how many are before it.
    pub(super) fn first_open(&self) -> Option<(Place, u64)> {
        self.find_open(Inner::first_open, Leaves::first_open)
    }

    /// The last open entry, and how many are before it.
    pub(super) fn last_open(&self) -> Option<(Place, u64)> {
        self.find_open(Inner::last_open, Leaves::last_open)
    }

    fn find_open(
        &self,
        child: impl Fn(&Inner<F>) -> Option<usize>,
        entry: impl Fn(&Leaves<L>, u32) -> usize,
    ) -> Option<(Place, u64)> {
        if self.open == 0 {
            return None;
        }
        let (mut node, mut before) = (self.root, 0);
        for _ in 0..self.height {
            let inner = self.inner(node);
            let at = child(inner)?;
            before += inner.before(at);
            node = inner.node(at);
        }
        let at = entry(&self.leaves, node);
        Some((self.leaves.places(node)[at], before + at as u64))
    }

    /// The first place.
    pub(super) fn first(&self) -> Option<Place> {
        let mut node = self.root;
        for _ in 0..self.height {
            node = self.inner(node).first_filled()?;
        }
        if self.entries > 0 { self.leaves.places(node).first().copied() } else { None }
    }

    /// The first `count` places, in order.
    pub(super) fn first_of(&self, count: usize) -> Vec<Place> {
        let mut found = Vec::new();
        if self.entries > 0 {
            self.collect(self.height, self.root, count, &mut found);
        }
        found
    }

    fn collect(&self, level: u32, node: u32, count: usize, found: &mut Vec<Place>) {
        if level == 0 {
            let wanted = self.leaves.places(node).iter().take(count - found.len());
            return found.extend(wanted);
        }
        for child in self.inner(node).children().filter(|child| child.entries > 0) {
            if found.len() >= count {
                break;
            }
            self.collect(level - 1, child.node, count, found);
        }
    }

    fn inner(&self, node: u32) -> &Inner<F> {
        &self.inners[node as usize]
    }

    fn is_full(&self, level: u32, node: u32) -> bool {
        if level == 0 { self.leaves.is_full(node) } else { self.inner(node).is_full() }
    }

    /// Puts a new root above one that is full, and makes the first.
    fn make_room_at_root(&mut self) {
        if self.leaves.is_none() {
            self.root = self.leaves.add();
        }
        if self.is_full(self.height, self.root) {
            let child = Child { node: self.root, entries: self.entries, open: self.open };
            self.root = self.add(Inner::above(child));
            self.height += 1;
        }
    }

    fn add(&mut self, inner: Inner<F>) -> u32 {
        make_room(&mut self.inners, 1);
        self.inners.push(inner);
        self.inners.len() as u32 - 1
    }

    /// Splits the child at `at`, which is full and on `level`, before `place` is inserted there. The node has room.
    fn split_child(&mut self, level: u32, node: u32, at: usize, ends: Ends, place: Place) {
        let child = self.inner(node).node(at);
        let (first, added) =
            if level == 0 { self.split_leaf(child, ends, place) } else { self.split_inner(child) };
        self.inners[node as usize].add(at + 1, first, added);
    }

    fn split_leaf(&mut self, leaf: u32, ends: Ends, place: Place) -> (Place, Child) {
        let before = self.leaves.before(leaf, place);
        let outside = (ends.first && before == 0) || (ends.last && before == L);
        let cut = if outside { before } else { L / 2 };
        let node = self.leaves.split(leaf, cut);
        let places = self.leaves.places(node);
        let first = places.first().copied().unwrap_or(place);
        (first, Child { node, entries: places.len() as u32, open: self.leaves.open(node) })
    }

    fn split_inner(&mut self, node: u32) -> (Place, Child) {
        let (first, rest) = self.inners[node as usize].split(F / 2);
        let added = self.add(rest);
        (first, self.inner(added).as_child(added))
    }
}

#[cfg(test)]
impl<const L: usize, const F: usize> Tree<L, F> {
    /// Fails where counts or order are wrong. How many levels are above the leaves.
    pub(super) fn check(&self) -> u32 {
        let mut places = Vec::new();
        if !self.leaves.is_none() {
            let counted = self.check_below(self.height, self.root, &mut places);
            assert_eq!(counted, (self.entries, self.open));
        }
        assert!(places.is_sorted_by(|one, other| one.order() < other.order()));
        self.height
    }

    /// Entries and open entries below a node.
    fn check_below(&self, level: u32, node: u32, places: &mut Vec<Place>) -> (u32, u32) {
        if level == 0 {
            let here = self.leaves.places(node);
            places.extend(here);
            return (here.len() as u32, self.leaves.open(node));
        }
        let children = self.inner(node).children();
        children.fold((0, 0), |sum, child| {
            let counted = self.check_below(level - 1, child.node, places);
            assert_eq!(counted, (child.entries, child.open));
            (sum.0 + counted.0, sum.1 + counted.1)
        })
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.leaves.bytes() + self.inners.capacity() * size_of::<Inner<F>>()
    }
}
