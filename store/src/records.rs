//! Values of any size on a tree that wants small ones.
//!
//! A leaf of the tree holds up to 17 values and must stay under 128 KiB (a larger one would go to a file that is never
//! synced), so an entry holds at most [`PART`] bytes; the rest of a larger value goes to part entries under the same
//! key behind [`Kind::Part`]. The first byte of an entry says which. Parts left over from a larger, older value are
//! never read, because the entry names the length; they go away when the key is deleted.
//!
//! [`pack`] compresses what is worth it, before it is queued, on the caller's thread.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use crate::Error;
use crate::backend::{Backend, Entry, Order, Write};
use crate::keys::{Kind, successor};

/// Bytes of a value in one entry.
const PART: usize = 7 * 1024;
/// The largest value, packed or not, in bytes.
pub(crate) const MAX_VALUE: usize = 8 << 20;
/// Values from this size on are compressed.
const COMPRESS_FROM: usize = 2048;

const INLINE: u8 = 0;
const PARTS: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// The tree, with values of any size up to [`MAX_VALUE`].
#[derive(Clone)]
pub(crate) struct Records {
    backend: Arc<dyn Backend>,
}

impl Records {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.backend.get(key)?.map(|entry| self.join(key, entry)).transpose()
    }

    /// At most `limit` entries of a range, from the end that `order` names.
    pub(crate) fn page(
        &self,
        range: &Range<Vec<u8>>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Error> {
        let entries = self.backend.page(range, limit, order)?;
        entries
            .into_iter()
            .map(|(key, entry)| {
                let value = self.join(&key, entry)?;
                Ok((key, value))
            })
            .collect()
    }

    /// At most `limit` keys of the tree in a range, parts included when the range covers them.
    pub(crate) fn keys(&self, range: &Range<Vec<u8>>, limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        let entries = self.backend.page(range, limit, Order::Ascending)?;
        Ok(entries.into_iter().map(|(key, _)| key).collect())
    }

    /// Adds the changes that remove a key and the parts of its value.
    pub(crate) fn stage_delete(&self, key: Vec<u8>, writes: &mut Vec<Write>) -> Result<(), Error> {
        let first = part_key(&key, 0);
        let prefix = &first[..first.len() - 2];
        let parts = prefix.to_vec()..successor(prefix);
        for part in self.keys(&parts, MAX_VALUE / PART + 1)? {
            // A longer key that begins with this one has its parts in the range too.
            if part.len() == first.len() {
                writes.push(Write { key: part, value: None });
            }
        }
        writes.push(Write { key, value: None });
        Ok(())
    }

    /// Applies the changes; durable when it returns.
    pub(crate) fn commit(&self, writes: Vec<Write>) -> Result<(), Error> {
        self.backend.commit(writes)
    }

    /// Repairs what an earlier failure left.
    pub(crate) fn heal(&self) -> Result<(), Error> {
        self.backend.heal()
    }

    fn join(&self, key: &[u8], mut entry: Vec<u8>) -> Result<Vec<u8>, Error> {
        match entry.first() {
            Some(&INLINE) => {
                entry.remove(0);
                Ok(entry)
            }
            Some(&PARTS) => self.join_parts(key, &entry),
            _ => Err(Error::broken("stored", "unknown layout")),
        }
    }

    fn join_parts(&self, key: &[u8], entry: &[u8]) -> Result<Vec<u8>, Error> {
        let length = entry.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let length = length.map(|length| length as usize).filter(|length| *length <= MAX_VALUE);
        let length = length.ok_or_else(|| Error::broken("stored", "impossible length"))?;
        let mut value = Vec::with_capacity(length);
        for index in 0..length.div_ceil(PART) {
            let part = self.backend.get(&part_key(key, index))?;
            value.extend(part.ok_or_else(|| Error::broken("stored", format!("part {index} is missing")))?);
        }
        if value.len() == length {
            Ok(value)
        } else {
            Err(Error::broken("stored", "its parts have another length"))
        }
    }
}

/// Adds the changes that put a value under a key.
pub(crate) fn stage_put(key: Vec<u8>, value: &[u8], writes: &mut Vec<Write>) {
    let mut entry = Vec::with_capacity(value.len().min(PART) + 1);
    if value.len() <= PART {
        entry.push(INLINE);
        entry.extend_from_slice(value);
    } else {
        entry.push(PARTS);
        entry.extend_from_slice(&(value.len() as u32).to_be_bytes());
        for (index, part) in value.chunks(PART).enumerate() {
            writes.push(Write { key: part_key(&key, index), value: Some(part.to_vec()) });
        }
    }
    writes.push(Write { key, value: Some(entry) });
}

