//! Where an entry stands among the others.

use crate::rung::Key;

/// By key, then by arrival. In three words, so that it takes 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    low: u32,
    high: u32,
    entry: u32,
}

impl Place {
    /// What stands where nothing is.
    pub(super) const NONE: Self = Self { low: 0, high: 0, entry: 0 };

    pub(super) fn new(key: Key, entry: u32) -> Self {
        Self { low: key.bits() as u32, high: (key.bits() >> 32) as u32, entry }
    }

    pub(super) fn key(self) -> Key {
        Key::of_bits(self.bits())
    }

    /// The entry's arrival number, its name.
    pub(super) fn entry(self) -> u32 {
        self.entry
    }

    /// Compared as one number, which takes no branch: a search in a node would guess it wrong half of the time.
    pub(super) fn order(self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.entry)
    }

    fn bits(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

/// So many places are compared one by one.
const STRIDE: usize = 8;

/// How many of these, which are in order, are before an `order`.
///
/// Of each [`STRIDE`] the last is looked at, then the one block of them where it is decided. That compares more than a binary
/// search does, but no step waits for the memory of another, and the memory is what takes time.
pub(super) fn before(places: &[Place], order: u128) -> usize {
    let is_before = |place: &&Place| place.order() < order;
    let blocks = places.iter().skip(STRIDE - 1).step_by(STRIDE).filter(is_before).count();
    let start = blocks * STRIDE;
    start + places[start..].iter().take(STRIDE).filter(is_before).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_takes_12_bytes_and_keeps_all_of_them() {
        assert_eq!(size_of::<Place>(), 12);
        for key in [Key::new(-1.5), Key::new(0.1), Key::FAILED] {
            let place = Place::new(key, u32::MAX - 1);
            assert_eq!((place.key(), place.entry()), (key, u32::MAX - 1));
        }
    }

    #[test]
    fn keys_come_before_arrivals() {
        let ascending = [(1.0, 7), (1.0, 8), (1.5, 0), (2.0, 0), (1e300, 0)];
        assert!(ascending.map(|(metric, entry)| Place::new(Key::new(metric), entry).order()).is_sorted());
        assert!(Place::new(Key::new(-3.0), 9).order() < Place::new(Key::new(2.0), 1).order());
    }
}
