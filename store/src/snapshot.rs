//! Snapshots: plain files `snapshots/<experiment>/<sequence>.snapshot`, so that they survive damage of the database.
//!
//! A snapshot only saves replay time: the journal is complete. So one that cannot be read is reported and passed over.
//!
//! Layout: 8 bytes of name, then big-endian: format u32, the caller's version u32, experiment u64, sequence u64,
//! length u64, checksum u32 over all this and the content; then the content.

use crate::Error;
use crate::files::Files;

const NAME: &[u8; 8] = b"TOPRSNAP";
const FORMAT: u32 = 1;
const HEAD: usize = 44;

/// The state of an experiment after a journal record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last journal record that the state includes.
    pub seq: u64,
    /// The version of the content, as given when it was written.
    pub version: u32,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Writes a snapshot and removes the older ones of the experiment.
pub(crate) fn write(files: &Files, experiment: u64, snapshot: &Snapshot) -> Result<(), Error> {
    let directory = directory(experiment);
    let name = format!("{:020}.snapshot", snapshot.seq);
    files.write_whole(&format!("{directory}/{name}"), &encode(experiment, snapshot))?;
    for older in files.names(&directory)?.iter().filter(|other| **other < name) {
        files.remove(&format!("{directory}/{older}"))?;
    }
    Ok(())
}

/// The newest snapshot that can be read.
pub(crate) fn read(files: &Files, experiment: u64) -> Result<Option<Snapshot>, Error> {
    let directory = directory(experiment);
    for name in files.names(&directory)?.iter().rev() {
        let Some(bytes) = files.read_whole(&format!("{directory}/{name}"))? else {
            continue;
        };
        match decode(experiment, &bytes) {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(reason) => {
                tracing::warn!(experiment, name, reason, "snapshot passed over; the journal is replayed");
            }
        }
    }
    Ok(None)
}

/// Removes all snapshots of an experiment.
pub(crate) fn remove(files: &Files, experiment: u64) -> Result<(), Error> {
    files.remove_all(&directory(experiment))
}

fn directory(experiment: u64) -> String {
    format!("snapshots/{experiment}")
}

fn encode(experiment: u64, snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + snapshot.bytes.len());
    bytes.extend_from_slice(NAME);
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&snapshot.version.to_be_bytes());
    bytes.extend_from_slice(&experiment.to_be_bytes());
    bytes.extend_from_slice(&snapshot.seq.to_be_bytes());
    bytes.extend_from_slice(&(snapshot.bytes.len() as u64).to_be_bytes());
    let checksum = checksum(&bytes, &snapshot.bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes.extend_from_slice(&snapshot.bytes);
    bytes
}

fn decode(experiment: u64, bytes: &[u8]) -> Result<Snapshot, &'static str> {
    let (head, content) = bytes.split_at_checked(HEAD).ok_or("cut short")?;
    let u32_at = |offset| crate::keys::u32_at(head, offset).ok_or("cut short");
    let u64_at = |offset| crate::keys::u64_at(head, offset).ok_or("cut short");
    if &head[..8] != NAME {
        return Err("not a snapshot");
    }
    if u32_at(8)? != FORMAT {
        return Err("unknown format");
    }
    if u64_at(32)? != content.len() as u64 {
        return Err("wrong length");
    }
    if checksum(&head[..40], content) != u32_at(40)? {
        return Err("wrong checksum");
    }
    if u64_at(16)? != experiment {
        return Err("of another experiment");
    }
    Ok(Snapshot { seq: u64_at(24)?, version: u32_at(12)?, bytes: content.to_vec() })
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(seq: u64) -> Snapshot {
        Snapshot { seq, version: 3, bytes: b"state".to_vec() }
    }

    #[test]
    fn the_newest_replaces_the_older_ones() {
        let files = Files::in_memory();
        assert_eq!(read(&files, 1).unwrap(), None);
        write(&files, 1, &snapshot(9)).unwrap();
        write(&files, 1, &snapshot(100)).unwrap();
        write(&files, 11, &snapshot(5)).unwrap();
        assert_eq!(read(&files, 1).unwrap(), Some(snapshot(100)));
        assert_eq!(files.names("snapshots/1").unwrap().len(), 1);
        remove(&files, 1).unwrap();
        assert_eq!(read(&files, 1).unwrap(), None);
        assert_eq!(read(&files, 11).unwrap(), Some(snapshot(5)));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let bytes = encode(1, &snapshot(9));
        assert_eq!(decode(1, &bytes), Ok(snapshot(9)));
        assert!(decode(2, &bytes).is_err());
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            assert!(decode(1, &flipped).is_err(), "byte {index}");
            assert!(decode(1, &bytes[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn a_broken_snapshot_is_passed_over() {
        let files = Files::in_memory();
        write(&files, 1, &snapshot(9)).unwrap();
        files.write_whole("snapshots/1/00000000000000000010.snapshot", b"junk").unwrap();
        assert_eq!(read(&files, 1).unwrap(), Some(snapshot(9)));
    }
}
