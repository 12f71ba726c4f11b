//! The agent service: sessions and model archives.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use toprung_proto::v1::{self, agent_message, agent_service_server::AgentService, engine_message::Kind};
use toprung_store::{Health, Store};

use super::status;
use crate::actors::collector::CollectorHandle;
use crate::actors::session::{MAX_BATCHES_IN_FLIGHT, OUTGOING, SessionHandle};
use crate::actors::sessions::{Registration, SessionsHandle};

/// An agent must say who it is within this time.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// Bytes of a model archive in one message.
const CHUNK: usize = 256 << 10;
/// Log batches of one agent that may wait to be stored.
const LOG_BATCHES: usize = 16;
/// After log lines could not be stored.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The agent service.
#[derive(Clone)]
pub struct Agents {
    /// Who knows all agents.
    pub sessions: SessionsHandle,
    /// Who had checkpoints removed.
    pub collector: CollectorHandle,
    /// For model archives and logs.
    pub store: Store,
}

#[tonic::async_trait]
impl AgentService for Agents {
    type SessionStream = ReceiverStream<Result<v1::EngineMessage, Status>>;
    type FetchModelStream = ReceiverStream<Result<v1::ModelChunk, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(FIRST_MESSAGE, inbound.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no Register came"))??;
        let Some(agent_message::Kind::Register(register)) = first.and_then(|message| message.kind) else {
            return Err(Status::invalid_argument("the first message must be Register"));
        };
        if register.agent.is_empty() || register.instance.is_empty() {
            return Err(Status::invalid_argument("Register needs `agent` and `instance`"));
        }
        let agent = register.agent.clone();
        let (outgoing, stream) = mpsc::channel(OUTGOING);
        let answer =
            self.sessions.register(register, outgoing).await.map_err(|error| status(error.into()))?;
        let Registration { session, serial, ended } = answer.map_err(Status::unavailable)?;
        let reader = Reader { agents: self.clone(), session, agent, serial };
        tokio::spawn(reader.run(inbound, ended));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn fetch_model(
        &self,
        request: Request<v1::FetchModelRequest>,
    ) -> Result<Response<Self::FetchModelStream>, Status> {
        let sha256 = request.into_inner().model_sha256;
        let store = self.store.clone();
        let opened = super::blocking(move || Ok(store.models().open(&sha256))).await?;
        let mut file = opened.map_err(|error| Status::not_found(error.to_string()))?;
        let (sender, stream) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                let message = match file.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => Ok(v1::ModelChunk { data: buffer[..read].to_vec() }),
                    Err(error) => Err(Status::internal(format!("the model archive cannot be read: {error}"))),
                };
                let failed = message.is_err();
                if sender.blocking_send(message).is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Reads one agent's stream.
struct Reader {
    agents: Agents,
    session: SessionHandle,
    agent: String,
    serial: u64,
}

impl Reader {
    async fn run(self, mut inbound: Streaming<v1::AgentMessage>, mut ended: oneshot::Receiver<()>) {
        // An agent that sends more than it was allowed is read no further until the store has caught up.
        let credit = Arc::new(Semaphore::new(2 * MAX_BATCHES_IN_FLIGHT as usize));
        let (log_sender, log_batches) = mpsc::channel(LOG_BATCHES);
        let (_open, closed) = watch::channel(());
        // Logs are stored beside the reading, so that they do not delay reports.
        tokio::spawn(store_logs(self.agents.store.clone(), self.session.clone(), log_batches, closed));
        let mut intake = Intake::new(self.agents.store.watch_health());
        loop {
            let message = tokio::select! {
                message = inbound.message() => message,
                () = intake.changed() => {
                    for (batch, permit) in intake.released() {
                        self.session.batch(batch, permit);
                    }
                    continue;
                }
                _ = &mut ended => break,
            };
            match message {
                Ok(Some(message)) => {
                    self.agents.sessions.heard(self.agent.clone(), self.serial);
                    if !self.take_in(message, &credit, &mut intake, &log_sender).await {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(agent = self.agent, %error, "agent stream broke");
                    break;
                }
            }
        }
        self.agents.sessions.stream_ended(self.agent, self.serial);
    }

    async fn take_in(
        &self,
        message: v1::AgentMessage,
        credit: &Arc<Semaphore>,
        intake: &mut Intake,
        log_sender: &mpsc::Sender<v1::LogBatch>,
    ) -> bool {
        match message.kind {
            Some(agent_message::Kind::Batch(batch)) => {
                let Ok(permit) = credit.clone().acquire_owned().await else { return false };
                if let Some((batch, permit)) = intake.admit(batch, permit) {
                    self.session.batch(batch, permit);
                }
            }
            Some(agent_message::Kind::Logs(logs)) => return log_sender.send(logs).await.is_ok(),
            Some(agent_message::Kind::Heartbeat(heartbeat)) if heartbeat.draining => {
                self.agents.sessions.draining(self.agent.clone(), self.serial);
            }
            Some(agent_message::Kind::CheckpointsDeleted(deleted)) => {
                self.agents.collector.deleted(self.agent.clone(), deleted);
            }
            Some(agent_message::Kind::Heartbeat(_)) | None => {}
            Some(agent_message::Kind::Register(_)) => {
                self.session.end("Register came twice".to_owned(), true);
                return false;
            }
        }
        true
    }
}

/// Holds an agent's batches while the store cannot write: they stay unacknowledged, in order, and go on when it can again.
/// Bounded by the credit that each batch carries. Heartbeats are heard meanwhile, so nobody loses a lease.
struct Intake {
    health: watch::Receiver<Health>,
    held: VecDeque<(v1::Batch, OwnedSemaphorePermit)>,
}

impl Intake {
    fn new(health: watch::Receiver<Health>) -> Self {
        Self { health, held: VecDeque::new() }
    }

    /// The batch, if it may go on now.
    fn admit(
        &mut self,
        batch: v1::Batch,
        permit: OwnedSemaphorePermit,
    ) -> Option<(v1::Batch, OwnedSemaphorePermit)> {
        if self.held.is_empty() && *self.health.borrow() == Health::Ok {
            return Some((batch, permit));
        }
        self.held.push_back((batch, permit));
        None
    }

    /// The store's health has changed. Without a store nothing changes any more.
    async fn changed(&mut self) {
        if self.health.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// What was held, if it may go on now.
    fn released(&mut self) -> VecDeque<(v1::Batch, OwnedSemaphorePermit)> {
        let healthy = *self.health.borrow_and_update() == Health::Ok;
        if healthy { std::mem::take(&mut self.held) } else { VecDeque::new() }
    }
}

/// Stores log lines; a batch is acknowledged when it is written. While the store cannot write it waits; what failed then
/// is sent again by the agent on a new session. Ends with the session, `closed`.
async fn store_logs(
    store: Store,
    session: SessionHandle,
    mut batches: mpsc::Receiver<v1::LogBatch>,
    mut closed: watch::Receiver<()>,
) {
    let mut health = store.watch_health();
    while let Some(batch) = batches.recv().await {
        tokio::select! {
            // A store that is gone says so with the next append.
            _ = health.wait_for(|health| *health == Health::Ok) => {}
            _ = closed.changed() => return,
        }
        let sequence = batch.sequence;
        if let Err(error) = store_batch(&store, batch).await {
            tracing::warn!(%error, "log lines could not be stored; the agent sends them again");
            let healed = async {
                tokio::time::sleep(LOG_PAUSE).await;
                health.wait_for(|health| *health == Health::Ok).await.is_ok()
            };
            tokio::select! {
                _ = healed => session.end("log lines could not be stored".to_owned(), true),
                _ = closed.changed() => {}
            }
            return;
        }
        session.tell(Kind::LogAck(v1::LogAck { sequence }));
    }
}

async fn store_batch(store: &Store, batch: v1::LogBatch) -> Result<(), toprung_store::Error> {
    let mut of: BTreeMap<u64, Vec<(u32, u32, v1::LogLine)>> = BTreeMap::new();
    for lines in batch.lines {
        let Some(attempt) = lines.attempt else { continue };
        let lines = lines.lines.into_iter().map(|line| (attempt.trial, attempt.attempt, line));
        of.entry(attempt.experiment).or_default().extend(lines);
    }
    for (experiment, lines) in of {
        store.logs().append(experiment, lines).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn batches_wait_for_the_store_and_go_on_in_order() {
        let (sender, health) = watch::channel(Health::Ok);
        let credit = Arc::new(Semaphore::new(8));
        let permit = || credit.clone().try_acquire_owned().unwrap();
        let batch = |sequence| v1::Batch { sequence, ..Default::default() };
        let mut intake = Intake::new(health);
        assert!(intake.admit(batch(1), permit()).is_some());
        sender.send_replace(Health::Degraded { reason: "full".into() });
        assert!(intake.admit(batch(2), permit()).is_none());
        intake.changed().await;
        assert!(intake.released().is_empty());
        sender.send_replace(Health::Ok);
        assert!(intake.admit(batch(3), permit()).is_none(), "not before those that wait");
        intake.changed().await;
        let sequences: Vec<_> = intake.released().iter().map(|(batch, _)| batch.sequence).collect();
        assert_eq!(sequences, [2, 3]);
        assert!(intake.admit(batch(4), permit()).is_some());
        assert_eq!(
            credit.available_permits(),
            8,
            "held batches keep their credit, released ones give it back"
        );
    }
}
