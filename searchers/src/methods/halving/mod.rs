//! One bracket of asynchronous successive halving (ASHA; Li et al., MLSys 2020), without hyperparameters or limits.
//!
//! A bracket answers what becomes of its members, and what it would start next; [`super::AsyncHalving`] and
//! [`super::Adaptive`] decide when. Members are 1, 2, 3, … in the order of their creation.
//!
//! **Promotion (Algorithm 2; the default).** A member trains to its rung's length. If it is then among the best
//! floor(n/d) of the n in the rung, it trains on at once; else it pauses. A place that becomes free is given, from the
//! top rung down, to a paused member among the best floor(n/d) that has not gone on; else to a new member.
//! Once nothing can come to a rung any more, `max(floor(n/d), 1)` go on, so that even a few trials have one that
//! reaches the top. A member without a checkpoint keeps its rank, but never goes on.
//!
//! **Scripts that cannot resume.** Whether a member has a checkpoint shows when it is to pause. One that has none is judged by
//! the stopping rule at its place in the rung, and so are members from then on. The first that pauses with one shows that the
//! script saves: others go by promotion again, for good. A member that has left without a checkpoint is closed.
//!
//! **Stopping** (`stop_once`). At each rung the best `max(floor(n/d), 1)` train on, all others are stopped at once.
//!
//! **Closing.** With N the most members a rung can still come to hold, at most `max(floor(N/d), 1)` of it go on. A member
//! whose rank is beyond that is stopped as soon as this is so. (Ranks only grow, but for members that fail or refuse their
//! hyperparameters later; what was closed stays closed.)
//!
//! **Exits.** Failed: last in the rung it trained for. Invalid hyperparameters: taken out of every rung, and replaced. All
//! others: no longer in the way, with their places as they are. An event that does not fit a member's state
//! changes nothing.
//!
//! | file | holds |
//! |---|---|
//! | `promotion` | who goes on, who waits, who can never go on |
//! | `restless` | what becomes of a member that cannot pause |
//! | `exits` | what becomes of a member that holds no slots any more |
//! | `counts` | how many a rung holds, can still get, and lets go on |
//! | `ceiling` | the rung that members may not train beyond |
//! | `start` | the rung in which new members begin |
//!
//! Cost: O(R log n) an event for R rungs; 16 bytes a member and some 35 for each of its places in a rung.

use crate::config::invalid_allowed;
use crate::divisor::Divisor;
use crate::method::RungView;
use crate::plan::BracketPlan;
use crate::reason::Reason;
use crate::rung::{Key, NO_ENTRY, Rung};
use promotion::Climb;
use serde::{Deserialize, Serialize};
pub(super) use start::Skipped;
use start::Start;
use std::collections::BTreeSet;

mod ceiling;
mod counts;
mod exits;
mod promotion;
mod restless;
mod start;

/// What a bracket wants of a member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Create { member: u32, train_to: u64 },
    TrainTo { member: u32, length: u64, reason: Reason },
    Pause { member: u32, reason: Reason },
    Stop { member: u32, reason: Reason },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Trains for its rung; its newest entry is in the rung below.
    Running,
    /// Told to pause; has an entry in its rung.
    Pausing,
    /// Told to stop.
    Stopping,
    /// Without slots, with a checkpoint; its entry is open.
    Paused,
    /// Without slots though it was not told to pause: goes on before all others.
    Interrupted,
    /// Takes no further part.
    Closed,
}

impl State {
    fn is_outstanding(self) -> bool {
        matches!(self, Self::Running | Self::Pausing | Self::Stopping)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    /// The greatest length it validated at, as far as it counted.
    length: u64,
    /// Its newest entry: in its rung, or in the rung below while it has none there.
    entry: u32,
    rung: u8,
    state: State,
}

/// The settings of a bracket.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Its rungs and trials.
    pub(crate) plan: BracketPlan,
    pub(crate) divisor: Divisor,
    pub(crate) stop_once: bool,
}

/// A bracket, see the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Halving {
    divisor: Divisor,
    stop_once: bool,
    max_trials: u64,
    rungs: Vec<Rung>,
    /// The highest rung that members may train for; [`super::Pasha`] begins low and raises it.
    ceiling: u8,
    /// Where new members begin, if not all begin in the lowest rung.
    start: Option<Start>,
    /// Whether the script saves checkpoints, as far as pauses have shown.
    saves: Option<bool>,
    members: Vec<Member>,
    interrupted: BTreeSet<u32>,
    outstanding: u32,
    invalid: u64,
    /// Length trained towards rungs, of those that arrived.
    trained: u64,
}

impl Halving {
    pub(crate) fn new(settings: &Settings) -> Self {
        let lengths = settings.plan.lengths();
        Self {
            divisor: settings.divisor,
            stop_once: settings.stop_once,
            max_trials: settings.plan.trials,
            ceiling: (lengths.len() - 1) as u8,
            start: None,
            saves: None,
            rungs: lengths.into_iter().map(Rung::new).collect(),
            members: Vec::new(),
            interrupted: BTreeSet::new(),
            outstanding: 0,
            invalid: 0,
            trained: 0,
        }
    }

