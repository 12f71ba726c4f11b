//! The tree made durable: every commit goes to the redo log, is synced there, and then into the tree.
//!
//! Nothing acknowledged depends on the tree's files: they are used again only when nothing can have happened to them
//! (see `mark`), and are otherwise made from the newest base and the frames after it. The tree says itself which frame
//! it had last, so that those after it are made up for when a process was killed.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::backend::{Backend, Entry, Order, Tree, Write};
use crate::base;
use crate::disk::Disk;
use crate::health::State;
use crate::keys::{self, APPLIED};
use crate::lock::DirectoryLock;
use crate::mark::Mark;
use crate::memory::Memory;
use crate::redo::{self, Redo};

/// Sizes in bytes; tests make them small.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// After so many bytes a file of the log is followed by a new one.
    pub(crate) file: u64,
    /// The log may grow to the size of the base, and at least to this, before a new base is taken.
    pub(crate) log: u64,
    /// Bytes of the disk that are left free, for the tree's own needs.
    pub(crate) reserve: u64,
}

/// The tree with its log.
pub(crate) struct Durable {
    disk: Arc<dyn Disk>,
    tree: Box<dyn Tree>,
    redo: Mutex<Redo>,
    health: State,
    /// The tree has failed and lacks frames that the log has.
    behind: AtomicBool,
    base_bytes: AtomicU64,
    /// Held while files of the log are removed or copied.
    upkeep: Mutex<()>,
    limits: Limits,
    /// Freed after the tree.
    _lock: Option<DirectoryLock>,
}

