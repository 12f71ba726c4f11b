//! An engine in a temporary directory, clients for it, and an agent that does what the test says.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use toprung_engine::{Engine, Options};
use toprung_proto::v1::agent_service_client::AgentServiceClient;
use toprung_proto::v1::search_service_client::SearchServiceClient;
use toprung_proto::v1::{self, agent_message, attempt_event, engine_message};

/// Longest wait for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(crate) struct Token(String);

impl tonic::service::Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = MetadataValue::try_from(format!("Bearer {}", self.0)).unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

pub(crate) type Client = SearchServiceClient<InterceptedService<Channel, Token>>;

pub(crate) async fn engine(data_dir: &Path) -> Engine {
    let mut options = Options::new(data_dir.to_owned());
    options.publish = false;
    options.lease = Duration::from_secs(2);
    Engine::start(options).await.unwrap()
}

pub(crate) async fn channel(engine: &Engine) -> Channel {
    Endpoint::from_shared(engine.url().to_owned()).unwrap().connect().await.unwrap()
}

pub(crate) async fn client(engine: &Engine) -> Client {
    SearchServiceClient::with_interceptor(channel(engine).await, Token(engine.token().to_owned()))
}

/// The file of a search of `trials` trials, each `length` epochs.
pub(crate) fn random_search(trials: u32, length: u32) -> String {
    format!(
        "entrypoint: python train.py\nhyperparameters: {{rate: {{type: double, minval: 0, maxval: 1}}}}\n\
         searcher: {{name: random, metric: loss, max_trials: {trials}, max_length: {{epochs: {length}}}}}\n"
    )
}

pub(crate) async fn create(client: &mut Client, config_yaml: String) -> v1::Experiment {
    let request =
        v1::CreateExperimentRequest { config_yaml, model_archive: vec![1, 2, 3], ..Default::default() };
    client.create_experiment(request).await.unwrap().into_inner().experiment.unwrap()
}

/// Waits until the experiment is as wanted.
pub(crate) async fn until(
    client: &mut Client,
    id: u64,
    what: &str,
    wanted: impl Fn(&v1::Experiment) -> bool,
) -> v1::Experiment {
    let request = v1::WatchExperimentRequest { id, max_rate_hz: 60 };
    let watched = async {
        let mut stream = client.watch_experiment(request).await.unwrap().into_inner();
        loop {
            let seen = stream.message().await.unwrap().unwrap_or_else(|| panic!("ended before: {what}"));
            if let Some(experiment) = seen.experiment.filter(&wanted) {
                return experiment;
            }
        }
    };
    tokio::time::timeout(DEADLINE, watched).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Heartbeats while its agent lives.
struct Heart(tokio::task::JoinHandle<()>);

impl Heart {
    fn beat(outgoing: mpsc::Sender<v1::AgentMessage>) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(300));
            loop {
                ticks.tick().await;
                let beat =
                    v1::AgentMessage { kind: Some(agent_message::Kind::Heartbeat(v1::Heartbeat::default())) };
                if outgoing.send(beat).await.is_err() {
                    return;
                }
            }
        }))
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One connection of an agent.
pub(crate) struct Agent {
    outgoing: mpsc::Sender<v1::AgentMessage>,
    incoming: Streaming<v1::EngineMessage>,
    pub(crate) registered: v1::Registered,
    sequence: u64,
    _heart: Heart,
    /// Attempts that were told to start.
    pub(crate) started: BTreeMap<u32, v1::StartAttempt>,
}

impl Agent {
    pub(crate) async fn connect(
        engine: &Engine,
        name: &str,
        instance: &str,
        slots: u32,
        running: Vec<v1::AttemptId>,
    ) -> Self {
        let connected = async {
            // The engine may not have noticed yet that the last connection of this name is gone.
            loop {
                if let Ok(agent) = Self::try_connect(engine, name, instance, slots, running.clone()).await {
                    return agent;
                }
            }
        };
        tokio::time::timeout(DEADLINE, connected).await.expect("registered in time")
    }

    pub(crate) async fn try_connect(
        engine: &Engine,
        name: &str,
        instance: &str,
        slots: u32,
        running: Vec<v1::AttemptId>,
    ) -> Result<Self, Status> {
        Self::try_connect_for(engine, name, instance, slots, running, "").await
    }

