//! Who goes on, who waits, and who can never go on.

use super::{Halving, Member, State, Step};
use crate::reason::{Reason, Standing};
use crate::rung::{Key, NO_ENTRY, Ranked};

impl Halving {
    /// Promotes the best paused member of the highest rung that has one to promote.
    pub(super) fn promote_best(&mut self, steps: &mut Vec<Step>) -> bool {
        let top = self.rungs.len() - 1;
        for rung in (0..top).rev() {
            let Some(best) = self.rungs[rung].ranking.first_open() else {
                continue;
            };
            if best.rank < self.go_on(rung) {
                self.promote(rung, best, steps);
                return true;
            }
        }
        false
    }

    fn promote(&mut self, rung: usize, Ranked { entry, rank }: Ranked, steps: &mut Vec<Step>) {
        let member = self.rungs[rung].ranking.trial(entry);
        let key = self.rungs[rung].ranking.key(entry);
        self.rungs[rung].ranking.set_open(entry, false);
        let outcome = if self.ascend(member) { Climb::Heading { rank } } else { self.climb(member, key) };
        match outcome {
            Climb::Heading { rank } => {
                self.outstanding += 1;
                return self.head_on(member, rank, steps);
            }
            Climb::Top => {
                self.member_mut(member).state = State::Closed;
                let length = self.member_ref(member).length;
                steps.push(Step::Stop { member, reason: Reason::MaxLength { length } });
            }
            // It validated past the next rung before it paused, so it has its place there already and waits.
            Climb::Stays { .. } => {
                let (rung, entry) = self.place(member);
                self.rungs[rung].ranking.set_open(entry, true);
            }
        }
        self.close_outranked(steps);
    }

    /// Enters the metric in the member's rung, and in those above as far as its length and rank carry it.
    pub(super) fn climb(&mut self, member: u32, key: Key) -> Climb {
        loop {
            let Member { entry: below, rung, .. } = *self.member_ref(member);
            let rung = usize::from(rung);
            self.arrive(rung, below);
            let before = rung.checked_sub(1).filter(|_| below != NO_ENTRY);
            let before = before.map(|before| self.rungs[before].ranking.key(below));
            self.note_pair(member, rung, before, key);
            let Ranked { entry, rank } = self.rungs[rung].ranking.insert(key, member, below);
            self.member_mut(member).entry = entry;
            if rung + 1 == self.rungs.len() {
                return Climb::Top;
            }
            if rank >= self.go_on(rung) {
                return Climb::Stays { rank };
            }
            if self.ascend(member) {
                return Climb::Heading { rank };
            }
        }
    }

    /// Moves a member to the next rung. Whether it must train to get there.
    pub(super) fn ascend(&mut self, member: u32) -> bool {
        let rung = usize::from(self.member_ref(member).rung);
        self.rungs[rung].promoted += 1;
        self.member_mut(member).rung += 1;
        let must_train = self.member_ref(member).length < self.rungs[rung + 1].length;
        if must_train {
            self.rungs[rung + 1].heading += 1;
        }
        must_train
    }

    /// A member that was just moved up trains to its rung; so many are before it in the one below.
    pub(super) fn head_on(&mut self, member: u32, rank: u64, steps: &mut Vec<Step>) {
        let rung = usize::from(self.member_ref(member).rung);
        // One that cannot pause goes on by the stopping rule, also where promotion would let none yet.
        let go_on = self.go_on(rung - 1).max(rank + 1);
        let reason = Reason::Promoted(self.standing(rung - 1, rank, go_on));
        self.member_mut(member).state = State::Running;
        steps.push(Step::TrainTo { member, length: self.rungs[rung].length, reason });
        self.close_outranked(steps);
    }

    /// Of a member that stays in its rung, where so many are before it: `Ok`, why it waits, or `Err`, why it ends.
    pub(super) fn verdict(&self, member: u32, rank: u64) -> Result<Reason, Reason> {
        let rung = usize::from(self.member_ref(member).rung);
        let now = self.standing(rung, rank, self.go_on(rung));
        if self.stops() {
            return Err(Reason::Cut(now));
        }
        let most = self.can_go_on(rung, self.coming(rung));
        if now.rank > most {
            Err(Reason::Outranked(Standing { go_on: most, ..now }))
        } else {
            Ok(Reason::Waits(now))
        }
    }

    /// Stops the paused members that no promotion can reach any more.
    pub(super) fn close_outranked(&mut self, steps: &mut Vec<Step>) {
        if self.stop_once {
            return;
        }
        let mut coming = self.coming(0);
        for rung in 0..self.rungs.len() - 1 {
            let most = self.can_go_on(rung, coming);
            // No rank can be greater than their number.
            let any = u64::from(self.rungs[rung].ranking.len()) > most;
            while any && let Some(Ranked { entry, rank }) = self.rungs[rung].ranking.last_open() {
                let standing = self.standing(rung, rank, most);
                if standing.rank <= most {
                    break;
                }
                let member = self.rungs[rung].ranking.trial(entry);
                self.rungs[rung].ranking.set_open(entry, false);
                self.member_mut(member).state = State::Closed;
                steps.push(Step::Stop { member, reason: Reason::Outranked(standing) });
            }
            coming = self.coming_above(rung, coming);
        }
    }
}

/// Where a climb ended; `rank` is how many are before it in the last rung it has its place in.
pub(super) enum Climb {
    /// In the rung it is in: not among the best.
    Stays { rank: u64 },
    /// On the way to the next rung.
    Heading { rank: u64 },
    /// In the top rung.
    Top,
}