impl Durable {
    /// Opens the tree of a directory, made anew if need be. The lock is held as long as the tree is open.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        tree: Box<dyn Tree>,
        limits: Limits,
        lock: Option<DirectoryLock>,
    ) -> Result<Self, Error> {
        if base::newest(&*disk)?.is_none() {
            found(&*disk, &*tree)?;
        }
        if Mark::read(&*disk)? != Mark::Closed {
            redo::settle(&*disk)?;
        }
        let next = match resume(&*disk, &*tree)? {
            Some(next) => next,
            None => rebuild(&*disk, &*tree, u64::MAX)?,
        };
        let base_bytes = match base::newest(&*disk)? {
            Some((_, name)) => {
                disk.size(&name).map_err(|error| Error::io("read", &disk.path(&name), error))?
            }
            None => 0,
        };
        Ok(Self {
            redo: Mutex::new(Redo::new(disk.clone(), next, limits.file)?),
            disk,
            tree,
            health: State::new(),
            behind: AtomicBool::new(false),
            base_bytes: AtomicU64::new(base_bytes),
            upkeep: Mutex::new(()),
            limits,
            _lock: lock,
        })
    }

    /// Takes over a tree that was written without a log.
    pub(crate) fn adopt(disk: &dyn Disk, tree: &dyn Tree) -> Result<(), Error> {
        tree.open()?;
        base::write(disk, 1, tree, &AtomicBool::new(false))?;
        tree.close()?;
        Mark::close(disk)
    }

    pub(crate) fn health(&self) -> &State {
        &self.health
    }

    /// Tries whether the store takes writes again.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        self.commit(Vec::new())
    }

    /// Whether a new base is due.
    pub(crate) fn wants_base(&self) -> bool {
        let limit = self.base_bytes.load(Ordering::Relaxed).max(self.limits.log);
        self.redo().size() >= limit && !self.behind.load(Ordering::Relaxed)
    }

    /// Takes a new base and removes the files that are not needed with it. `stop` ends it early.
    pub(crate) fn take_base(&self, stop: &AtomicBool) -> Result<(), Error> {
        let _upkeep = self.upkeep();
        let start = self.redo().rotate();
        let Some(size) = base::write(&*self.disk, start, &*self.tree, stop)? else {
            return Ok(());
        };
        // A killed process must find in the tree what it no longer finds in the log.
        self.tree.flush()?;
        base::remove_older(&*self.disk)?;
        self.redo().remove_before(start)?;
        self.base_bytes.store(size, Ordering::Relaxed);
        tracing::debug!(frame = start, bytes = size, "base of the redo log taken");
        Ok(())
    }

    /// Writes a base and the log after it to another directory; returns the frame whose state they make. Commits go on.
    pub(crate) fn copy_to(&self, target: Arc<dyn Disk>) -> Result<u64, Error> {
        let _upkeep = self.upkeep();
        let start = self.redo().rotate();
        base::write(&*target, start, &*self.tree, &AtomicBool::new(false))?;
        let end = self.redo().rotate();
        let mut copy = Redo::new(target, start, self.limits.file)?;
        redo::replay(&*self.disk, start..end, &mut |_, writes| copy.append(&writes).map(drop))?;
        Ok(end - 1)
    }

    /// What the tree has otherwise than base and log say.
    pub(crate) fn compare(&self) -> Result<Vec<String>, Error> {
        let _upkeep = self.upkeep();
        let redo = self.redo();
        crate::compare::compare(&*self.disk, &*self.tree, redo.next())
    }

    fn redo(&self) -> MutexGuard<'_, Redo> {
        self.redo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the files of the log as they are.
    fn upkeep(&self) -> MutexGuard<'_, ()> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, redo: &mut Redo, writes: Vec<Write>) -> Result<(), Error> {
        self.catch_up(redo)?;
        self.leave_room()?;
        let number = redo.append(&writes)?;
        let applied = apply(&*self.tree, number, writes);
        if applied.is_err() {
            self.behind.store(true, Ordering::Relaxed);
        }
        applied
    }

    /// Free bytes of the disk, if the system says so.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        self.disk.free_bytes().ok()
    }

    fn leave_room(&self) -> Result<(), Error> {
        let free = self.disk.free_bytes();
        let free = free.map_err(|error| Error::io("read the free space of", &self.disk.path(""), error))?;
        let needed = self.limits.reserve;
        if free < needed {
            return Err(Error::DiskFull { dir: self.disk.path(""), free, needed });
        }
        Ok(())
    }

    /// Opens a tree that has failed and gives it what it lacks.
    fn catch_up(&self, redo: &mut Redo) -> Result<(), Error> {
        if !self.behind.load(Ordering::Relaxed) {
            return Ok(());
        }
        // What failed half-way may be in the log too, but nobody may build on it: it need not be synced.
        let next = redo.next();
        match complete(&*self.disk, &*self.tree, next)? {
            Completed::Yes { .. } => {}
            Completed::No => drop(rebuild(&*self.disk, &*self.tree, next)?),
        }
        self.behind.store(false, Ordering::Relaxed);
        tracing::info!(frame = next, "database opened again after a failure");
        Ok(())
    }
}

impl Backend for Durable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.tree.get(key)
    }

    fn page(&self, range: &Range<Vec<u8>>, limit: usize, order: Order) -> Result<Vec<Entry>, Error> {
        self.tree.page(range, limit, order)
    }

    fn commit(&self, writes: Vec<Write>) -> Result<(), Error> {
        let mut redo = self.redo();
        let written = self.write(&mut redo, writes);
        self.health.note(&written);
        written
    }

    fn heal(&self) -> Result<(), Error> {
        if !self.behind.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.catch_up(&mut self.redo())
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if self.behind.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.tree.close().and_then(|()| Mark::close(&*self.disk)) {
            // The tree is made up for or made again at the next start.
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }
}

/// Begins a new log. There may be no database without one.
fn found(disk: &dyn Disk, tree: &dyn Tree) -> Result<(), Error> {
    if let Some((first, name)) = redo::files(disk)?.first() {
        let reason = "there is a log without a base".to_owned();
        return Err(Error::BrokenLog { path: disk.path(name), frame: *first, reason });
    }
    if tree.exists() {
        let reason = "there is a database without a redo log".to_owned();
        return Err(Error::Corrupt { dir: disk.path(""), reason });
    }
    base::write(disk, 1, &Memory::default(), &AtomicBool::new(false)).map(drop)
}

