//! Whom to ask for slots: for a request that fits nowhere although somebody of worse priority holds enough, and on an
//! agent that is being drained.
//!
//! On one agent the fewest attempts that suffice are chosen; of these the worst priority first, then the experiment
//! furthest over its share, then the youngest attempt, so that the least work is lost. A better priority is touched
//! only if the worse ones do not suffice; an equal one never. Only agents that will do for the request are looked at, and
//! rather those that it does not avoid.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use toprung_proto::v1::AttemptId;

use super::agents::{AgentSlots, Key};
use super::pass::{Pass, Request, Room};
use super::queue::{Preemption, Scheduler};

/// An attempt that may be preempted.
#[derive(Clone, Debug, PartialEq)]
struct Victim {
    key: Key,
    /// What it would give back.
    slots: u32,
    priority: u8,
    /// Slots of its experiment that are not on their way back, and its weight.
    in_use: f64,
    weight: f64,
    /// The larger, the younger.
    age: u64,
}

impl Victim {
    /// Less: rather this one.
    fn order(&self, other: &Self) -> Ordering {
        let share = |victim: &Self| victim.in_use / victim.weight;
        let worse = other.priority.cmp(&self.priority);
        let greedier = share(other).total_cmp(&share(self));
        worse.then(greedier).then(other.age.cmp(&self.age)).then(self.key.cmp(&other.key))
    }
}

/// How many of `sizes` (any order) are needed for `missing`; `None`: all together do not suffice.
fn fewest(mut sizes: Vec<u32>, missing: u32) -> Option<usize> {
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut sum = 0;
    let enough = |size: u32| {
        sum += size;
        sum >= missing
    };
    sizes.into_iter().map(enough).position(|enough| enough).map(|last| last + 1)
}

/// The victims to take for `missing` slots.
fn choose(mut victims: Vec<Victim>, mut missing: u32) -> Option<Vec<Victim>> {
    victims.sort_by_key(|victim| std::cmp::Reverse(victim.priority));
    let mut sum = 0;
    let last = victims.iter().position(|victim| {
        sum += victim.slots;
        sum >= missing
    })?;
    let mildest = victims[last].priority;
    victims.retain(|victim| victim.priority >= mildest);
    let mut left = fewest(victims.iter().map(|victim| victim.slots).collect(), missing)?;
    let mut chosen = Vec::with_capacity(left);
    while left > 0 {
        victims.sort_by(Victim::order);
        let suffices = |index: &usize| {
            let rest = victims.iter().enumerate().filter(|(other, _)| other != index);
            let rest = rest.map(|(_, victim)| victim.slots).collect();
            let still = missing.saturating_sub(victims[*index].slots);
            still == 0 || fewest(rest, still).is_some_and(|count| count < left)
        };
        let index = (0..victims.len()).find(suffices)?;
        let victim = victims.remove(index);
        missing = missing.saturating_sub(victim.slots);
        left -= 1;
        for other in victims.iter_mut().filter(|other| other.key.0 == victim.key.0) {
            other.in_use -= f64::from(victim.slots);
        }
        chosen.push(victim);
    }
    Some(chosen)
}

/// Less: rather these.
fn milder(a: &[Victim], b: &[Victim]) -> Ordering {
    let mildest = |victims: &[Victim]| victims.iter().map(|victim| victim.priority).min();
    let lost = |victims: &[Victim]| victims.iter().map(|victim| victim.slots).sum::<u32>();
    let pairs = || a.iter().zip(b).map(|(a, b)| a.order(b)).find(|order| order.is_ne());
    mildest(b)
        .cmp(&mildest(a))
        .then(a.len().cmp(&b.len()))
        .then(lost(a).cmp(&lost(b)))
        .then_with(|| pairs().unwrap_or(Ordering::Equal))
}

impl Scheduler {
    /// What was preempted since the last call.
    pub fn take_preempted(&mut self) -> Vec<Preemption> {
        std::mem::take(&mut self.preempted)
    }

    /// Frees slots for a request on one agent, if attempts of worse priority hold enough there.
    pub(super) fn preempt_for(&mut self, request: &Request, pass: &mut Pass) -> Option<(String, Room)> {
        let own = request.limits.priority;
        if self.queues.values().all(|queue| queue.limits.priority <= own) {
            return None;
        }
        let mut leaving: BTreeMap<u64, u32> = BTreeMap::new();
        for held in self.leaving.iter().filter_map(|key| self.allocations.get(key)) {
            *leaving.entry(held.attempt.experiment).or_insert(0) += held.slots.len() as u32;
        }
        let found = self.open_to(request, pass).filter_map(|(name, agent, room)| {
            let missing = room.needed.saturating_sub(room.later());
            let victims = choose(self.victims(agent, room, own, &leaving), missing)?;
            Some((name.clone(), room, victims))
        });
        let avoids = |name: &String| request.avoid.contains(name);
        let (name, room, victims) =
            found.min_by(|a, b| avoids(&a.0).cmp(&avoids(&b.0)).then_with(|| milder(&a.2, &b.2)))?;
        let by = request.group.0;
        for victim in victims {
            let its = victim.priority;
            let reason = format!("preempted by experiment {by} (priority {own}; this one has {its})");
            pass.comes(&name, if room.slotless { 0 } else { victim.slots });
            self.preempt(victim.key, reason);
        }
        Some((name, room))
    }

