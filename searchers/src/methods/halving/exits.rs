//! What becomes of a member that holds no slots any more.

use super::{Halving, Member, State, Step};
use crate::method::ExitReason;
use crate::reason::Reason;
use crate::rung::{Key, NO_ENTRY};

impl Halving {
    /// A member holds no slots any more.
    pub(crate) fn exited(&mut self, member: u32, reason: ExitReason, steps: &mut Vec<Step>) {
        let Some(known) = self.member(member).cloned() else {
            return;
        };
        if known.state == State::Closed {
            return;
        }
        self.leave(member, &known);
        if reason != (ExitReason::Paused { resumable: true }) {
            self.forget_start(member);
        }
        match reason {
            ExitReason::Paused { resumable } => self.paused(member, &known, resumable, steps),
            ExitReason::Errored => self.failed(member, &known),
            ExitReason::InvalidHyperparameters => self.take_out(member, &known),
            ExitReason::Completed | ExitReason::Stopped | ExitReason::Killed => {}
        }
        self.close_outranked(steps);
    }

    /// Takes a member out of the counts that its state put it in.
    pub(super) fn leave(&mut self, member: u32, known: &Member) {
        let rung = &mut self.rungs[usize::from(known.rung)];
        match known.state {
            State::Running => rung.heading -= 1,
            State::Pausing => rung.pausing -= 1,
            State::Paused => rung.ranking.set_open(known.entry, false),
            State::Interrupted => {
                rung.heading -= 1;
                self.interrupted.remove(&member);
            }
            State::Stopping | State::Closed => {}
        }
        if known.state.is_outstanding() {
            self.outstanding -= 1;
        }
        self.member_mut(member).state = State::Closed;
    }

    pub(super) fn paused(&mut self, member: u32, known: &Member, resumable: bool, steps: &mut Vec<Step>) {
        let rung = usize::from(known.rung);
        if known.state == State::Pausing {
            self.learn_saves(Some(resumable));
        }
        match known.state {
            State::Stopping | State::Closed => {}
            _ if !resumable => {
                let reason = Reason::NoCheckpoint { length: known.length };
                steps.push(Step::Stop { member, reason });
            }
            State::Running | State::Interrupted => {
                self.rungs[rung].heading += 1;
                self.interrupted.insert(member);
                self.member_mut(member).state = State::Interrupted;
            }
            State::Pausing | State::Paused => {
                self.rungs[rung].ranking.set_open(known.entry, true);
                self.member_mut(member).state = State::Paused;
            }
        }
    }

    /// Ranks a failed member last in the rung it trained for. One that was told to stop had its place decided before.
    pub(super) fn failed(&mut self, member: u32, known: &Member) {
        let rung = usize::from(known.rung);
        let below = match known.state {
            State::Stopping | State::Closed => return,
            State::Running | State::Interrupted => {
                self.arrive(rung, known.entry);
                known.entry
            }
            State::Pausing | State::Paused => {
                let below = self.rungs[rung].ranking.below(known.entry);
                self.rungs[rung].ranking.remove(known.entry);
                below
            }
        };
        self.member_mut(member).entry = self.rungs[rung].ranking.insert(Key::FAILED, member, below).entry;
    }

    /// Removes a member from every rung.
    pub(super) fn take_out(&mut self, member: u32, known: &Member) {
        self.invalid += 1;
        let has_place = !matches!(known.state, State::Running | State::Interrupted);
        let mut entry = known.entry;
        let mut above = usize::from(known.rung) + usize::from(has_place);
        while entry != NO_ENTRY && above > 0 {
            let rung = &mut self.rungs[above - 1];
            if above - 1 < usize::from(known.rung) {
                rung.promoted -= 1;
            }
            let below = rung.ranking.below(entry);
            rung.ranking.remove(entry);
            (entry, above) = (below, above - 1);
        }
        self.member_mut(member).entry = NO_ENTRY;
    }
}
