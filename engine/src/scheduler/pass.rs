//! One pass over the requests, in the order of the policy: each is given slots, or waits for slots that are on their
//! way back, or has some freed for it, or is passed over.
//!
//! A request that waits claims what it will take, so that nobody after it takes that, and so that slots on their way
//! are counted once: no more is ever preempted than is missing. Claims are made anew in each pass; only for whom slots
//! are being freed is remembered, as a promise. Within one priority an experiment with a promise comes first.
//!
//! The cost of a pass is bounded by slots, agents and experiments, never by trials: a request takes or claims slots, or
//! its experiment is passed over.

use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::AttemptId;

use super::agents::AgentSlots;
use super::queue::{Allocation, Limits, Queue, Scheduler};
use super::wish::{Class, Waiting};

/// Requests of an experiment that the same agents will do for: all alike but for their order, and what they avoid.
type Group = (u64, Class);

/// The request that is next.
pub(super) struct Request {
    pub(super) group: Group,
    pub(super) attempt: AttemptId,
    /// Agents that it rather does not go to.
    pub(super) avoid: BTreeSet<String>,
    pub(super) limits: Limits,
    /// The agent where slots are being freed for its experiment.
    promise: Option<String>,
}

/// What a pass has found so far.
#[derive(Default)]
pub(super) struct Pass {
    /// Agents kept for requests that fit nowhere.
    kept: BTreeSet<String>,
    passed_over: BTreeSet<Group>,
    /// How many requests of a group, from its first, wait with a claim.
    waiting: BTreeMap<Group, usize>,
    /// Slots that each experiment has claimed.
    claimed: BTreeMap<u64, u32>,
    /// (agent, whether of the places without slots) → claimed there, and on its way back there.
    claims: BTreeMap<(String, bool), u32>,
    coming: BTreeMap<(String, bool), u32>,
    /// Promises that were looked at, and those that go on.
    used: BTreeMap<(u64, String), u32>,
    promised: BTreeMap<(u64, String), u32>,
}

impl Pass {
    /// An attempt with so many slots is leaving an agent.
    pub(super) fn comes(&mut self, agent: &str, slots: u32) {
        *self.coming.entry((agent.to_owned(), slots == 0)).or_insert(0) += slots.max(1);
    }

    fn claim(&mut self, request: &Request, agent: &str, room: Room, promised: bool) {
        *self.waiting.entry(request.group.clone()).or_insert(0) += 1;
        *self.claimed.entry(request.group.0).or_insert(0) += request.limits.slots_per_trial;
        *self.claims.entry((agent.to_owned(), room.slotless)).or_insert(0) += room.needed;
        if promised {
            *self.promised.entry((request.group.0, agent.to_owned())).or_insert(0) += 1;
        }
    }
}

/// What a request finds on one agent, in slots or in places without slots.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// What it needs; at least 1.
    pub(super) needed: u32,
    /// Whether that is a place without slots.
    pub(super) slotless: bool,
    free: u32,
    coming: u32,
    claimed: u32,
}

impl Room {
    /// Free, and not needed by those who wait before it: they take first what is on its way.
    fn now(self) -> u32 {
        self.free.saturating_sub(self.claimed.saturating_sub(self.coming))
    }

    /// Left for it when everything on its way has come.
    pub(super) fn later(self) -> u32 {
        (self.free + self.coming).saturating_sub(self.claimed)
    }
}

impl Scheduler {
    /// Gives out what can be given out now; what has to be preempted for others is in
    /// [`take_preempted`](Self::take_preempted) then.
    pub fn allocate(&mut self) -> Vec<Allocation> {
        self.preempt_drained();
        let mut given = Vec::new();
        if !self.may_change() {
            return given;
        }
        let mut pass = Pass::default();
        for held in self.leaving.iter().filter_map(|key| self.allocations.get(key)) {
            pass.comes(&held.agent, held.slots.len() as u32);
        }
        while let Some(request) = self.first(&pass) {
            given.extend(self.place(&request, &mut pass));
        }
        self.promised = pass.promised;
        #[cfg(test)]
        {
            self.claims = pass.claims;
        }
        given
    }

    /// Whether a pass could do anything. If nobody waits, promises are void.
    fn may_change(&mut self) -> bool {
        let waits = |queue: &&Queue| !queue.waiting.is_empty() && queue.may_take_more(0);
        let Some(urgent) = self.queues.values().filter(waits).map(|queue| queue.limits.priority).min() else {
            self.promised.clear();
            return false;
        };
        if self.agents.iter().any(|(name, agent)| agent.has_room() && !self.is_draining(name)) {
            return true;
        }
        let worse = |experiment: &u64| {
            self.queues.get(experiment).is_some_and(|queue| queue.limits.priority > urgent)
        };
        self.queues.keys().any(&worse)
            && self.allocations.iter().any(|(key, held)| !held.leaving && worse(&key.0))
    }

