//! The state of the connection: down, opening, or up.

use super::connection::{Connection, EngineClient, open};
use std::time::{Duration, Instant};
use tokio::{task::JoinHandle, time::sleep_until};
use tonic::Status;
use toprung_proto::v1::{AgentMessage, EngineMessage};

/// How long the engine may take to answer `Register`.
const REGISTERING: Duration = Duration::from_secs(10);

/// The connection to the engine.
pub(crate) enum Link {
    /// To be opened again at this moment.
    Down(Instant),
    Opening(JoinHandle<Result<Connection, Status>>),
    Up {
        connection: Box<Connection>,
        since: Instant,
        /// Interval and next moment; none before the engine has answered the registration.
        heartbeat: Option<(Duration, Instant)>,
    },
}

/// What a link brings.
pub(crate) enum Arrival {
    TimeToOpen,
    Opened(Box<Connection>),
    Message(Box<EngineMessage>),
    Lost(Status),
}

/// What is due at a link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Heartbeat,
    /// The registration was not answered.
    Late,
}

impl Link {
    /// Begins to open a connection whose first message is `register`.
    pub(crate) fn opening(client: EngineClient, register: AgentMessage) -> Self {
        Self::Opening(tokio::spawn(open(client, register)))
    }

    pub(crate) fn up(connection: Box<Connection>, now: Instant) -> Self {
        Self::Up { connection, since: now, heartbeat: None }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// The next arrival. May be dropped and called again.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        match self {
            Self::Down(until) => {
                sleep_until((*until).into()).await;
                Arrival::TimeToOpen
            }
            Self::Opening(opening) => match opening.await {
                Ok(Ok(connection)) => Arrival::Opened(Box::new(connection)),
                Ok(Err(status)) => Arrival::Lost(status),
                Err(error) => Arrival::Lost(Status::internal(error.to_string())),
            },
            Self::Up { connection, .. } => match connection.inbound.message().await {
                Ok(Some(message)) => Arrival::Message(Box::new(message)),
                Ok(None) => Arrival::Lost(Status::unavailable("the engine closed the session")),
                Err(status) => Arrival::Lost(status),
            },
        }
    }

    /// The registration was answered: heartbeats are due.
    pub(crate) fn registered(&mut self, every: Duration, now: Instant) {
        if let Self::Up { heartbeat, .. } = self {
            *heartbeat = Some((every, now + every));
        }
    }

    /// When [`Self::due`] is to be asked.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        match self {
            Self::Up { heartbeat: Some((_, next)), .. } => Some(*next),
            Self::Up { since, .. } => Some(*since + REGISTERING),
            _ => None,
        }
    }

    /// What is due now; a heartbeat is due once each interval.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        match self {
            Self::Up { heartbeat: Some((every, next)), .. } if *next <= now => {
                *next = now + *every;
                Due::Heartbeat
            }
            Self::Up { heartbeat: None, since, .. } if now >= *since + REGISTERING => Due::Late,
            _ => Due::Nothing,
        }
    }

    /// Puts a message into the queue, which is larger than what may be in flight. If it is full or the stream is gone,
    /// the stream's end comes as an arrival and everything unacknowledged is sent again.
    pub(crate) fn send(&self, message: AgentMessage) {
        if let Self::Up { connection, .. } = self
            && connection.outbound.try_send(message).is_err()
        {
            tracing::debug!("a message found the stream closed");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Opening(opening) = self {
            opening.abort();
        }
    }
}
