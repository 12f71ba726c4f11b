//! What becomes of a member that was told to pause and has no checkpoint: the stopping rule judges it where it stands.

use super::promotion::Climb;
use super::{Halving, State, Step};
use crate::reason::Reason;

impl Halving {
    /// A member that was told to pause cannot: it has no checkpoint, and still trains if it is told to.
    pub(crate) fn cannot_pause(&mut self, member: u32, steps: &mut Vec<Step>) {
        if self.member(member).is_none_or(|known| known.state != State::Pausing) {
            return;
        }
        self.learn_saves(Some(false));
        let (rung, _) = self.place(member);
        self.rungs[rung].pausing -= 1;
        let reason = loop {
            let (rung, entry) = self.place(member);
            let rank = self.rungs[rung].ranking.rank(entry);
            let go_on = self.go_on_at_once(rung);
            if rank >= go_on {
                break Reason::Cut(self.standing(rung, rank, go_on));
            }
            let key = self.rungs[rung].ranking.key(entry);
            let outcome = if self.ascend(member) { Climb::Heading { rank } } else { self.climb(member, key) };
            match outcome {
                Climb::Heading { rank } => return self.head_on(member, rank, steps),
                Climb::Top => break Reason::MaxLength { length: self.member_ref(member).length },
                // It had validated past the next rung, and is judged there.
                Climb::Stays { .. } => {}
            }
        };
        self.member_mut(member).state = State::Stopping;
        steps.push(Step::Stop { member, reason });
        self.close_outranked(steps);
    }

    /// How many of a rung go on by the stopping rule.
    fn go_on_at_once(&self, rung: usize) -> u64 {
        if rung >= usize::from(self.ceiling) {
            return 0;
        }
        self.divisor.share(u64::from(self.rungs[rung].ranking.len())).max(1)
    }
}
