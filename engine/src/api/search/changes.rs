//! What a call changes: pause, resume, kill, delete.

use std::collections::BTreeSet;
use std::time::Duration;
use tonic::{Code, Status};
use toprung_proto::v1;

use super::Search;
use crate::actors::experiment::Control;
use crate::api::gate::later;
use crate::api::{blocking, status};
use crate::deleted;

/// When an experiment that is being started again may be asked again.
const RESTART: Duration = Duration::from_secs(2);

impl Search {
    pub(super) async fn control(&self, id: u64, control: Control) -> Result<v1::Experiment, Status> {
        let Some(handle) = self.active(id).await? else {
            let ended = self.experiment(id).await?;
            if ended.ended_unix_ms == 0 {
                let message = format!("experiment {id} is being started again");
                return Err(later(Code::Unavailable, message, RESTART));
            }
            return Err(Status::failed_precondition(format!(
                "experiment {id} has ended ({}): nothing can be {control_word} any more",
                ended.state().as_str_name().trim_start_matches("EXPERIMENT_STATE_").to_lowercase(),
                control_word = match control {
                    Control::Pause => "paused",
                    Control::Resume => "resumed",
                    Control::Kill => "killed",
                }
            )));
        };
        let answer = handle.control(control).await.map_err(|error| self.failed(error))?;
        answer.map_err(|refused| Status::failed_precondition(refused.to_string()))
    }

    pub(super) async fn delete(&self, id: u64, keep: bool) -> Result<v1::DeleteExperimentResponse, Status> {
        if self.active(id).await?.is_some() {
            let message = format!("experiment {id} has not ended: kill it before it is deleted");
            return Err(Status::failed_precondition(message));
        }
        self.experiment(id).await?;
        // Nothing is written of it any more.
        self.collector.forget(id).await.map_err(|error| status(error.into()))?;
        let store = self.store.clone();
        let noted = blocking(move || {
            if !keep && let Some(by) = deleted::needed_by(&store, id)? {
                return Ok(Err(by));
            }
            let noted = if keep { deleted::Notes::new() } else { deleted::note(&store, id)? };
            store.delete_experiment(id)?;
            Ok(Ok(noted))
        });
        let noted = noted.await?.map_err(|by| {
            Status::failed_precondition(format!(
                "experiment {by} starts from a checkpoint of experiment {id}: wait for its end, or keep the checkpoints"
            ))
        })?;
        let agents = self.agents().await?;
        let is_there = |name: &String| agents.iter().any(|agent| agent.connected && agent.name == *name);
        let any = agents.iter().any(|agent| agent.connected);
        let waits = |note: &&v1::DeletedCheckpoints| !(is_there(&note.agent) || (note.shared && any));
        let waiting: BTreeSet<_> = noted.values().filter(waits).map(|note| note.agent.clone()).collect();
        let checkpoints = noted.values().map(|note| note.checkpoints.len() as u64).sum();
        self.collector.deleted_experiment(noted);
        Ok(v1::DeleteExperimentResponse { checkpoints, waiting_for: waiting.into_iter().collect() })
    }
}
