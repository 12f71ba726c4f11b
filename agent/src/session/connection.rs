//! The gRPC channel to the engine and one stream over it.

use super::state::SEND_QUEUE;
use crate::{Error, Options};
use std::{path::Path, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use toprung_proto::v1::{AgentMessage, EngineMessage, agent_service_client::AgentServiceClient};

/// Longest wait for the engine to take a connection and open the stream.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection is tested this often, and given up when the test is not answered as long.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Adds the bearer token to every call.
#[derive(Clone)]
pub(crate) struct Authorization(Option<MetadataValue<Ascii>>);

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A client of the engine; connects when it is used and again after a loss.
pub(crate) type EngineClient = AgentServiceClient<InterceptedService<Channel, Authorization>>;

/// A client as the options say; does not connect yet.
pub(crate) fn client(options: &Options) -> Result<EngineClient, Error> {
    let unusable = |problem: String| Error::Address { address: options.server.clone(), problem };
    let secure = options.server.starts_with("https://");
    if !secure && !options.server.starts_with("http://") {
        return Err(unusable("it has no scheme".to_owned()));
    }
    let mut endpoint = Endpoint::from_shared(options.server.clone())
        .map_err(|error| unusable(error.to_string()))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    if secure {
        let mut tls = ClientTlsConfig::new();
        tls = match &options.tls_ca {
            Some(path) => tls.ca_certificate(certificate(path)?),
            None => tls.with_native_roots(),
        };
        endpoint = endpoint.tls_config(tls).map_err(|error| unusable(error.to_string()))?;
    }
    let authorization = Authorization(bearer(options.token.as_deref())?);
    Ok(AgentServiceClient::with_interceptor(endpoint.connect_lazy(), authorization)
        .max_decoding_message_size(16 << 20))
}

fn certificate(path: &Path) -> Result<Certificate, Error> {
    let pem = std::fs::read(path).map_err(|source| Error::Certificate { path: path.to_owned(), source })?;
    Ok(Certificate::from_pem(pem))
}

fn bearer(token: Option<&str>) -> Result<Option<MetadataValue<Ascii>>, Error> {
    let Some(token) = token else { return Ok(None) };
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| Error::Token)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// One open stream. Dropping it ends the session.
pub(crate) struct Connection {
    /// Never waits: the session bounds what is in flight to less than the queue holds.
    pub(crate) outbound: mpsc::Sender<AgentMessage>,
    pub(crate) inbound: Streaming<EngineMessage>,
}

/// Opens the stream with `register` as its first message.
pub(crate) async fn open(mut client: EngineClient, register: AgentMessage) -> Result<Connection, Status> {
    let (outbound, queue) = mpsc::channel(SEND_QUEUE);
    outbound.try_send(register).map_err(|error| Status::internal(error.to_string()))?;
    let opening = client.session(ReceiverStream::new(queue));
    let response = timeout(CONNECT, opening)
        .await
        .map_err(|_| Status::deadline_exceeded("the engine did not answer in time"))??;
    Ok(Connection { outbound, inbound: response.into_inner() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(server: &str) -> String {
        client(&Options::new(server, "/tmp")).map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn addresses_are_checked() {
        assert!(problem("127.0.0.1:7070").contains("it has no scheme"));
        let mut unreadable = Options::new("https://engine:7070", "/tmp");
        unreadable.tls_ca = Some("/no/such.pem".into());
        assert!(matches!(client(&unreadable), Err(Error::Certificate { .. })));
        assert!(client(&Options::new("http://127.0.0.1:7070", "/tmp")).is_ok());
    }

    #[test]
    fn tokens_are_sent_but_not_shown() {
        let value = bearer(Some("hush")).unwrap().unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer hush");
        assert!(!format!("{value:?}").contains("hush"));
        assert!(matches!(bearer(Some("a\nb")), Err(Error::Token)));
    }
}
