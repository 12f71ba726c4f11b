//! Bases: the whole tree as it was before a frame of the redo log, in one plain file `<frame>.base`. A base and the
//! frames from its number on make the tree.
//!
//! A base is taken while commits go on: an entry may already show what a later frame did to it. That frame is in the
//! log, synced, and makes the same of it again. Layout: 8 bytes of name, then frames 0, 1, 2… of compressed puts; the
//! last one has none, so that a base that was cut is told from a whole one.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use crate::backend::{Backend, Order, Write};
use crate::disk::{Disk, DiskFile};
use crate::frame::{self, Frame};
use crate::keys::{self, APPLIED};

const NAME: &[u8; 8] = b"TOPRBAS1";
const ENDING: &str = ".base";
const TEMPORARY: &str = "next.tmp";
/// Entries in one frame.
const PAGE: usize = 512;
/// Bytes of frame head that say how much to read.
const HEAD: usize = 20;

/// The newest base: the number of the first frame after it, and its file.
pub(crate) fn newest(disk: &dyn Disk) -> Result<Option<(u64, String)>, Error> {
    Ok(all(disk)?.pop())
}

fn all(disk: &dyn Disk) -> Result<Vec<(u64, String)>, Error> {
    let names = disk.names().map_err(|error| Error::io("list", &disk.path(""), error))?;
    let start = |name: &String| name.strip_suffix(ENDING)?.parse().ok();
    Ok(names.into_iter().filter_map(|name| Some((start(&name)?, name))).collect())
}

/// Removes all bases but the newest.
pub(crate) fn remove_older(disk: &dyn Disk) -> Result<(), Error> {
    let mut older = all(disk)?;
    older.pop();
    for (_, name) in older {
        disk.remove(&name).map_err(|error| Error::io("remove", &disk.path(&name), error))?;
    }
    Ok(())
}

/// Writes the tree as the base before frame `start`; lasting when it returns, with its size in bytes. `None` if
/// `stop` was set meanwhile.
pub(crate) fn write(
    disk: &dyn Disk,
    start: u64,
    tree: &dyn Backend,
    stop: &AtomicBool,
) -> Result<Option<u64>, Error> {
    let name = format!("{start:020}{ENDING}");
    let path = disk.path(&name);
    let failed = |error| Error::io("write", &path, error);
    let size = write_temporary(disk, tree, stop, &failed);
    if !matches!(size, Ok(Some(_))) {
        // Its room may be needed; what cannot be removed is overwritten by the next base.
        let _ = disk.remove(TEMPORARY);
        return size;
    }
    disk.rename(TEMPORARY, &name).and_then(|()| disk.sync_names()).map_err(failed)?;
    size
}

fn write_temporary(
    disk: &dyn Disk,
    tree: &dyn Backend,
    stop: &AtomicBool,
    failed: &dyn Fn(std::io::Error) -> Error,
) -> Result<Option<u64>, Error> {
    let mut file = disk.create(TEMPORARY).map_err(failed)?;
    file.append(NAME).map_err(failed)?;
    let size = write_entries(&mut *file, tree, stop, failed)?;
    file.sync().map_err(failed)?;
    Ok(size)
}

fn write_entries(
    file: &mut dyn DiskFile,
    tree: &dyn Backend,
    stop: &AtomicBool,
    failed: &dyn Fn(std::io::Error) -> Error,
) -> Result<Option<u64>, Error> {
    // The tree's own mark comes before all entries and is left out.
    let mut range = keys::after(APPLIED)..vec![0xff];
    let mut size = NAME.len() as u64;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let page = tree.page(&range, PAGE, Order::Ascending)?;
        if let Some((last, _)) = page.last() {
            range.start = keys::after(last);
        }
        let puts: Vec<Write> =
            page.into_iter().map(|(key, value)| Write { key, value: Some(value) }).collect();
        let bytes = frame::encode(number, &puts, true)?;
        file.append(&bytes).map_err(failed)?;
        size += bytes.len() as u64;
        if puts.is_empty() {
            break;
        }
    }
    Ok(Some(size))
}

/// Gives the entries of a base to `each`, a few hundred at a time.
pub(crate) fn read(
    disk: &dyn Disk,
    name: &str,
    each: &mut dyn FnMut(Vec<Write>) -> Result<(), Error>,
) -> Result<(), Error> {
    let path = disk.path(name);
    let failed = |error| Error::io("read", &path, error);
    let broken =
        |frame, reason: &str| Error::BrokenLog { path: path.clone(), frame, reason: reason.to_owned() };
    if disk.read(name, 0, NAME.len()).map_err(failed)? != NAME {
        return Err(broken(0, "the file is no base"));
    }
    let mut offset = NAME.len() as u64;
    for number in 0.. {
        let head = disk.read(name, offset, HEAD).map_err(failed)?;
        let size = frame::wanted(&head).ok_or_else(|| broken(number, "the base is cut or broken"))?;
        let bytes = disk.read(name, offset, size).map_err(failed)?;
        let frame = Frame::parse(&bytes).filter(|frame| frame.number == number);
        let writes = frame.ok_or_else(|| broken(number, "the base is cut or broken"))?.writes()?;
        if writes.is_empty() {
            break;
        }
        each(writes)?;
        offset += size as u64;
    }
    Ok(())
}
