//! Frames: numbered, checksummed lists of changes, one after the other in plain files.
//!
//! Layout, numbers big-endian: 4 bytes of name, payload length u32, number u64, checksum u32 over length, number and
//! payload; then the payload. A payload is a byte that says whether it is compressed, and the changes: key length u32,
//! value length u32 + 1 or 0 for a removal, key, value.

use crate::Error;
use crate::backend::Write;
use crate::keys::{u32_at, u64_at};

const NAME: &[u8; 4] = b"TRFR";
const HEAD: usize = 20;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// The largest payload after decompression.
const MAX_PAYLOAD: usize = 1 << 30;

/// A frame found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) number: u64,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The sound frame at the beginning of `bytes`, if there is one.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        if &head[..4] != NAME {
            return None;
        }
        let payload = rest.get(..u32_at(head, 4)? as usize)?;
        (u32_at(head, 16)? == checksum(&head[4..16], payload))
            .then_some(Self { number: u64_at(head, 8)?, payload })
    }

    /// The bytes it takes.
    pub(crate) fn size(&self) -> usize {
        HEAD + self.payload.len()
    }

    /// Its changes.
    pub(crate) fn writes(&self) -> Result<Vec<Write>, Error> {
        let broken = || Error::broken("log frame", format!("frame {} cannot be decoded", self.number));
        let (encoding, rest) = self.payload.split_first().ok_or_else(broken)?;
        match *encoding {
            PLAIN => decode(rest).ok_or_else(broken),
            ZSTD => {
                let size = zstd::zstd_safe::get_frame_content_size(rest).ok().flatten().unwrap_or(u64::MAX);
                let size = usize::try_from(size).ok().filter(|size| *size <= MAX_PAYLOAD);
                let plain = zstd::bulk::decompress(rest, size.ok_or_else(broken)?).map_err(|_| broken())?;
                decode(&plain).ok_or_else(broken)
            }
            _ => Err(broken()),
        }
    }
}

/// How many bytes the frame that begins with `head` wants; `None` if no frame begins so.
pub(crate) fn wanted(head: &[u8]) -> Option<usize> {
    (head.get(..4)? == NAME).then_some(HEAD + u32_at(head, 4)? as usize)
}

/// Whether a sound frame with number `from` or a later one begins anywhere in `bytes`.
pub(crate) fn follows(bytes: &[u8], from: u64) -> bool {
    let mut starts = bytes.windows(4).enumerate().filter(|(_, window)| *window == NAME);
    starts.any(|(at, _)| Frame::parse(&bytes[at..]).is_some_and(|frame| frame.number >= from))
}

/// A frame as it is written; `compress` for those that are read seldom.
pub(crate) fn encode(number: u64, writes: &[Write], compress: bool) -> Result<Vec<u8>, Error> {
    let sizes = writes.iter().map(|write| 8 + write.key.len() + write.value.as_ref().map_or(0, Vec::len));
    let size = sizes.sum::<usize>();
    if size >= MAX_PAYLOAD {
        return Err(Error::TooLarge { what: "a commit", size, limit: MAX_PAYLOAD });
    }
    let mut bytes = Vec::with_capacity(HEAD + 1 + size);
    bytes.extend_from_slice(NAME);
    bytes.extend_from_slice(&[0; HEAD - 4]);
    bytes.push(PLAIN);
    for write in writes {
        let length = write.value.as_ref().map_or(0, |value| value.len() + 1);
        bytes.extend_from_slice(&(write.key.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&(length as u32).to_be_bytes());
        bytes.extend_from_slice(&write.key);
        bytes.extend_from_slice(write.value.as_deref().unwrap_or_default());
    }
    if compress {
        let packed = zstd::bulk::compress(&bytes[HEAD + 1..], 1);
        let packed = packed.map_err(|error| Error::broken("log frame", error))?;
        bytes.truncate(HEAD);
        bytes.push(ZSTD);
        bytes.extend_from_slice(&packed);
    }
    let length = (bytes.len() - HEAD) as u32;
    bytes[4..8].copy_from_slice(&length.to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    let checksum = checksum(&bytes[4..16], &bytes[HEAD..]);
    bytes[16..HEAD].copy_from_slice(&checksum.to_be_bytes());
    Ok(bytes)
}

fn decode(mut bytes: &[u8]) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    while !bytes.is_empty() {
        let (key, value) = (u32_at(bytes, 0)? as usize, u32_at(bytes, 4)? as usize);
        let (content, rest) = bytes.get(8..)?.split_at_checked(key + value.saturating_sub(1))?;
        let (key, content) = content.split_at(key);
        writes.push(Write { key: key.to_vec(), value: (value > 0).then(|| content.to_vec()) });
        bytes = rest;
    }
    Some(writes)
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes() -> Vec<Write> {
        let put = |key: &[u8], value: &[u8]| Write { key: key.to_vec(), value: Some(value.to_vec()) };
        vec![put(b"a", b"1"), put(b"b", b""), Write { key: b"c".to_vec(), value: None }]
    }

    #[test]
    fn changes_survive_encoding() {
        for compress in [false, true] {
            for writes in [writes(), Vec::new()] {
                let bytes = encode(7, &writes, compress).unwrap();
                let frame = Frame::parse(&bytes).unwrap();
                assert_eq!((frame.number, frame.size()), (7, bytes.len()));
                assert_eq!(wanted(&bytes[..HEAD]), Some(bytes.len()));
                assert_eq!(frame.writes().unwrap(), writes);
            }
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let bytes = encode(7, &writes(), false).unwrap();
        for index in 0..bytes.len() {
            assert!(Frame::parse(&bytes[..index]).is_none(), "cut at {index}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[index] ^= 1 << bit;
                assert!(Frame::parse(&flipped).is_none(), "byte {index} bit {bit}");
            }
        }
    }

    #[test]
    fn a_later_frame_is_found_behind_rubbish() {
        let bytes = [b"TRF rubbish TRFR".to_vec(), encode(8, &writes(), false).unwrap()].concat();
        assert!(follows(&bytes, 8) && !follows(&bytes, 9) && !follows(&bytes[..40], 0));
    }
}
