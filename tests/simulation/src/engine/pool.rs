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
            PoolMessage::Request(attempt, only_on) => self.places.request(attempt, only_on),
            PoolMessage::Withdraw(experiment, trial) => self.places.withdraw(experiment, trial),
            PoolMessage::Leaves(attempt) => self.places.leaves(&attempt),
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
                Notice::Capacity { experiment, trials } => {
                    (experiment, Input::Capacity(v1::CapacityChanged { trials }))
                }
                Notice::Preempted(Preemption { attempt, reason }) => {
                    outer.log(|| format!("pool: {attempt:?} has to leave: {reason}"));
                    let (trial, number) = (attempt.trial, attempt.attempt);
                    let preempted = v1::AttemptPreempted { trial, attempt: number, reason };
                    (attempt.experiment, Input::Preempted(preempted))
                }
                Notice::Allocated(Allocation { attempt, agent, slots, .. }) => {
                    outer.log(|| format!("pool: {attempt:?} gets {slots:?} of {agent}"));
                    self.book.gets(&attempt, &agent, &mut outer.ledger);
                    outer.ledger.gets(&agent);
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
        first.into_iter().for_each(|(asks, only_on)| self.places.request(asks, only_on));
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
