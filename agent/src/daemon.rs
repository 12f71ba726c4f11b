//! The event loop of the agent: one task that owns the session's state and acts on what it decides.
//!
//! It never waits for an attempt or for the engine while there is something else to do; what it sends goes into a queue
//! that is larger than what may be in flight.

use crate::{
    Error, Options,
    attempt::{self, Node},
    contract::{Control, Order},
    environment::Environments,
    flag::raised,
    identity::{AttemptKey, host_name, random_bits},
    layout::Layout,
    model::Models,
    orphans::Ledger,
    python_package,
    report::{Inbox, Reporters},
    session::{
        Effect, SessionState,
        backoff::Backoff,
        connection::{self, Connection, EngineClient},
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
use toprung_proto::v1::{EngineMessage, ExitCause, Heartbeat, agent_message};

/// How long the engine may take to answer `Register`.
const REGISTERING: Duration = Duration::from_secs(10);
/// How long the last words may take after all attempts have ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Longer than any end takes.
const NEVER: Duration = Duration::from_hours(24);

/// Runs the agent until `shutdown` becomes true, its sender is gone, or the engine says goodbye for good.
///
/// At the end attempts are asked to save, then get SIGTERM, then SIGKILL (see [`Options::drain_timeout`]), and their
/// exits are sent if the engine can be reached. Losing the engine is no error: the agent connects again, for ever.
pub async fn run(options: Options, shutdown: watch::Receiver<bool>) -> Result<(), Error> {
    let client = connection::client(&options)?;
    let instance = format!("{:016x}", random_bits());
    let layout = Layout::create(&options.state_dir, &instance)?;
    let ledger = Arc::new(Ledger::open(&layout)?);
    let slots = slots::detect_slots(options.slots);
    let node = Node {
        python_package: python_package::install(&layout)?,
        models: Models::new(client.clone(), &layout),
        environments: Environments::new(&layout, Arc::clone(&ledger)),
        slots: slots.clone(),
        cores: slots::cores(),
        sockets: socket_directory()?,
        ledger: Arc::clone(&ledger),
        layout: layout.clone(),
    };
    let host = host_name();
    let agent = options.name.clone().unwrap_or_else(|| host.clone());
    let state = SessionState::new(Identity { agent, instance: instance.clone(), host, slots });
    let (reporters, inbox) = Reporters::new(options.spool_bytes);
    let daemon = Daemon {
        options,
        client,
        node: Arc::new(node),
        state,
        reporters,
        inbox,
        controls: HashMap::new(),
        attempts: JoinSet::new(),
        ids: HashMap::new(),
        link: Link::Down { until: Instant::now() },
        backoff: Backoff::new(),
        waits: false,
        stage: None,
        farewell: false,
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

/// The connection to the engine.
enum Link {
    Down { until: Instant },
    Opening(tokio::task::JoinHandle<Result<Connection, Status>>),
    Up { connection: Box<Connection>, since: Instant, heartbeat: Option<(Duration, Instant)> },
}

/// How far the end has come: orders of growing strength, and then no more waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Order(Order),
    LastWords,
}

enum Input {
    Shutdown,
    StageOver,
    TimeToConnect,
    Opened(Result<Connection, Status>),
    Engine(Result<Option<EngineMessage>, Status>),
    Event(crate::report::Credited<toprung_proto::v1::AttemptEvent>),
    Line(crate::report::Credited<crate::report::AttemptLine>),
    AttemptEnded(Result<(Id, ()), JoinError>),
    Tick,
}

struct Daemon {
    options: Options,
    client: EngineClient,
    node: Arc<Node>,
    state: SessionState,
    reporters: Reporters,
    inbox: Inbox,
    controls: HashMap<AttemptKey, Arc<Control>>,
    attempts: JoinSet<()>,
    ids: HashMap<Id, AttemptKey>,
    link: Link,
    backoff: Backoff,
    /// Said once that it waits for the engine.
    waits: bool,
    /// Set from the shutdown on: the stage and its end.
    stage: Option<(Stage, Instant)>,
    /// The engine does not want this agent back.
    farewell: bool,
}

impl Daemon {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) -> Result<(), Error> {
        loop {
            let input = self.input(&mut shutdown).await;
            self.handle(input)?;
            self.transmit();
            self.settle();
            if self.stage.is_some() && self.has_said_everything() {
                break;
            }
            if let Some((Stage::LastWords, until)) = self.stage
                && Instant::now() >= until
            {
                tracing::warn!(attempts = self.attempts.len(), "ending without the engine's acknowledgement");
                break;
            }
        }
        self.close().await;
        Ok(())
    }

    fn has_said_everything(&self) -> bool {
        let nothing_waits = self.inbox.events.is_empty() && self.inbox.logs.is_empty();
        let nobody_listens = self.farewell && !matches!(self.link, Link::Up { .. });
        self.attempts.is_empty() && nothing_waits && (self.state.is_drained() || nobody_listens)
    }

    /// The attempts that are left are aborted: dropping them kills their groups.
    async fn close(&mut self) {
        if let Link::Opening(opening) = &self.link {
            opening.abort();
        }
        self.attempts.shutdown().await;
    }

    async fn input(&mut self, shutdown: &mut watch::Receiver<bool>) -> Input {
        let ending = self.stage.is_some();
        let stage_end = self.stage.map(|(_, end)| end);
        let tick = self.next_tick();
        tokio::select! {
            // A closed channel means that nobody can ask for the end any more: end.
            () = raised(shutdown), if !ending => Input::Shutdown,
            () = at(stage_end) => Input::StageOver,
            input = link_input(&mut self.link) => input,
            Some(event) = self.inbox.events.recv() => Input::Event(event),
            Some(line) = self.inbox.logs.recv() => Input::Line(line),
            Some(ended) = self.attempts.join_next_with_id() => Input::AttemptEnded(ended),
            () = at(tick) => Input::Tick,
        }
    }

    /// The next heartbeat, due batch or late registration.
    fn next_tick(&self) -> Option<Instant> {
        let Link::Up { since, heartbeat, .. } = &self.link else { return None };
        let link = heartbeat.map_or(*since + REGISTERING, |(_, next)| next);
        [Some(link), self.state.due_at()].into_iter().flatten().min()
    }

    fn handle(&mut self, input: Input) -> Result<(), Error> {
        let now = Instant::now();
        match input {
            Input::Shutdown => self.begin_end("the agent shuts down", now),
            Input::StageOver => self.next_stage(now),
            Input::TimeToConnect => self.connect(),
            Input::Opened(Ok(connection)) => {
                self.link = Link::Up { connection: Box::new(connection), since: now, heartbeat: None };
            }
            Input::Opened(Err(status)) => self.lose(&status, now)?,
            Input::Engine(Ok(Some(message))) => {
                for effect in self.state.on_engine(message, now) {
                    self.act(effect, now);
                }
            }
            Input::Engine(Ok(None)) => {
                self.lose(&Status::unavailable("the engine closed the session"), now)?;
            }
            Input::Engine(Err(status)) => self.lose(&status, now)?,
            Input::Event(event) => {
                self.state.push_event(event, now);
                while let Ok(event) = self.inbox.events.try_recv() {
                    self.state.push_event(event, now);
                }
            }
            Input::Line(line) => self.state.push_line(line, now),
            Input::AttemptEnded(ended) => self.attempt_ended(ended, now),
            Input::Tick => self.tick(now)?,
        }
        Ok(())
    }

    fn connect(&mut self) {
        let opening = connection::open(self.client.clone(), self.state.register());
        self.link = Link::Opening(tokio::spawn(opening));
    }

    /// The connection is gone or did not come about.
    fn lose(&mut self, status: &Status, now: Instant) -> Result<(), Error> {
        self.state.disconnected();
        if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) && self.controls.is_empty()
        {
            let (server, message) = (self.options.server.clone(), status.message().to_owned());
            return Err(Error::Refused { server, message });
        }
        let wait = if self.farewell { NEVER } else { self.backoff.next() };
        self.link = Link::Down { until: now + wait };
        if !self.waits {
            tracing::warn!(server = self.options.server, reason = status.message(), "waiting for the engine");
            self.waits = true;
        }
        Ok(())
    }

    fn act(&mut self, effect: Effect, now: Instant) {
        match effect {
            Effect::Opened { heartbeat: every } => {
                if let Link::Up { heartbeat, .. } = &mut self.link {
                    *heartbeat = Some((every, now + every));
                }
                self.backoff = Backoff::new();
                self.waits = false;
                tracing::info!(server = self.options.server, "registered with the engine");
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
            Effect::Close { reconnect: true, reason } => {
                tracing::info!(reason, "the engine closes the session for now");
                self.state.disconnected();
                self.link = Link::Down { until: now + self.backoff.next() };
            }
            Effect::Close { reconnect: false, reason } => {
                tracing::info!(reason, "the engine says goodbye");
                self.farewell = true;
                self.begin_end("the engine sent the agent away", now);
            }
        }
    }

    fn start(&mut self, order: toprung_proto::v1::StartAttempt, now: Instant) {
        let Some(key) = AttemptKey::from_wire(order.attempt.as_ref()) else { return };
        if self.stage.is_some() {
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
        let Link::Up { connection, since, heartbeat } = &mut self.link else { return Ok(()) };
        match heartbeat {
            Some((every, next)) if *next <= now => {
                *next = now + *every;
                // A full queue is a sign of life, too.
                let _ = connection.outbound.try_send(message(agent_message::Kind::Heartbeat(Heartbeat {})));
            }
            None if now >= *since + REGISTERING => {
                return self
                    .lose(&Status::deadline_exceeded("the engine did not answer the registration"), now);
            }
            _ => {}
        }
        Ok(())
    }

    fn transmit(&mut self) {
        let now = Instant::now();
        let Link::Up { connection, .. } = &mut self.link else { return };
        for message in self.state.outgoing(now) {
            if connection.outbound.try_send(message).is_err() {
                // The stream is gone; its end comes as the next input, and all of this is sent again.
                tracing::debug!("a batch found the stream closed");
            }
        }
    }

    fn begin_end(&mut self, reason: &str, now: Instant) {
        if self.stage.is_none() {
            self.order_all(Order::Preempt, reason);
            self.stage = Some((Stage::Order(Order::Preempt), now + self.options.drain_timeout));
        }
    }

    /// With no attempt left, only the last words are waited for.
    fn settle(&mut self) {
        if let Some((Stage::Order(_), _)) = self.stage
            && self.attempts.is_empty()
        {
            self.stage = Some((Stage::LastWords, Instant::now() + LAST_WORDS));
        }
    }

    fn next_stage(&mut self, now: Instant) {
        self.stage = match self.stage {
            Some((Stage::Order(Order::Preempt), _)) if !self.attempts.is_empty() => {
                self.order_all(Order::Stop, "the agent shuts down");
                Some((Stage::Order(Order::Stop), now + self.options.drain_timeout))
            }
            Some((Stage::Order(Order::Stop), _)) if !self.attempts.is_empty() => {
                self.order_all(Order::Kill, "the agent shuts down");
                Some((Stage::Order(Order::Kill), now + LAST_WORDS))
            }
            Some((Stage::Order(_), _)) => Some((Stage::LastWords, now + LAST_WORDS)),
            other => other,
        };
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

async fn link_input(link: &mut Link) -> Input {
    match link {
        Link::Down { until } => {
            sleep_until((*until).into()).await;
            Input::TimeToConnect
        }
        Link::Opening(opening) => {
            let opened = opening.await.unwrap_or_else(|error| Err(Status::internal(error.to_string())));
            Input::Opened(opened)
        }
        Link::Up { connection, .. } => Input::Engine(connection.inbound.message().await),
    }
}
