//! Talks to an engine: one typed call per question, each with a deadline and the token.
//!
//! Streams have a deadline for their beginning only; a dead connection is noticed by keep-alive.

mod asking;
mod directing;

use crate::errors::Error;
use crate::logging;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use toprung_proto::v1::{self, search_service_client::SearchServiceClient};

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// Uploading a model over a slow line takes its time.
const UPLOAD: Duration = Duration::from_mins(10);
/// How long a call is tried again that the engine does not take now.
const PATIENCE: Duration = Duration::from_mins(1);
/// No server makes us call without a pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The packed model and some room for the file and the framing.
const LARGEST_REQUEST: usize = 128 << 20;
/// A page of trials with their hyperparameters.
const LARGEST_ANSWER: usize = 64 << 20;

/// Adds the token to every call.
#[derive(Clone)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Service = SearchServiceClient<InterceptedService<Channel, Bearer>>;

/// A connection to an engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    service: Service,
    url: String,
}

impl Client {
    /// Connects. `tls_ca`: certificates to trust for https; none: the system's.
    pub(crate) async fn connect(
        url: &str,
        token: Option<&str>,
        tls_ca: Option<&Path>,
    ) -> Result<Self, Error> {
        let endpoint = endpoint(url, tls_ca)?;
        let unreachable = |cause: String| Error::Unreachable { url: url.to_owned(), cause };
        let channel = endpoint.connect().await.map_err(|error| unreachable(causes(&error)))?;
        let service = SearchServiceClient::with_interceptor(channel, Bearer(bearer(token)?))
            .max_encoding_message_size(LARGEST_REQUEST)
            .max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self { service, url: url.to_owned() })
    }

    /// The address it talks to.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn call<T>(
        &self,
        deadline: Duration,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Error::from_status(&self.url, &status)),
            Err(_) => Err(Error::Unreachable {
                url: self.url.clone(),
                cause: format!("no answer within {} s", deadline.as_secs()),
            }),
        }
    }

    /// Calls, and calls again when the engine says that it takes nothing now, after the time that it names and for a
    /// while. Only for calls that may come twice.
    async fn call_again<T, F>(&self, deadline: Duration, call: impl Fn(Service) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let give_up = Instant::now() + PATIENCE;
        let mut said = String::new();
        loop {
            let error = match self.call(deadline, call(self.service.clone())).await {
                Err(error) => error,
                answer => return answer,
            };
            let Error::Later { cause, after, .. } = &error else { return Err(error) };
            let after = (*after).clamp(SHORTEST_PAUSE, PATIENCE);
            if Instant::now() + after >= give_up {
                return Err(error);
            }
            if *cause != said {
                logging::say(&format!("{cause}; trying again for up to {} s", PATIENCE.as_secs()));
                said.clone_from(cause);
            }
            tokio::time::sleep(after).await;
        }
    }

    /// Starts a search; tried once more when the server is not available for a moment.
    pub(crate) async fn create(
        &self,
        request: v1::CreateExperimentRequest,
    ) -> Result<v1::CreateExperimentResponse, Error> {
        if request.request_id.is_empty() {
            return self.call(UPLOAD, self.service.clone().create_experiment(request)).await;
        }
        let create = |mut service: Service| {
            let request = request.clone();
            async move { service.create_experiment(request).await }
        };
        match self.call_again(UPLOAD, create).await {
            Err(error @ Error::Unreachable { .. }) => {
                tracing::info!(%error, "submitting again");
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.call_again(UPLOAD, create).await
            }
            other => other,
        }
    }

    /// What a search would do.
    pub(crate) async fn preview(
        &self,
        request: v1::PreviewExperimentRequest,
    ) -> Result<v1::PreviewExperimentResponse, Error> {
        self.call_again(ANSWER, |mut service| {
            let request = request.clone();
            async move { service.preview_experiment(request).await }
        })
        .await
    }

    /// One experiment with its configuration.
    pub(crate) async fn experiment(&self, id: u64) -> Result<v1::Experiment, Error> {
        let request = v1::GetExperimentRequest { id };
        let answer = self
            .call_again(ANSWER, |mut service| async move { service.get_experiment(request).await })
            .await?;
        self.present(answer.experiment)
    }

    /// The newest experiments.
    pub(crate) async fn experiments(&self, limit: u32) -> Result<v1::ListExperimentsResponse, Error> {
        let request = v1::ListExperimentsRequest { limit, page_token: String::new() };
        self.call_again(ANSWER, |mut service| {
            let request = request.clone();
            async move { service.list_experiments(request).await }
        })
        .await
    }

    /// A view at once and after each change.
    pub(crate) async fn watch(
        &self,
        id: u64,
        max_rate_hz: u32,
    ) -> Result<Streaming<v1::WatchExperimentResponse>, Error> {
        let request = v1::WatchExperimentRequest { id, max_rate_hz };
        self.call_again(ANSWER, |mut service| async move { service.watch_experiment(request).await }).await
    }

    /// Pauses; the answer comes when it is durable.
    pub(crate) async fn pause(&self, id: u64) -> Result<v1::Experiment, Error> {
        let request = v1::PauseExperimentRequest { id };
        let answer = self
            .call_again(ANSWER, |mut service| async move { service.pause_experiment(request).await })
            .await?;
        self.present(answer.experiment)
    }

    /// Goes on.
    pub(crate) async fn resume(&self, id: u64) -> Result<v1::Experiment, Error> {
        let request = v1::ResumeExperimentRequest { id };
        let answer = self
            .call_again(ANSWER, |mut service| async move { service.resume_experiment(request).await })
            .await?;
        self.present(answer.experiment)
    }

    /// Ends it.
    pub(crate) async fn kill(&self, id: u64) -> Result<v1::Experiment, Error> {
        let request = v1::KillExperimentRequest { id };
        let answer = self
            .call_again(ANSWER, |mut service| async move { service.kill_experiment(request).await })
            .await?;
        self.present(answer.experiment)
    }

    /// Removes it.
    pub(crate) async fn delete(
        &self,
        id: u64,
        keep_checkpoints: bool,
    ) -> Result<v1::DeleteExperimentResponse, Error> {
        let request = v1::DeleteExperimentRequest { id, keep_checkpoints };
        self.call_again(ANSWER, |mut service| async move { service.delete_experiment(request).await }).await
    }

    /// The checkpoints of an experiment, or of one trial.
    pub(crate) async fn checkpoints(
        &self,
        experiment: u64,
        trial: Option<u32>,
    ) -> Result<Vec<v1::Checkpoint>, Error> {
        let request = v1::ListCheckpointsRequest { experiment, trial };
        let answer =
            self.call_again(ANSWER, |mut service| async move { service.list_checkpoints(request).await });
        Ok(answer.await?.checkpoints)
    }

    /// A page of experiments, newest first.
    pub(crate) async fn experiments_from(
        &self,
        page_token: String,
    ) -> Result<v1::ListExperimentsResponse, Error> {
        let request = v1::ListExperimentsRequest { limit: 1_000, page_token };
        self.call_again(ANSWER, |mut service| {
            let request = request.clone();
            async move { service.list_experiments(request).await }
        })
        .await
    }

    /// A page of trials.
    pub(crate) async fn trials(
        &self,
        request: v1::ListTrialsRequest,
    ) -> Result<v1::ListTrialsResponse, Error> {
        self.call_again(ANSWER, |mut service| async move { service.list_trials(request).await }).await
    }

    /// One trial.
    pub(crate) async fn trial(&self, experiment: u64, trial: u32) -> Result<v1::Trial, Error> {
        let request = v1::GetTrialRequest { experiment, trial };
        let answer =
            self.call_again(ANSWER, |mut service| async move { service.get_trial(request).await }).await?;
        self.present(answer.trial)
    }

    /// Reports of trials.
    pub(crate) async fn reports(
        &self,
        request: v1::StreamReportsRequest,
    ) -> Result<Streaming<v1::StreamReportsResponse>, Error> {
        self.call_again(ANSWER, |mut service| async move { service.stream_reports(request).await }).await
    }

    /// Lines that trials wrote.
    pub(crate) async fn logs(
        &self,
        request: v1::StreamLogsRequest,
    ) -> Result<Streaming<v1::StreamLogsResponse>, Error> {
        self.call_again(ANSWER, |mut service| async move { service.stream_logs(request).await }).await
    }

    /// The agents it knows.
    pub(crate) async fn agents(&self) -> Result<v1::ListAgentsResponse, Error> {
        self.call_again(
            ANSWER,
            |mut service| async move { service.list_agents(v1::ListAgentsRequest {}).await },
        )
        .await
    }

    /// How the engine is.
    pub(crate) async fn status(&self) -> Result<v1::GetEngineStatusResponse, Error> {
        self.call(ANSWER, self.service.clone().get_engine_status(v1::GetEngineStatusRequest {})).await
    }

    /// A copy of the store, file by file. The engine makes it before it answers.
    pub(crate) async fn backup(&self) -> Result<Streaming<v1::BackupStoreResponse>, Error> {
        let backup =
            |mut service: Service| async move { service.backup_store(v1::BackupStoreRequest {}).await };
        self.call_again(UPLOAD, backup).await
    }

    /// Drains an agent; the answer comes when that is durable.
    pub(crate) async fn drain_agent(&self, name: String, reason: String) -> Result<v1::Agent, Error> {
        let request = v1::DrainAgentRequest { name, reason };
        let answer = self.call(ANSWER, self.service.clone().drain_agent(request)).await?;
        self.present(answer.agent)
    }

    /// Gives a drained agent work again.
    pub(crate) async fn undrain_agent(&self, name: String) -> Result<v1::Agent, Error> {
        let request = v1::UndrainAgentRequest { name };
        let answer = self.call(ANSWER, self.service.clone().undrain_agent(request)).await?;
        self.present(answer.agent)
    }

    /// The next item of a stream; `None`: it ended.
    pub(crate) async fn next<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>, Error> {
        stream.message().await.map_err(|status| Error::from_status(&self.url, &status))
    }

    fn present<T>(&self, part: Option<T>) -> Result<T, Error> {
        part.ok_or_else(|| Error::Server {
            url: self.url.clone(),
            cause: "an empty answer; is it an older version?".to_owned(),
        })
    }
}

