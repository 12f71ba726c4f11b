//! What the simulated cluster remembers of trials and slots.

use crate::task::Curve;

/// Where a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Wants a slot.
    Queued,
    /// Holds one.
    OnSlot,
    /// Has a checkpoint and no slot.
    Paused,
    /// Takes no further part.
    Ended,
}

/// A trial. There may be millions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) curve: Curve,
    /// How long it has trained; falls back to the checkpoint when an attempt is lost.
    pub(super) length: u32,
    /// The length of its newest checkpoint; 0: none.
    pub(super) checkpoint: u32,
    /// It trains until this length.
    pub(super) train_to: u32,
    /// The slot it holds.
    pub(super) slot: u32,
    /// Attempts begun.
    pub(super) attempts: u32,
    /// Failures so far.
    pub(super) failures: u16,
    pub(super) phase: Phase,
}

/// What a slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing.
    Free,
    /// Its trial starts or trains.
    Training,
    /// Its trial waits for the searcher.
    Waiting,
    /// Its trial saves a checkpoint, and gives it back then.
    Saving,
    /// Taken away for a while.
    Away,
    /// Its node is lost.
    Down,
}

/// What ends a stretch of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Milestone {
    Report,
    Crash,
    Preemption,
}

/// A slot and the attempt on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) used: Use,
    /// Changes whenever what was due of it is void.
    pub(super) generation: u32,
    pub(super) trial: u32,
    /// The stretch of training ends at this length.
    pub(super) goal: u32,
    /// Its training began or begins then.
    pub(super) from: f64,
    /// How many times slower this attempt is.
    pub(super) slowness: f64,
    pub(super) crash_at: f64,
    pub(super) preempt_at: f64,
    pub(super) milestone: Milestone,
}

impl Slot {
    pub(super) const FREE: Self = Self {
        used: Use::Free,
        generation: 0,
        trial: 0,
        goal: 0,
        from: 0.0,
        slowness: 1.0,
        crash_at: f64::INFINITY,
        preempt_at: f64::INFINITY,
        milestone: Milestone::Report,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_takes_64_bytes() {
        assert_eq!(size_of::<Trial>(), 64);
    }
}