    /// The first request by the policy, of experiments below their `max_slots`, without those dealt with.
    fn first(&self, pass: &Pass) -> Option<Request> {
        let order = |(id, queue): (&u64, &Queue)| {
            let claimed = pass.claimed.get(id).copied().unwrap_or(0);
            let request = self.oldest(*id, queue, pass).filter(|_| queue.may_take_more(claimed))?;
            let share = f64::from(queue.in_use + claimed) / queue.limits.weight;
            Some(((queue.limits.priority, request.promise.is_none()), share, *id, request))
        };
        self.queues
            .iter()
            .filter(|(_, queue)| !queue.waiting.is_empty())
            .filter_map(order)
            .min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)))
            .map(|(.., request)| request)
    }

    /// The oldest request of an experiment that is not dealt with.
    fn oldest(&self, experiment: u64, queue: &Queue, pass: &Pass) -> Option<Request> {
        let firsts = queue.waiting.iter().filter_map(|(class, waiting)| {
            let group = (experiment, class.clone());
            if pass.passed_over.contains(&group) {
                return None;
            }
            let skipped = pass.waiting.get(&group).copied().unwrap_or(0);
            let (place, waiting) = waiting.iter().nth(skipped)?;
            Some((*place, group, waiting))
        });
        let (_, group, Waiting { attempt, avoid }) = firsts.min_by_key(|found| found.0)?;
        let promise = self.promise(queue, &group, pass);
        Some(Request { group, attempt: *attempt, avoid: avoid.clone(), limits: queue.limits, promise })
    }

    fn promise(&self, queue: &Queue, (experiment, class): &Group, pass: &Pass) -> Option<String> {
        let will_do = self.will_do(queue, class);
        let open = |(promise, count): &(&(u64, String), &u32)| {
            will_do(&promise.1) && pass.used.get(*promise).copied().unwrap_or(0) < **count
        };
        let own = self.promised.range((*experiment, String::new())..);
        own.take_while(|(promise, _)| promise.0 == *experiment)
            .find(open)
            .map(|(promise, _)| promise.1.clone())
    }

    /// Deals with one request.
    fn place(&mut self, request: &Request, pass: &mut Pass) -> Option<Allocation> {
        let slots = request.limits.slots_per_trial;
        if let Some(agent) = &request.promise {
            *pass.used.entry((request.group.0, agent.clone())).or_insert(0) += 1;
        }
        if let Some(agent) = self.best_fit(request, pass) {
            return Some(self.give(request.group.0, request.attempt, &agent, slots));
        }
        if let Some((agent, room)) = self.fits_later(request, pass) {
            let kept = request.promise.as_ref() == Some(&agent);
            pass.claim(request, &agent, room, kept);
        } else if let Some((agent, room)) = self.preempt_for(request, pass) {
            pass.claim(request, &agent, room, true);
        } else {
            if request.group.1.0.is_none() {
                pass.kept.extend(self.soonest(request, pass));
            }
            pass.passed_over.insert(request.group.clone());
        }
        None
    }

    /// The agents that a request may go to, with what it finds there.
    pub(super) fn open_to<'a>(
        &'a self,
        request: &'a Request,
        pass: &'a Pass,
    ) -> impl Iterator<Item = (&'a String, &'a AgentSlots, Room)> {
        let slots = request.limits.slots_per_trial;
        let queue = self.queues.get(&request.group.0);
        let will_do = queue.map(|queue| self.will_do(queue, &request.group.1));
        self.agents
            .iter()
            .filter(move |(name, agent)| {
                !pass.kept.contains(*name)
                    && will_do.as_ref().is_some_and(|will_do| will_do(name))
                    && agent.connected
                    && agent.could_fit(slots)
                    && !self.is_draining(name)
            })
            .map(move |(name, agent)| (name, agent, Self::room(name, agent, slots, pass)))
    }

    fn room(name: &str, agent: &AgentSlots, slots: u32, pass: &Pass) -> Room {
        let needed = agent.needed(slots);
        let kind = (name.to_owned(), needed == 0);
        let coming = pass.coming.get(&kind).copied().unwrap_or(0);
        let claimed = pass.claims.get(&kind).copied().unwrap_or(0);
        Room { needed: needed.max(1), slotless: needed == 0, free: agent.free_for(needed), coming, claimed }
    }

    /// The agent that a request fits now: the one with its promise, else rather one that it does not avoid, and of these
    /// the one with the fewest slots left over.
    fn best_fit(&self, request: &Request, pass: &Pass) -> Option<String> {
        self.open_to(request, pass)
            .filter(|(.., room)| room.needed <= room.now())
            .min_by_key(|(name, agent, _)| {
                let promised = request.promise.as_ref() == Some(name);
                (!promised, request.avoid.contains(*name), agent.free())
            })
            .map(|(name, ..)| name.clone())
    }

    /// The agent that a request will fit when what is on its way has come.
    fn fits_later(&self, request: &Request, pass: &Pass) -> Option<(String, Room)> {
        self.open_to(request, pass)
            .filter(|(.., room)| room.needed <= room.later())
            .max_by_key(|(name, _, room)| {
                let promised = request.promise.as_ref() == Some(name);
                (promised, !request.avoid.contains(*name), room.later())
            })
            .map(|(name, _, room)| (name.clone(), room))
    }

    /// The agent to keep for a request that fits nowhere now: the one with the most free slots that could hold it.
    fn soonest(&self, request: &Request, pass: &Pass) -> Option<String> {
        self.open_to(request, pass)
            .max_by_key(|(name, agent, _)| (!request.avoid.contains(*name), agent.free()))
            .map(|(name, ..)| name.clone())
    }
}