fn bearer(token: Option<&str>) -> Result<Option<MetadataValue<Ascii>>, Error> {
    let Some(token) = token else { return Ok(None) };
    let mut value: MetadataValue<Ascii> =
        format!("Bearer {}", token.trim()).parse().map_err(|_| Error::Usage {
            message: "the token has characters that a token never has".to_owned(),
            help: "pass the content of the file `token` of the server's data directory".to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn endpoint(url: &str, tls_ca: Option<&Path>) -> Result<Endpoint, Error> {
    let wrong = |cause: String| Error::Usage {
        message: format!("{url} is not a server's URL: {cause}"),
        help: "write it like http://127.0.0.1:7070 or https://toprung.example.com:7070".to_owned(),
    };
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| wrong(causes(&error)))?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    if !url.starts_with("https://") {
        return Ok(endpoint);
    }
    let tls = match tls_ca {
        Some(path) => ClientTlsConfig::new().ca_certificate(certificate(path)?),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    endpoint.tls_config(tls).map_err(|error| wrong(causes(&error)))
}

fn certificate(path: &Path) -> Result<Certificate, Error> {
    let pem = std::fs::read(path).map_err(Error::io(format!("cannot read {}", path.display())))?;
    Ok(Certificate::from_pem(pem))
}

/// The error and what caused it, innermost last: tonic's own text says only "transport error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        source = cause.source();
    }
    if parts.len() > 1 && parts[0] == "transport error" {
        parts.remove(0);
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_meaning_is_refused() {
        assert!(matches!(endpoint("http://a b", None), Err(Error::Usage { .. })));
    }

    #[test]
    fn https_needs_certificates_that_exist() {
        let error = endpoint("https://h:1", Some(Path::new("/nowhere/ca.pem"))).err();
        assert!(error.is_some_and(|error| error.to_string().contains("/nowhere/ca.pem")));
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = Client::connect(&url, None, None).await.err().unwrap();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    }
}
