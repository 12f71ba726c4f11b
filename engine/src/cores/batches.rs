//! The batches of one session: each is split by experiment, and acknowledged once every part is durable, in the order
//! of arrival.

use std::collections::BTreeMap;
use toprung_proto::v1;

/// Batches under way; `P` is what is given back with the acknowledgement.
pub struct Batches<P> {
    agent: String,
    instance: String,
    /// Parts that are not durable yet.
    under_way: BTreeMap<u64, (usize, P)>,
}

impl<P> Batches<P> {
    /// Of an agent's session.
    pub fn new(agent: String, instance: String) -> Self {
        Self { agent, instance, under_way: BTreeMap::new() }
    }

    /// Whose session it is.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Takes a batch; answers its parts by experiment. A batch that is under way already has none.
    pub fn take(&mut self, batch: v1::Batch, permit: P) -> Vec<(u64, v1::AgentEvents)> {
        let sequence = batch.sequence;
        if self.under_way.contains_key(&sequence) {
            return Vec::new();
        }
        let mut parts: BTreeMap<u64, Vec<v1::AttemptEvent>> = BTreeMap::new();
        for event in batch.events {
            if let Some(attempt) = &event.attempt {
                parts.entry(attempt.experiment).or_default().push(event);
            }
        }
        self.under_way.insert(sequence, (parts.len(), permit));
        let part = |(experiment, events)| {
            let (agent, instance) = (self.agent.clone(), self.instance.clone());
            (experiment, v1::AgentEvents { agent, instance, sequence, events })
        };
        parts.into_iter().map(part).collect()
    }

    /// A part of a batch is durable.
    pub fn part_done(&mut self, sequence: u64) {
        if let Some((parts, _)) = self.under_way.get_mut(&sequence) {
            *parts = parts.saturating_sub(1);
        }
    }

    /// The next batch to acknowledge; a later one waits for the earlier ones.
    pub fn acknowledge(&mut self) -> Option<u64> {
        let first = self.under_way.first_entry().filter(|first| first.get().0 == 0)?;
        Some(first.remove_entry().0)
    }
}
