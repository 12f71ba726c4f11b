//! The engine's end of the line: it passes on what the agent says.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use toprung_proto::v1::{self, AgentMessage, EngineMessage, agent_service_server};

pub type ToAgent = mpsc::Sender<Result<EngineMessage, Status>>;

/// What the agent said, in order, with the answers a test gives.
pub struct Service {
    pub said: mpsc::Sender<Heard>,
    pub connections: AtomicU64,
    pub models: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    pub away: Arc<AtomicBool>,
}

pub enum Heard {
    Connected(ToAgent),
    /// With the number of its connection.
    Message(u64, Box<AgentMessage>),
}

#[tonic::async_trait]
impl agent_service_server::AgentService for Service {
    type SessionStream = ReceiverStream<Result<EngineMessage, Status>>;
    type FetchModelStream = ReceiverStream<Result<v1::ModelChunk, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if token != Some("Bearer secret") {
            return Err(Status::unauthenticated("wrong token"));
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        let (to_agent, messages) = mpsc::channel(1024);
        let said = self.said.clone();
        let number = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let mut stream = request.into_inner();
        said.send(Heard::Connected(to_agent)).await.map_err(|_| Status::aborted("the test is over"))?;
        tokio::spawn(async move {
            while let Ok(Some(message)) = stream.message().await {
                if said.send(Heard::Message(number, Box::new(message))).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn fetch_model(
        &self,
        request: Request<v1::FetchModelRequest>,
    ) -> Result<Response<Self::FetchModelStream>, Status> {
        let hash = request.into_inner().model_sha256;
        let archive = self.models.lock().unwrap().get(&hash).cloned();
        let archive = archive.ok_or_else(|| Status::not_found("no such model"))?;
        let (sender, chunks) = mpsc::channel(64);
        tokio::spawn(async move {
            for chunk in archive.chunks(1000) {
                if sender.send(Ok(v1::ModelChunk { data: chunk.to_vec() })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(chunks)))
    }
}