/// Uses the tree as it is, if it may be; the number of the next frame, or `None` if it is of no use.
fn resume(disk: &dyn Disk, tree: &dyn Tree) -> Result<Option<u64>, Error> {
    if !tree.exists() || !Mark::read(disk)?.is_sound(disk) {
        return Ok(None);
    }
    Mark::open(disk)?;
    let Completed::Yes { applied, reached } = complete(disk, tree, u64::MAX)? else {
        return Ok(None);
    };
    if reached <= applied {
        tracing::error!(reached, applied, "the log has lost its end; the database has it");
        base::write(disk, applied + 1, tree, &AtomicBool::new(false))?;
    }
    Ok(Some(reached.max(applied + 1)))
}

enum Completed {
    /// The tree had frame `applied` and has all before `reached` now.
    Yes { applied: u64, reached: u64 },
    /// The tree cannot be used.
    No,
}

/// Opens the tree and gives it the frames before `until` that it lacks.
fn complete(disk: &dyn Disk, tree: &dyn Tree, until: u64) -> Result<Completed, Error> {
    let start = base::newest(disk)?.map_or(0, |(start, _)| start);
    let of_tree = |error: &Error| !matches!(error, Error::Io { .. } | Error::BrokenLog { .. });
    let opened = tree.open().and_then(|()| applied(tree));
    let applied = match opened {
        Ok(applied) if applied + 1 >= start => applied,
        Ok(applied) => {
            tracing::warn!(applied, start, "the database lacks more than the log has");
            return Ok(Completed::No);
        }
        Err(error) if of_tree(&error) => {
            tracing::warn!(%error, "the database cannot be opened");
            return Ok(Completed::No);
        }
        Err(error) => return Err(error),
    };
    let from = (applied + 1).min(until);
    match redo::replay(disk, from..until, &mut |number, writes| apply(tree, number, writes)) {
        Ok(reached) => Ok(Completed::Yes { applied, reached: reached.max(start) }),
        Err(error) if of_tree(&error) => {
            tracing::warn!(%error, "the database cannot be completed");
            Ok(Completed::No)
        }
        Err(error) => Err(error),
    }
}

/// Makes the tree from the newest base and the frames after it, before `until`; the number of the next frame.
fn rebuild(disk: &dyn Disk, tree: &dyn Tree, until: u64) -> Result<u64, Error> {
    let Some((start, name)) = base::newest(disk)? else {
        return Err(Error::BrokenLog { path: disk.path(""), frame: 0, reason: "no base is left".to_owned() });
    };
    // A tree that may still be good for something is not given away for a log that cannot be read.
    base::read(disk, &name, &mut |_| Ok(()))?;
    redo::replay(disk, start..until, &mut |_, _| Ok(()))?;
    // Whatever happens on the way, the half-made tree is not used.
    Mark::remove(disk)?;
    let started = std::time::Instant::now();
    tree.clear()?;
    base::read(disk, &name, &mut |writes| tree.commit(writes))?;
    apply(tree, start - 1, Vec::new())?;
    let reached = redo::replay(disk, start..until, &mut |number, writes| apply(tree, number, writes))?;
    let next = reached.max(start);
    tree.flush()?;
    Mark::open(disk)?;
    if next > 1 {
        tracing::warn!(frames = next - start, took = ?started.elapsed(), "database made from the redo log");
    }
    Ok(next)
}

fn apply(tree: &dyn Tree, number: u64, mut writes: Vec<Write>) -> Result<(), Error> {
    writes.push(Write { key: APPLIED.to_vec(), value: Some(number.to_be_bytes().to_vec()) });
    tree.commit(writes)
}

/// The last frame that the tree has; 0 if it has none.
fn applied(tree: &dyn Tree) -> Result<u64, Error> {
    let value = tree.get(APPLIED)?;
    let number = value.map(|value| keys::u64_at(&value, 0));
    number.map_or(Ok(0), |number| number.ok_or_else(|| Error::broken("database mark", "it is cut short")))
}
