//! The lowest nodes of the tree: blocks of places in one vector.
//!
//! Each has `L` places; only the newest may have fewer, so that a ranking of few entries takes little memory.

use super::place::{Place, before};
use super::room::make_room;

/// All leaves. `L` is at most 64: which entries are open is one word a leaf.
#[derive(Clone, Debug)]
pub(super) struct Leaves<const L: usize> {
    places: Vec<Place>,
    heads: Vec<Head>,
}

#[derive(Clone, Debug)]
struct Head {
    /// Bit i: the i-th entry is open.
    open: u64,
    len: u32,
}

impl<const L: usize> Leaves<L> {
    pub(super) fn new() -> Self {
        const { assert!(2 <= L && L <= 64) }
        Self { places: Vec::new(), heads: Vec::new() }
    }

    /// Whether there is not even one.
    pub(super) fn is_none(&self) -> bool {
        self.heads.is_empty()
    }

    /// A new one, empty.
    pub(super) fn add(&mut self) -> u32 {
        let start = self.heads.len() * L;
        let missing = start - self.places.len();
        make_room(&mut self.places, missing);
        self.places.resize(start, Place::NONE);
        make_room(&mut self.heads, 1);
        self.heads.push(Head { open: 0, len: 0 });
        self.heads.len() as u32 - 1
    }

    /// The places of a leaf, in order.
    pub(super) fn places(&self, leaf: u32) -> &[Place] {
        let start = leaf as usize * L;
        &self.places[start..start + self.heads[leaf as usize].len as usize]
    }

    pub(super) fn is_full(&self, leaf: u32) -> bool {
        self.heads[leaf as usize].len as usize == L
    }

    /// How many places of a leaf are before this one.
    pub(super) fn before(&self, leaf: u32, place: Place) -> usize {
        before(self.places(leaf), place.order())
    }

    /// Puts a closed entry at `at` into a leaf that is not full.
    pub(super) fn insert(&mut self, leaf: u32, at: usize, place: Place) {
        let head = &mut self.heads[leaf as usize];
        let (kept, moved) = (head.open & below(at), head.open & !below(at));
        head.open = kept | moved << 1;
        let start = leaf as usize * L;
        let end = start + head.len as usize;
        head.len += 1;
        if end == self.places.len() {
            make_room(&mut self.places, 1);
            self.places.push(Place::NONE);
        }
        self.places.copy_within(start + at..end, start + at + 1);
        self.places[start + at] = place;
    }

    /// Takes the entry at `at` out.
    pub(super) fn remove(&mut self, leaf: u32, at: usize) {
        let head = &mut self.heads[leaf as usize];
        head.open = (head.open & below(at)) | (head.open >> 1 & !below(at));
        let start = leaf as usize * L;
        let end = start + head.len as usize;
        head.len -= 1;
        self.places.copy_within(start + at + 1..end, start + at);
    }

    /// Moves what is at `at` and after into a new leaf.
    pub(super) fn split(&mut self, leaf: u32, at: usize) -> u32 {
        let added = self.add();
        let start = leaf as usize * L;
        let end = start + self.heads[leaf as usize].len as usize;
        make_room(&mut self.places, end - start - at);
        self.places.extend_from_within(start + at..end);
        let head = &mut self.heads[leaf as usize];
        let open = head.open.checked_shr(at as u32).unwrap_or(0);
        let len = head.len - at as u32;
        (head.open, head.len) = (head.open & below(at), at as u32);
        self.heads[added as usize] = Head { open, len };
        added
    }

    /// How many entries of a leaf are open.
    pub(super) fn open(&self, leaf: u32) -> u32 {
        self.heads[leaf as usize].open.count_ones()
    }

    /// Opens or closes the entry at `at`, which was not so before.
    pub(super) fn flip(&mut self, leaf: u32, at: usize) {
        self.heads[leaf as usize].open ^= 1 << at;
    }

    /// Where the first open entry of a leaf is, that has one.
    pub(super) fn first_open(&self, leaf: u32) -> usize {
        self.heads[leaf as usize].open.trailing_zeros() as usize
    }

    /// Where the last open entry of a leaf is, that has one.
    pub(super) fn last_open(&self, leaf: u32) -> usize {
        self.heads[leaf as usize].open.ilog2() as usize
    }

    /// Bytes that all of them take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>() + self.heads.capacity() * size_of::<Head>()
    }
}

/// The bits below bit `at`, which is at most 64.
fn below(at: usize) -> u64 {
    1_u64.checked_shl(at as u32).map_or(u64::MAX, |bit| bit - 1)
}
