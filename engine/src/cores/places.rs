//! The pool's decisions: a scheduler, and what experiments are told of it.

use std::collections::BTreeMap;
use toprung_proto::v1::{self, AttemptId};

use crate::scheduler::{AgentSlots, Allocation, Limits, Preemption, Scheduler, Wish};

/// What an experiment is to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// It got slots.
    Allocated(Allocation),
    /// One of its attempts has to give its slots back.
    Preempted(Preemption),
    /// The pool could hold so many of its trials.
    Capacity {
        /// The experiment.
        experiment: u64,
        /// How many.
        trials: u32,
        /// Of so many agents that are not excluded.
        agents: u32,
    },
}

/// The scheduler and what was said of it. After each change [`notices`](Self::notices) has what to tell.
#[derive(Debug, Default)]
pub struct Places {
    scheduler: Scheduler,
    /// What each experiment knows.
    capacities: BTreeMap<u64, (u32, u32)>,
    /// Capacities may have changed.
    changed: bool,
}

impl Places {
    /// An experiment joins with the slots that it holds as its journal has it: what the pool believed is forgotten.
    pub fn add_experiment(&mut self, experiment: u64, limits: Limits, held: Vec<Allocation>) {
        self.scheduler.experiment_joined(experiment, limits, held);
        self.capacities.insert(experiment, (0, 0));
        self.changed = true;
    }

    /// An experiment has ended: whatever it held is free.
    pub fn experiment_ended(&mut self, experiment: u64) {
        self.scheduler.experiment_ended(experiment);
        self.capacities.remove(&experiment);
    }

    /// An experiment has failed; its attempts hold their slots until it joins again.
    pub fn remove_experiment(&mut self, experiment: u64) {
        self.scheduler.remove_experiment(experiment);
        self.capacities.remove(&experiment);
    }

    /// An attempt wants slots.
    pub fn request(&mut self, attempt: AttemptId, wish: Wish) {
        self.scheduler.request(attempt, wish);
    }

    /// An experiment does without an agent, while another could do.
    pub fn exclude(&mut self, experiment: u64, agent: String, reason: String) {
        self.scheduler.exclude(experiment, agent, reason);
        // The experiment has counted one agent less, and it may have been one that did not count: it is told anew.
        if let Some(known) = self.capacities.get_mut(&experiment) {
            known.1 = u32::MAX;
        }
        self.changed = true;
    }

    /// A trial does not want slots any more.
    pub fn withdraw(&mut self, experiment: u64, trial: u32) {
        self.scheduler.withdraw(experiment, trial);
    }

    /// An attempt gives its slots back.
    pub fn release(&mut self, attempt: &AttemptId) {
        self.scheduler.release(attempt);
    }

    /// An attempt was told to end: its slots are on their way back. Nothing follows from this at once.
    pub fn leaves(&mut self, attempt: &AttemptId) {
        self.scheduler.leaves(attempt);
    }

    /// An attempt that was told to end goes on after all.
    pub fn stays(&mut self, attempt: &AttemptId) {
        self.scheduler.stays(attempt);
    }

    /// An agent is drained: by a person, connected or not.
    pub fn drain(&mut self, name: &str, reason: &str) {
        self.scheduler.drain(name, reason);
        self.changed = true;
    }

    /// An agent is not drained any more.
    pub fn undrain(&mut self, name: &str) {
        self.scheduler.undrain(name);
        self.changed = true;
    }

    /// An agent said that it is ending: it is drained until it joins again.
    pub fn agent_ends(&mut self, name: &str) {
        self.scheduler.agent_ends(name);
        self.changed = true;
    }

    /// An agent is there, with what it keeps running.
    pub fn agent_joined(&mut self, name: &str, slots: Vec<v1::Slot>, running: Vec<Allocation>) {
        self.scheduler.agent_joined(name, AgentSlots::new(slots), running);
        self.changed = true;
    }

    /// An agent is away: it gets nothing until it joins again.
    pub fn agent_away(&mut self, name: &str) {
        self.scheduler.agent_away(name);
    }

    /// An agent's lease ended.
    pub fn agent_lost(&mut self, name: &str) {
        self.scheduler.agent_lost(name);
        self.changed = true;
    }

    /// What experiments are to be told now.
    pub fn notices(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let changed = std::mem::take(&mut self.changed);
        for (&experiment, known) in self.capacities.iter_mut().filter(|_| changed) {
            let (trials, agents) =
                (self.scheduler.capacity(experiment), self.scheduler.agents_for(experiment));
            if (trials, agents) != *known {
                *known = (trials, agents);
                notices.push(Notice::Capacity { experiment, trials, agents });
            }
        }
        notices.extend(self.scheduler.allocate().into_iter().map(Notice::Allocated));
        notices.extend(self.scheduler.take_preempted().into_iter().map(Notice::Preempted));
        notices
    }

    /// The scheduler, to look at.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}
