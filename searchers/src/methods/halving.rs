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
//! Cost: O(R log n) an event for R rungs; 16 bytes a member and 32 for each of its places in a rung.

use crate::config::invalid_allowed;
use crate::divisor::Divisor;
use crate::method::{ExitReason, RungView};
use crate::reason::{Reason, Standing};
use crate::rung::{Key, NO_ENTRY, Rung};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a bracket wants of a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Create {
        member: u32,
        train_to: u64,
    },
    TrainTo {
        member: u32,
        length: u64,
        reason: Reason,
    },
    Pause {
        member: u32,
        reason: Reason,
    },
    Stop {
        member: u32,
        reason: Reason,
    },
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) rungs: u32,
    pub(crate) max_trials: u64,
    pub(crate) divisor: Divisor,
    pub(crate) max_length: u64,
    pub(crate) stop_once: bool,
}

/// A bracket, see the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Halving {
    divisor: Divisor,
    stop_once: bool,
    max_trials: u64,
    rungs: Vec<Rung>,
    members: Vec<Member>,
    interrupted: BTreeSet<u32>,
    outstanding: u32,
    invalid: u64,
    /// Length trained towards rungs, of those that arrived.
    trained: u64,
}

impl Halving {
    pub(crate) fn new(settings: &Settings) -> Self {
        let lengths = settings
            .divisor
            .rung_lengths(settings.rungs, settings.max_length);
        Self {
            divisor: settings.divisor,
            stop_once: settings.stop_once,
            max_trials: settings.max_trials,
            rungs: lengths.into_iter().map(Rung::new).collect(),
            members: Vec::new(),
            interrupted: BTreeSet::new(),
            outstanding: 0,
            invalid: 0,
            trained: 0,
        }
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
        (self.invalid >= allowed && self.trials() < self.max_trials)
            .then_some((self.invalid, allowed))
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

    pub(crate) fn rungs(&self) -> impl Iterator<Item = RungView> + '_ {
        self.rungs
            .iter()
            .enumerate()
            .map(|(index, rung)| rung.view(index))
    }

