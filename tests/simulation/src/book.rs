//! Who asked the pool for slots and has none yet: nobody of worse priority may get a slot before them.
//!
//! All trials here want one slot, so one that is free for an experiment is free for a more urgent one, too. Experiments
//! with `max_slots` are left out: they may have to wait for their own. So are requests that do without the agent in
//! question, and experiments from which it is excluded.

use std::collections::BTreeMap;
use toprung_engine::scheduler::{Limits, Scheduler, Wish};
use toprung_proto::v1;

use crate::ledger::Ledger;
use crate::messages::PoolMessage;

type Asked = (v1::AttemptId, Wish);

/// The requests that stand.
#[derive(Debug, Default)]
pub struct Book {
    limits: BTreeMap<u64, Limits>,
    /// (experiment, trial) → the attempt, and where it is wanted.
    asks: BTreeMap<(u64, u32), Asked>,
}

impl Book {
    /// The pool is told something.
    pub fn hears(&mut self, message: &PoolMessage) {
        match message {
            PoolMessage::Add(id, limits, _) => {
                self.asks.retain(|(asks, _), _| asks != id);
                self.limits.insert(*id, *limits);
            }
            PoolMessage::Remove(id) | PoolMessage::Ended(id) => self.asks.retain(|(asks, _), _| asks != id),
            PoolMessage::Request(attempt, wish) => {
                self.asks.insert((attempt.experiment, attempt.trial), (*attempt, wish.clone()));
            }
            PoolMessage::Withdraw(experiment, trial) => drop(self.asks.remove(&(*experiment, *trial))),
            // An attempt that an agent brings needs no request.
            PoolMessage::Joined(_, _, running) => {
                let keys = running.iter().map(|held| (held.attempt.experiment, held.attempt.trial));
                keys.for_each(|key| drop(self.asks.remove(&key)));
            }
            _ => {}
        }
    }

    /// An attempt gets slots of an agent.
    pub fn gets(&mut self, attempt: &v1::AttemptId, agent: &str, scheduler: &Scheduler, ledger: &mut Ledger) {
        self.asks.remove(&(attempt.experiment, attempt.trial));
        let Some(own) = self.limits.get(&attempt.experiment) else { return };
        let excluded = |id: u64| scheduler.excluded().any(|(from, name, _)| from == id && name == agent);
        let comes_first = |((id, _), (_, wish)): &(&(u64, u32), &Asked)| {
            let here = wish
                .only_on
                .as_ref()
                .map_or_else(|| !wish.without.contains(agent) && !excluded(*id), |only| only == agent);
            let limits = self.limits.get(id).filter(|limits| limits.max_slots.is_none());
            here && limits.is_some_and(|limits| limits.priority < own.priority)
        };
        if let Some((first, _)) = self.asks.iter().find(comes_first) {
            ledger.fail("INV-11", format!("{attempt:?} got a slot of {agent} before {first:?}"));
        }
    }

    /// The requests of the most urgent experiments.
    pub fn first(&self) -> Vec<Asked> {
        let priority = |id: &u64| self.limits.get(id).map_or(u8::MAX, |limits| limits.priority);
        let best = self.asks.keys().map(|(id, _)| priority(id)).min();
        let first = self.asks.iter().filter(|((id, _), _)| Some(priority(id)) == best);
        first.map(|(_, asked)| asked.clone()).collect()
    }
}
