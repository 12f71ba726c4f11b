//! The search service: one method per call.
//!
//! | file | holds |
//! |---|---|
//! | [`reads`] | what a call reads |
//! | [`changes`] | pause, resume, kill, delete |
//! | [`asking`] | ask and tell, for programs that run trials themselves |
//! | [`directing`] | listen and decide, for programs that decide a search |

mod asking;
mod changes;
mod directing;
mod reads;

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
use crate::{Options, archive};

/// Model archives under way may hold so many times the largest that is allowed.
const UPLOADS: usize = 3;
/// When a create that found too many active experiments may come again.
const MANY: Duration = Duration::from_mins(1);

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
    pub(in crate::api) fn failed(&self, error: impl Into<crate::Error>) -> Status {
        self.gate.writable().err().unwrap_or_else(|| status(error.into()))
    }

    /// RESOURCE_EXHAUSTED if no further experiment may begin.
    pub(in crate::api) async fn check_active(&self) -> Result<(), Status> {
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
    pub(in crate::api) async fn goes_on(&self, id: u64) -> Result<bool, Status> {
        Ok(self.active(id).await?.is_some() || self.experiment(id).await?.ended_unix_ms == 0)
    }

    /// The actor of an active experiment; `None`: it has ended.
    pub(in crate::api) async fn active(&self, id: u64) -> Result<Option<ExperimentHandle>, Status> {
        self.experiments.get(id).await.map_err(|error| status(error.into()))
    }
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

    async fn ask(&self, request: Request<v1::AskRequest>) -> Answer<v1::AskResponse> {
        // It may wait for long, and must not take the room of calls that do not.
        let _admitted = self.gate.stream()?;
        self.gate.writable()?;
        self.ask_for_trial(request.into_inner()).await.map(Response::new)
    }

    async fn tell(&self, request: Request<v1::TellRequest>) -> Answer<v1::TellResponse> {
        let _admitted = self.gate.change()?;
        self.tell_of_trial(request.into_inner()).await.map(Response::new)
    }
    async fn listen(&self, request: Request<v1::ListenRequest>) -> Answer<v1::ListenResponse> {
        // It may wait for long, and must not take the room of calls that do not.
        let _admitted = self.gate.stream()?;
        self.listen_for_events(request.into_inner()).await.map(Response::new)
    }

    async fn decide(&self, request: Request<v1::DecideRequest>) -> Answer<v1::DecideResponse> {
        let _admitted = self.gate.change()?;
        self.take_decision(request.into_inner()).await.map(Response::new)
    }
}
