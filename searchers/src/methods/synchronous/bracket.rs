//! One bracket of synchronous successive halving, without hyperparameters or limits. The rules are in [`super`].
//!
//! How many members a rung gets and how many of them go on are the numbers of the plan, whatever happens to members.
//! With m members that can still arrive in a rung of which k go on, a member of rank r (from 0) is certain to go on as
//! soon as r + m < k; it does not wait for the others. A rung is *decided* when nobody can arrive any more and all who
//! arrived have given their slots back; then those who do not go on are closed.
//!
//! Cost: O(R log n) an event for R rungs, but for the event that decides a rung, which closes its members one by one.

use crate::config::invalid_allowed;
use crate::method::RungView;
use crate::methods::halving::Step;
use crate::plan::BracketPlan;
use crate::reason::{Reason, Standing};
use crate::rung::{Key, NO_ENTRY, Ranked, Rung};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// Trains for its rung.
    Running,
    /// Told to pause; has an entry in its rung.
    Pausing,
    /// Told to stop.
    Stopping,
    /// Without slots, with a checkpoint; its entry is open.
    Paused,
    /// Without slots; goes on to its rung when there is a place.
    Ready,
    /// Without slots though it was not told to pause: goes on before all others.
    Interrupted,
    /// Takes no further part.
    Closed,
}

impl State {
    pub(super) fn is_outstanding(self) -> bool {
        matches!(self, Self::Running | Self::Pausing | Self::Stopping)
    }

    /// Whether it is on the way to its rung.
    pub(super) fn is_heading(self) -> bool {
        matches!(self, Self::Running | Self::Ready | Self::Interrupted)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    /// The greatest length it validated at, as far as it counted.
    pub(super) length: u64,
    /// Its newest entry: in its rung, or in the rung below while it has none there.
    pub(super) entry: u32,
    pub(super) rung: u8,
    pub(super) state: State,
}

/// A bracket, see the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bracket {
    pub(super) rungs: Vec<Rung>,
    /// How many members each rung gets by the plan.
    sizes: Vec<u64>,
    /// So many rungs, from the lowest, are decided.
    decided: usize,
    members: Vec<Member>,
    pub(super) interrupted: BTreeSet<u32>,
    /// (rungs below the top, member): the first goes on first.
    pub(super) ready: BTreeSet<(u8, u32)>,
    pub(super) outstanding: u32,
    pub(super) invalid: u64,
    trained: u64,
}

impl Bracket {
    pub(super) fn new(plan: &BracketPlan) -> Self {
        Self {
            rungs: plan.rungs.iter().map(|rung| Rung::new(rung.length)).collect(),
            sizes: plan.rungs.iter().map(|rung| rung.trials).collect(),
            decided: 0,
            members: Vec::new(),
            interrupted: BTreeSet::new(),
            ready: BTreeSet::new(),
            outstanding: 0,
            invalid: 0,
            trained: 0,
        }
    }

    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Trials that count: created, and with valid hyperparameters as far as known.
    pub(super) fn trials(&self) -> u64 {
        self.members.len() as u64 - self.invalid
    }

    /// How many refused their hyperparameters, and how many may, if that is why no more are created.
    pub(super) fn too_many_invalid(&self) -> Option<(u64, u64)> {
        let allowed = invalid_allowed(self.sizes[0]);
        (self.invalid >= allowed && self.trials() < self.sizes[0]).then_some((self.invalid, allowed))
    }

    /// Whether nothing runs and nothing can be started any more.
    pub(super) fn is_over(&self) -> bool {
        self.outstanding == 0
            && self.interrupted.is_empty()
            && self.ready.is_empty()
            && self.creatable() == 0
            && self.rungs.iter().all(|rung| rung.ranking.open() == 0)
    }

    pub(super) fn trained(&self) -> u64 {
        self.trained
    }

