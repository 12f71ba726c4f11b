//! What agents are told to remove, and what they answer.

use std::collections::{BTreeMap, BTreeSet};
use toprung_proto::v1::{self, engine_message::Kind};

use super::State;
use crate::Error;
use crate::collect::{self, Marked};
use crate::deleted::{self, Notes};

/// Checkpoints in one message to an agent.
const TOLD_AT_ONCE: usize = 256;

impl State {
    pub(super) async fn agent_back(&mut self, agent: String) -> Result<(), Error> {
        // It has forgotten what it was told before.
        self.unanswered.remove(&agent);
        let agents = BTreeSet::from([agent]);
        for id in self.due.keys().copied().collect::<Vec<_>>() {
            let marked = self.blocking(move |store| collect::marked(store, id)).await?;
            self.tell(id, marked, &agents);
        }
        self.tell_of_deleted(self.notes.clone(), &agents);
        Ok(())
    }

    pub(super) async fn of_deleted(&mut self, notes: Notes) -> Result<(), Error> {
        if notes.is_empty() {
            return Ok(());
        }
        self.notes.extend(notes.clone());
        let agents = self.connected().await?;
        self.tell_of_deleted(notes, &agents);
        Ok(())
    }

    pub(super) fn tell_of_deleted(&mut self, notes: Notes, agents: &BTreeSet<String>) {
        let Some(sessions) = &self.sessions else { return };
        for note in notes.into_values() {
            let v1::DeletedCheckpoints { experiment, checkpoint_dir, storage, shared, agent, checkpoints } =
                note;
            let any = agents.first().filter(|_| shared);
            let Some(agent) = agents.get(&agent).or(any) else { continue };
            *self.unanswered.entry(agent.clone()).or_default() += checkpoints.len();
            let order = v1::DeleteCheckpoints { experiment, checkpoint_dir, checkpoints, storage };
            sessions.tell(agent, Kind::DeleteCheckpoints(order));
        }
    }

    /// An answer that concerns a deleted experiment.
    pub(super) async fn confirm_deleted(
        &mut self,
        id: u64,
        gone: BTreeSet<(u32, String)>,
    ) -> Result<(), Error> {
        let notes = self.notes.clone();
        if notes.values().any(|note| note.experiment == id) {
            self.notes = self.blocking(move |store| deleted::confirm(store, notes, id, &gone)).await?;
        }
        Ok(())
    }

    /// Tells these agents what they have to remove. On shared storage any agent will do if the one that saved is away.
    pub(super) fn tell(&mut self, id: u64, marked: Vec<Marked>, agents: &BTreeSet<String>) {
        let (Some(due), Some(sessions)) = (self.due.get(&id), &self.sessions) else { return };
        let mut orders: BTreeMap<&String, Vec<v1::CheckpointPlace>> = BTreeMap::new();
        for (agent, place) in marked {
            let any = agents.first().filter(|_| due.terms.shared());
            if let Some(agent) = agents.get(&agent).or(any) {
                orders.entry(agent).or_default().push(place);
            }
        }
        for (agent, checkpoints) in orders {
            *self.unanswered.entry(agent.clone()).or_default() += checkpoints.len();
            for part in checkpoints.chunks(TOLD_AT_ONCE) {
                let checkpoint_dir = due.terms.checkpoint_dir.clone();
                let checkpoints = part.to_vec();
                let storage = due.terms.storage.clone();
                let order = v1::DeleteCheckpoints { experiment: id, checkpoint_dir, checkpoints, storage };
                sessions.tell(agent, Kind::DeleteCheckpoints(order));
            }
        }
    }

    pub(super) async fn deleted(
        &mut self,
        agent: &str,
        deleted: v1::CheckpointsDeleted,
    ) -> Result<(), Error> {
        if let Some(count) = self.unanswered.get_mut(agent) {
            *count = count.saturating_sub(deleted.checkpoints.len());
        }
        let id = deleted.experiment;
        let (gone, kept): (Vec<_>, Vec<_>) =
            deleted.checkpoints.into_iter().partition(|checkpoint| checkpoint.error.is_empty());
        for checkpoint in kept {
            let v1::CheckpointDeleted { trial, uuid, error } = checkpoint;
            tracing::warn!(experiment = id, trial, uuid, agent, error, "a checkpoint was not removed");
        }
        let gone = gone.into_iter().map(|checkpoint| (checkpoint.trial, checkpoint.uuid)).collect();
        if !self.due.contains_key(&id) {
            return self.confirm_deleted(id, gone).await;
        }
        let confirmed = self.blocking(move |store| collect::confirm(store, id, &gone)).await?;
        if let Some(due) = self.due.get_mut(&id) {
            due.left = due.left.saturating_sub(confirmed);
        }
        self.settle(id).await
    }

    pub(super) async fn connected(&self) -> Result<BTreeSet<String>, Error> {
        let Some(sessions) = &self.sessions else { return Ok(BTreeSet::new()) };
        let agents = sessions.agents().await?;
        Ok(agents.into_iter().filter(|agent| agent.connected).map(|agent| agent.name).collect())
    }
}
