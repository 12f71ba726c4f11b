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

    /// Applies all changes or none; of several to one key the last counts. Durable when it returns, unless the backend
    /// is a [`Tree`].
    fn commit(&self, writes: Vec<Write>) -> Result<(), Error>;

    /// Repairs what an earlier failure left, as far as reading needs it.
    fn heal(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The tree that `durable` makes from the redo log. What it has survives the end of the process once it was flushed, and
/// nothing more is asked of it: it can be made again.
pub(crate) trait Tree: Backend {
    /// Whether it has files.
    fn exists(&self) -> bool;
    /// Opens it, after closing it if it is open.
    fn open(&self) -> Result<(), Error>;
    /// Removes its files and opens an empty one.
    fn clear(&self) -> Result<(), Error>;
    /// Hands what it has to the system.
    fn flush(&self) -> Result<(), Error>;
    /// Closes it and makes its files last. It can be opened again.
    fn close(&self) -> Result<(), Error>;
}
