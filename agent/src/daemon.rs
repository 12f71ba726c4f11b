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
    flag::raised,
    identity::{AttemptKey, random_bits},
    keeping::Keeping,
    report::{AttemptLine, Credited, Inbox, Reporters, Will},
    session::{
        Effect, SessionState,
        backoff::Backoff,
        connection::EngineClient,
        link::{Arrival, Due, Link},
        state::{Identity, message},
    },
    spool::{Spool, directory::Directory},
};
use std::{
    collections::HashMap,
    future::pending,
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

enum Input {
    Shutdown,
    Link(Arrival),
    Event(Credited<AttemptEvent>),
    Will(Will),
    Line(Credited<AttemptLine>),
    AttemptEnded(Result<(Id, ()), JoinError>),
    Deleted(CheckpointsDeleted),
    /// A heartbeat, a batch, another try to write or a stage of the end is due.
    Tick,
}

/// The event loop's state.
pub(crate) struct Daemon {
    server: String,
    /// Bytes of events in memory.
    window: usize,
    client: EngineClient,
    node: Arc<Node>,
    identity: Identity,
    state: SessionState,
    keeping: Keeping<Directory>,
    reporters: Reporters,
    inbox: Inbox,
    controls: HashMap<AttemptKey, Arc<Control>>,
    attempts: JoinSet<()>,
    /// Closed when the attempt has ended.
    ends: HashMap<AttemptKey, watch::Receiver<()>>,
    ids: HashMap<Id, AttemptKey>,
    deletions: Deletions,
    link: Link,
    backoff: Backoff,
    /// Said once that it waits for the engine.
    waits: bool,
    ending: Ending,
    /// Why the engine does not want this agent back.
    farewell: Option<String>,
    /// The engine is another one: when all attempts have ended, everything begins anew.
    moving: bool,
}

impl Daemon {
    /// A daemon that is about to connect.
    pub(crate) fn new(
        options: &Options,
        client: EngineClient,
        node: Node,
        identity: Identity,
        state: SessionState,
        spool: Spool<Directory>,
    ) -> Self {
        let (reporters, inbox) = Reporters::new(options.spool_bytes, options.log_bytes);
        let deletions = Deletions::new(node.layout.clone(), Arc::clone(&node.remote));
        Self {
            server: options.server.clone(),
            window: options.spool_bytes,
            client,
            node: Arc::new(node),
            identity,
            state,
            keeping: Keeping::new(spool),
            reporters,
            inbox,
            controls: HashMap::new(),
            attempts: JoinSet::new(),
            ends: HashMap::new(),
            ids: HashMap::new(),
            deletions,
            link: Link::Down(Instant::now()),
            backoff: Backoff::new(),
            waits: false,
            ending: Ending::new(options.drain_timeout),
            farewell: None,
            moving: false,
        }
    }

    /// Runs until the end.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) -> Result<(), Error> {
        loop {
            let input = self.input(&mut shutdown).await;
            let now = Instant::now();
            self.handle(input, now)?;
            self.keeping.settle(&mut self.state, &self.link, now);
            if self.moving && self.attempts.is_empty() && self.inbox.events.is_empty() {
                self.begin_anew(now)?;
            }
            if self.attempts.is_empty() {
                self.ending.all_ended(now);
            }
            if self.ending.has_begun() && self.has_said_everything() {
                break;
            }
            if self.ending.is_over(now) {
                let attempts = self.attempts.len();
                tracing::warn!(attempts, "ending; what the engine has not acknowledged stays in the spool");
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
        let accepts = self.keeping.accepts();
        let due = [
            self.ending.stage_end(),
            self.link.due_at(),
            // While the spool cannot be written nothing can be sent either.
            self.keeping.due_at().or_else(|| self.state.due_at()),
        ];
        let due = due.into_iter().flatten().min();
        tokio::select! {
            // Without a sender nobody can ask for the end any more: end.
            () = raised(shutdown), if !ending => Input::Shutdown,
            arrival = self.link.arrival() => Input::Link(arrival),
            Some(event) = self.inbox.events.recv(), if accepts => Input::Event(event),
            Some(will) = self.inbox.wills.recv(), if accepts => Input::Will(will),
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
            Input::Will(will) => self.state.push_will(will),
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
        self.disconnected();
        if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) && self.controls.is_empty()
        {
            let (server, message) = (self.server.clone(), status.message().to_owned());
            return Err(Error::Refused { server, message });
        }
        let wait = if self.farewell.is_some() || self.moving { NEVER } else { self.backoff.next() };
        self.link = Link::Down(now + wait);
        if !self.waits && self.farewell.is_none() {
            tracing::warn!(server = self.server, reason = status.message(), "waiting for the engine");
            self.waits = true;
        }
        Ok(())
    }

    fn disconnected(&mut self) {
        self.state.disconnected();
        self.keeping.disconnected();
    }

    /// Everything of the former engine has ended: nothing of it is sent to this one.
    fn begin_anew(&mut self, now: Instant) -> Result<(), Error> {
        self.moving = false;
        self.identity.instance = format!("{:016x}", random_bits());
        let path = self.node.layout.spool();
        let begun = self.keeping.begin_anew(&self.identity.instance, self.state.engine());
        begun.map_err(|source| Error::StateDirectory { action: "begin anew in", path, source })?;
        self.state = SessionState::new(self.identity.clone(), self.window);
        self.link = Link::Down(now);
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
            Effect::Decide { key, at_length, decision, may_refuse } => {
                if let Some(control) = self.controls.get(&key) {
                    control.update(|contract| contract.decide(at_length, &decision, may_refuse));
                }
            }
            Effect::OtherEngine => {
                tracing::warn!(
                    server = self.server,
                    "this is another engine than before: what runs for the former one is ended"
                );
                self.moving = true;
                self.order_all(Order::Kill, "the engine was replaced by another");
                self.disconnected();
                self.link = Link::Down(now + NEVER);
            }
            Effect::Delete(order) => self.deletions.push(order),
            Effect::Close { reconnect: true, reason } => {
                tracing::info!(reason, "the engine closes the session for now");
                self.disconnected();
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
        let former = self.end_former(key);
        let life = attempt::live(Arc::clone(&self.node), key, order, control, self.reporters.reporter(key));
        let (alive, ended) = watch::channel(());
        let id = self.attempts.spawn(async move {
            let _alive = alive;
            for mut former in former {
                // Ends with an error when the other has ended.
                while former.changed().await.is_ok() {}
            }
            life.await;
        });
        self.ends.insert(key, ended);
        self.ids.insert(id.id(), key);
    }

    /// Kills what runs of older attempts of the trial; what closes when they have ended. Never two at once.
    fn end_former(&self, key: AttemptKey) -> Vec<watch::Receiver<()>> {
        let older = |other: &AttemptKey| {
            (other.experiment, other.trial) == (key.experiment, key.trial) && other.attempt < key.attempt
        };
        let former = self.ends.iter().filter(|(other, _)| older(other));
        former
            .map(|(other, ended)| {
                if let Some(control) = self.controls.get(other) {
                    let reason = format!("attempt {} of the trial starts here", key.attempt);
                    control.update(|contract| contract.order(Order::Kill, &reason));
                }
                ended.clone()
            })
            .collect()
    }

    fn attempt_ended(&mut self, ended: Result<(Id, ()), JoinError>, now: Instant) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(key) = self.ids.remove(&id) else { return };
        self.controls.remove(&key);
        self.ends.remove(&key);
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
