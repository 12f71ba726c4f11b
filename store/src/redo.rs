//! The redo log: every commit as one frame in plain files `<number of the first frame>.log`, synced before anybody is
//! told. The tree is made from it and can be made again.
//!
//! * Only the last frame can be torn: the next is written when it has been synced.
//! * Files are never appended to again after a start or a failure: a new one begins with the number that is due. What
//!   an older file holds from that number on was never acknowledged and does not count.
//! * A frame that is missing or broken anywhere else is [`Error::BrokenLog`].

use std::ops::Range;
use std::sync::Arc;

use crate::Error;
use crate::backend::Write;
use crate::disk::{Disk, DiskFile, write_whole};
use crate::frame::{self, Frame};

const NAME: &[u8; 8] = b"TOPRLOG1";
const ENDING: &str = ".log";
/// The usual size after which a file is followed by a new one.
pub(crate) const FILE_BYTES: u64 = 16 << 20;

/// Appends frames.
pub(crate) struct Redo {
    disk: Arc<dyn Disk>,
    /// The number of the next frame.
    next: u64,
    current: Option<Current>,
    /// Bytes in all files.
    size: u64,
    file_bytes: u64,
}

struct Current {
    file: Box<dyn DiskFile>,
    name: String,
    size: u64,
}

impl Redo {
    /// A log that goes on with frame `next`.
    pub(crate) fn new(disk: Arc<dyn Disk>, next: u64, file_bytes: u64) -> Result<Self, Error> {
        let mut redo = Self { disk, next, current: None, size: 0, file_bytes };
        redo.measure()?;
        Ok(redo)
    }

