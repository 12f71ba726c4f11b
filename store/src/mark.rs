//! What the last process said about the tree on disk: whether it may be used as it is.
//!
//! A tree that was closed and synced may be; one that was open may be as long as the machine has not started anew since:
//! what a killed process handed to the system is there. In every other case it is made again. The file `mark` is written
//! before the tree is touched.

use std::io;

use crate::Error;
use crate::disk::{Disk, write_whole};

const NAME: &str = "mark";

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// There is none, or it cannot be read.
    None,
    /// The tree was closed and synced.
    Closed,
    /// The tree was opened at this place.
    Open(String),
}

impl Mark {
    /// Reads the mark.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, Error> {
        let bytes = match disk.read(NAME, 0, 4096) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::None),
            Err(error) => return Err(Error::io("read", &disk.path(NAME), error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        Ok(match text.trim_end().split_once(' ') {
            Some(("open", place)) if text.ends_with('\n') => Self::Open(place.to_owned()),
            None if text == "closed\n" => Self::Closed,
            _ => Self::None,
        })
    }

    /// Whether the tree may be used as it is.
    pub(crate) fn is_sound(&self, disk: &dyn Disk) -> bool {
        match self {
            Self::None => false,
            Self::Closed => true,
            Self::Open(place) => !place.is_empty() && *place == disk.place(),
        }
    }

    /// Says that the tree is open here.
    pub(crate) fn open(disk: &dyn Disk) -> Result<(), Error> {
        write_whole(disk, NAME, format!("open {}\n", disk.place()).as_bytes())
    }

    /// Says that the tree is closed and synced.
    pub(crate) fn close(disk: &dyn Disk) -> Result<(), Error> {
        write_whole(disk, NAME, b"closed\n")
    }

    /// Says nothing, so that the tree is made again.
    pub(crate) fn remove(disk: &dyn Disk) -> Result<(), Error> {
        let removed = match disk.remove(NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed.and_then(|()| disk.sync_names()).map_err(|error| Error::io("remove", &disk.path(NAME), error))
    }
}
