//! The rung that members may not train beyond, for [`super::super::Pasha`].

use super::{Halving, State, Step};
use crate::reason::Reason;
use crate::rung::{Ranked, Ranking};

impl Halving {
    /// The highest rung that members may train for.
    pub(in crate::methods) fn ceiling(&self) -> usize {
        usize::from(self.ceiling)
    }

    /// Raises it by one, unless it is the top.
    pub(in crate::methods) fn raise_ceiling(&mut self) {
        self.ceiling = (self.ceiling + 1).min((self.rungs.len() - 1) as u8);
    }

    /// The entries of a rung.
    pub(in crate::methods) fn ranking(&self, rung: usize) -> &Ranking {
        &self.rungs[rung].ranking
    }

    /// Whether a member trains, so that a report of it counts.
    pub(in crate::methods) fn is_running(&self, member: u32) -> bool {
        self.member(member).is_some_and(|member| member.state == State::Running)
    }

    /// Closes those that wait under the ceiling once nothing is left that could raise it.
    pub(in crate::methods) fn close_under_ceiling(&mut self, steps: &mut Vec<Step>) {
        let ceiling = self.ceiling();
        let others_wait = self.rungs[..ceiling].iter().any(|rung| rung.ranking.open() > 0);
        if self.outstanding > 0 || !self.interrupted.is_empty() || self.creatable() > 0 || others_wait {
            return;
        }
        while let Some(Ranked { entry, rank }) = self.rungs[ceiling].ranking.first_open() {
            let member = self.rungs[ceiling].ranking.trial(entry);
            self.rungs[ceiling].ranking.set_open(entry, false);
            self.member_mut(member).state = State::Closed;
            let reason = Reason::RankingSettled(self.standing(ceiling, rank, 0));
            steps.push(Step::Stop { member, reason });
        }
    }
}
