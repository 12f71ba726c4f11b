//! The virtual clock: what is due, in the order of (time, sequence).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What happens when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Something that the attempt on a slot waits for; void if the slot's generation is another by then.
    Slot { slot: u32, generation: u32 },
    /// A node is lost, for so many times before.
    NodeLost { node: u32, times: u32 },
    /// It is back.
    NodeBack { node: u32, times: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: f64,
    sequence: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.time.total_cmp(&other.time).then(self.sequence.cmp(&other.sequence))
    }
}

/// Everything that is due.
#[derive(Debug, Default)]
pub(super) struct Clock {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Clock {
    pub(super) fn at(&mut self, time: f64, due: Due) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { time, sequence: self.sequence, due }));
    }

    pub(super) fn next(&mut self) -> Option<(f64, Due)> {
        self.heap.pop().map(|Reverse(entry)| (entry.time, entry.due))
    }
}
