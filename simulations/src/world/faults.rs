//! Crashes, preemptions, lost nodes.

use super::state::{Phase, Use};
use super::{Due, Game};
use crate::noise::{self, Purpose};
use crate::player::Player;
use crate::task::Task;
use toprung_searchers::{Event, ExitReason};

impl<T: Task + ?Sized, P: Player + ?Sized> Game<'_, T, P> {
    /// An attempt fails by itself.
    pub(super) fn crash(&mut self, index: u32) {
        self.advance(index, Some(self.now));
        let id = self.slots[index as usize].trial;
        self.leave_slot(index, Use::Free);
        self.fall_back(id);
        self.out.crashes += 1;
        let trial = &mut self.trials[id as usize - 1];
        trial.failures = trial.failures.saturating_add(1);
        if u32::from(trial.failures) > self.world.max_restarts {
            trial.phase = Phase::Ended;
            self.out.errored += 1;
            self.exited(id, ExitReason::Errored);
            self.tell_exits();
        } else {
            self.requeue(id);
        }
    }

    /// An attempt must leave its slot to others.
    pub(super) fn preempt(&mut self, index: u32) {
        self.advance(index, Some(self.now));
        let id = self.slots[index as usize].trial;
        if self.world.preempted_saves && self.world.saves {
            let trial = &mut self.trials[id as usize - 1];
            trial.checkpoint = trial.checkpoint.max(trial.length);
        }
        self.fall_back(id);
        self.out.preemptions += 1;
        if self.world.preempted_for > 0.0 {
            self.leave_slot(index, Use::Away);
            let generation = self.slots[index as usize].generation;
            self.clock.at(self.now + self.world.preempted_for, Due::Slot { slot: index, generation });
        } else {
            self.leave_slot(index, Use::Free);
        }
        self.requeue(id);
    }

    fn requeue(&mut self, id: u32) {
        self.trials[id as usize - 1].phase = Phase::Queued;
        self.queue.push_back(id);
    }

    pub(super) fn lose_node_later(&mut self, node: u32, times: u32) {
        let wait = noise::exponential(self.seed, Purpose::NodeLoss, u64::from(node), u64::from(times));
        self.clock.at(self.now + self.world.node_loss_every * wait, Due::NodeLost { node, times });
    }

    /// All slots of a node are lost. What ran there goes on from its last checkpoint elsewhere.
    pub(super) fn node_lost(&mut self, node: u32, times: u32) {
        self.out.node_losses += 1;
        let slots = self.slots_of(node);
        self.free.retain(|slot| !slots.contains(slot));
        for index in slots.clone() {
            self.lose_slot(index);
        }
        self.there -= slots.end - slots.start;
        self.clock.at(self.now + self.world.node_lost_for, Due::NodeBack { node, times });
        self.tell(Event::Capacity(self.there));
    }

    fn lose_slot(&mut self, index: u32) {
        let (used, id) = (self.slots[index as usize].used, self.slots[index as usize].trial);
        match used {
            Use::Training => self.advance(index, Some(self.now)),
            Use::Free | Use::Away | Use::Waiting | Use::Saving | Use::Down => {}
        }
        if !matches!(used, Use::Training | Use::Waiting | Use::Saving) {
            let slot = &mut self.slots[index as usize];
            slot.used = Use::Down;
            slot.generation = slot.generation.wrapping_add(1);
            return;
        }
        self.leave_slot(index, Use::Down);
        self.fall_back(id);
        if used == Use::Saving {
            // It was told to pause already: it rests at the checkpoint it has, if it has one.
            self.rest(id);
        } else {
            self.requeue(id);
        }
    }

    pub(super) fn node_back(&mut self, node: u32, times: u32) {
        let slots = self.slots_of(node);
        for index in slots.clone().rev() {
            self.slots[index as usize].used = Use::Free;
            self.free.push(index);
        }
        self.there += slots.end - slots.start;
        self.lose_node_later(node, times + 1);
        self.tell(Event::Capacity(self.there));
    }

    fn slots_of(&self, node: u32) -> std::ops::Range<u32> {
        let each = self.world.slots_per_node;
        let first = node * each;
        first..(first + each).min(self.world.slots)
    }
}
