//! The search service: one method per call. An experiment that is active is asked; one that has ended is read from
//! the store.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use toprung_proto::v1::{self, search_service_server::SearchService};
use toprung_store::Store;

use super::{blocking, create, status, streams};
use crate::actors::collector::CollectorHandle;
use crate::actors::experiment::{Control, ExperimentHandle};
use crate::actors::experiments::ExperimentsHandle;
use crate::actors::now_ms;
use crate::actors::pool::PoolHandle;
use crate::actors::sessions::SessionsHandle;
use crate::experiment::view;
use crate::{archive, load};

/// Calls under way at once; more are told to come back.
const MAX_CALLS: usize = 4_096;

/// The search service.
#[derive(Clone)]
pub struct Search {
    /// What has ended.
    pub store: Store,
    /// What is active.
    pub experiments: ExperimentsHandle,
    /// Slots.
    pub pool: PoolHandle,
    /// Agents.
    pub sessions: SessionsHandle,
    /// Checkpoints on their way out.
    pub collector: CollectorHandle,
    /// Largest model archive, in bytes.
    pub max_model_bytes: usize,
    admission: Arc<Semaphore>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Search {
    /// The service over the engine's parts.
    pub fn new(
        store: Store,
        experiments: ExperimentsHandle,
        pool: PoolHandle,
        sessions: SessionsHandle,
        collector: CollectorHandle,
        max_model_bytes: usize,
    ) -> Self {
        Self {
            store,
            experiments,
            pool,
            sessions,
            collector,
            max_model_bytes,
            admission: Arc::new(Semaphore::new(MAX_CALLS)),
        }
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, Status> {
        let busy =
            |_| Status::resource_exhausted(format!("{MAX_CALLS} calls are under way; try again in a second"));
        self.admission.clone().try_acquire_owned().map_err(busy)
    }

    /// The actor of an active experiment; `None`: it has ended.
    pub(super) async fn active(&self, id: u64) -> Result<Option<ExperimentHandle>, Status> {
        self.experiments.get(id).await.map_err(|error| status(error.into()))
    }

    /// The experiment as it stands, without its configuration.
    pub(super) async fn experiment(&self, id: u64) -> Result<v1::Experiment, Status> {
        if let Some(handle) = self.active(id).await?
            && let Ok(mut found) = handle.ask(|shell| view::experiment(shell.machine(), now_ms())).await
        {
            let waiting = self.pool.brief(id).await.unwrap_or_default().waiting;
            streams::say_why_nothing_runs(&mut found, waiting.as_deref());
            return Ok(found);
        }
        let store = self.store.clone();
        blocking(move || archive::experiment(&store, id)).await?.ok_or_else(|| not_found(id))
    }

    async fn control(&self, id: u64, control: Control) -> Result<v1::Experiment, Status> {
        let Some(handle) = self.active(id).await? else {
            let ended = self.experiment(id).await?;
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
        let answer = handle.control(control).await.map_err(|error| status(error.into()))?;
        answer.map_err(|refused| Status::failed_precondition(refused.to_string()))
    }

    async fn trials(&self, request: v1::ListTrialsRequest) -> Result<v1::ListTrialsResponse, Status> {
        let id = request.experiment;
        let limit = if request.limit == 0 { 1_000 } else { request.limit.min(10_000) } as usize;
        let (after, best_first) = (request.after, request.best_first);
        if best_first && after != 0 {
            return Err(Status::invalid_argument("`after` must be 0 with `best_first`"));
        }
        let from_memory = match self.active(id).await? {
            Some(handle) => {
                let list = move |shell: &crate::actors::experiment::Shell| {
                    if best_first {
                        view::trials_best_first(shell.machine(), limit + 1)
                    } else {
                        view::trials_by_id(shell.machine(), after, limit + 1)
                    }
                };
                handle.ask(list).await.ok()
            }
            None => None,
        };
        let known = if from_memory.is_none() { Some(self.experiment(id).await?) } else { None };
        let store = self.store.clone();
        let mut trials = blocking(move || match (from_memory, known) {
            (Some(mut trials), _) => archive::fill(&store, id, &mut trials).map(|()| trials),
            (None, Some(known)) if best_first => archive::trials_best_first(&store, &known, limit + 1),
            (None, _) => archive::trials(&store, id, after, limit + 1),
        })
        .await?;
        let waiting = self.pool.brief(id).await.unwrap_or_default().waiting;
        streams::say_why_pending(&mut trials, waiting.as_deref());
        let more = trials.len() > limit;
        trials.truncate(limit);
        Ok(v1::ListTrialsResponse { trials, more })
    }

    /// One trial as it stands.
    pub(super) async fn trial(&self, id: u64, trial: u32) -> Result<v1::Trial, Status> {
        let after =
            trial.checked_sub(1).ok_or_else(|| Status::invalid_argument("trials are numbered from 1"))?;
        let request = v1::ListTrialsRequest { experiment: id, after, limit: 1, best_first: false };
        let found = self.trials(request).await?.trials.into_iter().next();
        found.ok_or_else(|| Status::not_found(format!("experiment {id} has no trial {trial}")))
    }

    async fn with_config(&self, id: u64) -> Result<v1::Experiment, Status> {
        let mut experiment = self.experiment(id).await?;
        let store = self.store.clone();
        let (created, _) = blocking(move || load::created(&store, id)).await?;
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

    async fn list(&self, request: v1::ListExperimentsRequest) -> Result<v1::ListExperimentsResponse, Status> {
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

    async fn delete(&self, id: u64) -> Result<(), Status> {
        if self.active(id).await?.is_some() {
            let message = format!("experiment {id} has not ended: kill it before it is deleted");
            return Err(Status::failed_precondition(message));
        }
        self.experiment(id).await?;
        // Nothing is written of it any more.
        self.collector.forget(id).await.map_err(|error| status(error.into()))?;
        let store = self.store.clone();
        blocking(move || Ok(store.delete_experiment(id)?)).await
    }

    async fn agents(&self) -> Result<Vec<v1::Agent>, Status> {
        let mut agents = self.sessions.agents().await.map_err(|error| status(error.into()))?;
        let mut pool = self.pool.view().await.map_err(|error| status(error.into()))?;
        for agent in &mut agents {
            if let Some(slots) = pool.agents.remove(&agent.name) {
                agent.slots = slots;
            }
            agent.excluded_from = pool.excluded.remove(&agent.name).unwrap_or_default();
        }
        Ok(agents)
    }
}

fn not_found(id: u64) -> Status {
    Status::not_found(format!("there is no experiment {id}"))
}

#[tonic::async_trait]
impl SearchService for Search {
    type WatchExperimentStream = ReceiverStream<Result<v1::WatchExperimentResponse, Status>>;
    type StreamReportsStream = ReceiverStream<Result<v1::StreamReportsResponse, Status>>;
    type StreamLogsStream = ReceiverStream<Result<v1::StreamLogsResponse, Status>>;

    async fn create_experiment(
        &self,
        request: Request<v1::CreateExperimentRequest>,
    ) -> Answer<v1::CreateExperimentResponse> {
        let _admitted = self.admit()?;
        create::create(self, request.into_inner()).await.map(Response::new)
    }

    async fn preview_experiment(
        &self,
        request: Request<v1::PreviewExperimentRequest>,
    ) -> Answer<v1::PreviewExperimentResponse> {
        let _admitted = self.admit()?;
        create::preview(&request.into_inner()).map(Response::new)
    }

    async fn get_experiment(
        &self,
        request: Request<v1::GetExperimentRequest>,
    ) -> Answer<v1::GetExperimentResponse> {
        let _admitted = self.admit()?;
        let experiment = Some(self.with_config(request.into_inner().id).await?);
        Ok(Response::new(v1::GetExperimentResponse { experiment }))
    }

    async fn list_experiments(
        &self,
        request: Request<v1::ListExperimentsRequest>,
    ) -> Answer<v1::ListExperimentsResponse> {
        let _admitted = self.admit()?;
        self.list(request.into_inner()).await.map(Response::new)
    }

    async fn watch_experiment(
        &self,
        request: Request<v1::WatchExperimentRequest>,
    ) -> Answer<Self::WatchExperimentStream> {
        let admitted = self.admit()?;
        streams::watch(self, request.into_inner(), admitted).await.map(Response::new)
    }

    async fn pause_experiment(
        &self,
        request: Request<v1::PauseExperimentRequest>,
    ) -> Answer<v1::PauseExperimentResponse> {
        let _admitted = self.admit()?;
        let experiment = Some(self.control(request.into_inner().id, Control::Pause).await?);
        Ok(Response::new(v1::PauseExperimentResponse { experiment }))
    }

    async fn resume_experiment(
        &self,
        request: Request<v1::ResumeExperimentRequest>,
    ) -> Answer<v1::ResumeExperimentResponse> {
        let _admitted = self.admit()?;
        let experiment = Some(self.control(request.into_inner().id, Control::Resume).await?);
        Ok(Response::new(v1::ResumeExperimentResponse { experiment }))
    }

    async fn kill_experiment(
        &self,
        request: Request<v1::KillExperimentRequest>,
    ) -> Answer<v1::KillExperimentResponse> {
        let _admitted = self.admit()?;
        let experiment = Some(self.control(request.into_inner().id, Control::Kill).await?);
        Ok(Response::new(v1::KillExperimentResponse { experiment }))
    }

    async fn delete_experiment(
        &self,
        request: Request<v1::DeleteExperimentRequest>,
    ) -> Answer<v1::DeleteExperimentResponse> {
        let _admitted = self.admit()?;
        self.delete(request.into_inner().id).await?;
        Ok(Response::new(v1::DeleteExperimentResponse {}))
    }

    async fn list_trials(&self, request: Request<v1::ListTrialsRequest>) -> Answer<v1::ListTrialsResponse> {
        let _admitted = self.admit()?;
        self.trials(request.into_inner()).await.map(Response::new)
    }

    async fn get_trial(&self, request: Request<v1::GetTrialRequest>) -> Answer<v1::GetTrialResponse> {
        let _admitted = self.admit()?;
        let request = request.into_inner();
        let trial = Some(self.trial(request.experiment, request.trial).await?);
        Ok(Response::new(v1::GetTrialResponse { trial }))
    }

    async fn stream_reports(
        &self,
        request: Request<v1::StreamReportsRequest>,
    ) -> Answer<Self::StreamReportsStream> {
        let admitted = self.admit()?;
        streams::reports(self, request.into_inner(), admitted).await.map(Response::new)
    }

    async fn stream_logs(&self, request: Request<v1::StreamLogsRequest>) -> Answer<Self::StreamLogsStream> {
        let admitted = self.admit()?;
        streams::logs(self, request.into_inner(), admitted).await.map(Response::new)
    }

    async fn list_checkpoints(
        &self,
        request: Request<v1::ListCheckpointsRequest>,
    ) -> Answer<v1::ListCheckpointsResponse> {
        let _admitted = self.admit()?;
        let request = request.into_inner();
        self.experiment(request.experiment).await?;
        let store = self.store.clone();
        let checkpoints =
            blocking(move || archive::checkpoints(&store, request.experiment, request.trial)).await?;
        Ok(Response::new(v1::ListCheckpointsResponse { checkpoints }))
    }

    async fn list_agents(&self, _: Request<v1::ListAgentsRequest>) -> Answer<v1::ListAgentsResponse> {
        let _admitted = self.admit()?;
        let agents = self.agents().await?;
        Ok(Response::new(v1::ListAgentsResponse { agents }))
    }
}
