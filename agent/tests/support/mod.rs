//! An engine that does as a test says, and an agent that is connected to it.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of this")]

mod events;
mod orders;
mod service;
mod system;

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::TcpListenerStream;
use toprung_agent::Options;
use toprung_proto::v1::{
    self, AttemptEvent, EngineMessage, agent_message, agent_service_server, attempt_event, engine_message,
};

pub use orders::{CLIENT, attempt, options, script};
use service::{Heard, Service, ToAgent};
pub use system::{eventually, names, runs};

/// No state takes longer to come about, also on a crowded machine.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// A test's engine with one agent.
pub struct Bench {
    heard: mpsc::Receiver<Heard>,
    connection: u64,
    to_agent: Option<ToAgent>,
    models: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    away: Arc<AtomicBool>,
    pub state_dir: tempfile::TempDir,
    shutdown: watch::Sender<bool>,
    agent: Option<JoinHandle<Result<(), toprung_agent::Error>>>,
    pub server: String,
    /// Whether batches are acknowledged at once.
    pub acknowledges: bool,
    /// Whether log batches are acknowledged at once.
    pub log_acknowledges: bool,
    /// Heartbeats since the last message of another kind.
    pub silent_heartbeats: u32,
    pub registrations: Vec<v1::Register>,
    pub batches: Vec<v1::Batch>,
    pub log: Vec<String>,
    events: VecDeque<AttemptEvent>,
    /// Attempts told to keep at a reconnect: all that the agent names.
    pub keeps: bool,
    /// For floods: of events only those of trial 2, starts and exits are kept, of lines only what the agent says; the
    /// rest is counted.
    pub forgets: bool,
    pub forgotten_reports: u64,
    pub forgotten_bytes: u64,
    /// The engine's store.
    pub engine: String,
}

