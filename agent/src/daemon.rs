//! The event loop of the agent: one task that owns the session's state and acts on what it decides.
//!
//! It never waits for an attempt or for the engine while there is something else to do; what it sends goes into a queue
//! that is larger than what may be in flight.

use crate::{
    Error, Options,
    attempt::{self, Node},
    contract::{Control, Order},
    deletions::Deletions,
    ending::Ending,
    environment::Environments,
    flag::raised,
    identity::{AttemptKey, host_name, random_bits},
    layout::Layout,
    model::Models,
    orphans::Ledger,
    python_package,
    remote::RemoteCheckpoints,
    report::{AttemptLine, Credited, Inbox, Reporters},
    session::{
        Effect, SessionState,
        backoff::Backoff,
        connection::{self, EngineClient},
        link::{Arrival, Due, Link},
        state::{Identity, message},
    },
    slots,
};
use std::{
    collections::HashMap,
    fs,
    future::pending,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::sleep_until,
};
use tonic::{Code, Status};
use toprung_proto::v1::{
    AttemptEvent, CheckpointsDeleted, ExitCause, Heartbeat, StartAttempt, agent_message,
};

/// Longer than any end takes.
const NEVER: Duration = Duration::from_hours(24);

/// Runs the agent until `shutdown` becomes true, its sender is gone, or the engine says goodbye for good.
///
/// At the end attempts are asked to save, then get SIGTERM, then SIGKILL (see [`Options::drain_timeout`]), and their
/// exits are sent if the engine can be reached. Losing the engine is no error: the agent connects again, for ever.
///
/// # Errors
/// It cannot start, the engine refuses it, or the engine said goodbye.
pub async fn run(options: Options, shutdown: watch::Receiver<bool>) -> Result<(), Error> {
    let client = connection::client(&options)?;
    let instance = format!("{:016x}", random_bits());
    let layout = Layout::create(&options.state_dir, options.environments_dir.as_deref(), &instance)?;
    let ledger = Arc::new(Ledger::open(&layout)?);
    let slots = slots::detect_slots(options.slots);
    let remote = Arc::new(RemoteCheckpoints::new(&layout));
    let node = Node {
        python_package: python_package::install(&layout)?,
        models: Models::new(client.clone(), &layout),
        environments: Environments::new(&layout, Arc::clone(&ledger)),
        remote: Arc::clone(&remote),
        slots: slots.clone(),
        cores: slots::cores(),
        sockets: socket_directory()?,
        ledger: Arc::clone(&ledger),
        layout: layout.clone(),
    };
    let host = host_name();
    let agent = options.name.clone().unwrap_or_else(|| host.clone());
    let state = SessionState::new(Identity { agent, instance: instance.clone(), host, slots });
    let (reporters, inbox) = Reporters::new(options.spool_bytes, options.log_bytes);
    let daemon = Daemon {
        server: options.server,
        client,
        node: Arc::new(node),
        state,
        reporters,
        inbox,
        controls: HashMap::new(),
        attempts: JoinSet::new(),
        ids: HashMap::new(),
        deletions: Deletions::new(layout.clone(), remote),
        link: Link::Down(Instant::now()),
        backoff: Backoff::new(),
        waits: false,
        ending: Ending::new(options.drain_timeout),
        farewell: None,
    };
    let result = daemon.run(shutdown).await;
    ledger.close().await;
    let own = layout.attempts_of(&instance);
    if let Err(error) = fs::remove_dir_all(&own) {
        tracing::debug!(%error, path = %own.display(), "cannot remove");
    }
    result
}

