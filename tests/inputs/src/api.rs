//! A whole engine, and calls with anything in them over gRPC.
//!
//! One engine serves all runs of a process. After each run it must still answer, and no actor may have failed.

use crate::experiments::{decision, file};
use crate::generated;
use crate::words::{number, small, text};
use arbitrary::{Result, Unstructured};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use toprung_engine::{Engine, Options};
use toprung_proto::v1::agent_service_client::AgentServiceClient;
use toprung_proto::v1::search_service_client::SearchServiceClient;
use toprung_proto::v1::{self, agent_message};

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// Calls of one run, at most.
const CALLS: usize = 12;
/// Messages of one agent's session, at most.
const MESSAGES: usize = 12;

#[derive(Clone)]
struct Token(MetadataValue<Ascii>);

impl tonic::service::Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

type Transport = InterceptedService<Channel, Token>;

struct World {
    runtime: Runtime,
    engine: Engine,
    search: SearchServiceClient<Transport>,
    agents: AgentServiceClient<Transport>,
    _directory: tempfile::TempDir,
}

fn world() -> World {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path().to_owned());
    options.publish = false;
    options.lease = Duration::from_secs(1);
    let engine = runtime.block_on(Engine::start(options)).unwrap();
    let token = Token(format!("Bearer {}", engine.token()).parse().unwrap());
    let endpoint = Endpoint::from_shared(engine.url().to_owned()).unwrap();
    let channel = runtime.block_on(endpoint.connect()).unwrap();
    let search = SearchServiceClient::with_interceptor(channel.clone(), token.clone());
    let agents = AgentServiceClient::with_interceptor(channel, token);
    World { runtime, engine, search, agents, _directory: directory }
}

/// Calls of both services with arbitrary requests.
pub fn api(bytes: &[u8]) {
    static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
    let world = WORLD.get_or_init(|| Mutex::new(world()));
    let world = world.lock().unwrap_or_else(PoisonError::into_inner);
    let mut u = Unstructured::new(bytes);
    world.runtime.block_on(async {
        for _ in 0..CALLS {
            if u.is_empty() {
                break;
            }
            let answer = timeout(DEADLINE, call(&world, &mut u)).await;
            match answer.expect("a call has no end") {
                // What is left to generate from is empty.
                Err(_) => break,
                Ok(code) => assert!(!matches!(code, Code::Internal | Code::Unknown), "{code:?}"),
            }
        }
        let mut search = world.search.clone();
        let alive = timeout(DEADLINE, search.list_experiments(v1::ListExperimentsRequest::default()));
        alive.await.expect("the engine does not answer").unwrap();
        let failed = timeout(Duration::from_millis(1), world.engine.failed()).await;
        assert!(failed.is_err(), "an actor has failed: {failed:?}");
    });
}

fn code<T>(answer: std::result::Result<T, Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

async fn call(world: &World, u: &mut Unstructured<'_>) -> Result<Code> {
    let mut search = world.search.clone();
    let id = if u.ratio(1, 4)? { number(u)? } else { u.int_in_range(1..=4)? };
    Ok(match u.int_in_range(0..=16)? {
        0 => {
            let request = v1::CreateExperimentRequest {
                config_yaml: file(u)?,
                config_file: text(u)?,
                model_archive: u.bytes(u.len().min(4))?.to_vec(),
                request_id: text(u)?,
                source_experiment: if u.ratio(1, 3)? { id } else { 0 },
                overrides: generated::some(u, text)?,
                continue_source: u.ratio(1, 4)?,
            };
            code(search.create_experiment(request).await)
        }
        1 => {
            let request = v1::PreviewExperimentRequest {
                config_yaml: file(u)?,
                config_file: text(u)?,
                samples: small(u)?,
            };
            code(search.preview_experiment(request).await)
        }
        2 => code(search.get_experiment(v1::GetExperimentRequest { id }).await),
        3 => {
            let request = v1::ListExperimentsRequest { limit: small(u)?, page_token: text(u)? };
            code(search.list_experiments(request).await)
        }
        4 => code(search.pause_experiment(v1::PauseExperimentRequest { id }).await),
        5 => code(search.resume_experiment(v1::ResumeExperimentRequest { id }).await),
        6 => code(search.kill_experiment(v1::KillExperimentRequest { id }).await),
        7 => code(
            search.delete_experiment(v1::DeleteExperimentRequest { id, keep_checkpoints: id % 2 == 0 }).await,
        ),
        8 => {
            let request = v1::ListTrialsRequest {
                experiment: id,
                after: small(u)?,
                limit: small(u)?,
                best_first: u.arbitrary()?,
            };
            code(search.list_trials(request).await)
        }
        9 => code(search.get_trial(v1::GetTrialRequest { experiment: id, trial: small(u)? }).await),
        10 => {
            let request = v1::ListCheckpointsRequest { experiment: id, trial: Some(small(u)?) };
            code(search.list_checkpoints(request).await)
        }
        11 => code(search.list_agents(v1::ListAgentsRequest {}).await),
        12 => {
            let (after, with_state) = (number(u)?, u.arbitrary()?);
            let request =
                v1::ListenRequest { experiment: id, after, max_wait_ms: small(u)? % 20, with_state };
            code(search.listen(request).await)
        }
        13..=14 => code(search.decide(v1::DecideRequest { experiment: id, ..decision(u)? }).await),
        _ => session(world, u).await?,
    })
}

/// A session of an agent, until the engine ends it or everything is said.
async fn session(world: &World, u: &mut Unstructured<'_>) -> Result<Code> {
    let mut messages = Vec::new();
    if u.ratio(7, 8)? {
        let kind = agent_message::Kind::Register(generated::register(u)?);
        messages.push(v1::AgentMessage { kind: Some(kind) });
    }
    for _ in 0..MESSAGES {
        messages.push(generated::message(u)?);
    }
    let mut agents = world.agents.clone();
    let opened = agents.session(tokio_stream::iter(messages)).await;
    let mut answers = match opened {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Ok(status.code()),
    };
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Code::Ok),
            Err(status) => return Ok(status.code()),
        }
    }
}
