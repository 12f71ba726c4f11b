//! The pool's actor, and whoever waits for it.

use toprung_engine::cores::Notice;
use toprung_engine::scheduler::{Allocation, Preemption};
use toprung_proto::v1::{self, journal_record::Input};

use super::{Engine, Wait};
use crate::bug::Bug;
use crate::experiments::Message;
use crate::messages::{ExperimentsMessage, PoolMessage};
use crate::outer::Outer;

impl Engine {
    pub(super) fn on_pool(&mut self, message: PoolMessage, outer: &mut Outer) {
        match message {
            PoolMessage::Add(id, limits, held) => self.places.add_experiment(id, limits, held),
            PoolMessage::Remove(id) => self.places.remove_experiment(id),
            PoolMessage::Ended(id) if outer.bug == Bug::KeepsGifts => self.places.remove_experiment(id),
            PoolMessage::Ended(id) => self.places.experiment_ended(id),
            PoolMessage::Request(attempt, wish) => self.places.request(attempt, wish),
            PoolMessage::Exclude(id, agent, reason) => {
                outer.log(|| format!("pool: experiment {id} does without {agent}: {reason}"));
                outer.ledger.excluded(id, &agent);
                self.places.exclude(id, agent, reason);
            }
            PoolMessage::Withdraw(experiment, trial) => self.places.withdraw(experiment, trial),
            PoolMessage::Leaves(attempt) => self.places.leaves(&attempt),
            PoolMessage::Stays(attempt) => self.places.stays(&attempt),
            PoolMessage::Drain(name, reason) => {
                outer.ledger.drained(&name);
                self.places.drain(&name, &reason);
            }
            PoolMessage::Undrain(name) => self.places.undrain(&name),
            PoolMessage::Release(attempt) if outer.bug == Bug::GivesFreedAway => {
                self.give_away(&attempt, outer);
            }
            PoolMessage::Release(attempt) => self.places.release(&attempt),
            PoolMessage::Joined(name, slots, running) => self.places.agent_joined(&name, slots, running),
            PoolMessage::Away(name) => {
                self.places.agent_away(&name);
                self.notices(outer);
                self.pool_answers(outer);
            }
            PoolMessage::Lost(name) => {
                self.places.agent_lost(&name);
                self.notices(outer);
                self.pool_answers(outer);
            }
        }
    }

    pub(super) fn notices(&mut self, outer: &mut Outer) {
        for notice in self.places.notices() {
            let (id, input) = match notice {
                Notice::Capacity { experiment, trials, agents } => {
                    (experiment, Input::Capacity(v1::CapacityChanged { trials, agents }))
                }
                Notice::Preempted(Preemption { attempt, reason }) => {
                    outer.log(|| format!("pool: {attempt:?} has to leave: {reason}"));
                    let (trial, number) = (attempt.trial, attempt.attempt);
                    let preempted = v1::AttemptPreempted { trial, attempt: number, reason };
                    (attempt.experiment, Input::Preempted(preempted))
                }
                Notice::Allocated(Allocation { attempt, agent, slots, .. }) => {
                    outer.log(|| format!("pool: {attempt:?} gets {slots:?} of {agent}"));
                    self.book.gets(&attempt, &agent, self.places.scheduler(), &mut outer.ledger);
                    outer.ledger.gets(&agent);
                    self.check_exclusion(&attempt, &agent, outer);
                    let (trial, number) = (attempt.trial, attempt.attempt);
                    let allocated = v1::AttemptAllocated { trial, attempt: number, agent, slots };
                    (attempt.experiment, Input::Allocated(allocated))
                }
            };
            // To an actor that has failed: lost, as in the engine.
            if let Some(experiment) = self.experiments.get_mut(&id) {
                experiment.mailbox.push_back(Message::Input(input));
            }
        }
        self.check_limits(outer);
    }

    /// The planted fault: what an attempt gives back is offered to all but those who come first.
    fn give_away(&mut self, attempt: &v1::AttemptId, outer: &mut Outer) {
        let first = self.book.first();
        first.iter().for_each(|(asks, _)| self.places.withdraw(asks.experiment, asks.trial));
        self.places.release(attempt);
        self.notices(outer);
        first.into_iter().for_each(|(asks, wish)| self.places.request(asks, wish));
    }

    /// An excluded agent is given only while no other will do.
    fn check_exclusion(&self, attempt: &v1::AttemptId, agent: &str, outer: &mut Outer) {
        let id = attempt.experiment;
        if !outer.ledger.is_excluded(id, agent) {
            return;
        }
        let Some(experiment) = self.experiments.get(&id) else { return };
        let machine = &experiment.keeper.machine;
        let trouble = machine.trial(attempt.trial).and_then(|trial| trial.trouble.as_deref());
        let slots = machine.spec.config.resources.slots_per_trial;
        let scheduler = self.places.scheduler();
        let other = scheduler.agents().iter().find(|(name, there)| {
            let left = trouble.is_some_and(|trouble| trouble.has_left(name));
            let takes_work = there.could_fit(slots) && !scheduler.is_draining(name);
            !outer.ledger.is_excluded(id, name) && takes_work && !left
        });
        if let Some((other, _)) = other {
            let what =
                format!("{attempt:?} is placed on {agent}, which is excluded, although {other} is there");
            outer.ledger.fail("INV-13", what);
        }
    }

    pub(super) fn check_limits(&self, outer: &mut Outer) {
        for spec in &self.specs {
            let Some(most) = spec.config.resources.max_slots else { continue };
            let own = |slot: &v1::AttemptId| slot.experiment == spec.id;
            let held = self.places.scheduler().agents().values().map(|agent| {
                let holders = agent.slots.iter().filter_map(|slot| agent.holder(slot.index));
                holders.filter(own).count() as u32
            });
            let held = held.sum::<u32>();
            if held > most {
                outer.ledger.fail("INV-5", format!("experiment {} holds {held} of {most} slots", spec.id));
            }
        }
    }

    pub(super) fn pool_answers(&mut self, outer: &mut Outer) {
        match self.wait.take() {
            Some(Wait::Register(register, serial, connection)) => {
                self.ask(register, serial, connection, outer)
            }
            Some(Wait::Lost(name, rest)) => {
                self.supervisor.push_back(ExperimentsMessage::Lost(name));
                self.lose(rest);
            }
            Some(Wait::Away) | None => {}
        }
    }
}
