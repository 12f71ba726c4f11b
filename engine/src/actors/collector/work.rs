//! What is marked, and when nothing of an experiment is left.

use std::sync::Arc;
use toprung_proto::v1;
use toprung_store::Store;

use super::{Due, State};
use crate::Error;
use crate::actors::experiment::ExperimentHandle;
use crate::actors::session::BatchAck;
use crate::collect::{self, Marked, Terms};
use crate::experiment::collection::OfTrial;

impl State {
    pub(super) async fn of_trial(&mut self, terms: Arc<Terms>, asked: OfTrial) -> Result<(), Error> {
        let of = terms.clone();
        let marked = self.blocking(move |store| collect::mark_of_trial(store, &of, &asked)).await?;
        self.entered(terms, marked, false).await
    }

    pub(super) async fn of_experiment(&mut self, terms: Arc<Terms>) -> Result<(), Error> {
        let of = terms.clone();
        let marked = self.blocking(move |store| collect::mark_of_experiment(store, &of)).await?;
        self.entered(terms, marked, true).await
    }

    pub(super) async fn resume(&mut self, id: u64, ended: bool) -> Result<(), Error> {
        let (terms, left) = self
            .blocking(move |store| {
                let left = collect::marked(store, id)?.len() as u64;
                Ok((Arc::new(Terms::load(store, id)?), left))
            })
            .await?;
        self.due.insert(id, Due { terms: terms.clone(), left, ended: false });
        if ended { self.of_experiment(terms).await } else { self.settle(id).await }
    }

    /// Further checkpoints of an experiment are marked.
    pub(super) async fn entered(
        &mut self,
        terms: Arc<Terms>,
        marked: Vec<Marked>,
        ended: bool,
    ) -> Result<(), Error> {
        let id = terms.experiment;
        let due = self.due.entry(id).or_insert_with(|| Due { terms, left: 0, ended: false });
        due.left += marked.len() as u64;
        due.ended |= ended;
        if !marked.is_empty() {
            let agents = self.connected().await?;
            self.tell(id, marked, &agents);
        }
        self.settle(id).await
    }

    /// An experiment of which nothing is left is forgotten.
    pub(super) async fn settle(&mut self, id: u64) -> Result<(), Error> {
        let Some(due) = self.due.get(&id).filter(|due| due.left == 0) else { return Ok(()) };
        if due.ended {
            self.blocking(move |store| collect::finish(store, id)).await?;
        }
        self.due.remove(&id);
        Ok(())
    }

    pub(super) async fn late(
        &mut self,
        id: u64,
        agent: String,
        late: Vec<v1::Checkpoint>,
        ack: BatchAck,
    ) -> Result<(), Error> {
        let marked = self.blocking(move |store| {
            if crate::archive::experiment(store, id)?.is_none() {
                return Ok(None);
            }
            collect::mark_late(store, id, &agent, late).map(Some)
        });
        // Without its acknowledgement it is sent again.
        let marked = marked.await?;
        ack.done();
        match marked {
            Some((terms, marked)) => self.entered(Arc::new(terms), marked, true).await,
            None => {
                tracing::warn!(
                    experiment = id,
                    "a checkpoint of a deleted experiment was saved; its files stay"
                );
                Ok(())
            }
        }
    }

    pub(super) async fn weigh(
        &mut self,
        terms: &Terms,
        bytes: u64,
        experiment: &ExperimentHandle,
    ) -> Result<(), Error> {
        let id = terms.experiment;
        let weight = match self.weights.get(&id) {
            Some(weight) => weight + bytes,
            // It is in the store already.
            None => self.blocking(move |store| collect::live(store, id)).await?.1,
        };
        self.weights.insert(id, weight);
        if terms.max_size.is_some_and(|most| weight > most) {
            experiment.collection_due();
        }
        Ok(())
    }

    pub(super) async fn judge(&mut self, terms: &Terms, experiment: &ExperimentHandle) -> Result<(), Error> {
        let id = terms.experiment;
        let (count, weight) = self.blocking(move |store| collect::live(store, id)).await?;
        self.weights.insert(id, weight);
        if let Some(most) = terms.max_size.filter(|most| weight > *most) {
            let what = if count == 1 {
                "the checkpoint that must be kept takes".to_owned()
            } else {
                format!("the {count} checkpoints that must be kept take")
            };
            experiment.quota_exceeded(format!(
                "{what} {weight} bytes, `checkpoint_storage.max_size` allows \
                 {most}; `toprung resume {id}` goes on without this limit, `toprung fork {id} --set \
                 checkpoint_storage.max_size=…` begins again with another"
            ));
        }
        Ok(())
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store.clone();
        let worked = tokio::task::spawn_blocking(move || work(&store)).await;
        worked.map_err(|error| Error::Server { reason: error.to_string() })?
    }
}