impl Bench {
    /// Starts both; returns after the agent has registered.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let mut bench = Self::without_waiting(change).await;
        bench.until_registered().await;
        bench
    }

    /// An agent that has not registered yet.
    pub async fn without_waiting(change: impl FnOnce(&mut Options)) -> Self {
        let mut bench = Self::without_agent().await;
        let mut options = options(&bench.server, bench.state_dir.path());
        change(&mut options);
        bench.agent = Some(tokio::spawn(toprung_agent::run(options, bench.shutdown.subscribe())));
        bench
    }

    /// Only the engine.
    pub async fn without_agent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (said, heard) = mpsc::channel(4096);
        let models = Arc::<Mutex<HashMap<String, Vec<u8>>>>::default();
        let away = Arc::<AtomicBool>::default();
        let connections = AtomicU64::new(0);
        let service = Service { said, connections, models: Arc::clone(&models), away: Arc::clone(&away) };
        let server = tonic::transport::Server::builder()
            .add_service(agent_service_server::AgentServiceServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        let state_dir = tempfile::tempdir().unwrap();
        Self {
            heard,
            connection: 0,
            to_agent: None,
            models,
            away,
            state_dir,
            shutdown: watch::Sender::new(false),
            agent: None,
            server: format!("http://{address}"),
            acknowledges: true,
            log_acknowledges: true,
            silent_heartbeats: 0,
            registrations: Vec::new(),
            batches: Vec::new(),
            log: Vec::new(),
            events: VecDeque::new(),
            keeps: true,
            forgets: false,
            forgotten_reports: 0,
            forgotten_bytes: 0,
            engine: "store".to_owned(),
        }
    }

    /// Waits for the next registration and answers it.
    pub async fn until_registered(&mut self) {
        let before = self.registrations.len();
        while self.registrations.len() == before {
            self.hear().await;
        }
    }

    pub async fn send(&mut self, kind: engine_message::Kind) {
        let message = EngineMessage { kind: Some(kind) };
        self.to_agent.as_ref().unwrap().send(Ok(message)).await.unwrap();
    }

    /// Cuts the stream; the agent cannot come back before [`Self::be_back`].
    pub fn be_away(&mut self) {
        self.away.store(true, Ordering::SeqCst);
        self.to_agent = None;
    }

    /// Agents may come again.
    pub fn be_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    /// Cuts the stream; the agent will come back.
    pub fn disconnect(&mut self) {
        self.to_agent = None;
    }

    /// Takes one message of the agent in and answers it.
    async fn hear(&mut self) {
        let heard = timeout(DEADLINE, self.heard.recv()).await.expect("the agent is silent").unwrap();
        let message = match heard {
            Heard::Connected(to_agent) => {
                self.to_agent = Some(to_agent);
                self.connection += 1;
                return;
            }
            // What an old connection still brings is lost, as it would be on a cut line.
            Heard::Message(number, _) if number != self.connection || self.to_agent.is_none() => return,
            Heard::Message(_, message) => message,
        };
        let message = message.kind.unwrap();
        let silent = matches!(message, agent_message::Kind::Heartbeat(_));
        self.silent_heartbeats = if silent { self.silent_heartbeats + 1 } else { 0 };
        match message {
            agent_message::Kind::Register(register) => {
                let keep = if self.keeps { register.running.clone() } else { Vec::new() };
                self.registrations.push(register);
                let registered = v1::Registered {
                    lease_seconds: 30,
                    heartbeat_seconds: 1,
                    max_batches_in_flight: 4,
                    keep,
                    engine: self.engine.clone(),
                };
                self.send(engine_message::Kind::Registered(registered)).await;
            }
            agent_message::Kind::Batch(mut batch) => {
                if self.forgets {
                    self.forget_events(&mut batch);
                }
                if self.acknowledges {
                    let sequence = batch.sequence;
                    self.send(engine_message::Kind::Ack(v1::Ack { sequence })).await;
                    self.events.extend(batch.events.iter().cloned());
                }
                if !self.forgets {
                    self.batches.push(batch);
                }
            }
            agent_message::Kind::Logs(mut logs) => {
                let sequence = logs.sequence;
                if self.forgets {
                    self.forget_lines(&mut logs);
                }
                self.log.extend(logs.lines.into_iter().flat_map(|lines| lines.lines).map(|line| line.text));
                if self.log_acknowledges {
                    self.send(engine_message::Kind::LogAck(v1::LogAck { sequence })).await;
                }
            }
            agent_message::Kind::CheckpointsDeleted(_) | agent_message::Kind::Heartbeat(_) => {}
        }
    }

    fn forget_events(&mut self, batch: &mut v1::Batch) {
        let reports = batch.events.iter().filter(|event| {
            let calm = event.attempt.is_some_and(|attempt| attempt.trial == 2);
            !calm && matches!(event.kind, Some(attempt_event::Kind::Report(_)))
        });
        self.forgotten_reports += reports.count() as u64;
        batch.events.retain(|event| {
            let calm = event.attempt.is_some_and(|attempt| attempt.trial == 2);
            calm || matches!(event.kind, Some(attempt_event::Kind::Started(_) | attempt_event::Kind::Exit(_)))
        });
    }

    fn forget_lines(&mut self, logs: &mut v1::LogBatch) {
        for lines in &mut logs.lines {
            let bytes = &mut self.forgotten_bytes;
            lines.lines.retain(|line| {
                let own = line.stream() == v1::LogStream::Toprung;
                *bytes += if own { 0 } else { line.text.len() as u64 };
                own
            });
        }
    }

    pub async fn begin(&mut self, order: v1::StartAttempt) {
        self.send(engine_message::Kind::Start(order)).await;
    }

    pub async fn stop(&mut self, kind: v1::StopKind) {
        let stop = v1::StopAttempt {
            attempt: Some(attempt()),
            kind: kind.into(),
            reason: "as the test says".to_owned(),
        };
        self.send(engine_message::Kind::Stop(stop)).await;
    }

    pub async fn decide(&mut self, at_length: u64, kind: v1::DecisionKind, length: u64) {
        let decision = v1::Decision { kind: kind.into(), trial: 1, length, reason: "rank 5 of 9".to_owned() };
        let decision = v1::AttemptDecision {
            attempt: Some(attempt()),
            at_length,
            decision: Some(decision),
            may_refuse: false,
        };
        self.send(engine_message::Kind::Decision(decision)).await;
    }

    /// Asks the agent to end.
    pub fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    /// How the agent ended.
    pub async fn ended(self) -> Result<(), toprung_agent::Error> {
        let Self { mut heard, agent, to_agent, .. } = self;
        // Whatever it still says is heard, so that nothing holds it up.
        let listening = async { while heard.recv().await.is_some() {} };
        tokio::select! {
            ended = timeout(DEADLINE, agent.unwrap()) => {
                drop(to_agent);
                ended.expect("the agent does not end").unwrap()
            }
            () = listening => unreachable!("the engine outlives the agent"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.state_dir.path().join(name)
    }
}
