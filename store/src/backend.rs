//! What the store wants of an ordered tree. Two implementations: `sled_backend` and `memory`.

use std::ops::Range;

use crate::Error;

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) key: Vec<u8>,
    /// `None`: remove the key.
    pub(crate) value: Option<Vec<u8>>,
}

/// A key and its value.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Which end of a range a page is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// An ordered map from bytes to bytes. Values are small (see `records`).
pub(crate) trait Backend: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// At most `limit` entries of a range, from the end that `order` names.
    fn page(&self, range: &Range<Vec<u8>>, limit: usize, order: Order) -> Result<Vec<Entry>, Error>;

    /// Applies all changes or none; of several to one key the last counts. Durable when it returns.
    fn commit(&self, writes: Vec<Write>) -> Result<(), Error>;
}
