//! Requests in order, and the allocations that follow from them.

use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::AttemptId;

use super::agents::AgentSlots;
use super::wish::Wish;

/// What an experiment may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// 1 … 99, lower first.
    pub priority: u8,
    /// Share among experiments of the same priority; above 0.
    pub weight: f64,
    /// Slots of each of its attempts.
    pub slots_per_trial: u32,
    /// Slots it may hold at once; `None`: no limit.
    pub max_slots: Option<u32>,
}

/// Requests that the same agents will do for: they wait in one line. `only_on` first, so that those without come first.
type Class = (Option<String>, BTreeSet<String>);

#[derive(Clone, Debug)]
struct Waiting {
    attempt: AttemptId,
    avoid: BTreeSet<String>,
}

/// A request that is to be placed.
struct Next {
    experiment: u64,
    class: Class,
    waiting: Waiting,
}

/// Slots given to an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// The attempt.
    pub attempt: AttemptId,
    /// Where.
    pub agent: String,
    /// Slot indexes there.
    pub slots: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Queue {
    limits: Limits,
    in_use: u32,
    /// Class → order of arrival → attempt. No entry is empty.
    waiting: BTreeMap<Class, BTreeMap<u64, Waiting>>,
    /// Trial → order of arrival, and the class.
    order: BTreeMap<u32, (u64, Class)>,
    /// Agents that it gets nothing of while another could do, and why.
    excluded: BTreeMap<String, String>,
}

/// Requests, agents and allocations of one pool.
#[derive(Clone, Debug, Default)]
pub struct Scheduler {
    queues: BTreeMap<u64, Queue>,
    agents: BTreeMap<String, AgentSlots>,
    allocations: BTreeMap<(u64, u32, u32), Allocation>,
    arrivals: u64,
}

impl Scheduler {
    /// Makes an experiment known. Must come before its requests.
    pub fn add_experiment(&mut self, experiment: u64, limits: Limits) {
        let queue = Queue::new(limits);
        self.queues.entry(experiment).or_insert(queue).limits = limits;
    }

    /// An experiment joins, or joins again, with the slots that it holds as its journal has it. Slots that it does not
    /// know of are given back; those on agents that have not come yet count toward its limits.
    pub fn experiment_joined(&mut self, experiment: u64, limits: Limits, held: Vec<Allocation>) {
        self.release_all_but(experiment, &held);
        self.remove_experiment(experiment);
        self.add_experiment(experiment, limits);
        let in_use = limits.slots_per_trial * held.len() as u32;
        for allocation in held {
            self.allocations.entry(key(&allocation.attempt)).or_insert(allocation);
        }
        if let Some(queue) = self.queues.get_mut(&experiment) {
            queue.in_use = in_use;
        }
    }

    /// An experiment has ended: it holds nothing any more, not even what it was given and has not heard of.
    pub fn experiment_ended(&mut self, experiment: u64) {
        self.release_all_but(experiment, &[]);
        self.remove_experiment(experiment);
    }

    fn release_all_but(&mut self, experiment: u64, held: &[Allocation]) {
        let known = |attempt: &AttemptId| held.iter().any(|held| key(&held.attempt) == key(attempt));
        let attempts = self.allocations.values().map(|allocation| allocation.attempt);
        let stale = attempts.filter(|attempt| attempt.experiment == experiment && !known(attempt));
        for attempt in &stale.collect::<Vec<_>>() {
            self.release(attempt);
        }
    }

    /// Forgets an experiment and its requests; what it still holds stays held until released.
    pub fn remove_experiment(&mut self, experiment: u64) {
        self.queues.remove(&experiment);
    }

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