/// The range of the parts of all keys in `range`.
pub(crate) fn parts_of(range: &Range<Vec<u8>>) -> Range<Vec<u8>> {
    let with = |key: &[u8]| [&[Kind::Part as u8], key].concat();
    with(&range.start)..with(&range.end)
}

fn part_key(key: &[u8], index: usize) -> Vec<u8> {
    [&[Kind::Part as u8], key, &(index as u16).to_be_bytes()].concat()
}

/// A value as it is stored: compressed if that is worth it.
pub(crate) fn pack(what: &'static str, value: &[u8]) -> Result<Vec<u8>, Error> {
    if value.len() > MAX_VALUE - 1024 {
        return Err(Error::TooLarge { what, size: value.len(), limit: MAX_VALUE - 1024 });
    }
    if value.len() >= COMPRESS_FROM {
        let packed = compress(value).map_err(|error| Error::broken(what, error))?;
        if packed.len() + 5 < value.len() {
            return Ok([&[ZSTD], &(value.len() as u32).to_be_bytes()[..], &packed].concat());
        }
    }
    Ok(plain(value))
}

/// Compresses with a context that each thread keeps: making one costs more than compressing a small value.
fn compress(value: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(zstd::bulk::Compressor::new(1)?),
        };
        compressor.compress(value)
    })
}

/// A short value as it is stored, uncompressed.
pub(crate) fn plain(value: &[u8]) -> Vec<u8> {
    [&[PLAIN], value].concat()
}

/// The value that was packed.
pub(crate) fn unpack(what: &'static str, packed: &[u8]) -> Result<Vec<u8>, Error> {
    match packed.split_first() {
        Some((&PLAIN, value)) => Ok(value.to_vec()),
        Some((&ZSTD, rest)) => {
            let (length, frame) = rest.split_first_chunk().ok_or_else(|| Error::broken(what, "cut short"))?;
            let length = u32::from_be_bytes(*length) as usize;
            if length > MAX_VALUE {
                return Err(Error::broken(what, "impossible length"));
            }
            zstd::bulk::decompress(frame, length).map_err(|error| Error::broken(what, error))
        }
        _ => Err(Error::broken(what, "unknown encoding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let step = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(step).take(length).collect()
    }

    #[test]
    fn values_of_any_size_come_back() {
        let backend = Arc::new(Memory::default());
        let records = Records::new(backend.clone());
        for size in [0, 1, PART - 1, PART, PART + 1, 3 * PART, 100_000] {
            let value = noise(size);
            let mut writes = Vec::new();
            stage_put(b"tkey".to_vec(), &value, &mut writes);
            assert!(
                writes
                    .iter()
                    .all(|write| { write.value.as_ref().is_some_and(|value| value.len() <= PART + 1) })
            );
            records.commit(writes).unwrap();
            assert_eq!(records.get(b"tkey").unwrap(), Some(value));
        }
        let mut writes = Vec::new();
        stage_put(b"tkeyed".to_vec(), &noise(2 * PART), &mut writes);
        records.stage_delete(b"tkey".to_vec(), &mut writes).unwrap();
        records.commit(writes).unwrap();
        assert_eq!(records.get(b"tkey").unwrap(), None);
        assert_eq!(records.get(b"tkeyed").unwrap(), Some(noise(2 * PART)));
        let all = backend.page(&(vec![0]..vec![255]), 100, Order::Ascending).unwrap();
        assert_eq!(all.len(), 3, "no part of the deleted value is left");
    }

    #[test]
    fn a_missing_part_is_an_error() {
        let records = Records::new(Arc::new(Memory::default()));
        let mut writes = Vec::new();
        stage_put(b"tkey".to_vec(), &noise(2 * PART), &mut writes);
        writes.remove(1);
        records.commit(writes).unwrap();
        assert!(matches!(records.get(b"tkey"), Err(Error::BrokenRecord { .. })));
    }

    #[test]
    fn packing_is_undone_and_bounded() {
        for value in [Vec::new(), noise(100), noise(5_000), vec![7; 5_000]] {
            assert_eq!(unpack("test", &pack("test", &value).unwrap()).unwrap(), value);
        }
        assert!(pack("test", &vec![7; 5_000]).unwrap().len() < 100);
        assert!(matches!(pack("test", &vec![0; MAX_VALUE]), Err(Error::TooLarge { .. })));
        assert!(unpack("test", &[9]).is_err());
        assert!(unpack("test", &[ZSTD, 255, 255, 255, 255, 0]).is_err());
    }
}