    /// What may be preempted on an agent for a priority. `leaving`: slots of each experiment on their way back.
    fn victims(
        &self,
        agent: &AgentSlots,
        room: Room,
        priority: u8,
        leaving: &BTreeMap<u64, u32>,
    ) -> Vec<Victim> {
        let victim = |(key, slots): (Key, u32)| {
            let queue = self.queues.get(&key.0).filter(|queue| queue.limits.priority > priority)?;
            let held = self.allocations.get(&key).filter(|held| !held.leaving);
            held.filter(|_| (slots == 0) == room.slotless)?;
            Some(Victim {
                key,
                slots: slots.max(1),
                priority: queue.limits.priority,
                in_use: f64::from(queue.in_use.saturating_sub(leaving.get(&key.0).copied().unwrap_or(0))),
                weight: queue.limits.weight,
                age: self.ages.get(&key).copied().unwrap_or(0),
            })
        };
        agent.attempts().filter_map(victim).collect()
    }

    fn preempt(&mut self, key: Key, reason: String) {
        let attempt = AttemptId { experiment: key.0, trial: key.1, attempt: key.2 };
        self.leaves(&attempt);
        self.preempted.push(Preemption { attempt, reason });
    }

    /// Everything that still runs on an agent that gets nothing new is asked for its slots. An experiment that is being
    /// started again hears of it when it joins.
    pub(super) fn preempt_drained(&mut self) {
        let mut found = Vec::new();
        for (name, agent) in self.agents.iter().filter(|(name, _)| self.is_draining(name)) {
            let Some(reason) = self.drain_reason(name) else { continue };
            let stays = |key: &Key| self.allocations.get(key).is_some_and(|held| !held.leaving);
            let keys = agent.attempts().map(|(key, _)| key);
            let keys = keys.filter(|key| stays(key) && self.queues.contains_key(&key.0));
            found.extend(keys.map(|key| (key, reason.clone())));
        }
        for (key, reason) in found {
            self.preempt(key, reason);
        }
    }

    /// A person drains an agent, connected or not: it gets nothing new until [`undrain`](Self::undrain).
    pub fn drain(&mut self, name: &str, reason: &str) {
        self.drains.insert(name.to_owned(), reason.to_owned());
    }

    /// An agent may be given work again.
    pub fn undrain(&mut self, name: &str) {
        self.drains.remove(name);
    }

    /// An agent said that it is ending. It is drained until it joins again.
    pub fn agent_ends(&mut self, name: &str) {
        if let Some(agent) = self.agents.get_mut(name) {
            agent.ends = true;
        }
    }

    /// Whether an agent gets nothing new.
    pub fn is_draining(&self, name: &str) -> bool {
        self.drains.contains_key(name) || self.agents.get(name).is_some_and(|agent| agent.ends)
    }

    /// All agents that get nothing new, and why: as a person said it, or that they shut down.
    pub fn drained(&self) -> BTreeMap<String, String> {
        let ending = self.agents.iter().filter(|(_, agent)| agent.ends);
        let ending = ending.map(|(name, _)| (name.clone(), "it shuts down".to_owned()));
        ending.chain(self.drains.clone()).collect()
    }

    /// Why an agent gets nothing new; `None`: it is not drained.
    pub fn drain_reason(&self, name: &str) -> Option<String> {
        match self.drains.get(name) {
            Some(reason) if reason.is_empty() => Some(format!("agent {name} is drained")),
            Some(reason) => Some(format!("agent {name} is drained: {reason}")),
            None => self.is_draining(name).then(|| format!("agent {name} shuts down")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim(trial: u32, slots: u32, priority: u8) -> Victim {
        let key = (u64::from(priority), trial, 1);
        Victim { key, slots, priority, in_use: 4.0, weight: 1.0, age: u64::from(trial) }
    }

    fn chosen(victims: &[Victim], missing: u32) -> Option<Vec<u32>> {
        choose(victims.to_vec(), missing).map(|chosen| chosen.iter().map(|victim| victim.key.1).collect())
    }

    #[test]
    fn the_fewest_that_suffice_and_of_these_the_youngest() {
        let four = [victim(1, 1, 42), victim(2, 2, 42), victim(3, 1, 42), victim(4, 2, 42)];
        assert_eq!(chosen(&four, 1), Some(vec![4]), "any of them suffices");
        assert_eq!(chosen(&four, 2), Some(vec![4]), "one of two slots");
        assert_eq!(chosen(&four, 3), Some(vec![4, 3]), "not both large ones are needed");
        assert_eq!(chosen(&four, 4), Some(vec![4, 2]));
        assert_eq!(chosen(&four, 7), None);
    }

    #[test]
    fn a_better_priority_is_touched_only_if_the_worse_do_not_suffice() {
        let mixed = [victim(1, 1, 90), victim(2, 1, 90), victim(3, 2, 42)];
        assert_eq!(chosen(&mixed, 2), Some(vec![2, 1]), "two of priority 90 rather than one of 42");
        assert_eq!(chosen(&mixed, 3), Some(vec![2, 3]));
    }

    #[test]
    fn the_share_counts_what_was_taken_before() {
        let (mut a, mut b) = (victim(1, 1, 42), victim(2, 1, 42));
        (a.in_use, b.in_use) = (3.0, 2.5);
        let (mut c, mut d) = (victim(3, 1, 42), victim(4, 1, 42));
        (c.key.0, d.key.0) = (7, 7);
        (c.in_use, d.in_use) = (2.6, 2.6);
        b.in_use = 3.0;
        assert_eq!(chosen(&[a, b, c, d], 2), Some(vec![2, 4]), "after one of the first, the other is ahead");
    }
}