    /// A member reported at a length.
    pub(crate) fn validated(
        &mut self,
        member: u32,
        length: u64,
        metric: f64,
        steps: &mut Vec<Step>,
    ) {
        let Some(known) = self.member(member) else {
            return;
        };
        let rung = usize::from(known.rung);
        if known.state != State::Running || length < self.rungs[rung].length {
            return;
        }
        self.rungs[rung].heading -= 1;
        self.member_mut(member).length = length;
        let reason = match self.climb(member, Key::new(metric)) {
            Climb::Heading => return self.head_on(member, steps),
            Climb::Top => Reason::MaxLength { length },
            Climb::Stays => match self.verdict(member) {
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

    /// A member holds no slots any more.
    pub(crate) fn exited(&mut self, member: u32, reason: ExitReason, steps: &mut Vec<Step>) {
        let Some(known) = self.member(member).cloned() else {
            return;
        };
        if known.state == State::Closed {
            return;
        }
        self.leave(member, &known);
        match reason {
            ExitReason::Paused { resumable } => self.paused(member, &known, resumable, steps),
            ExitReason::Errored => self.failed(member, &known),
            ExitReason::InvalidHyperparameters => self.take_out(member, &known),
            ExitReason::Completed | ExitReason::Stopped | ExitReason::Killed => {}
        }
        self.close_outranked(steps);
    }

    /// Starts one piece of work, if there is any: the interrupted first, then promotions from the top rung down, then a
    /// new member.
    pub(crate) fn start_next(&mut self, steps: &mut Vec<Step>) -> bool {
        if let Some(member) = self.interrupted.pop_first() {
            let length = self.rungs[usize::from(self.member_ref(member).rung)].length;
            self.member_mut(member).state = State::Running;
            self.outstanding += 1;
            steps.push(Step::TrainTo {
                member,
                length,
                reason: Reason::Resumed { length },
            });
            return true;
        }
        if self.promote_best(steps) {
            return true;
        }
        if self.creatable() == 0 {
            return false;
        }
        self.members.push(Member {
            length: 0,
            entry: NO_ENTRY,
            rung: 0,
            state: State::Running,
        });
        self.outstanding += 1;
        self.rungs[0].heading += 1;
        steps.push(Step::Create {
            member: self.members.len() as u32,
            train_to: self.rungs[0].length,
        });
        true
    }

    /// Promotes the best paused member of the highest rung that has one to promote.
    fn promote_best(&mut self, steps: &mut Vec<Step>) -> bool {
        let top = self.rungs.len() - 1;
        for rung in (0..top).rev() {
            let Some(entry) = self.rungs[rung].ranking.first_open() else {
                continue;
            };
            if self.rungs[rung].ranking.rank(entry) < self.go_on(rung) {
                self.promote(rung, entry, steps);
                return true;
            }
        }
        false
    }

    fn promote(&mut self, rung: usize, entry: u32, steps: &mut Vec<Step>) {
        let member = self.rungs[rung].ranking.trial(entry);
        let key = self.rungs[rung].ranking.key(entry);
        self.rungs[rung].ranking.set_open(entry, false);
        let outcome = if self.ascend(member) {
            Climb::Heading
        } else {
            self.climb(member, key)
        };
        match outcome {
            Climb::Heading => {
                self.outstanding += 1;
                self.head_on(member, steps);
            }
            Climb::Top => {
                self.member_mut(member).state = State::Closed;
                let length = self.member_ref(member).length;
                steps.push(Step::Stop {
                    member,
                    reason: Reason::MaxLength { length },
                });
            }
            // It validated past the next rung before it paused, so it has its place there already and waits.
            Climb::Stays => {
                let (rung, entry) = self.place(member);
                self.rungs[rung].ranking.set_open(entry, true);
            }
        }
        self.close_outranked(steps);
    }

    /// Enters the metric in the member's rung, and in those above as far as its length and rank carry it.
    fn climb(&mut self, member: u32, key: Key) -> Climb {
        loop {
            let Member {
                entry: below, rung, ..
            } = *self.member_ref(member);
            let rung = usize::from(rung);
            self.arrive(rung);
            let entry = self.rungs[rung].ranking.insert(key, member, below);
            self.member_mut(member).entry = entry;
            if rung + 1 == self.rungs.len() {
                return Climb::Top;
            }
            if self.rungs[rung].ranking.rank(entry) >= self.go_on(rung) {
                return Climb::Stays;
            }
            if self.ascend(member) {
                return Climb::Heading;
            }
        }
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

    /// A member that was just moved up trains to its rung.
    fn head_on(&mut self, member: u32, steps: &mut Vec<Step>) {
        let Member { entry, rung, .. } = *self.member_ref(member);
        let rung = usize::from(rung);
        let reason = Reason::Promoted(self.standing(rung - 1, entry, self.go_on(rung - 1)));
        self.member_mut(member).state = State::Running;
        steps.push(Step::TrainTo {
            member,
            length: self.rungs[rung].length,
            reason,
        });
        self.close_outranked(steps);
    }

    /// Of a member that stays in its rung: `Ok`, why it waits, or `Err`, why it ends.
    fn verdict(&self, member: u32) -> Result<Reason, Reason> {
        let (rung, entry) = self.place(member);
        let now = self.standing(rung, entry, self.go_on(rung));
        if self.stop_once {
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
    fn close_outranked(&mut self, steps: &mut Vec<Step>) {
        if self.stop_once {
            return;
        }
        let mut coming = self.coming(0);
        for rung in 0..self.rungs.len() - 1 {
            let most = self.can_go_on(rung, coming);
            while let Some(entry) = self.rungs[rung].ranking.last_open() {
                let standing = self.standing(rung, entry, most);
                if standing.rank <= most {
                    break;
                }
                let member = self.rungs[rung].ranking.trial(entry);
                self.rungs[rung].ranking.set_open(entry, false);
                self.member_mut(member).state = State::Closed;
                steps.push(Step::Stop {
                    member,
                    reason: Reason::Outranked(standing),
                });
            }
            coming = self.coming_above(rung, coming);
        }
    }

    /// Takes a member out of the counts that its state put it in.
    fn leave(&mut self, member: u32, known: &Member) {
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

    fn paused(&mut self, member: u32, known: &Member, resumable: bool, steps: &mut Vec<Step>) {
        let rung = usize::from(known.rung);
        match known.state {
            State::Stopping | State::Closed => {}
            _ if !resumable => {
                let reason = Reason::NoCheckpoint {
                    length: known.length,
                };
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
    fn failed(&mut self, member: u32, known: &Member) {
        let rung = usize::from(known.rung);
        let below = match known.state {
            State::Stopping | State::Closed => return,
            State::Running | State::Interrupted => {
                self.arrive(rung);
                known.entry
            }
            State::Pausing | State::Paused => {
                let below = self.rungs[rung].ranking.below(known.entry);
                self.rungs[rung].ranking.remove(known.entry);
                below
            }
        };
        self.member_mut(member).entry = self.rungs[rung].ranking.insert(Key::FAILED, member, below);
    }

    /// Removes a member from every rung.
    fn take_out(&mut self, member: u32, known: &Member) {
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

    /// How many members can still be created.
    fn creatable(&self) -> u64 {
        if self.invalid >= invalid_allowed(self.max_trials) {
            0
        } else {
            self.max_trials - self.trials()
        }
    }

    /// How many of a rung go on as it is now.
    fn go_on(&self, rung: usize) -> u64 {
        let share = self
            .divisor
            .share(u64::from(self.rungs[rung].ranking.len()));
        if share == 0 && (self.stop_once || self.coming(rung) == 0) {
            1
        } else {
            share
        }
    }

    /// The most of a rung that can ever go on, when at most so many are still `coming`.
    fn can_go_on(&self, rung: usize, coming: u64) -> u64 {
        self.divisor
            .share(u64::from(self.rungs[rung].ranking.len()) + coming)
            .max(1)
    }

    /// At most so many members can still come to a rung.
    fn coming(&self, rung: usize) -> u64 {
        let lowest = u64::from(self.rungs[0].heading) + self.creatable();
        (0..rung).fold(lowest, |coming, below| self.coming_above(below, coming))
    }

    /// The same of the rung above `rung`, to which so many are `coming`.
    fn coming_above(&self, rung: usize, coming: u64) -> u64 {
        let here = &self.rungs[rung];
        let waiting = u64::from(here.ranking.open()) + u64::from(here.pausing);
        waiting + coming + u64::from(self.rungs[rung + 1].heading)
    }

    fn standing(&self, rung: usize, entry: u32, go_on: u64) -> Standing {
        let Rung {
            length, ranking, ..
        } = &self.rungs[rung];
        let (rank, of) = (ranking.rank(entry) + 1, u64::from(ranking.len()));
        Standing {
            rung: rung as u32,
            length: *length,
            rank,
            of,
            go_on,
        }
    }

    fn arrive(&mut self, rung: usize) {
        let before = if rung == 0 {
            0
        } else {
            self.rungs[rung - 1].length
        };
        self.trained = self
            .trained
            .saturating_add(self.rungs[rung].length - before);
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

/// Where a climb ended.
enum Climb {
    /// In the rung it is in: not among the best.
    Stays,
    /// On the way to the next rung.
    Heading,
    /// In the top rung.
    Top,
}
