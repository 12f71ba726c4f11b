//! Finds the entries in the bytes of a file. Pure.
//!
//! A writer that dies leaves the beginning of what it wrote; after a power cut the end of a file may also be zeros. Both
//! are a torn end. A wrong checksum with something behind it is damage.

use super::entry::{Entry, FRAME, Kind, LONGEST};
use prost::Message as _;

/// What comes next in a file.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// An entry, and where it ends.
    Entry(Box<Kind>, usize),
    /// The file ends here.
    End,
    /// From here on the file was not written to its end.
    Torn,
    /// From here on the file is not what was written.
    Damaged(&'static str),
}

/// What is at `start`.
pub(crate) fn next(bytes: &[u8], start: usize) -> Next {
    let rest = bytes.get(start..).unwrap_or_default();
    if rest.is_empty() {
        return Next::End;
    }
    if rest.iter().all(|byte| *byte == 0) {
        return Next::Torn;
    }
    let (Some(length), Some(sum)) = (number(rest, 0), number(rest, 4)) else { return Next::Torn };
    let length = length as usize;
    if length > LONGEST {
        return Next::Damaged("an entry has an impossible length");
    }
    let Some(content) = rest.get(FRAME..FRAME + length) else { return Next::Torn };
    let is_last = rest.len() == FRAME + length;
    if crc32fast::hash(content) != sum {
        return if is_last { Next::Torn } else { Next::Damaged("a checksum is wrong") };
    }
    match Entry::decode(content).map(|entry| entry.kind) {
        Ok(Some(kind)) => Next::Entry(Box::new(kind), start + FRAME + length),
        Ok(None) => Next::Damaged("an entry is of a kind that this version does not know"),
        Err(_) => Next::Damaged("an entry cannot be read"),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::entry::append;
    use super::*;

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Acknowledged(1));
        append(&mut bytes, Kind::Engine("one".to_owned()));
        bytes
    }

    fn read(bytes: &[u8]) -> (usize, Next) {
        let (mut at, mut count) = (0, 0);
        loop {
            match next(bytes, at) {
                Next::Entry(_, end) => {
                    at = end;
                    count += 1;
                }
                other => return (count, other),
            }
        }
    }

    #[test]
    fn a_file_that_ends_anywhere_is_torn_there() {
        let file = file();
        let Next::Entry(_, first) = next(&file, 0) else { panic!("no entry") };
        for end in 0..file.len() {
            let expected = match end {
                0 => (0, Next::End),
                _ if end < first => (0, Next::Torn),
                _ if end == first => (1, Next::End),
                _ => (1, Next::Torn),
            };
            assert_eq!(read(&file[..end]), expected, "{end}");
        }
        assert_eq!(read(&file), (2, Next::End));
    }

    #[test]
    fn zeros_at_the_end_are_torn_and_changes_before_it_are_damage() {
        let mut file = file();
        let length = file.len();
        file.extend([0; 100]);
        assert_eq!(read(&file), (2, Next::Torn));
        file.truncate(length);
        file[FRAME] ^= 1;
        assert!(matches!(read(&file), (0, Next::Damaged(_))));
        let mut file = self::file();
        file[length - 1] ^= 1;
        assert_eq!(read(&file), (1, Next::Torn));
    }
}