    /// The same, in which no member trains beyond rung `ceiling` at first.
    pub(super) fn below_ceiling(settings: &Settings, ceiling: u8) -> Self {
        let whole = Self::new(settings);
        Self { ceiling: ceiling.min(whole.ceiling), ..whole }
    }

    /// The same, in which new members learn to skip rungs that tell nothing.
    pub(super) fn with_learned_start(settings: &Settings) -> Self {
        let whole = Self::new(settings);
        Self { start: Some(Start::new(whole.rungs.len())), ..whole }
    }

    pub(crate) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Trials that count: created, and with valid hyperparameters as far as known.
    pub(crate) fn trials(&self) -> u64 {
        self.members.len() as u64 - self.invalid
    }

    /// How many refused their hyperparameters, and how many may, if that is why no more are created.
    pub(crate) fn too_many_invalid(&self) -> Option<(u64, u64)> {
        let allowed = invalid_allowed(self.max_trials);
        (self.invalid >= allowed && self.trials() < self.max_trials).then_some((self.invalid, allowed))
    }

    /// Whether nothing runs and nothing can be started any more.
    pub(crate) fn is_over(&self) -> bool {
        self.outstanding == 0
            && self.interrupted.is_empty()
            && self.creatable() == 0
            && self.rungs.iter().all(|rung| rung.ranking.open() == 0)
    }

    pub(crate) fn trained(&self) -> u64 {
        self.trained
    }

    /// Whether the script saves checkpoints, as far as pauses have shown.
    pub(super) fn saves(&self) -> Option<bool> {
        self.saves
    }

    /// What pauses here or elsewhere have shown of the same script.
    pub(super) fn learn_saves(&mut self, saves: Option<bool>) {
        self.saves = self.saves.max(saves);
    }

    /// Whether the stopping rule judges.
    fn stops(&self) -> bool {
        self.stop_once || self.saves == Some(false)
    }

    pub(crate) fn rungs(&self) -> impl Iterator<Item = RungView> + '_ {
        self.rungs.iter().enumerate().map(|(index, rung)| rung.view(index))
    }

    /// A member reported at a length.
    pub(crate) fn validated(&mut self, member: u32, length: u64, metric: f64, steps: &mut Vec<Step>) {
        let Some(known) = self.member(member) else {
            return;
        };
        let rung = usize::from(known.rung);
        if known.state != State::Running {
            return;
        }
        if length < self.rungs[rung].length {
            if known.entry == NO_ENTRY {
                self.note_below(member, rung, length, Key::new(metric));
            }
            return;
        }
        self.rungs[rung].heading -= 1;
        self.member_mut(member).length = length;
        let reason = match self.climb(member, Key::new(metric)) {
            Climb::Heading { rank } => return self.head_on(member, rank, steps),
            Climb::Top => Reason::MaxLength { length },
            Climb::Stays { rank } => match self.verdict(member, rank) {
                Ok(reason) => {
                    self.member_mut(member).state = State::Pausing;
                    let rung = usize::from(self.member_ref(member).rung);
                    self.rungs[rung].pausing += 1;
                    steps.push(Step::Pause { member, reason });
                    return self.close_outranked(steps);
                }
                Err(reason) => reason,
            },
        };
        self.member_mut(member).state = State::Stopping;
        steps.push(Step::Stop { member, reason });
        self.close_outranked(steps);
    }

    /// Starts one piece of work, if there is any: the interrupted first, then promotions from the top rung down, then a
    /// new member.
    pub(crate) fn start_next(&mut self, steps: &mut Vec<Step>) -> bool {
        if let Some(member) = self.interrupted.pop_first() {
            let length = self.rungs[usize::from(self.member_ref(member).rung)].length;
            self.member_mut(member).state = State::Running;
            self.outstanding += 1;
            steps.push(Step::TrainTo { member, length, reason: Reason::Resumed { length } });
            return true;
        }
        if self.promote_best(steps) {
            return true;
        }
        if self.creatable() == 0 {
            return false;
        }
        let first = self.first_rung();
        self.members.push(Member { length: 0, entry: NO_ENTRY, rung: first as u8, state: State::Running });
        self.outstanding += 1;
        self.rungs[first].heading += 1;
        steps.push(Step::Create { member: self.members.len() as u32, train_to: self.rungs[first].length });
        true
    }

    /// The rung and entry of a member that has its place.
    fn place(&self, member: u32) -> (usize, u32) {
        let Member { entry, rung, .. } = *self.member_ref(member);
        (usize::from(rung), entry)
    }

    fn member(&self, member: u32) -> Option<&Member> {
        self.members.get((member as usize).checked_sub(1)?)
    }

    fn member_ref(&self, member: u32) -> &Member {
        &self.members[member as usize - 1]
    }

    fn member_mut(&mut self, member: u32) -> &mut Member {
        &mut self.members[member as usize - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_takes_16_bytes() {
        assert_eq!(size_of::<Member>(), 16);
    }
}