    /// As an agent that was registered with `former`.
    pub(crate) async fn try_connect_for(
        engine: &Engine,
        name: &str,
        instance: &str,
        slots: u32,
        running: Vec<v1::AttemptId>,
        former: &str,
    ) -> Result<Self, Status> {
        let token = Token(engine.token().to_owned());
        let mut service = AgentServiceClient::with_interceptor(channel(engine).await, token);
        let (outgoing, receiver) = mpsc::channel(64);
        let slot = |index| v1::Slot { index, kind: v1::SlotKind::Cpu.into(), ..Default::default() };
        let register = v1::Register {
            agent: name.into(),
            // Unique among all agents, as that of a spool.
            instance: format!("{name}/{instance}"),
            slots: (0..slots).map(slot).collect(),
            running,
            engine: former.into(),
            ..Default::default()
        };
        let first = v1::AgentMessage { kind: Some(agent_message::Kind::Register(register)) };
        outgoing.send(first).await.unwrap();
        let mut incoming = service.session(ReceiverStream::new(receiver)).await?.into_inner();
        let first = incoming.message().await?.unwrap().kind;
        let Some(engine_message::Kind::Registered(registered)) = first else {
            panic!("not registered: {first:?}")
        };
        Ok(Self {
            _heart: Heart::beat(outgoing.clone()),
            outgoing,
            incoming,
            registered,
            sequence: 0,
            started: BTreeMap::new(),
        })
    }

    /// The next message of the engine.
    pub(crate) async fn next(&mut self) -> engine_message::Kind {
        let message =
            tokio::time::timeout(DEADLINE, self.incoming.message()).await.expect("a message in time");
        let kind = message.unwrap().expect("the stream goes on").kind.unwrap();
        if let engine_message::Kind::Start(start) = &kind {
            self.started.insert(start.attempt.unwrap().trial, start.clone());
        }
        kind
    }

    /// Waits for the next command to start an attempt.
    pub(crate) async fn start(&mut self) -> v1::StartAttempt {
        loop {
            if let engine_message::Kind::Start(start) = self.next().await {
                return start;
            }
        }
    }

    /// Waits for the acknowledgement of a batch.
    pub(crate) async fn acknowledged(&mut self, sequence: u64) {
        loop {
            if let engine_message::Kind::Ack(ack) = self.next().await
                && ack.sequence == sequence
            {
                return;
            }
        }
    }

    pub(crate) async fn say(&mut self, kind: agent_message::Kind) {
        self.outgoing.send(v1::AgentMessage { kind: Some(kind) }).await.unwrap();
    }

    pub(crate) async fn batch(&mut self, sequence: u64, events: Vec<v1::AttemptEvent>) {
        self.say(agent_message::Kind::Batch(v1::Batch { sequence, events })).await;
    }

    /// Sends events of one attempt as the next batch.
    pub(crate) async fn tell(&mut self, attempt: v1::AttemptId, kinds: Vec<attempt_event::Kind>) -> u64 {
        self.sequence += 1;
        let event = |kind| v1::AttemptEvent { attempt: Some(attempt), kind: Some(kind) };
        self.batch(self.sequence, kinds.into_iter().map(event).collect()).await;
        self.sequence
    }

    /// Runs whatever is asked until the experiment has no more to do: each trial reports 1 … `train_until`, and ends
    /// when it is told to.
    pub(crate) async fn work(mut self) {
        while let Ok(Some(message)) = self.incoming.message().await {
            match message.kind {
                Some(engine_message::Kind::Start(start)) => {
                    let attempt = start.attempt.unwrap();
                    let mut kinds = vec![started()];
                    kinds.extend(
                        (1..=start.train_until).map(|length| report(length, f64::from(attempt.trial))),
                    );
                    self.tell(attempt, kinds).await;
                }
                Some(engine_message::Kind::Decision(decided)) => {
                    let decision = decided.decision.unwrap();
                    if decision.kind() != v1::DecisionKind::Train {
                        self.tell(decided.attempt.unwrap(), vec![exit(v1::ExitCause::Requested)]).await;
                    }
                }
                Some(engine_message::Kind::Stop(stop)) => {
                    self.tell(stop.attempt.unwrap(), vec![exit(v1::ExitCause::Requested)]).await;
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn started() -> attempt_event::Kind {
    attempt_event::Kind::Started(v1::Started::default())
}

pub(crate) fn report(length: u64, value: f64) -> attempt_event::Kind {
    let metrics = vec![v1::Metric { name: "loss".into(), value }];
    let group = v1::MetricGroup::Validation.into();
    attempt_event::Kind::Report(v1::Report { group, length, metrics, time_unix_ms: 1 })
}

pub(crate) fn exit(cause: v1::ExitCause) -> attempt_event::Kind {
    attempt_event::Kind::Exit(v1::Exit { cause: cause.into(), message: "test".into(), ..Default::default() })
}