    /// An attempt wants slots. A repeated request of a trial replaces the former and keeps its place.
    pub fn request(&mut self, attempt: AttemptId, wish: impl Into<Wish>) {
        if self.allocations.contains_key(&key(&attempt)) {
            return;
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        let Some(queue) = self.queues.get_mut(&attempt.experiment) else { return };
        let place = queue.remove(attempt.trial).unwrap_or(arrival);
        let Wish { only_on, without, avoid } = wish.into();
        let class = (only_on, without);
        queue.order.insert(attempt.trial, (place, class.clone()));
        queue.waiting.entry(class).or_default().insert(place, Waiting { attempt, avoid });
    }

    /// A trial does not want slots any more.
    pub fn withdraw(&mut self, experiment: u64, trial: u32) {
        if let Some(queue) = self.queues.get_mut(&experiment) {
            queue.remove(trial);
        }
    }

    /// An attempt gives its slots back. Answers whether it held any.
    pub fn release(&mut self, attempt: &AttemptId) -> bool {
        let Some(allocation) = self.allocations.remove(&key(attempt)) else { return false };
        if let Some(agent) = self.agents.get_mut(&allocation.agent) {
            agent.give_back(&allocation.slots, attempt);
        }
        if let Some(queue) = self.queues.get_mut(&attempt.experiment) {
            queue.in_use -= queue.limits.slots_per_trial.min(queue.in_use);
        }
        true
    }

    /// An agent is there, with what already runs on it.
    pub fn agent_joined(&mut self, name: &str, mut slots: AgentSlots, running: Vec<Allocation>) {
        // What the scheduler still had there ends here: `running` is what the journal and the agent agree on.
        let stale: Vec<AttemptId> =
            self.allocations.values().filter(|held| held.agent == name).map(|held| held.attempt).collect();
        for attempt in &stale {
            self.release(attempt);
        }
        for allocation in running {
            slots.occupy(&allocation.slots, &allocation.attempt);
            self.withdraw(allocation.attempt.experiment, allocation.attempt.trial);
            if let Some(queue) = self.queues.get_mut(&allocation.attempt.experiment) {
                queue.in_use += queue.limits.slots_per_trial;
            }
            self.allocations.insert(key(&allocation.attempt), allocation);
        }
        self.agents.insert(name.to_owned(), slots);
    }

    /// An agent's stream broke: it keeps what it runs and gets nothing new.
    pub fn agent_away(&mut self, name: &str) {
        if let Some(agent) = self.agents.get_mut(name) {
            agent.connected = false;
        }
    }

    /// An agent is lost with all it ran.
    pub fn agent_lost(&mut self, name: &str) {
        self.agent_joined(name, AgentSlots::default(), Vec::new());
        self.agents.remove(name);
    }

    /// Gives out what can be given out now.
    pub fn allocate(&mut self) -> Vec<Allocation> {
        let mut given = Vec::new();
        if !self.agents.values().any(AgentSlots::has_room) {
            return given;
        }
        let mut kept_for_others: Vec<String> = Vec::new();
        let mut passed_over: Vec<(u64, Class)> = Vec::new();
        while let Some(next) = self.first(&passed_over) {
            if let Some(agent) = self.best_fit(&next, &kept_for_others) {
                let slots = self.queues[&next.experiment].limits.slots_per_trial;
                given.push(self.give(next.experiment, next.waiting.attempt, &agent, slots));
            } else {
                if next.class.0.is_none() {
                    kept_for_others.extend(self.soonest(&next, &kept_for_others));
                }
                passed_over.push((next.experiment, next.class));
            }
        }
        given
    }

    /// The first request by the policy, of experiments below their `max_slots`, without those passed over.
    fn first(&self, passed_over: &[(u64, Class)]) -> Option<Next> {
        let share = |queue: &Queue| f64::from(queue.in_use) / queue.limits.weight;
        let may = |(_, queue): &(&u64, &Queue)| queue.may_take_more() && !queue.waiting.is_empty();
        let oldest = |(id, queue): (&u64, &Queue)| {
            let first = |(class, waiting): (&Class, &BTreeMap<u64, Waiting>)| {
                let passed = passed_over.iter().any(|(passed, other)| passed == id && other == class);
                let (place, waiting) = waiting.first_key_value().filter(|_| !passed)?;
                Some((*place, Next { experiment: *id, class: class.clone(), waiting: waiting.clone() }))
            };
            let (_, next) = queue.waiting.iter().filter_map(first).min_by_key(|found| found.0)?;
            Some(((queue.limits.priority, share(queue), *id), next))
        };
        self.queues
            .iter()
            .filter(may)
            .filter_map(oldest)
            .min_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)))
            .map(|(_, found)| found)
    }

    /// The agents that will do for a class of requests. Those that are excluded, and then those that it does without, are
    /// among them only if no other that is known could hold it: nothing waits for ever for an agent that is gone.
    fn will_do<'class>(
        &'class self,
        queue: &'class Queue,
        class: &'class Class,
    ) -> impl Fn(&String) -> bool + 'class {
        let (only_on, without) = class;
        let could = |name: &String| {
            self.agents.get(name).is_some_and(|agent| agent.could_fit(queue.limits.slots_per_trial))
        };
        let any = |will: &dyn Fn(&String) -> bool| self.agents.keys().any(|name| could(name) && will(name));
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

    /// The agent that a request fits with the fewest slots left over; rather not one that it avoids.
    fn best_fit(&self, next: &Next, without: &[String]) -> Option<String> {
        let queue = self.queues.get(&next.experiment)?;
        let will_do = self.will_do(queue, &next.class);
        self.agents
            .iter()
            .filter(|(name, agent)| {
                agent.connected && agent.fits(queue.limits.slots_per_trial) && !without.contains(name)
            })
            .filter(|(name, _)| will_do(name))
            .min_by_key(|(name, agent)| (next.waiting.avoid.contains(*name), agent.free()))
            .map(|(name, _)| name.clone())
    }

    /// The agent to keep for a request that fits nowhere now: the one with the most free slots that could hold it.
    fn soonest(&self, next: &Next, without: &[String]) -> Option<String> {
        let queue = self.queues.get(&next.experiment)?;
        let will_do = self.will_do(queue, &next.class);
        self.agents
            .iter()
            .filter(|(name, agent)| {
                agent.connected && agent.could_fit(queue.limits.slots_per_trial) && !without.contains(name)
            })
            .filter(|(name, _)| will_do(name))
            .max_by_key(|(_, agent)| agent.free())
            .map(|(name, _)| name.clone())
    }

    fn give(&mut self, experiment: u64, attempt: AttemptId, agent: &str, slots: u32) -> Allocation {
        self.withdraw(experiment, attempt.trial);
        if let Some(queue) = self.queues.get_mut(&experiment) {
            queue.in_use += slots;
        }
        let slots = self.agents.get_mut(agent).map(|agent| agent.take(slots, &attempt)).unwrap_or_default();
        let allocation = Allocation { attempt, agent: agent.to_owned(), slots };
        self.allocations.insert(key(&attempt), allocation.clone());
        allocation
    }

    /// How many trials of an experiment could hold slots at once if it had the pool for itself; at least 1.
    pub fn capacity(&self, experiment: u64) -> u32 {
        let Some(queue) = self.queues.get(&experiment) else { return 1 };
        let slots = queue.limits.slots_per_trial;
        let capacity = |excluded: bool| -> u32 {
            let counts = |name: &String| excluded || !queue.excluded.contains_key(name);
            self.agents.iter().filter(|(name, _)| counts(name)).map(|(_, agent)| agent.capacity(slots)).sum()
        };
        let here = Some(capacity(false)).filter(|here| *here > 0).unwrap_or_else(|| capacity(true));
        let allowed = queue.limits.max_slots.map_or(u32::MAX, |max| max / slots.max(1));
        here.min(allowed).max(1)
    }

    /// How many agents could hold a trial of an experiment and are not excluded from it.
    pub fn agents_for(&self, experiment: u64) -> u32 {
        let Some(queue) = self.queues.get(&experiment) else { return 0 };
        let could = |(name, agent): &(&String, &AgentSlots)| {
            agent.could_fit(queue.limits.slots_per_trial) && !queue.excluded.contains_key(*name)
        };
        self.agents.iter().filter(could).count() as u32
    }

    /// Why an experiment's first request waits; `None`: it has none.
    pub fn why_waiting(&self, experiment: u64) -> Option<String> {
        let queue = self.queues.get(&experiment)?;
        let class = queue.waiting.keys().next()?;
        let (only_on, _) = class;
        let slots = queue.limits.slots_per_trial;
        let (total, free) = self.slots();
        if !queue.may_take_more() {
            let max = queue.limits.max_slots.unwrap_or_default();
            return Some(format!("holds {} of its max_slots {max}", queue.in_use));
        }
        if let Some(home) = only_on
            && self.agents.get(home).is_none_or(|agent| !agent.connected)
        {
            return Some(format!("its checkpoint lies on agent {home}, which is not connected"));
        }
        if self.agents.values().all(|agent| !agent.connected) {
            return Some("no agent is connected".to_owned());
        }
        if !self.agents.values().any(|agent| agent.could_fit(slots)) {
            let largest = self.agents.values().map(|agent| agent.slots.len()).max().unwrap_or(0);
            return Some(format!("needs {slots} slots on one agent; the largest agent has {largest}"));
        }
        let will_do = self.will_do(queue, class);
        let left: Vec<&str> = self.agents.keys().filter(|name| !will_do(name)).map(String::as_str).collect();
        let without = if left.is_empty() || only_on.is_some() {
            String::new()
        } else {
            format!("; it does without {}", left.join(", "))
        };
        Some(format!("waits for {} of {total} slots ({free} free){without}", slots.max(1)))
    }

    /// All slots of connected agents, and the free ones of them.
    pub fn slots(&self) -> (usize, usize) {
        let connected = self.agents.values().filter(|agent| agent.connected);
        connected.fold((0, 0), |(total, free), agent| (total + agent.slots.len(), free + agent.free()))
    }

    /// All agents by name.
    pub fn agents(&self) -> &BTreeMap<String, AgentSlots> {
        &self.agents
    }

    /// All experiments known.
    pub fn experiments(&self) -> impl Iterator<Item = u64> + '_ {
        self.queues.keys().copied()
    }
}

impl Queue {
    fn new(limits: Limits) -> Self {
        let (waiting, order, excluded) = Default::default();
        Self { limits, in_use: 0, waiting, order, excluded }
    }

    /// Removes a trial's request and answers its place.
    fn remove(&mut self, trial: u32) -> Option<u64> {
        let (place, class) = self.order.remove(&trial)?;
        if let Some(waiting) = self.waiting.get_mut(&class) {
            waiting.remove(&place);
            if waiting.is_empty() {
                self.waiting.remove(&class);
            }
        }
        Some(place)
    }

    fn may_take_more(&self) -> bool {
        self.limits.max_slots.is_none_or(|max| self.in_use + self.limits.slots_per_trial.max(1) <= max)
    }
}

fn key(attempt: &AttemptId) -> (u64, u32, u32) {
    (attempt.experiment, attempt.trial, attempt.attempt)
}