    /// The number of the next frame.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes in all files of the log.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a frame and returns its number; lasting when it returns. After an error the frame may come to light when
    /// the store is opened before another was appended.
    pub(crate) fn append(&mut self, writes: &[Write]) -> Result<u64, Error> {
        let frame = frame::encode(self.next, writes, false)?;
        let mut current = match self.current.take() {
            Some(current) if current.size < self.file_bytes => current,
            _ => self.begin()?,
        };
        let path = self.disk.path(&current.name);
        let failed = |error| Error::io("append to", &path, error);
        current.file.append(&frame).and_then(|()| current.file.sync()).map_err(failed)?;
        if current.size == NAME.len() as u64 {
            self.disk.sync_names().map_err(failed)?;
        }
        current.size += frame.len() as u64;
        self.size += frame.len() as u64;
        self.current = Some(current);
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Ends the current file and returns the number with which the next begins.
    pub(crate) fn rotate(&mut self) -> u64 {
        self.current = None;
        self.next
    }

    /// Removes the files whose frames all come before `start`; the log was rotated at `start` before.
    pub(crate) fn remove_before(&mut self, start: u64) -> Result<(), Error> {
        for (first, name) in files(&*self.disk)? {
            if first < start {
                self.disk
                    .remove(&name)
                    .map_err(|error| Error::io("remove", &self.disk.path(&name), error))?;
            }
        }
        self.measure()
    }

    fn measure(&mut self) -> Result<(), Error> {
        self.size = 0;
        for (_, name) in files(&*self.disk)? {
            let size = self.disk.size(&name);
            self.size += size.map_err(|error| Error::io("read", &self.disk.path(&name), error))?;
        }
        Ok(())
    }

    fn begin(&self) -> Result<Current, Error> {
        let name = file_name(self.next);
        let created = self.disk.create(&name).and_then(|mut file| {
            file.append(NAME)?;
            Ok(file)
        });
        let file = created.map_err(|error| Error::io("create", &self.disk.path(&name), error))?;
        Ok(Current { file, name, size: NAME.len() as u64 })
    }
}

fn file_name(first: u64) -> String {
    format!("{first:020}{ENDING}")
}

/// The files of the log: (number of the first frame, name), in order.
pub(crate) fn files(disk: &dyn Disk) -> Result<Vec<(u64, String)>, Error> {
    let names = disk.names().map_err(|error| Error::io("list", &disk.path(""), error))?;
    let first = |name: &String| name.strip_suffix(ENDING)?.parse().ok();
    Ok(names.into_iter().filter_map(|name| Some((first(&name)?, name))).collect())
}

/// Gives the changes of the frames in `range`, in order, to `each`; returns the number that would follow the last frame
/// found, 0 if there is no file.
pub(crate) fn replay(
    disk: &dyn Disk,
    range: Range<u64>,
    each: &mut dyn FnMut(u64, Vec<Write>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let files = files(disk)?;
    let (mut reached, mut next) = (0, range.start);
    for (index, (first, name)) in files.iter().enumerate() {
        let end = files.get(index + 1).map(|(first, _)| *first);
        if end.is_some_and(|end| end <= range.start) || *first >= range.end {
            continue;
        }
        if *first > next {
            let reason = format!("the log goes on with frame {first}");
            return Err(Error::BrokenLog { path: disk.path(name), frame: next, reason });
        }
        let bytes = read(disk, name)?;
        reached = File { disk, name, bytes: &bytes, first: *first, end }.replay(&range, each)?.0;
        next = next.max(reached);
    }
    Ok(reached)
}

/// Writes the last file anew, without a torn end. What a killed process wrote may be seen and yet not be synced; the
/// log must not go on behind it before it lasts.
pub(crate) fn settle(disk: &dyn Disk) -> Result<(), Error> {
    let Some((first, name)) = files(disk)?.pop() else {
        return Ok(());
    };
    let bytes = read(disk, &name)?;
    let file = File { disk, name: &name, bytes: &bytes, first, end: None };
    let (_, sound) = file.replay(&(u64::MAX..u64::MAX), &mut |_, _| Ok(()))?;
    write_whole(disk, &name, &bytes[..sound])
}

fn read(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, Error> {
    let bytes = disk.size(name).and_then(|size| disk.read(name, 0, size as usize));
    bytes.map_err(|error| Error::io("read", &disk.path(name), error))
}

/// A file under examination. `end`: where the next one begins.
struct File<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    bytes: &'a [u8],
    first: u64,
    end: Option<u64>,
}

impl File<'_> {
    /// The number after its last frame, and how many bytes are sound.
    fn replay(
        &self,
        range: &Range<u64>,
        each: &mut dyn FnMut(u64, Vec<Write>) -> Result<(), Error>,
    ) -> Result<(u64, usize), Error> {
        let Some(mut rest) = self.bytes.strip_prefix(NAME) else {
            self.must_end(self.bytes, self.first)?;
            return Ok((self.first, 0));
        };
        let mut next = self.first;
        while self.end != Some(next) && (next < range.end || range.is_empty()) {
            let Some(frame) = Frame::parse(rest).filter(|frame| frame.number == next) else {
                self.must_end(rest, next)?;
                break;
            };
            if range.contains(&next) {
                each(next, frame.writes()?)?;
            }
            rest = &rest[frame.size()..];
            next += 1;
        }
        Ok((next, self.bytes.len() - rest.len()))
    }

    /// A log may end with a torn frame, which nobody was told of, and nowhere else.
    fn must_end(&self, rest: &[u8], next: u64) -> Result<(), Error> {
        let broken = |reason: &str| {
            Err(Error::BrokenLog { path: self.disk.path(self.name), frame: next, reason: reason.to_owned() })
        };
        if self.end.is_some_and(|end| end != next) {
            return broken("it is missing or broken, and others follow in the next file");
        }
        // A later frame was only written when this one had been synced.
        if self.end.is_none() && frame::follows(rest, next + 1) {
            return broken("it is broken, and others follow");
        }
        if !rest.is_empty() {
            tracing::info!(file = self.name, bytes = rest.len(), "torn end of the log passed over");
        }
        Ok(())
    }
}
