//! The disk of a node: files that outlive its daemon.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use toprung_agent::parts::Disk;

#[derive(Debug, Default)]
struct Content {
    files: BTreeMap<u64, Vec<u8>>,
    /// Bytes that may be written still; `None`: any number.
    room: Option<usize>,
    aside: u64,
}

/// A disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Files(Rc<RefCell<Content>>);

impl Files {
    /// From now on so many bytes can be written; `None`: any number.
    pub fn limit(&self, room: Option<usize>) {
        self.0.borrow_mut().room = room;
    }

    /// Everything is gone.
    pub fn wipe(&self) {
        self.0.borrow_mut().files.clear();
    }

    /// Files that were found damaged.
    pub fn aside(&self) -> u64 {
        self.0.borrow().aside
    }
}

impl Disk for Files {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        Ok(self.0.borrow().files.keys().copied().collect())
    }

    fn read(&mut self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let content = self.0.borrow();
        let file = content.files.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        Ok(file.iter().skip(offset as usize).take(length).copied().collect())
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.0.borrow_mut();
        let room = content.room.unwrap_or(usize::MAX);
        let written = bytes.get(..room).unwrap_or(bytes);
        if !written.is_empty() {
            let file = content.files.entry(segment).or_default();
            let (start, end) = (offset as usize, offset as usize + written.len());
            if file.len() < end {
                file.resize(end, 0);
            }
            file[start..end].copy_from_slice(written);
        }
        let complete = written.len() == bytes.len();
        if let Some(left) = &mut content.room {
            *left -= written.len();
        }
        if complete { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn truncate(&mut self, segment: u64, length: u64) -> io::Result<()> {
        if let Some(file) = self.0.borrow_mut().files.get_mut(&segment) {
            file.truncate(length as usize);
        }
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.0.borrow_mut().files.remove(&segment);
        Ok(())
    }

    fn set_aside(&mut self, segment: u64, _: &str) -> io::Result<String> {
        let mut content = self.0.borrow_mut();
        content.files.remove(&segment);
        content.aside += 1;
        Ok("nowhere".to_owned())
    }

    fn written(&mut self, _: u64, _: bool) {}
}
