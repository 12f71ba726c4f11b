//! The tree in memory: for simulation and tests.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use crate::Error;
#[cfg(test)]
use crate::backend::Tree;
use crate::backend::{Backend, Entry, Order, Write};

/// An ordered map behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    tree: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Backend for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.tree.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn page(&self, range: &Range<Vec<u8>>, limit: usize, order: Order) -> Result<Vec<Entry>, Error> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let entries = tree.range(range.clone()).map(|(key, value)| (key.clone(), value.clone()));
        Ok(match order {
            Order::Ascending => entries.take(limit).collect(),
            Order::Descending => entries.rev().take(limit).collect(),
        })
    }

    fn commit(&self, writes: Vec<Write>) -> Result<(), Error> {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        for write in writes {
            match write.value {
                Some(value) => tree.insert(write.key, value),
                None => tree.remove(&write.key),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
impl Tree for Memory {
    fn exists(&self) -> bool {
        false
    }

    fn open(&self) -> Result<(), Error> {
        Ok(())
    }

    fn clear(&self) -> Result<(), Error> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
