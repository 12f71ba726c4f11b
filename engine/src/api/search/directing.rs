//! Listen and decide: for programs that decide a search.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Code, Status};
use toprung_proto::v1;

use super::Search;
use super::asking::MAX_WAIT;
use crate::api::blocking;
use crate::api::gate::later;
use crate::archive;
use crate::experiment::directing::RefusedDecision;

/// When a program that wants too much may come again.
const MUCH: Duration = Duration::from_secs(1);
/// Between two looks at an experiment whose actor is just ending.
const LEAVING: Duration = Duration::from_millis(10);

impl Search {
    pub(super) async fn listen_for_events(
        &self,
        request: v1::ListenRequest,
    ) -> Result<v1::ListenResponse, Status> {
        let v1::ListenRequest { experiment: id, after, max_wait_ms, with_state } = request;
        let wait = Duration::from_millis(max_wait_ms.into()).min(MAX_WAIT);
        let deadline = Instant::now() + wait;
        loop {
            let Some(handle) = self.active(id).await? else {
                return self.listened_to_the_end(id, with_state).await;
            };
            let mut version = handle.version();
            version.mark_unchanged();
            let heard = handle.ask(move |shell| {
                let ended = shell.machine().fold.state.is_end();
                (shell.machine().heard(after, with_state), ended, shell.listening.begin())
            });
            let Ok((heard, ended, listener)) = heard.await else {
                if Instant::now() >= deadline {
                    return self.listened_to_the_end(id, with_state).await;
                }
                // Its actor has just ended, for good or because it failed: the next look tells.
                tokio::time::sleep(LEAVING).await;
                continue;
            };
            let Some(mut heard) = heard else { return Err(self.decides_itself(id).await?) };
            if ended {
                return self.listened_to_the_end(id, with_state).await;
            }
            if !heard.events.is_empty() || Instant::now() >= deadline {
                self.fill_in_hparams(id, &mut heard.events).await?;
                return Ok(heard);
            }
            // No change in time, or an actor that has ended: the next look tells.
            let _changed = tokio::time::timeout_at(deadline, version.changed()).await;
            drop(listener);
        }
    }

    /// The answer of a search that is over: what its program saved last is in the journal.
    async fn listened_to_the_end(&self, id: u64, with_state: bool) -> Result<v1::ListenResponse, Status> {
        if self.experiment(id).await?.searcher != "custom" {
            return Err(self.decides_itself(id).await?);
        }
        let over = Some(self.search_over(id).await?);
        let left = match with_state {
            true => {
                self.journalled(id, |machine| machine.heard(u64::MAX, true)).await.unwrap_or_else(|error| {
                    tracing::warn!(experiment = id, %error, "what a program saved cannot be read");
                    None
                })
            }
            false => None,
        };
        Ok(v1::ListenResponse { over, ..left.unwrap_or_default() })
    }

    async fn decides_itself(&self, id: u64) -> Result<Status, Status> {
        let searcher = self.experiment(id).await?.searcher;
        Ok(Status::failed_precondition(format!(
            "the searcher of experiment {id} is `{searcher}`: only one whose file says `searcher: {{name: custom}}` is decided \
             by a program"
        )))
    }

    /// Of trials that have ended the store has the hyperparameters.
    async fn fill_in_hparams(&self, id: u64, events: &mut [v1::SearchEvent]) -> Result<(), Status> {
        let lacking = |event: &&v1::SearchEvent| event.trial != 0 && event.hparams_json.is_empty();
        let trials: Vec<u32> = events.iter().filter(lacking).map(|event| event.trial).collect();
        if trials.is_empty() {
            return Ok(());
        }
        let store = self.store.clone();
        let found = blocking(move || {
            let mut found: BTreeMap<u32, String> = BTreeMap::new();
            for trial in trials {
                if !found.contains_key(&trial)
                    && let Some(record) = archive::trial(&store, id, trial)?
                {
                    found.insert(trial, record.hparams_json);
                }
            }
            Ok(found)
        });
        let found = found.await?;
        for event in events.iter_mut().filter(|event| event.hparams_json.is_empty()) {
            event.hparams_json = found.get(&event.trial).cloned().unwrap_or_default();
        }
        Ok(())
    }

    pub(super) async fn take_decision(
        &self,
        request: v1::DecideRequest,
    ) -> Result<v1::DecideResponse, Status> {
        let id = request.experiment;
        let Some(handle) = self.active(id).await? else {
            let ended = self.ended(id).await?;
            return Err(Status::failed_precondition(format!("experiment {id} has ended: {}", ended.reason)));
        };
        match handle.decide(request).await.map_err(|error| self.failed(error))? {
            Ok(response) => Ok(response),
            Err(RefusedDecision::Wrong(message)) => Err(Status::invalid_argument(message)),
            Err(RefusedDecision::TooMuch(message)) => Err(later(Code::ResourceExhausted, message, MUCH)),
            Err(RefusedDecision::NotCustom(message) | RefusedDecision::Conflict(message)) => {
                Err(Status::failed_precondition(message))
            }
        }
    }
}
