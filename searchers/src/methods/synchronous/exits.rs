//! What becomes of a member that holds no slots any more.

use super::bracket::{Bracket, Member, State};
use crate::method::ExitReason;
use crate::methods::halving::Step;
use crate::reason::Reason;
use crate::rung::{Key, NO_ENTRY};

impl Bracket {
    /// A member holds no slots any more.
    pub(super) fn exited(&mut self, member: u32, reason: ExitReason, steps: &mut Vec<Step>) {
        let Some(known) = self.member(member).cloned().filter(|known| known.state != State::Closed) else {
            return;
        };
        self.leave(member, &known);
        match reason {
            _ if known.state == State::Stopping && reason != ExitReason::InvalidHyperparameters => {}
            ExitReason::Paused { resumable: true } => self.rest(member, &known),
            ExitReason::Paused { resumable: false } => {
                self.rank_last(member, &known);
                let reason = Reason::NoCheckpoint { length: known.length };
                steps.push(Step::Stop { member, reason });
            }
            ExitReason::InvalidHyperparameters => self.take_out(member, &known),
            _ => self.rank_last(member, &known),
        }
        self.settle(steps);
    }

    /// Takes a member out of the counts that its state put it in.
    fn leave(&mut self, member: u32, known: &Member) {
        let order = self.order(usize::from(known.rung));
        let rung = &mut self.rungs[usize::from(known.rung)];
        if known.state.is_heading() {
            rung.heading -= 1;
        }
        match known.state {
            State::Pausing => rung.pausing -= 1,
            State::Paused => rung.ranking.set_open(known.entry, false),
            State::Ready => drop(self.ready.remove(&(order, member))),
            State::Interrupted => drop(self.interrupted.remove(&member)),
            State::Running | State::Stopping | State::Closed => {}
        }
        if known.state.is_outstanding() {
            self.outstanding -= 1;
        }
        self.member_mut(member).state = State::Closed;
    }

    /// A member with a checkpoint gave its slots back.
    fn rest(&mut self, member: u32, known: &Member) {
        let order = self.order(usize::from(known.rung));
        let rung = &mut self.rungs[usize::from(known.rung)];
        let state = match known.state {
            State::Pausing | State::Paused => {
                rung.ranking.set_open(known.entry, true);
                State::Paused
            }
            State::Ready => {
                rung.heading += 1;
                self.ready.insert((order, member));
                State::Ready
            }
            _ => {
                rung.heading += 1;
                self.interrupted.insert(member);
                State::Interrupted
            }
        };
        self.member_mut(member).state = state;
    }

    /// Ranks a member that is gone last in its rung.
    fn rank_last(&mut self, member: u32, known: &Member) {
        let rung = usize::from(known.rung);
        if known.state.is_heading() {
            self.enter(member, Key::FAILED);
        } else {
            let below = self.rungs[rung].ranking.below(known.entry);
            self.rungs[rung].ranking.remove(known.entry);
            self.member_mut(member).entry = self.rungs[rung].ranking.insert(Key::FAILED, member, below).entry;
        }
    }

    /// Removes a member that refused its hyperparameters from every rung.
    fn take_out(&mut self, member: u32, known: &Member) {
        self.invalid += 1;
        let mut entry = known.entry;
        let mut above = usize::from(known.rung) + usize::from(!known.state.is_heading());
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
