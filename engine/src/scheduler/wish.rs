//! Where an attempt is wanted, and which agents will do for it.
//!
//! An agent that is drained or that is ending is no candidate here: it counts as if it were not there.

use std::collections::BTreeSet;
use toprung_proto::v1::AttemptId;

use super::agents::AgentSlots;
use super::queue::{Queue, Scheduler};

/// Where an attempt is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The only agent that will do: its checkpoint lies there. `None`: any.
    pub only_on: Option<String>,
    /// Not on these, while another agent could hold it.
    pub without: BTreeSet<String>,
    /// Rather not on these.
    pub avoid: BTreeSet<String>,
}

impl From<Option<String>> for Wish {
    fn from(only_on: Option<String>) -> Self {
        Self { only_on, ..Self::default() }
    }
}

/// Requests that the same agents will do for: they wait in one line. `only_on` first, so that those without come first.
pub(super) type Class = (Option<String>, BTreeSet<String>);

/// A request in its line.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) attempt: AttemptId,
    pub(super) avoid: BTreeSet<String>,
}

impl Scheduler {
    /// An experiment does without an agent, while another could hold its attempts. What runs there goes on.
    pub fn exclude(&mut self, experiment: u64, agent: String, reason: String) {
        if let Some(queue) = self.queues.get_mut(&experiment) {
            queue.excluded.insert(agent, reason);
        }
    }

    /// The agents that experiments do without: experiment, agent, reason.
    pub fn excluded(&self) -> impl Iterator<Item = (u64, &str, &str)> {
        self.queues.iter().flat_map(|(id, queue)| {
            queue.excluded.iter().map(move |(agent, reason)| (*id, agent.as_str(), reason.as_str()))
        })
    }

    /// The agents that will do for a class of requests. Those that are excluded, and then those that it does without, are
    /// among them only if no other that is known could hold it: nothing waits for ever for an agent that is gone.
    pub(super) fn will_do<'class>(
        &'class self,
        queue: &'class Queue,
        class: &'class Class,
    ) -> impl Fn(&String) -> bool + 'class {
        let (only_on, without) = class;
        let could = |(name, agent): &(&String, &AgentSlots)| {
            agent.could_fit(queue.limits.slots_per_trial) && !self.is_draining(name)
        };
        let any =
            |will: &dyn Fn(&String) -> bool| self.agents.iter().filter(could).any(|(name, _)| will(name));
        let wanted = |name: &String| !without.contains(name);
        let best = |name: &String| wanted(name) && !queue.excluded.contains_key(name);
        let strict = (without.is_empty() && queue.excluded.is_empty()) || any(&best);
        let some = strict || any(&wanted);
        move |name| match only_on {
            Some(only) => only == name,
            None if strict => !without.contains(name) && !queue.excluded.contains_key(name),
            None => !some || !without.contains(name),
        }
    }

    /// How many trials of an experiment could hold slots at once if it had the pool for itself; at least 1.
    pub fn capacity(&self, experiment: u64) -> u32 {
        let Some(queue) = self.queues.get(&experiment) else { return 1 };
        let slots = queue.limits.slots_per_trial;
        let capacity = |excluded: bool| -> u32 {
            let counts = |(name, _): &(&String, &AgentSlots)| {
                !self.is_draining(name) && (excluded || !queue.excluded.contains_key(*name))
            };
            self.agents.iter().filter(counts).map(|(_, agent)| agent.capacity(slots)).sum()
        };
        let here = Some(capacity(false)).filter(|here| *here > 0).unwrap_or_else(|| capacity(true));
        let allowed = queue.limits.max_slots.map_or(u32::MAX, |max| max / slots.max(1));
        here.min(allowed).max(1)
    }

    /// How many agents could hold a trial of an experiment and are not excluded from it.
    pub fn agents_for(&self, experiment: u64) -> u32 {
        let Some(queue) = self.queues.get(&experiment) else { return 0 };
        let could = |(name, agent): &(&String, &AgentSlots)| {
            let fits = agent.could_fit(queue.limits.slots_per_trial);
            fits && !self.is_draining(name) && !queue.excluded.contains_key(*name)
        };
        self.agents.iter().filter(could).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::Limits;
    use toprung_proto::v1::Slot;

    /// Experiments 10 and 90, named by their priorities; all of their trials ask for one slot.
    fn pool(agents: &[&str]) -> Scheduler {
        let mut pool = Scheduler::default();
        for name in agents {
            pool.agent_joined(name, AgentSlots::new(vec![Slot::default()]), Vec::new());
        }
        for priority in [10, 90] {
            let limits = Limits { priority, weight: 1.0, slots_per_trial: 1, max_slots: None };
            pool.add_experiment(priority.into(), limits);
        }
        pool
    }

    fn ask(pool: &mut Scheduler, experiment: u64, trial: u32, without: &[&str], avoid: &[&str]) -> String {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wish = Wish { only_on: None, without: names(without), avoid: names(avoid) };
        pool.request(AttemptId { experiment, trial, attempt: 1 }, wish);
        pool.allocate().first().map(|given| given.agent.clone()).unwrap_or_default()
    }

    fn preempted(pool: &mut Scheduler) -> Vec<u32> {
        pool.take_preempted().iter().map(|found| found.attempt.trial).collect()
    }

    #[test]
    fn only_agents_that_will_do_are_preempted_for_a_request_and_rather_one_that_it_does_not_avoid() {
        let mut first = pool(&["a", "b"]);
        assert_eq!(ask(&mut first, 90, 1, &[], &[]), "a");
        assert_eq!(ask(&mut first, 90, 2, &[], &[]), "b");
        let (mut second, mut third) = (first.clone(), first.clone());
        assert_eq!(ask(&mut first, 10, 1, &["b"], &[]), "");
        assert_eq!(preempted(&mut first), [1], "although the other is younger");
        second.exclude(10, "b".into(), String::new());
        assert_eq!(ask(&mut second, 10, 1, &[], &[]), "");
        assert_eq!(preempted(&mut second), [1]);
        assert_eq!(ask(&mut third, 10, 1, &[], &["b"]), "");
        assert_eq!(preempted(&mut third), [1]);
        assert_eq!(ask(&mut third, 10, 2, &[], &["b"]), "");
        assert_eq!(preempted(&mut third), [2], "rather that one than none");
    }

    #[test]
    fn an_agent_that_is_drained_or_ends_is_no_reason_to_wait() {
        let mut pool = pool(&["a", "b", "c"]);
        pool.exclude(10, "a".into(), String::new());
        assert_eq!((pool.capacity(10), pool.agents_for(10)), (2, 2));
        pool.drain("b", "new disks");
        assert_eq!((pool.capacity(10), pool.agents_for(10)), (1, 1));
        pool.agent_ends("c");
        assert_eq!((pool.capacity(10), pool.agents_for(10)), (1, 0));
        assert_eq!(ask(&mut pool, 10, 1, &[], &[]), "a", "rather the excluded one than none");
        pool.undrain("b");
        assert_eq!(ask(&mut pool, 10, 2, &["b"], &[]), "", "the excluded one goes first, but it is taken");
        let why = "waits for 1 of 2 slots (1 free); 1 agent is drained; it does without b";
        assert_eq!(pool.why_waiting(10).unwrap(), why);
    }
}
