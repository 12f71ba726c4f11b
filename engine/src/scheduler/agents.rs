//! The slots of one agent: which are free, and who holds the others.

use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::{AttemptId, Slot, SlotKind};

/// Trials of 0 slots that an agent with GPU slots runs at once, at most.
pub const MAX_SLOTLESS: u32 = 16;

/// One agent as the scheduler sees it.
#[derive(Clone, Debug, Default)]
pub struct AgentSlots {
    /// All its slots.
    pub slots: Vec<Slot>,
    free: BTreeSet<u32>,
    held: BTreeMap<u32, AttemptId>,
    slotless: u32,
    /// Connected: may be given new work.
    pub connected: bool,
}

impl AgentSlots {
    /// An agent whose slots are all free.
    pub fn new(slots: Vec<Slot>) -> Self {
        let free = slots.iter().map(|slot| slot.index).collect();
        Self { slots, free, held: BTreeMap::new(), slotless: 0, connected: true }
    }

    /// Whether its slots are CPU slots.
    pub fn is_cpu(&self) -> bool {
        self.slots.iter().all(|slot| slot.kind == i32::from(SlotKind::Cpu))
    }

    fn needed(&self, slots: u32) -> u32 {
        if slots == 0 && self.is_cpu() { 1 } else { slots }
    }

    /// Whether it could ever hold a request of this size.
    pub fn could_fit(&self, slots: u32) -> bool {
        self.needed(slots) as usize <= self.slots.len()
    }

    /// Whether it can hold a request of this size now.
    pub fn fits(&self, slots: u32) -> bool {
        let needed = self.needed(slots);
        if needed == 0 { self.slotless < MAX_SLOTLESS } else { needed as usize <= self.free.len() }
    }

    /// How many requests of this size it holds when it is empty.
    pub fn capacity(&self, slots: u32) -> u32 {
        let needed = self.needed(slots);
        (self.slots.len() as u32).checked_div(needed).unwrap_or(MAX_SLOTLESS)
    }

    /// Whether it can take anything at all.
    pub fn has_room(&self) -> bool {
        self.connected && (!self.free.is_empty() || !self.is_cpu() && self.slotless < MAX_SLOTLESS)
    }

    /// Free slots.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes slots for an attempt: the lowest free indexes. Call only if it [`fits`](Self::fits).
    pub fn take(&mut self, slots: u32, attempt: &AttemptId) -> Vec<u32> {
        let needed = self.needed(slots);
        if needed == 0 {
            self.slotless += 1;
            return Vec::new();
        }
        let taken: Vec<u32> = self.free.iter().copied().take(needed as usize).collect();
        self.occupy(&taken, attempt);
        taken
    }

    /// Marks slots as held by an attempt that runs there already.
    pub fn occupy(&mut self, slots: &[u32], attempt: &AttemptId) {
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
