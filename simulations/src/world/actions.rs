//! What follows from the searcher's actions, as the engine does it.

use super::state::{Phase, Trial, Use};
use super::{Due, Game};
use crate::player::Player;
use crate::task::Task;
use toprung_searchers::{Action, Create, Event, ExitReason, TrialId};

impl<T: Task + ?Sized, P: Player + ?Sized> Game<'_, T, P> {
    /// Gives an event to the searcher and does what it asks, until nothing follows any more.
    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let mut actions = std::mem::take(&mut self.actions);
            self.player.handle(&event, &mut actions);
            let stands = matches!(event, Event::CannotPause { trial } if !actions.iter().any(|action| names(action, trial)));
            for action in actions.drain(..) {
                match action {
                    Action::Create(create) => self.create(&create),
                    Action::TrainTo { trial, length, .. } => self.train_to(trial.0, length),
                    Action::Pause { trial, .. } => self.pause(trial.0),
                    Action::Stop { trial, .. } => self.stop(trial.0),
                    Action::Shutdown { .. } => self.out.over = true,
                }
            }
            self.actions = actions;
            if let Event::CannotPause { trial: TrialId(id) } = event
                && stands
            {
                self.paused(id);
            }
        }
    }

    pub(super) fn exited(&mut self, id: u32, reason: ExitReason) {
        self.events.push_back(Event::Exited { trial: TrialId(id), reason });
    }

    fn create(&mut self, create: &Create) {
        let id = create.trial.0;
        let parent =
            create.clone_from.and_then(|parent| self.trials.get((parent.0 as usize).checked_sub(1)?));
        // What the parent trained is not trained again: lengths go on from its checkpoint.
        let length = parent.map_or(0, |parent| parent.checkpoint);
        self.inherited += u64::from(length);
        self.trials.push(Trial {
            curve: self.task.curve(self.seed, id, &create.hparams),
            length,
            checkpoint: length,
            train_to: clamped(create.train_to),
            slot: 0,
            attempts: 0,
            failures: 0,
            phase: Phase::Queued,
        });
        self.out.run.trials += 1;
        self.queue.push_back(id);
    }

    fn train_to(&mut self, id: u32, length: u64) {
        let Some(trial) = self.known(id) else { return };
        trial.train_to = clamped(length);
        match trial.phase {
            Phase::Paused => {
                trial.phase = Phase::Queued;
                self.queue.push_back(id);
            }
            Phase::OnSlot => self.go_on(id),
            Phase::Queued | Phase::Ended => {}
        }
    }

    fn pause(&mut self, id: u32) {
        let Some(trial) = self.known(id).copied() else { return };
        match trial.phase {
            Phase::OnSlot => {
                if self.slots[trial.slot as usize].used == Use::Saving {
                    return;
                }
                self.cut_short(trial.slot);
                if !self.world.saves {
                    self.events.push_back(Event::CannotPause { trial: TrialId(id) });
                } else if self.world.checkpoint_time > 0.0 && self.is_ahead(id) {
                    self.save(trial.slot);
                } else {
                    self.paused(id);
                }
            }
            Phase::Queued => {
                self.queue.retain(|queued| *queued != id);
                self.rest(id);
            }
            Phase::Paused | Phase::Ended => {}
        }
    }

    /// Whether a trial has trained since its checkpoint.
    fn is_ahead(&self, id: u32) -> bool {
        let trial = &self.trials[id as usize - 1];
        trial.length > trial.checkpoint
    }

    /// The trial on this slot saves a checkpoint and leaves then.
    fn save(&mut self, index: u32) {
        self.set_use(index, Use::Saving);
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let due = Due::Slot { slot: index, generation: slot.generation };
        self.clock.at(self.now + self.world.checkpoint_time, due);
    }

    /// The checkpoint of a pause is there.
    pub(super) fn saved(&mut self, index: u32) {
        self.paused(self.slots[index as usize].trial);
        self.tell_exits();
    }

    fn paused(&mut self, id: u32) {
        let trial = &mut self.trials[id as usize - 1];
        if self.world.saves {
            trial.checkpoint = trial.checkpoint.max(trial.length);
        }
        let slot = trial.slot;
        self.leave_slot(slot, Use::Free);
        self.rest(id);
    }

    /// A trial without a slot waits for the searcher, if it can ever go on.
    pub(super) fn rest(&mut self, id: u32) {
        let trial = &mut self.trials[id as usize - 1];
        let resumable = self.world.saves && trial.checkpoint > 0;
        trial.phase = if resumable { Phase::Paused } else { Phase::Ended };
        self.exited(id, ExitReason::Paused { resumable });
    }

    fn stop(&mut self, id: u32) {
        let Some(trial) = self.known(id).copied() else { return };
        match trial.phase {
            Phase::OnSlot => {
                self.cut_short(trial.slot);
                self.leave_slot(trial.slot, Use::Free);
                self.exited(id, ExitReason::Stopped);
            }
            Phase::Queued => {
                self.queue.retain(|queued| *queued != id);
                self.exited(id, ExitReason::Stopped);
            }
            // A paused one is only closed: nothing follows.
            Phase::Paused | Phase::Ended => {}
        }
        self.trials[id as usize - 1].phase = Phase::Ended;
    }

    /// A trial has reached the end of its curve and was to train further: it ends by itself.
    pub(super) fn complete(&mut self, id: u32) {
        let slot = self.trials[id as usize - 1].slot;
        self.leave_slot(slot, Use::Free);
        self.trials[id as usize - 1].phase = Phase::Ended;
        self.exited(id, ExitReason::Completed);
    }

    /// Tells the exits that the searcher has not heard of yet. Not while it is being told something.
    pub(super) fn tell_exits(&mut self) {
        if let Some(event) = self.events.pop_back() {
            self.tell(event);
        }
    }

    /// Enters what a trial that trains right now has done so far.
    fn cut_short(&mut self, index: u32) {
        if self.slots[index as usize].used == Use::Training {
            self.advance(index, Some(self.now));
        }
    }

    /// Whether a trial holds a slot and waits for the searcher.
    pub(super) fn waits(&self, id: u32) -> bool {
        let trial = &self.trials[id as usize - 1];
        trial.phase == Phase::OnSlot && self.slots[trial.slot as usize].used == Use::Waiting
    }

    fn known(&mut self, id: u32) -> Option<&mut Trial> {
        self.trials.get_mut((id as usize).checked_sub(1)?)
    }
}

fn names(action: &Action, trial: TrialId) -> bool {
    match action {
        Action::TrainTo { trial: named, .. }
        | Action::Pause { trial: named, .. }
        | Action::Stop { trial: named, .. } => *named == trial,
        Action::Create(_) | Action::Shutdown { .. } => false,
    }
}

fn clamped(length: u64) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
