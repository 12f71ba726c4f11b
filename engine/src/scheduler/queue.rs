//! The state of a pool: requests in their order, agents, and who holds what. `pass` decides who gets what.

use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::AttemptId;

use super::agents::{AgentSlots, Key, key};
use super::wish::{Class, Waiting, Wish};

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

/// Slots given to an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// The attempt.
    pub attempt: AttemptId,
    /// Where.
    pub agent: String,
    /// Slot indexes there.
    pub slots: Vec<u32>,
    /// It was told to end: its slots are on their way back.
    pub leaving: bool,
}

/// An attempt that has to give its slots back before its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Preemption {
    /// The attempt.
    pub attempt: AttemptId,
    /// For people, with the numbers.
    pub reason: String,
}

#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) limits: Limits,
    pub(super) in_use: u32,
    /// Class → order of arrival → attempt. No entry is empty.
    pub(super) waiting: BTreeMap<Class, BTreeMap<u64, Waiting>>,
    /// Trial → order of arrival, and the class.
    order: BTreeMap<u32, (u64, Class)>,
    /// Agents that it gets nothing of while another could do, and why.
    pub(super) excluded: BTreeMap<String, String>,
}

/// Requests, agents and allocations of one pool.
#[derive(Clone, Debug, Default)]
pub struct Scheduler {
    pub(super) queues: BTreeMap<u64, Queue>,
    pub(super) agents: BTreeMap<String, AgentSlots>,
    pub(super) allocations: BTreeMap<Key, Allocation>,
    /// When each allocation was made, as a count: the largest is the youngest.
    pub(super) ages: BTreeMap<Key, u64>,
    /// Those of the allocations that are leaving.
    pub(super) leaving: BTreeSet<Key>,
    /// Agents that a person drains → why.
    pub(super) drains: BTreeMap<String, String>,
    /// (experiment, agent) → its requests for which slots are being freed there.
    pub(super) promised: BTreeMap<(u64, String), u32>,
    /// What the last passes have preempted and nobody has taken yet.
    pub(super) preempted: Vec<Preemption>,
    /// (agent, whether of the places without slots) → what waiting requests will take there, as of the last pass.
    #[cfg(test)]
    pub(super) claims: BTreeMap<(String, bool), u32>,
    arrivals: u64,
}

impl Scheduler {
    /// Makes an experiment known. Must come before its requests.
    pub fn add_experiment(&mut self, experiment: u64, limits: Limits) {
        self.queues.entry(experiment).or_insert_with(|| Queue::new(limits)).limits = limits;
    }

    /// An experiment joins, or joins again, with the slots that it holds as its journal has it. Slots that it does not
    /// know of are given back; those on agents that have not come yet count toward its limits.
    pub fn experiment_joined(&mut self, experiment: u64, limits: Limits, held: Vec<Allocation>) {
        self.release_all_but(experiment, &held);
        self.remove_experiment(experiment);
        self.add_experiment(experiment, limits);
        let in_use = limits.slots_per_trial * held.len() as u32;
        for allocation in held {
            let (key, leaving) = (key(&allocation.attempt), allocation.leaving);
            self.note_age(key);
            // What the pool has asked of it and is not in its journal is forgotten with the former actor.
            self.allocations.entry(key).or_insert(allocation).leaving = leaving;
            if leaving {
                self.leaving.insert(key);
            } else {
                self.leaving.remove(&key);
            }
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
        self.ages.remove(&key(attempt));
        self.leaving.remove(&key(attempt));
        if let Some(agent) = self.agents.get_mut(&allocation.agent) {
            agent.give_back(&allocation.slots, attempt);
        }
        if let Some(queue) = self.queues.get_mut(&attempt.experiment) {
            queue.in_use -= queue.limits.slots_per_trial.min(queue.in_use);
        }
        true
    }

    /// An attempt was told to end: its slots are on their way back.
    pub fn leaves(&mut self, attempt: &AttemptId) {
        if let Some(allocation) = self.allocations.get_mut(&key(attempt)) {
            allocation.leaving = true;
            self.leaving.insert(key(attempt));
        }
    }

    /// An attempt that was told to end goes on after all. If its slots are wanted, it is asked for them again.
    pub fn stays(&mut self, attempt: &AttemptId) {
        if let Some(allocation) = self.allocations.get_mut(&key(attempt)) {
            allocation.leaving = false;
            self.leaving.remove(&key(attempt));
        }
    }

    fn note_age(&mut self, key: Key) {
        self.arrivals += 1;
        self.ages.entry(key).or_insert(self.arrivals);
    }

    /// An agent is there, with what already runs on it.
    pub fn agent_joined(&mut self, name: &str, mut slots: AgentSlots, running: Vec<Allocation>) {
        // What the scheduler still had there ends here: `running` is what the journal and the agent agree on.
        let stale: Vec<AttemptId> =
            self.allocations.values().filter(|held| held.agent == name).map(|held| held.attempt).collect();
        let mut before = BTreeMap::new();
        for attempt in &stale {
            let key = key(attempt);
            let leaving = self.allocations.get(&key).is_some_and(|held| held.leaving);
            before.insert(key, (leaving, self.ages.get(&key).copied()));
            self.release(attempt);
        }
        for mut allocation in running {
            let key = key(&allocation.attempt);
            if let Some((leaving, age)) = before.remove(&key) {
                allocation.leaving |= leaving;
                self.ages.extend(age.map(|age| (key, age)));
            }
            if allocation.leaving {
                self.leaving.insert(key);
            }
            self.note_age(key);
            slots.occupy(&allocation.slots, &allocation.attempt);
            self.withdraw(allocation.attempt.experiment, allocation.attempt.trial);
            if let Some(queue) = self.queues.get_mut(&allocation.attempt.experiment) {
                queue.in_use += queue.limits.slots_per_trial;
            }
            self.allocations.insert(key, allocation);
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

    /// Gives an attempt its slots on an agent where as many are free.
    pub(super) fn give(
        &mut self,
        experiment: u64,
        attempt: AttemptId,
        agent: &str,
        slots: u32,
    ) -> Allocation {
        self.withdraw(experiment, attempt.trial);
        if let Some(queue) = self.queues.get_mut(&experiment) {
            queue.in_use += slots;
        }
        let slots = self.agents.get_mut(agent).map(|agent| agent.take(slots, &attempt)).unwrap_or_default();
        let allocation = Allocation { attempt, agent: agent.to_owned(), slots, leaving: false };
        self.note_age(key(&attempt));
        self.allocations.insert(key(&attempt), allocation.clone());
        allocation
    }

    /// All slots of agents that may be given work, and the free ones of them.
    pub fn slots(&self) -> (usize, usize) {
        let open = self.agents.iter().filter(|(name, agent)| agent.connected && !self.is_draining(name));
        open.fold((0, 0), |(total, free), (_, agent)| (total + agent.slots.len(), free + agent.free()))
    }

    /// How many attempts hold slots of each agent, also of those that have not come yet.
    pub fn attempts_by_agent(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for held in self.allocations.values() {
            *counts.entry(held.agent.clone()).or_insert(0) += 1;
        }
        counts
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

    /// Whether `max_slots` allows one more attempt. `claimed`: slots that others of its requests wait for.
    pub(super) fn may_take_more(&self, claimed: u32) -> bool {
        let wanted = self.in_use + claimed + self.limits.slots_per_trial.max(1);
        self.limits.max_slots.is_none_or(|max| wanted <= max)
    }
}
