//! Stretches of training: from where a trial is to its next report, and what of it was done when it is cut short.

use super::settings::Reports;
use super::state::{Milestone, Phase, Use};
use super::{Due, Game};
use crate::noise::{self, Purpose};
use crate::player::Player;
use crate::task::Task;

impl<T: Task + ?Sized, P: Player + ?Sized> Game<'_, T, P> {
    /// Gives free slots to queued trials, first come first served.
    pub(super) fn place_trials(&mut self) {
        while !self.free.is_empty() && !self.out.over {
            let Some(id) = self.queue.pop_front() else { break };
            let Some(index) = self.free.pop() else { break };
            self.begin_attempt(id, index);
        }
        self.out.most_slots = self.out.most_slots.max(self.holding);
    }

    fn begin_attempt(&mut self, id: u32, index: u32) {
        let (world, now) = (&self.world, self.now);
        let trial = &mut self.trials[id as usize - 1];
        let (whom, attempt) = (u64::from(id), u64::from(trial.attempts));
        trial.attempts += 1;
        (trial.phase, trial.slot) = (Phase::OnSlot, index);
        let after = |mean: f64, purpose| {
            if mean.is_finite() {
                now + mean * noise::exponential(self.seed, purpose, whom, attempt)
            } else {
                f64::INFINITY
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.trial = id;
        slot.slowness = if world.straggler > 0.0 {
            (world.straggler * noise::normal(self.seed, Purpose::Straggler, whom, attempt)).exp()
        } else {
            1.0
        };
        slot.crash_at = after(world.crash_every, Purpose::Crash);
        slot.preempt_at = after(world.preempt_every, Purpose::Preemption);
        let resume = if trial.length > 0 { world.resume_time } else { 0.0 };
        slot.from = now + world.start_time + resume;
        self.out.attempts += 1;
        self.holding += 1;
        self.set_use(index, Use::Training);
        self.schedule(index);
    }

    /// The trial on this slot, which waits, trains on.
    pub(super) fn train(&mut self, index: u32) {
        self.slots[index as usize].from = self.now;
        self.set_use(index, Use::Training);
        self.schedule(index);
    }

    /// Finds what ends the stretch of training that begins at `from`.
    fn schedule(&mut self, index: u32) {
        let slot = self.slots[index as usize];
        let trial = self.trials[slot.trial as usize - 1];
        let target = trial.train_to.min(self.max_length);
        let goal = match self.world.reports {
            Reports::EveryLength => (trial.length + 1).min(target),
            Reports::AtTargets => target,
        };
        let mut time = slot.from;
        for length in trial.length + 1..=goal {
            let cost = self.task.cost(&trial.curve, u64::from(length));
            time += cost * slot.slowness + self.saving_at(length);
        }
        let slot = &mut self.slots[index as usize];
        slot.goal = goal;
        slot.milestone = Milestone::Report;
        for (at, milestone) in [(slot.crash_at, Milestone::Crash), (slot.preempt_at, Milestone::Preemption)] {
            if at < time {
                (time, slot.milestone) = (at, milestone);
            }
        }
        let generation = slot.generation;
        self.clock.at(time, Due::Slot { slot: index, generation });
    }

    /// How long a trial saves when it has trained to this length.
    fn saving_at(&self, length: u32) -> f64 {
        if self.saves_at(length) { self.world.checkpoint_time } else { 0.0 }
    }

    fn saves_at(&self, length: u32) -> bool {
        let every = self.world.checkpoint_every;
        self.world.saves && every > 0 && length.is_multiple_of(every)
    }

    /// Enters what the trial on a slot has trained in this stretch: all of it, or as far as it came until `cut`.
    pub(super) fn advance(&mut self, index: u32, cut: Option<f64>) {
        let slot = self.slots[index as usize];
        let place = slot.trial as usize - 1;
        let until = cut.unwrap_or(f64::INFINITY);
        let mut trial = self.trials[place];
        let mut time = slot.from;
        while trial.length < slot.goal {
            let length = trial.length + 1;
            let cost = self.task.cost(&trial.curve, u64::from(length));
            let trained = time + cost * slot.slowness;
            if trained > until {
                break;
            }
            trial.length = length;
            self.out.run.total_length += 1;
            self.out.run.total_cost += cost;
            time = trained;
            if self.saves_at(length) {
                time += self.world.checkpoint_time;
                if time > until {
                    break;
                }
                trial.checkpoint = trial.checkpoint.max(length);
            }
        }
        self.trials[place] = trial;
        self.busy += (self.now - slot.from).max(0.0);
    }

    /// The length that a trial has trained since its last checkpoint is lost.
    pub(super) fn fall_back(&mut self, id: u32) {
        let trial = &mut self.trials[id as usize - 1];
        let lost = trial.length.saturating_sub(trial.checkpoint);
        trial.length -= lost;
        self.out.run.wasted_length += u64::from(lost);
    }

    /// A trial leaves its slot, which is then used so. What was due of the slot is void.
    pub(super) fn leave_slot(&mut self, index: u32, then: Use) {
        self.set_use(index, then);
        self.holding -= 1;
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.trial = 0;
        if then == Use::Free {
            self.free.push(index);
        }
    }

    /// Keeps count of the slots that work.
    pub(super) fn set_use(&mut self, index: u32, used: Use) {
        let works = |used| u32::from(matches!(used, Use::Training | Use::Saving));
        let slot = &mut self.slots[index as usize];
        self.working = self.working - works(slot.used) + works(used);
        slot.used = used;
    }
}
