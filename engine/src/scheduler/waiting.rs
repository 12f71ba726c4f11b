//! Why a request waits, in words for people.

use std::collections::BTreeMap;

use super::queue::{Queue, Scheduler};
use super::wish::Class;

impl Scheduler {
    /// Why an experiment's first request waits; `None`: it has none.
    pub fn why_waiting(&self, experiment: u64) -> Option<String> {
        let queue = self.queues.get(&experiment)?;
        let class = queue.waiting.keys().next()?;
        if !queue.may_take_more(0) {
            let max = queue.limits.max_slots.unwrap_or_default();
            return Some(format!("holds {} of its max_slots {max}", queue.in_use));
        }
        if let Some(why) = class.0.as_ref().and_then(|home| self.why_not_at(home)) {
            return Some(why);
        }
        let slots = queue.limits.slots_per_trial;
        if let Some(why) = self.why_never(slots) {
            return Some(why);
        }
        let (total, free) = self.slots();
        let freed = self.promised.keys().find(|promise| promise.0 == experiment);
        let freed = freed.map(|(_, agent)| format!("; they are being freed on {agent}"));
        let drained = self.agents.keys().filter(|name| self.is_draining(name)).count();
        let drained = match drained {
            0 => String::new(),
            1 => "; 1 agent is drained".to_owned(),
            _ => format!("; {drained} agents are drained"),
        };
        let without = self.does_without(queue, class);
        let slots = slots.max(1);
        Some(format!(
            "waits for {slots} of {total} slots ({free} free){}{drained}{without}",
            freed.unwrap_or_default()
        ))
    }

    /// Agents that take work and will not do for a class of requests that any other may hold.
    fn does_without(&self, queue: &Queue, class: &Class) -> String {
        let will_do = self.will_do(queue, class);
        let left = self.agents.keys().filter(|name| !self.is_draining(name) && !will_do(name));
        let left: Vec<&str> = left.map(String::as_str).collect();
        if left.is_empty() || class.0.is_some() {
            return String::new();
        }
        format!("; it does without {}", left.join(", "))
    }

    /// Of an experiment's requests that one agent alone can hold: why that agent does not, by its name.
    pub fn why_homes_wait(&self, experiment: u64) -> BTreeMap<String, String> {
        let classes = self.queues.get(&experiment).into_iter().flat_map(|queue| queue.waiting.keys());
        let homes = classes.filter_map(|class| class.0.as_ref());
        homes.filter_map(|home| Some((home.clone(), self.why_not_at(home)?))).collect()
    }

    fn why_not_at(&self, home: &str) -> Option<String> {
        if self.drains.contains_key(home) {
            let reason = self.drains.get(home).filter(|reason| !reason.is_empty());
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Some(format!(
                "its checkpoint lies on agent {home}, which is drained{reason}; `toprung agents undrain {home}` lets \
                 it go on there"
            ));
        }
        let why = match self.agents.get(home) {
            Some(agent) if !agent.connected => "is not connected",
            Some(agent) if agent.ends => "shuts down",
            Some(_) => return None,
            None => "is not connected",
        };
        Some(format!("its checkpoint lies on agent {home}, which {why}"))
    }

    /// Why a request of this size fits on no agent, however long it waits.
    fn why_never(&self, slots: u32) -> Option<String> {
        let mut connected = self.agents.iter().filter(|(_, agent)| agent.connected).peekable();
        if connected.peek().is_none() {
            return Some("no agent is connected".to_owned());
        }
        if connected.all(|(name, _)| self.is_draining(name)) {
            let drained = self.agents.keys().filter_map(|name| self.drain_reason(name));
            let drained = drained.collect::<Vec<_>>().join("; ");
            return Some(format!(
                "no agent takes work ({drained}); `toprung agents undrain NAME` gives one back"
            ));
        }
        let mut fitting = self.agents.iter().filter(|(_, agent)| agent.could_fit(slots)).peekable();
        if fitting.peek().is_none() {
            let largest = self.agents.values().map(|agent| agent.slots.len()).max().unwrap_or(0);
            return Some(format!("needs {slots} slots on one agent; the largest agent has {largest}"));
        }
        if fitting.all(|(name, _)| self.is_draining(name)) {
            return Some(format!(
                "needs {slots} slots on one agent; every agent that has as many is drained"
            ));
        }
        None
    }
}
