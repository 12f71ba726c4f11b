//! The port, and what is served on it.

use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use toprung_proto::v1::agent_service_server::AgentServiceServer;
use toprung_proto::v1::search_service_server::SearchServiceServer;

use super::agent::Agents;
use super::auth::Auth;
use super::search::Search;
use super::uploads::Uploads;
use crate::{Error, Tls};
use toprung_store::Health;

/// Calls and streams of one connection at once; a client's others wait on its side.
const MAX_STREAMS: u32 = 1_024;
/// Under this name the health service says whether the store takes writes. The services themselves serve while it does
/// not: reads go on.
pub const STORE: &str = "toprung.store";
/// Room for a message beside the model archive in it.
const MESSAGE_ROOM: usize = 8 << 20;

/// Serves until `stop` is told. The listener is bound already.
///
/// # Errors
/// TLS or reflection cannot be set up.
pub fn start(
    listener: TcpListener,
    tls: Option<&Tls>,
    auth: Auth,
    search: Search,
    agents: Agents,
    stop: oneshot::Receiver<()>,
) -> Result<tokio::task::JoinHandle<Result<(), tonic::transport::Error>>, Error> {
    let failed = |error: &dyn std::error::Error| Error::Server { reason: error.to_string() };
    let mut server = Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)));
    if let Some(tls) = tls {
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|source| Error::File {
                action: "read",
                path: path.to_owned(),
                source,
            })
        };
        let identity = Identity::from_pem(read(&tls.cert)?, read(&tls.key)?);
        server =
            server.tls_config(ServerTlsConfig::new().identity(identity)).map_err(|error| failed(&error))?;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(toprung_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| failed(&error))?;
    let (health, health_service) = tonic_health::server::health_reporter();
    let max_message = search.max_model_bytes + MESSAGE_ROOM;
    let (room, store) = (search.room.clone(), search.store.clone());
    let search_service = SearchServiceServer::new(search).max_decoding_message_size(max_message);
    let search_service = Uploads::new(search_service, room);
    let agent_service = AgentServiceServer::new(agents).max_decoding_message_size(MESSAGE_ROOM);
    let router = server
        .add_service(health_service)
        .add_service(InterceptedService::new(reflection, auth.clone()))
        .add_service(InterceptedService::new(search_service, auth.clone()))
        .add_service(InterceptedService::new(agent_service, auth));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(tokio::spawn(async move {
        health.set_serving::<SearchServiceServer<Search>>().await;
        health.set_serving::<AgentServiceServer<Agents>>().await;
        let watching = tokio::spawn(watch_store(store.watch_health(), health));
        drop(store);
        let stopped = async move {
            // A dropped sender stops the server too.
            let _told = stop.await;
        };
        let served = router.serve_with_incoming_shutdown(incoming, stopped).await;
        watching.abort();
        served
    }))
}

/// Keeps the health service up to date, as long as the store is there.
async fn watch_store(mut store: watch::Receiver<Health>, health: HealthReporter) {
    loop {
        let serving = match *store.borrow_and_update() {
            Health::Ok => ServingStatus::Serving,
            Health::Degraded { .. } => ServingStatus::NotServing,
        };
        health.set_service_status(STORE, serving).await;
        if store.changed().await.is_err() {
            return;
        }
    }
}
