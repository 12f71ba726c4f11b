//! A disk in memory whose power can be cut between any two operations. It keeps what was synced, and of the rest what
//! chance decides: each name and each sector of each write for itself.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// Numbers that look random and follow from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }
}

#[derive(Debug, Clone, Default)]
struct Inode {
    data: Vec<u8>,
    synced: Vec<u8>,
    /// Since the last sync.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Empty,
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

#[derive(Debug, Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    operations: u64,
    off_at: Option<u64>,
    fail_at: Option<u64>,
    free: Option<u64>,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// The power goes off at this operation: it and all later ones fail.
    pub(crate) fn off_at(&self, operation: u64) {
        self.state().off_at = Some(operation);
    }

    /// This operation fails half-way, later ones do not.
    pub(crate) fn fail_at(&self, operation: u64) {
        self.state().fail_at = Some(operation);
    }

    /// So many bytes can still be written.
    pub(crate) fn set_free(&self, bytes: Option<u64>) {
        self.state().free = bytes;
    }

    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What a killed process leaves: everything is seen, and what was not synced still is not.
    pub(crate) fn after_kill(&self) -> Self {
        let mut state = self.state().clone();
        (state.operations, state.off_at, state.fail_at) = (0, None, None);
        Self(Arc::new(Mutex::new(state)))
    }

    /// What a power cut leaves.
    pub(crate) fn after_cut(&self, chance: &mut Chance) -> Self {
        let state = self.state();
        let mut names = state.synced_names.clone();
        let fate = chance.below(4);
        for change in &state.pending_names {
            let kept = match fate {
                0 => false,
                1 => true,
                _ => chance.coin(),
            };
            if kept {
                apply(change, &mut names);
            }
        }
        let inodes = state.inodes.iter().map(|inode| survived(inode, chance)).collect();
        let after = State { inodes, synced_names: names.clone(), names, ..State::default() };
        Self(Arc::new(Mutex::new(after)))
    }

    /// The content of a file.
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[name]].data.clone()
    }

    /// Replaces the content of a file, synced.
    pub(crate) fn set_content(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let inode = state.names[name];
        state.inodes[inode] = Inode { data: bytes.to_vec(), synced: bytes.to_vec(), pending: Vec::new() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts an operation; whether it fails.
    fn step(&self) -> (MutexGuard<'_, State>, io::Result<()>) {
        let mut state = self.state();
        state.operations += 1;
        let count = state.operations;
        let result = if state.off_at.is_some_and(|at| count >= at) {
            Err(io::Error::other("the power is off"))
        } else if state.fail_at == Some(count) {
            Err(ErrorKind::StorageFull.into())
        } else {
            Ok(())
        };
        (state, result)
    }
}

fn survived(inode: &Inode, chance: &mut Chance) -> Inode {
    let mut data = inode.synced.clone();
    let fate = chance.below(4);
    for change in &inode.pending {
        match change {
            Change::Empty if chance.coin() => data.clear(),
            Change::Empty => {}
            Change::Write(offset, bytes) => {
                let mut at = *offset;
                for sector in sectors(*offset, bytes) {
                    let kept = match fate {
                        0 => false,
                        1 => true,
                        _ => chance.coin(),
                    };
                    if kept {
                        write(&mut data, at, sector);
                    }
                    at += sector.len();
                }
            }
        }
    }
    Inode { synced: data.clone(), data, pending: Vec::new() }
}

/// Cuts a write where the sectors of the file begin.
fn sectors(offset: usize, mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut room = SECTOR - offset % SECTOR;
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(room.min(bytes.len()));
        pieces.push(piece);
        (bytes, room) = (rest, SECTOR);
    }
    pieces
}

fn write(data: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if data.len() < at + bytes.len() {
        data.resize(at + bytes.len(), 0);
    }
    data[at..at + bytes.len()].copy_from_slice(bytes);
}

fn apply(change: &NameChange, names: &mut BTreeMap<String, usize>) {
    match change {
        NameChange::Set(name, inode) => drop(names.insert(name.clone(), *inode)),
        NameChange::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
        NameChange::Remove(name) => drop(names.remove(name)),
    }
}

fn missing() -> io::Error {
    ErrorKind::NotFound.into()
}

struct Open {
    disk: SimDisk,
    inode: usize,
}

impl DiskFile for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut state, mut result) = self.disk.step();
        if let Some(free) = state.free {
            state.free = Some(free.saturating_sub(bytes.len() as u64));
            if free < bytes.len() as u64 {
                result = Err(ErrorKind::StorageFull.into());
            }
        }
        // A write that fails may have been done in part.
        let done = if result.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        let inode = &mut state.inodes[self.inode];
        let at = inode.data.len();
        inode.data.extend_from_slice(done);
        inode.pending.push(Change::Write(at, done.to_vec()));
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, result) = self.disk.step();
        result?;
        let inode = &mut state.inodes[self.inode];
        inode.synced = inode.data.clone();
        inode.pending.clear();
        Ok(())
    }
}

impl Disk for SimDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let (mut state, result) = self.step();
        result?;
        let inode = if let Some(inode) = state.names.get(name).copied() {
            state.inodes[inode].data.clear();
            state.inodes[inode].pending.push(Change::Empty);
            inode
        } else {
            let inode = state.inodes.len();
            state.inodes.push(Inode::default());
            state.names.insert(name.to_owned(), inode);
            state.pending_names.push(NameChange::Set(name.to_owned(), inode));
            inode
        };
        drop(state);
        Ok(Box::new(Open { disk: self.clone(), inode }))
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let state = self.state();
        let inode = state.names.get(name).ok_or_else(missing)?;
        Ok(state.inodes[*inode].data.len() as u64)
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        let data = &state.inodes[*state.names.get(name).ok_or_else(missing)?].data;
        let start = (offset as usize).min(data.len());
        Ok(data[start..(start.saturating_add(length)).min(data.len())].to_vec())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut state, result) = self.step();
        result?;
        let inode = *state.names.get(from).ok_or_else(missing)?;
        let change = NameChange::Rename(from.to_owned(), to.to_owned(), inode);
        apply(&change, &mut state.names);
        state.pending_names.push(change);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (mut state, result) = self.step();
        result?;
        state.names.get(name).ok_or_else(missing)?;
        let change = NameChange::Remove(name.to_owned());
        apply(&change, &mut state.names);
        state.pending_names.push(change);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let (mut state, result) = self.step();
        result?;
        state.synced_names = state.names.clone();
        state.pending_names.clear();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.state().free.unwrap_or(u64::MAX))
    }

    fn place(&self) -> String {
        String::new()
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("simulated").join(name)
    }
}