    pub(super) fn rungs(&self) -> impl Iterator<Item = RungView> + '_ {
        self.rungs.iter().enumerate().map(|(index, rung)| rung.view(index))
    }

    /// A member reported at a length.
    pub(super) fn validated(&mut self, member: u32, length: u64, metric: f64, steps: &mut Vec<Step>) {
        let Some(known) = self.member(member) else {
            return;
        };
        let rung = usize::from(known.rung);
        if known.state != State::Running || length < self.rungs[rung].length {
            return;
        }
        self.rungs[rung].heading -= 1;
        self.member_mut(member).length = length;
        self.climb(member, Key::new(metric), steps);
        self.settle(steps);
    }

    /// Enters the metric of a running member in its rung, and in those above as far as it is certain to go on.
    fn climb(&mut self, member: u32, key: Key, steps: &mut Vec<Step>) {
        loop {
            let (rung, Ranked { rank, .. }) = self.enter(member, key);
            if rung + 1 == self.rungs.len() {
                self.member_mut(member).state = State::Stopping;
                let length = self.member_ref(member).length;
                return steps.push(Step::Stop { member, reason: Reason::MaxLength { length } });
            }
            let standing = self.standing(rung, rank);
            if !self.is_certain(rung, rank) {
                let alone = self.missing(rung) == 0 && self.rungs[rung].pausing == 0;
                if alone {
                    self.member_mut(member).state = State::Stopping;
                    return steps.push(Step::Stop { member, reason: Reason::Cut(standing) });
                }
                self.rungs[rung].pausing += 1;
                self.member_mut(member).state = State::Pausing;
                return steps.push(Step::Pause { member, reason: Reason::Waits(standing) });
            }
            if self.ascend(member) {
                let length = self.rungs[rung + 1].length;
                return steps.push(Step::TrainTo { member, length, reason: Reason::Promoted(standing) });
            }
        }
    }

    /// Gives a member its place in its rung.
    pub(super) fn enter(&mut self, member: u32, key: Key) -> (usize, Ranked) {
        let Member { entry: below, rung, .. } = *self.member_ref(member);
        let rung = usize::from(rung);
        let before = if rung == 0 { 0 } else { self.rungs[rung - 1].length };
        self.trained = self.trained.saturating_add(self.rungs[rung].length - before);
        let entered = self.rungs[rung].ranking.insert(key, member, below);
        self.member_mut(member).entry = entered.entry;
        (rung, entered)
    }

    /// Moves a member to the next rung. Whether it must train to get there.
    fn ascend(&mut self, member: u32) -> bool {
        let rung = usize::from(self.member_ref(member).rung);
        self.rungs[rung].promoted += 1;
        self.member_mut(member).rung += 1;
        let must_train = self.member_ref(member).length < self.rungs[rung + 1].length;
        if must_train {
            self.rungs[rung + 1].heading += 1;
        }
        must_train
    }

    /// Lets all go on who are certain to, and closes the others of the rungs that are decided.
    pub(super) fn settle(&mut self, steps: &mut Vec<Step>) {
        for rung in self.decided..self.rungs.len() - 1 {
            while let Some(Ranked { entry, rank }) = self.rungs[rung].ranking.first_open() {
                if !self.is_certain(rung, rank) {
                    break;
                }
                self.promote(rung, entry, steps);
            }
            if rung == self.decided && self.missing(rung) == 0 && self.rungs[rung].pausing == 0 {
                self.decided += 1;
                self.close_open(rung, steps);
            }
        }
    }

    fn promote(&mut self, rung: usize, entry: u32, steps: &mut Vec<Step>) {
        let member = self.rungs[rung].ranking.trial(entry);
        let key = self.rungs[rung].ranking.key(entry);
        self.rungs[rung].ranking.set_open(entry, false);
        if self.ascend(member) {
            self.member_mut(member).state = State::Ready;
            let order = self.order(rung + 1);
            self.ready.insert((order, member));
            return;
        }
        // It validated past the next rung before it paused.
        let (rung, Ranked { entry, .. }) = self.enter(member, key);
        if rung + 1 < self.rungs.len() {
            return self.rungs[rung].ranking.set_open(entry, true);
        }
        self.member_mut(member).state = State::Closed;
        let length = self.member_ref(member).length;
        steps.push(Step::Stop { member, reason: Reason::MaxLength { length } });
    }

    fn close_open(&mut self, rung: usize, steps: &mut Vec<Step>) {
        while let Some(Ranked { entry, rank }) = self.rungs[rung].ranking.first_open() {
            let reason = Reason::Cut(self.standing(rung, rank));
            let member = self.rungs[rung].ranking.trial(entry);
            self.rungs[rung].ranking.set_open(entry, false);
            self.member_mut(member).state = State::Closed;
            steps.push(Step::Stop { member, reason });
        }
    }

    /// Starts one piece of work, if there is any: the interrupted first, then those that go on, the highest rung first, then
    /// a new member.
    pub(super) fn start_next(&mut self, steps: &mut Vec<Step>) -> bool {
        if let Some(member) = self.interrupted.pop_first() {
            let length = self.rungs[usize::from(self.member_ref(member).rung)].length;
            self.run(member);
            steps.push(Step::TrainTo { member, length, reason: Reason::Resumed { length } });
            return true;
        }
        if let Some((_, member)) = self.ready.pop_first() {
            let Member { rung, entry, .. } = *self.member_ref(member);
            let rung = usize::from(rung);
            let rank = self.rungs[rung - 1].ranking.rank(entry);
            let reason = Reason::Promoted(self.standing(rung - 1, rank));
            self.run(member);
            steps.push(Step::TrainTo { member, length: self.rungs[rung].length, reason });
            return true;
        }
        if self.creatable() == 0 {
            return false;
        }
        self.members.push(Member { length: 0, entry: NO_ENTRY, rung: 0, state: State::Running });
        self.outstanding += 1;
        self.rungs[0].heading += 1;
        steps.push(Step::Create { member: self.members.len() as u32, train_to: self.rungs[0].length });
        true
    }

    fn run(&mut self, member: u32) {
        self.member_mut(member).state = State::Running;
        self.outstanding += 1;
    }

    /// How many members can still be created. A refusal after rung 0 was decided is not replaced.
    fn creatable(&self) -> u64 {
        if self.decided > 0 || self.invalid >= invalid_allowed(self.sizes[0]) {
            0
        } else {
            self.sizes[0] - self.trials()
        }
    }

    /// At most so many members can still arrive in a rung.
    fn missing(&self, rung: usize) -> u64 {
        let heading = u64::from(self.rungs[rung].heading);
        let coming = match rung.checked_sub(1) {
            None => self.creatable(),
            Some(below) if below < self.decided => 0,
            Some(below) => self.sizes[rung].saturating_sub(u64::from(self.rungs[below].promoted)),
        };
        heading + coming
    }

    /// Whether a member with so many before it goes on, whatever others report.
    fn is_certain(&self, rung: usize, before: u64) -> bool {
        before + self.missing(rung) < self.sizes[rung + 1]
    }

    fn standing(&self, rung: usize, before: u64) -> Standing {
        Standing {
            rung: rung as u32,
            length: self.rungs[rung].length,
            rank: before + 1,
            of: self.sizes[rung],
            go_on: self.sizes[rung + 1],
        }
    }

    pub(super) fn order(&self, rung: usize) -> u8 {
        (self.rungs.len() - 1 - rung) as u8
    }

    pub(super) fn member(&self, member: u32) -> Option<&Member> {
        self.members.get((member as usize).checked_sub(1)?)
    }

    fn member_ref(&self, member: u32) -> &Member {
        &self.members[member as usize - 1]
    }

    pub(super) fn member_mut(&mut self, member: u32) -> &mut Member {
        &mut self.members[member as usize - 1]
    }
}
