//! The search service: one method per call. An experiment that is active is asked; one that has ended is read from
//! the store.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};
use toprung_proto::v1::{self, search_service_server::SearchService};
use toprung_store::Store;

use super::backup::Backups;
use super::gate::{Gate, later};
use super::uploads::Room;
use super::{agents, blocking, create, status, streams};
use crate::actors::collector::CollectorHandle;
use crate::actors::experiment::{Control, ExperimentHandle};
use crate::actors::experiments::ExperimentsHandle;
use crate::actors::now_ms;
use crate::actors::pool::PoolHandle;
use crate::actors::sessions::SessionsHandle;
use crate::experiment::{Machine, view};
use crate::{Options, archive, collect, deleted, load};

/// Model archives under way may hold so many times the largest that is allowed.
const UPLOADS: usize = 3;
/// When a create that found too many active experiments may come again.
const MANY: Duration = Duration::from_mins(1);
/// When an experiment that is being started again may be asked again.
const RESTART: Duration = Duration::from_secs(2);

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
    max_active: usize,
    /// What is let in.
    pub gate: Gate,
    /// Room for model archives that are under way.
    pub room: Room,
    about: Arc<About>,
    backups: Backups,
}

/// What does not change while the engine runs.
struct About {
    data_dir: PathBuf,
    started: Instant,
    started_unix_ms: i64,
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
        options: &Options,
    ) -> Self {
        let about =
            About { data_dir: options.data_dir.clone(), started: Instant::now(), started_unix_ms: now_ms() };
        Self {
            gate: Gate::new(store.clone()),
            room: Room::new(UPLOADS * options.max_model_bytes),
            about: Arc::new(about),
            backups: Backups::new(store.clone(), &options.data_dir),
            store,
            experiments,
            pool,
            sessions,
            collector,
            max_model_bytes: options.max_model_bytes,
            max_active: options.max_active_experiments,
        }
    }

    /// An error of an actor: if the store cannot write, that is why.
    pub(super) fn failed(&self, error: impl Into<crate::Error>) -> Status {
        self.gate.writable().err().unwrap_or_else(|| status(error.into()))
    }

    /// RESOURCE_EXHAUSTED if no further experiment may begin.
    pub(super) async fn check_active(&self) -> Result<(), Status> {
        let most = self.max_active;
        let active = self.experiments.count().await.map_err(|error| self.failed(error))?;
        if active < most {
            return Ok(());
        }
        let message =
            format!("{active} experiments have not ended, {most} are allowed; kill or finish some first");
        Err(later(Code::ResourceExhausted, message, MANY))
    }

    /// Whether more of an experiment may come: it has not ended, though it may wait for its start.
    pub(super) async fn goes_on(&self, id: u64) -> Result<bool, Status> {
        Ok(self.active(id).await?.is_some() || self.experiment(id).await?.ended_unix_ms == 0)
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
    pub(super) async fn journalled<T: Send + 'static>(
        &self,
        id: u64,
        look: impl FnOnce(&Machine) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let store = self.store.clone();
        blocking(move || Ok(look(&load::machine(&store, id)?))).await
    }

    async fn control(&self, id: u64, control: Control) -> Result<v1::Experiment, Status> {
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

    async fn trials(&self, request: v1::ListTrialsRequest) -> Result<v1::ListTrialsResponse, Status> {
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

    async fn delete(&self, id: u64, keep: bool) -> Result<v1::DeleteExperimentResponse, Status> {
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

    async fn engine_status(&self) -> Result<v1::GetEngineStatusResponse, Status> {
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

    pub(super) async fn agents(&self) -> Result<Vec<v1::Agent>, Status> {
        let agents = self.sessions.agents().await.map_err(|error| status(error.into()))?;
        let pool = self.pool.view().await.map_err(|error| status(error.into()))?;
        Ok(agents::all(agents, pool))
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
    type BackupStoreStream = ReceiverStream<Result<v1::BackupStoreResponse, Status>>;

    async fn create_experiment(
        &self,
        request: Request<v1::CreateExperimentRequest>,
    ) -> Answer<v1::CreateExperimentResponse> {
        let _admitted = self.gate.change()?;
        create::create(self, request.into_inner()).await.map(Response::new)
    }

    async fn preview_experiment(
        &self,
        request: Request<v1::PreviewExperimentRequest>,
    ) -> Answer<v1::PreviewExperimentResponse> {
        let _admitted = self.gate.call()?;
        create::preview(&request.into_inner()).map(Response::new)
    }

    async fn get_experiment(
        &self,
        request: Request<v1::GetExperimentRequest>,
    ) -> Answer<v1::GetExperimentResponse> {
        let _admitted = self.gate.call()?;
        let experiment = Some(self.with_config(request.into_inner().id).await?);
        Ok(Response::new(v1::GetExperimentResponse { experiment }))
    }

    async fn list_experiments(
        &self,
        request: Request<v1::ListExperimentsRequest>,
    ) -> Answer<v1::ListExperimentsResponse> {
        let _admitted = self.gate.call()?;
        self.list(request.into_inner()).await.map(Response::new)
    }

    async fn watch_experiment(
        &self,
        request: Request<v1::WatchExperimentRequest>,
    ) -> Answer<Self::WatchExperimentStream> {
        let admitted = self.gate.stream()?;
        streams::watch(self, request.into_inner(), admitted).await.map(Response::new)
    }

    async fn pause_experiment(
        &self,
        request: Request<v1::PauseExperimentRequest>,
    ) -> Answer<v1::PauseExperimentResponse> {
        let _admitted = self.gate.change()?;
        let experiment = Some(self.control(request.into_inner().id, Control::Pause).await?);
        Ok(Response::new(v1::PauseExperimentResponse { experiment }))
    }

    async fn resume_experiment(
        &self,
        request: Request<v1::ResumeExperimentRequest>,
    ) -> Answer<v1::ResumeExperimentResponse> {
        let _admitted = self.gate.change()?;
        let experiment = Some(self.control(request.into_inner().id, Control::Resume).await?);
        Ok(Response::new(v1::ResumeExperimentResponse { experiment }))
    }

    async fn kill_experiment(
        &self,
        request: Request<v1::KillExperimentRequest>,
    ) -> Answer<v1::KillExperimentResponse> {
        let _admitted = self.gate.change()?;
        let experiment = Some(self.control(request.into_inner().id, Control::Kill).await?);
        Ok(Response::new(v1::KillExperimentResponse { experiment }))
    }

    async fn delete_experiment(
        &self,
        request: Request<v1::DeleteExperimentRequest>,
    ) -> Answer<v1::DeleteExperimentResponse> {
        let _admitted = self.gate.change()?;
        let v1::DeleteExperimentRequest { id, keep_checkpoints } = request.into_inner();
        self.delete(id, keep_checkpoints).await.map(Response::new)
    }

    async fn list_trials(&self, request: Request<v1::ListTrialsRequest>) -> Answer<v1::ListTrialsResponse> {
        let _admitted = self.gate.call()?;
        self.trials(request.into_inner()).await.map(Response::new)
    }

    async fn get_trial(&self, request: Request<v1::GetTrialRequest>) -> Answer<v1::GetTrialResponse> {
        let _admitted = self.gate.call()?;
        let request = request.into_inner();
        let trial = Some(self.trial(request.experiment, request.trial).await?);
        Ok(Response::new(v1::GetTrialResponse { trial }))
    }

    async fn stream_reports(
        &self,
        request: Request<v1::StreamReportsRequest>,
    ) -> Answer<Self::StreamReportsStream> {
        let admitted = self.gate.stream()?;
        streams::reports(self, request.into_inner(), admitted).await.map(Response::new)
    }

    async fn stream_logs(&self, request: Request<v1::StreamLogsRequest>) -> Answer<Self::StreamLogsStream> {
        let admitted = self.gate.stream()?;
        streams::logs(self, request.into_inner(), admitted).await.map(Response::new)
    }

    async fn list_checkpoints(
        &self,
        request: Request<v1::ListCheckpointsRequest>,
    ) -> Answer<v1::ListCheckpointsResponse> {
        let _admitted = self.gate.call()?;
        let request = request.into_inner();
        self.experiment(request.experiment).await?;
        let store = self.store.clone();
        let checkpoints =
            blocking(move || archive::checkpoints(&store, request.experiment, request.trial)).await?;
        Ok(Response::new(v1::ListCheckpointsResponse { checkpoints }))
    }

    async fn list_agents(&self, _: Request<v1::ListAgentsRequest>) -> Answer<v1::ListAgentsResponse> {
        let _admitted = self.gate.call()?;
        let agents = self.agents().await?;
        Ok(Response::new(v1::ListAgentsResponse { agents }))
    }

    async fn get_engine_status(
        &self,
        _: Request<v1::GetEngineStatusRequest>,
    ) -> Answer<v1::GetEngineStatusResponse> {
        let _admitted = self.gate.call()?;
        self.engine_status().await.map(Response::new)
    }

    async fn backup_store(&self, _: Request<v1::BackupStoreRequest>) -> Answer<Self::BackupStoreStream> {
        let admitted = self.gate.stream()?;
        self.gate.writable()?;
        self.backups.send(admitted).await.map(Response::new)
    }

    async fn drain_agent(&self, request: Request<v1::DrainAgentRequest>) -> Answer<v1::DrainAgentResponse> {
        let _admitted = self.gate.call()?;
        self.gate.writable()?;
        let v1::DrainAgentRequest { name, reason } = request.into_inner();
        let agent = Some(agents::drain(self, name, Some(reason)).await?);
        Ok(Response::new(v1::DrainAgentResponse { agent }))
    }

    async fn undrain_agent(
        &self,
        request: Request<v1::UndrainAgentRequest>,
    ) -> Answer<v1::UndrainAgentResponse> {
        let _admitted = self.gate.call()?;
        self.gate.writable()?;
        let agent = Some(agents::drain(self, request.into_inner().name, None).await?);
        Ok(Response::new(v1::UndrainAgentResponse { agent }))
    }
}
