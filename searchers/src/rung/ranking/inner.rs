//! A node of the tree above others, which counts what is below it.

use super::place::{Place, before};

/// Up to `F` children in order, each from its first possible place on. That of the first child says nothing: whatever is
/// before the second belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Inner<const F: usize> {
    firsts: [Place; F],
    nodes: [u32; F],
    entries: [u32; F],
    open: [u32; F],
    len: u32,
}

/// A child of an [`Inner`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Child {
    pub(super) node: u32,
    /// Entries below it.
    pub(super) entries: u32,
    /// Open ones.
    pub(super) open: u32,
}

impl<const F: usize> Inner<F> {
    /// One above a single child.
    pub(super) fn above(child: Child) -> Self {
        const { assert!(F >= 3) }
        let empty = Self { firsts: [Place::NONE; F], nodes: [0; F], entries: [0; F], open: [0; F], len: 0 };
        let mut inner = empty;
        inner.insert(0, Place::NONE, child);
        inner
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == F
    }

    /// Which child a place belongs to.
    pub(super) fn find(&self, place: Place) -> usize {
        before(&self.firsts[1..self.len()], place.order() + 1)
    }

    pub(super) fn node(&self, at: usize) -> u32 {
        self.nodes[at]
    }

    /// All children, in order.
    pub(super) fn children(&self) -> impl Iterator<Item = Child> + '_ {
        let child = |at| Child { node: self.nodes[at], entries: self.entries[at], open: self.open[at] };
        (0..self.len()).map(child)
    }

    /// The node of the first child that has entries.
    pub(super) fn first_filled(&self) -> Option<u32> {
        self.children().find(|child| child.entries > 0).map(|child| child.node)
    }

    /// How many entries are in the children before this one.
    pub(super) fn before(&self, at: usize) -> u64 {
        u64::from(self.entries[..at].iter().sum::<u32>())
    }

    /// The first child with an open entry.
    pub(super) fn first_open(&self) -> Option<usize> {
        self.open[..self.len()].iter().position(|open| *open > 0)
    }

    /// The last child with an open entry.
    pub(super) fn last_open(&self) -> Option<usize> {
        self.open[..self.len()].iter().rposition(|open| *open > 0)
    }

    /// Changes what is counted of a child.
    pub(super) fn count(&mut self, at: usize, entries: i32, open: i32) {
        self.entries[at] = self.entries[at].wrapping_add_signed(entries);
        self.open[at] = self.open[at].wrapping_add_signed(open);
    }

    /// Adds a child at `at`, whose entries were counted in the one before until now. There must be room.
    pub(super) fn add(&mut self, at: usize, first: Place, child: Child) {
        self.entries[at - 1] -= child.entries;
        self.open[at - 1] -= child.open;
        self.insert(at, first, child);
    }

    fn insert(&mut self, at: usize, first: Place, child: Child) {
        let len = self.len();
        self.firsts.copy_within(at..len, at + 1);
        self.nodes.copy_within(at..len, at + 1);
        self.entries.copy_within(at..len, at + 1);
        self.open.copy_within(at..len, at + 1);
        self.firsts[at] = first;
        (self.nodes[at], self.entries[at], self.open[at]) = (child.node, child.entries, child.open);
        self.len += 1;
    }

    /// Parts the children from `at` on: their first possible place, and a node of them.
    pub(super) fn split(&mut self, at: usize) -> (Place, Self) {
        let (mut rest, len) = (self.clone(), self.len());
        rest.firsts.copy_within(at..len, 0);
        rest.nodes.copy_within(at..len, 0);
        rest.entries.copy_within(at..len, 0);
        rest.open.copy_within(at..len, 0);
        (self.len, rest.len) = (at as u32, (len - at) as u32);
        (self.firsts[at], rest)
    }

    /// What all children hold: as the child `node` of another.
    pub(super) fn as_child(&self, node: u32) -> Child {
        let sum = |of: &[u32; F]| of[..self.len()].iter().sum();
        Child { node, entries: sum(&self.entries), open: sum(&self.open) }
    }
}