/// A directory with a short path that only this user may enter.
fn socket_directory() -> Result<tempfile::TempDir, Error> {
    let base = std::env::temp_dir();
    let base = if base.as_os_str().len() > 40 { Path::new("/tmp").to_owned() } else { base };
    tempfile::Builder::new()
        .prefix("toprung-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&base)
        .map_err(|source| Error::StateDirectory { action: "create", path: base, source })
}

enum Input {
    Shutdown,
    Link(Arrival),
    Event(Credited<AttemptEvent>),
    Line(Credited<AttemptLine>),
    AttemptEnded(Result<(Id, ()), JoinError>),
    Deleted(CheckpointsDeleted),
    /// A heartbeat, a batch or a stage of the end is due.
    Tick,
}

struct Daemon {
    server: String,
    client: EngineClient,
    node: Arc<Node>,
    state: SessionState,
    reporters: Reporters,
    inbox: Inbox,
    controls: HashMap<AttemptKey, Arc<Control>>,
    attempts: JoinSet<()>,
    ids: HashMap<Id, AttemptKey>,
    deletions: Deletions,
    link: Link,
    backoff: Backoff,
    /// Said once that it waits for the engine.
    waits: bool,
    ending: Ending,
    /// Why the engine does not want this agent back.
    farewell: Option<String>,
}

impl Daemon {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) -> Result<(), Error> {
        loop {
            let input = self.input(&mut shutdown).await;
            let now = Instant::now();
            self.handle(input, now)?;
            for message in self.state.outgoing(now) {
                self.link.send(message);
            }
            if self.attempts.is_empty() {
                self.ending.all_ended(now);
            }
            if self.ending.has_begun() && self.has_said_everything() {
                break;
            }
            if self.ending.is_over(now) {
                tracing::warn!(attempts = self.attempts.len(), "ending without the engine's acknowledgement");
                break;
            }
        }
        // Attempts that are left are aborted, which kills their groups.
        self.attempts.shutdown().await;
        match self.farewell {
            Some(reason) => Err(Error::SentAway { server: self.server, reason }),
            None => Ok(()),
        }
    }

    fn has_said_everything(&self) -> bool {
        let nothing_waits = self.inbox.events.is_empty() && self.inbox.logs.is_empty();
        let nobody_listens = self.farewell.is_some() && !self.link.is_up();
        self.attempts.is_empty() && nothing_waits && (self.state.is_drained() || nobody_listens)
    }

    async fn input(&mut self, shutdown: &mut watch::Receiver<bool>) -> Input {
        let ending = self.ending.has_begun();
        let due =
            [self.ending.stage_end(), self.link.due_at(), self.state.due_at()].into_iter().flatten().min();
        tokio::select! {
            // Without a sender nobody can ask for the end any more: end.
            () = raised(shutdown), if !ending => Input::Shutdown,
            arrival = self.link.arrival() => Input::Link(arrival),
            Some(event) = self.inbox.events.recv() => Input::Event(event),
            Some(line) = self.inbox.logs.recv() => Input::Line(line),
            Some(ended) = self.attempts.join_next_with_id() => Input::AttemptEnded(ended),
            deleted = self.deletions.done() => Input::Deleted(deleted),
            () = at(due) => Input::Tick,
        }
    }

    fn handle(&mut self, input: Input, now: Instant) -> Result<(), Error> {
        match input {
            Input::Shutdown => self.begin_end("the agent shuts down", now),
            Input::Link(arrival) => return self.arrived(arrival, now),
            Input::Event(event) => {
                self.state.push_event(event, now);
                while let Ok(event) = self.inbox.events.try_recv() {
                    self.state.push_event(event, now);
                }
            }
            Input::Line(line) => {
                self.state.push_line(line, now);
                while let Ok(line) = self.inbox.logs.try_recv() {
                    self.state.push_line(line, now);
                }
            }
            Input::AttemptEnded(ended) => self.attempt_ended(ended, now),
            // Lost with the connection, it is asked for again when the agent comes back.
            Input::Deleted(deleted) => {
                self.link.send(message(agent_message::Kind::CheckpointsDeleted(deleted)));
            }
            Input::Tick => return self.tick(now),
        }
        Ok(())
    }

    fn arrived(&mut self, arrival: Arrival, now: Instant) -> Result<(), Error> {
        match arrival {
            Arrival::TimeToOpen => self.link = Link::opening(self.client.clone(), self.state.register()),
            Arrival::Opened(connection) => self.link = Link::up(connection, now),
            Arrival::Message(message) => {
                for effect in self.state.on_engine(*message, now) {
                    self.act(effect, now);
                }
            }
            Arrival::Lost(status) => return self.lose(&status, now),
        }
        Ok(())
    }

    /// The connection is gone or did not come about.
    fn lose(&mut self, status: &Status, now: Instant) -> Result<(), Error> {
        self.state.disconnected();
        if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) && self.controls.is_empty()
        {
            let (server, message) = (self.server.clone(), status.message().to_owned());
            return Err(Error::Refused { server, message });
        }
        let wait = if self.farewell.is_some() { NEVER } else { self.backoff.next() };
        self.link = Link::Down(now + wait);
        if !self.waits && self.farewell.is_none() {
            tracing::warn!(server = self.server, reason = status.message(), "waiting for the engine");
            self.waits = true;
        }
        Ok(())
    }

    fn act(&mut self, effect: Effect, now: Instant) {
        match effect {
            Effect::Opened { heartbeat } => {
                self.link.registered(heartbeat, now);
                self.backoff = Backoff::new();
                self.waits = false;
                // The engine asks again for what is not confirmed.
                self.deletions.forget_waiting();
                tracing::info!(server = self.server, "registered with the engine");
                if self.ending.has_begun() {
                    self.beat();
                }
            }
            Effect::Start(order) => self.start(*order, now),
            Effect::Order { key, order, reason } => {
                if let Some(control) = self.controls.get(&key) {
                    control.update(|contract| contract.order(order, &reason));
                }
            }
            Effect::Decide { key, at_length, decision } => {
                if let Some(control) = self.controls.get(&key) {
                    control.update(|contract| contract.decide(at_length, &decision));
                }
            }
            Effect::Delete(order) => self.deletions.push(order),
            Effect::Close { reconnect: true, reason } => {
                tracing::info!(reason, "the engine closes the session for now");
                self.state.disconnected();
                self.link = Link::Down(now + self.backoff.next());
            }
            Effect::Close { reconnect: false, reason } => {
                tracing::info!(reason, "the engine says goodbye");
                self.farewell = Some(reason);
                self.begin_end("the engine sent the agent away", now);
            }
        }
    }

    fn start(&mut self, order: StartAttempt, now: Instant) {
        let Some(key) = AttemptKey::from_wire(order.attempt.as_ref()) else { return };
        if self.ending.has_begun() {
            self.state.push_exit(key, ExitCause::AgentLost, "the agent shuts down".to_owned(), now);
            return;
        }
        let control = Arc::new(Control::new(attempt::contract(&order)));
        self.controls.insert(key, Arc::clone(&control));
        let life = attempt::live(Arc::clone(&self.node), key, order, control, self.reporters.reporter(key));
        let id = self.attempts.spawn(life).id();
        self.ids.insert(id, key);
    }

    fn attempt_ended(&mut self, ended: Result<(Id, ()), JoinError>, now: Instant) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(key) = self.ids.remove(&id) else { return };
        self.controls.remove(&key);
        if let Err(error) = ended {
            tracing::error!(attempt = %key, %error, "an attempt broke off");
            self.state.push_exit(key, ExitCause::AgentLost, format!("the agent's own error: {error}"), now);
        }
    }

    fn tick(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(order) = self.ending.advance(now) {
            self.order_all(order, "the agent shuts down");
        }
        match self.link.due(now) {
            Due::Heartbeat => self.beat(),
            Due::Late => {
                return self
                    .lose(&Status::deadline_exceeded("the engine did not answer the registration"), now);
            }
            Due::Nothing => {}
        }
        Ok(())
    }

    fn begin_end(&mut self, reason: &str, now: Instant) {
        if let Some(order) = self.ending.begin(now) {
            // At once, so that what ends now is not given back to this agent.
            self.beat();
            self.order_all(order, reason);
        }
    }

    fn beat(&mut self) {
        let draining = self.ending.has_begun();
        self.link.send(message(agent_message::Kind::Heartbeat(Heartbeat { draining })));
    }

    fn order_all(&self, order: Order, reason: &str) {
        for control in self.controls.values() {
            control.update(|contract| contract.order(order, reason));
        }
    }
}

/// Waits for the moment; for ever without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}
