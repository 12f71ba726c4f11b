//! An agent without processes: it speaks the wire as the real one does and leaves to its owner what attempts do.
//!
//! What it has to say gathers while the allowed number of batches is on its way, as in the real agent.

use super::failed;
use crate::errors::Error;
use futures_util::FutureExt as _;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use toprung_proto::v1::{self, agent_message, agent_service_client::AgentServiceClient, engine_message};

/// Events in a batch, at most.
pub(super) const BATCH: usize = 512;
/// Well within every lease.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Messages that may wait for the connection: more than batches may be in flight.
const OUTGOING: usize = 64;

/// What the engine says.
pub(super) enum Heard {
    /// Start this attempt.
    Start(Box<v1::StartAttempt>),
    /// End an attempt.
    Stop,
    /// The answer to a validation.
    Decision(v1::AttemptDecision),
    /// So many events are durable.
    Durable(usize),
}

/// A connected agent.
pub(super) struct Agent {
    outgoing: mpsc::Sender<v1::AgentMessage>,
    inbound: Streaming<v1::EngineMessage>,
    heartbeat: Interval,
    waiting: VecDeque<v1::AttemptEvent>,
    /// Events of each batch that is not acknowledged.
    in_flight: VecDeque<usize>,
    most_in_flight: usize,
    sequence: u64,
    url: String,
}

impl Agent {
    /// Connects and registers with so many slots.
    pub(super) async fn connect(url: &str, token: &str, name: &str, slots: u32) -> Result<Self, Error> {
        let channel = channel(url).await?;
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let register = agent_message::Kind::Register(register(name, slots));
        outgoing.try_send(v1::AgentMessage { kind: Some(register) }).map_err(failed)?;
        let mut request = Request::new(ReceiverStream::new(messages));
        let bearer: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(failed)?;
        request.metadata_mut().insert("authorization", bearer);
        let answer = AgentServiceClient::new(channel).session(request).await;
        let mut inbound = answer.map_err(|status| Error::from_status(url, &status))?.into_inner();
        let first = inbound.message().await.map_err(|status| Error::from_status(url, &status))?;
        let Some(engine_message::Kind::Registered(registered)) = first.and_then(|first| first.kind) else {
            return Err(failed("the engine did not answer Register by Registered"));
        };
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            outgoing,
            inbound,
            heartbeat,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            most_in_flight: registered.max_batches_in_flight as usize,
            sequence: 0,
            url: url.to_owned(),
        })
    }

    /// Takes events to be sent as soon as a batch may leave.
    pub(super) fn say(&mut self, events: impl IntoIterator<Item = v1::AttemptEvent>) {
        self.waiting.extend(events);
    }

    /// Whether what is said now would leave at once.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() + self.waiting.len().div_ceil(BATCH) < self.most_in_flight
    }

    /// What the engine says next. Sends what waits when nothing is to be heard at the moment. May be dropped and
    /// called again.
    pub(super) async fn next(&mut self) -> Result<Heard, Error> {
        loop {
            let ready = self.inbound.message().now_or_never();
            let message = if let Some(message) = ready {
                message
            } else {
                self.flush()?;
                tokio::select! {
                    message = self.inbound.message() => message,
                    _ = self.heartbeat.tick() => {
                        self.send(agent_message::Kind::Heartbeat(v1::Heartbeat::default()))?;
                        continue;
                    }
                }
            };
            let message = message.map_err(|status| Error::from_status(&self.url, &status))?;
            let kind = message.and_then(|message| message.kind);
            if let Some(heard) = self.heard(kind.ok_or_else(|| failed("the engine ended the session"))?)? {
                return Ok(heard);
            }
        }
    }

    fn heard(&mut self, kind: engine_message::Kind) -> Result<Option<Heard>, Error> {
        Ok(Some(match kind {
            engine_message::Kind::Start(start) => Heard::Start(Box::new(start)),
            engine_message::Kind::Stop(_) => Heard::Stop,
            engine_message::Kind::Decision(decision) => Heard::Decision(decision),
            engine_message::Kind::Ack(_) => Heard::Durable(self.in_flight.pop_front().unwrap_or_default()),
            engine_message::Kind::Goodbye(goodbye) => {
                return Err(failed(format!("the engine ended the session: {}", goodbye.reason)));
            }
            engine_message::Kind::Registered(_)
            | engine_message::Kind::LogAck(_)
            | engine_message::Kind::DeleteCheckpoints(_) => return Ok(None),
        }))
    }

    /// Sends what waits, as far as it is allowed.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        while !self.waiting.is_empty() && self.in_flight.len() < self.most_in_flight {
            let events: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
            self.sequence += 1;
            self.in_flight.push_back(events.len());
            self.send(agent_message::Kind::Batch(v1::Batch { sequence: self.sequence, events }))?;
        }
        Ok(())
    }

    fn send(&self, kind: agent_message::Kind) -> Result<(), Error> {
        self.outgoing.try_send(v1::AgentMessage { kind: Some(kind) }).map_err(failed)
    }
}

/// A connection of its own.
pub(super) async fn channel(url: &str) -> Result<Channel, Error> {
    let unreachable =
        |error: tonic::transport::Error| Error::Unreachable { url: url.to_owned(), cause: error.to_string() };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unreachable)?.tcp_nodelay(true);
    endpoint.connect().await.map_err(unreachable)
}

fn register(name: &str, slots: u32) -> v1::Register {
    let slot = |index| v1::Slot {
        index,
        kind: v1::SlotKind::Cpu.into(),
        name: "cpu".to_owned(),
        ..v1::Slot::default()
    };
    v1::Register {
        agent: name.to_owned(),
        instance: format!("{name}/1"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: name.to_owned(),
        slots: (0..slots).map(slot).collect(),
        running: Vec::new(),
        engine: String::new(),
    }
}
