//! What was accepted and is not acknowledged yet, on disk: a killed agent loses none of it.
//!
//! | module | idea |
//! |---|---|
//! | [`entry`] | what is written down, and its form |
//! | [`entries`] | what one turn of the daemon writes, together with where each part lies in it |
//! | [`frames`] | finds the entries in a file; tells a torn end from damage |
//! | [`standing`] | what all entries together mean |
//! | [`segments`] | the files, without a disk: which is written, what is read back, which can go |
//! | [`recovery`] | from files to a spool that can be used again |
//! | [`directory`] | the disk itself |
//!
//! Invariants:
//! * an event is in a file before its trial is answered, and a batch's number is in a file before the batch is sent: a
//!   number never stands for two contents;
//! * a file goes only when all its events are acknowledged;
//! * a torn end is cut off: nobody was answered for it. Anything else that is wrong is moved aside and said.
//!
//! Writing is one `write` a turn; a thread syncs about once a second, and at once after an exit or a checkpoint. So a
//! killed process loses nothing, and a power cut of the node at most the last second.

pub(crate) mod directory;
pub(crate) mod entries;
pub(crate) mod entry;
pub(crate) mod frames;
pub(crate) mod recovery;
pub(crate) mod segments;
pub(crate) mod standing;

pub use entries::Entries;
pub use recovery::Recovered;
pub use segments::{Disk, Limits, Source, Spool};

#[cfg(test)]
mod spool_tests;
