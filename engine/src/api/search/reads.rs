//! What a call reads: an experiment that is active is asked; one that has ended is read from the store.

use tonic::Status;
use toprung_proto::v1;

use super::Search;
use crate::actors::experiment::Shell;
use crate::actors::now_ms;
use crate::api::{agents, blocking, status, streams};
use crate::experiment::{Machine, view};
use crate::{archive, collect, load};

impl Search {
    /// The experiment as it stands, without its configuration.
    pub(in crate::api) async fn experiment(&self, id: u64) -> Result<v1::Experiment, Status> {
        if let Some(handle) = self.active(id).await?
            && let Ok(mut found) = handle.ask(Shell::view).await
        {
            let waiting = self.pool.brief(id).await.unwrap_or_default().waiting;
            streams::say_why_nothing_runs(&mut found, waiting.as_deref());
            return Ok(found);
        }
        let store = self.store.clone();
        let found = blocking(move || archive::experiment(&store, id)).await?.ok_or_else(|| not_found(id))?;
        if found.ended_unix_ms != 0 {
            return Ok(found);
        }
        // Its actor is not there now, as while the store cannot write.
        let journalled = self.journalled(id, |machine| view::experiment(machine, now_ms())).await;
        Ok(journalled.unwrap_or_else(|error| {
            tracing::warn!(experiment = id, %error, "only the summary of an experiment can be read");
            found
        }))
    }

    /// Looks at an experiment that has not ended and whose actor does not answer, as the journal has it.
    pub(in crate::api) async fn journalled<T: Send + 'static>(
        &self,
        id: u64,
        look: impl FnOnce(&Machine) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let store = self.store.clone();
        blocking(move || Ok(look(&load::machine(&store, id)?))).await
    }

    pub(super) async fn with_config(&self, id: u64) -> Result<v1::Experiment, Status> {
        let mut experiment = self.experiment(id).await?;
        let store = self.store.clone();
        let found = blocking(move || Ok((load::created(&store, id)?.0, collect::live(&store, id)?)));
        let (created, (count, bytes)) = found.await?;
        (experiment.checkpoint_count, experiment.checkpoint_bytes) = (count, bytes);
        let parsed = toprung_config::parse(&created.config_json);
        let parsed = parsed.map_err(|problems| Status::internal(problems.to_string()))?;
        experiment.config_json = parsed.config.masked().to_string();
        // Of the file as it was given: the complete configuration names every field.
        let given =
            toprung_config::parse(&created.config_yaml).map(|parsed| parsed.warnings).unwrap_or_default();
        experiment.warnings =
            given.iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect();
        Ok(experiment)
    }

    pub(super) async fn list(
        &self,
        request: v1::ListExperimentsRequest,
    ) -> Result<v1::ListExperimentsResponse, Status> {
        let limit = if request.limit == 0 { 100 } else { request.limit.min(1_000) } as usize;
        let before = match request.page_token.as_str() {
            "" => None,
            token => {
                Some(token.parse().map_err(|_| Status::invalid_argument("`page_token` is not one of ours"))?)
            }
        };
        let store = self.store.clone();
        let mut experiments = blocking(move || archive::experiments(&store, before, limit)).await?;
        for experiment in &mut experiments {
            if experiment.ended_unix_ms == 0 {
                *experiment = self.experiment(experiment.id).await?;
            }
        }
        let full = experiments.len() == limit;
        let next_page_token =
            experiments.last().filter(|_| full).map(|last| last.id.to_string()).unwrap_or_default();
        Ok(v1::ListExperimentsResponse { experiments, next_page_token })
    }

    pub(super) async fn trials(
        &self,
        request: v1::ListTrialsRequest,
    ) -> Result<v1::ListTrialsResponse, Status> {
        let id = request.experiment;
        let limit = if request.limit == 0 { 1_000 } else { request.limit.min(10_000) } as usize;
        let (after, best_first) = (request.after, request.best_first);
        if best_first && after != 0 {
            return Err(Status::invalid_argument("`after` must be 0 with `best_first`"));
        }
        let list = move |machine: &Machine| {
            if best_first {
                view::trials_best_first(machine, limit + 1)
            } else {
                view::trials_by_id(machine, after, limit + 1)
            }
        };
        let mut from_memory = match self.active(id).await? {
            Some(handle) => handle.ask(move |shell| list(shell.machine())).await.ok(),
            None => None,
        };
        let known = if from_memory.is_none() { Some(self.experiment(id).await?) } else { None };
        if known.as_ref().is_some_and(|known| known.ended_unix_ms == 0) {
            from_memory = Some(self.journalled(id, list).await?);
        }
        let store = self.store.clone();
        let mut trials = blocking(move || match (from_memory, known) {
            (Some(mut trials), _) => archive::fill(&store, id, &mut trials).map(|()| trials),
            (None, Some(known)) if best_first => archive::trials_best_first(&store, &known, limit + 1),
            (None, _) => archive::trials(&store, id, after, limit + 1),
        })
        .await?;
        let pool = self.pool.brief(id).await.unwrap_or_default();
        streams::say_why_pending(&mut trials, &pool);
        let more = trials.len() > limit;
        trials.truncate(limit);
        Ok(v1::ListTrialsResponse { trials, more })
    }

    /// One trial as it stands.
    pub(in crate::api) async fn trial(&self, id: u64, trial: u32) -> Result<v1::Trial, Status> {
        let after =
            trial.checked_sub(1).ok_or_else(|| Status::invalid_argument("trials are numbered from 1"))?;
        let request = v1::ListTrialsRequest { experiment: id, after, limit: 1, best_first: false };
        let found = self.trials(request).await?.trials.into_iter().next();
        found.ok_or_else(|| Status::not_found(format!("experiment {id} has no trial {trial}")))
    }

    pub(in crate::api) async fn agents(&self) -> Result<Vec<v1::Agent>, Status> {
        let agents = self.sessions.agents().await.map_err(|error| status(error.into()))?;
        let pool = self.pool.view().await.map_err(|error| status(error.into()))?;
        Ok(agents::all(agents, pool))
    }

    pub(super) async fn engine_status(&self) -> Result<v1::GetEngineStatusResponse, Status> {
        let agents = self.sessions.agents().await.map_err(|error| status(error.into()))?;
        let active = self.experiments.count().await.map_err(|error| status(error.into()))?;
        Ok(v1::GetEngineStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_ms: self.about.started_unix_ms,
            uptime_ms: u64::try_from(self.about.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            data_dir: self.about.data_dir.display().to_string(),
            degraded: self.gate.degraded(),
            free_bytes: self.store.free_bytes().unwrap_or_default(),
            connected_agents: agents.iter().filter(|agent| agent.connected).count() as u32,
            known_agents: agents.len() as u32,
            active_experiments: active as u32,
        })
    }
}

fn not_found(id: u64) -> Status {
    Status::not_found(format!("there is no experiment {id}"))
}
