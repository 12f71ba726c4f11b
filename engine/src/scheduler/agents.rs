//! The slots of one agent: which are free, and who holds the others.

use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::{AttemptId, Slot, SlotKind};

/// Trials of 0 slots that an agent with GPU slots runs at once, at most.
pub const MAX_SLOTLESS: u32 = 16;

/// (experiment, trial, attempt)
pub(super) type Key = (u64, u32, u32);

/// An attempt as a key.
pub(super) fn key(attempt: &AttemptId) -> Key {
    (attempt.experiment, attempt.trial, attempt.attempt)
}

/// One agent as the scheduler sees it.
#[derive(Clone, Debug, Default)]
pub struct AgentSlots {
    /// All its slots.
    pub slots: Vec<Slot>,
    free: BTreeSet<u32>,
    held: BTreeMap<u32, AttemptId>,
    slotless: u32,
    /// What runs here → its slots.
    attempts: BTreeMap<Key, u32>,
    /// Connected: may be given new work.
    pub connected: bool,
    /// It said that it is ending: it gets nothing new until it joins again.
    pub ends: bool,
}

impl AgentSlots {
    /// An agent whose slots are all free.
    pub fn new(slots: Vec<Slot>) -> Self {
        let free = slots.iter().map(|slot| slot.index).collect();
        Self { slots, free, connected: true, ..Self::default() }
    }

    /// Whether its slots are CPU slots.
    pub fn is_cpu(&self) -> bool {
        self.slots.iter().all(|slot| slot.kind == i32::from(SlotKind::Cpu))
    }

    /// Slots that a request of this size takes here; 0: one of [`MAX_SLOTLESS`] places.
    pub(super) fn needed(&self, slots: u32) -> u32 {
        if slots == 0 && self.is_cpu() { 1 } else { slots }
    }

    /// Whether it could ever hold a request of this size.
    pub fn could_fit(&self, slots: u32) -> bool {
        self.needed(slots) as usize <= self.slots.len()
    }

    /// Free slots, or free places for trials of 0 slots if `needed` is 0.
    pub(super) fn free_for(&self, needed: u32) -> u32 {
        if needed == 0 { MAX_SLOTLESS.saturating_sub(self.slotless) } else { self.free.len() as u32 }
    }

    /// What runs here, with its slots.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (Key, u32)> + '_ {
        self.attempts.iter().map(|(key, slots)| (*key, *slots))
    }

    /// How many requests of this size it holds when it is empty.
    pub fn capacity(&self, slots: u32) -> u32 {
        let needed = self.needed(slots);
        (self.slots.len() as u32).checked_div(needed).unwrap_or(MAX_SLOTLESS)
    }

    /// Whether it can take anything at all.
    pub fn has_room(&self) -> bool {
        self.connected
            && !self.ends
            && (!self.free.is_empty() || !self.is_cpu() && self.slotless < MAX_SLOTLESS)
    }

    /// Free slots.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes slots for an attempt: the lowest free indexes. Call only if as many are free.
    pub fn take(&mut self, slots: u32, attempt: &AttemptId) -> Vec<u32> {
        let needed = self.needed(slots);
        let taken: Vec<u32> = self.free.iter().copied().take(needed as usize).collect();
        self.occupy(&taken, attempt);
        taken
    }

    /// Marks slots as held by an attempt that runs there already.
    pub fn occupy(&mut self, slots: &[u32], attempt: &AttemptId) {
        self.attempts.insert(key(attempt), slots.len() as u32);
        if slots.is_empty() {
            self.slotless += 1;
        }
        for index in slots {
            self.free.remove(index);
            self.held.insert(*index, *attempt);
        }
    }

    /// Frees the slots of an attempt.
    pub fn give_back(&mut self, slots: &[u32], attempt: &AttemptId) {
        self.attempts.remove(&key(attempt));
        if slots.is_empty() {
            self.slotless = self.slotless.saturating_sub(1);
        }
        for index in slots {
            if self.held.get(index) == Some(attempt) {
                self.held.remove(index);
                self.free.insert(*index);
            }
        }
    }

    /// Who holds a slot.
    pub fn holder(&self, index: u32) -> Option<AttemptId> {
        self.held.get(&index).copied()
    }
}
