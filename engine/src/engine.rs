//! The engine as a whole: what it is started with, in which order its parts come up, and how it ends.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use toprung_store::Store;

use crate::actors::collector::CollectorHandle;
use crate::actors::experiments::ExperimentsHandle;
use crate::actors::pool::PoolHandle;
use crate::actors::sessions::SessionsHandle;
use crate::actors::stop;
use crate::api::agent::Agents;
use crate::api::auth::{self, Auth};
use crate::api::backup::Backups;
use crate::api::search::Search;
use crate::api::server;
use crate::cores::Roster;
use crate::publish::{Published, Server};
use crate::{Error, archive, load};

/// How long open calls may go on while the engine ends.
const LAST_CALLS: Duration = Duration::from_secs(2);
/// Summaries read at a time when looking for experiments that have not ended.
const PAGE: usize = 1_000;

/// Certificate and key, PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, with its chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its state lives.
    pub data_dir: PathBuf,
    /// Where it listens; port 0: any free one.
    pub listen: SocketAddr,
    /// TLS, needed beyond loopback.
    pub tls: Option<Tls>,
    /// Listen beyond loopback without TLS (for example behind a proxy that speaks it).
    pub plain_text: bool,
    /// Write the files by which programs on this host find it.
    pub publish: bool,
    /// Largest model archive, in bytes.
    pub max_model_bytes: usize,
    /// Experiments that have not ended, at most: each has an actor and its trials in memory.
    pub max_active_experiments: usize,
    /// Silence after which an agent is lost.
    pub lease: Duration,
}

impl Options {
    /// Loopback, any free port.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            tls: None,
            plain_text: false,
            publish: true,
            max_model_bytes: 100 << 20,
            max_active_experiments: 10_000,
            lease: Duration::from_secs(30),
        }
    }
}

/// A running engine.
pub struct Engine {
    url: String,
    token: String,
    root: ActorRef<()>,
    failure: watch::Receiver<Option<String>>,
    experiments: ExperimentsHandle,
    sessions: SessionsHandle,
    pool: PoolHandle,
    collector: CollectorHandle,
    store: Store,
    stop_server: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
    _published: Published,
}

impl Engine {
    /// Opens the store, loads what has not ended, and serves.
    ///
    /// # Errors
    /// The data directory is in use or damaged, the port is taken, or TLS is missing where it is needed.
    pub async fn start(options: Options) -> Result<Self, Error> {
        if !options.listen.ip().is_loopback() && options.tls.is_none() && !options.plain_text {
            return Err(Error::PlainText { address: options.listen });
        }
        let listener = bind(options.listen).await?;
        let address =
            listener.local_addr().map_err(|source| Error::Listen { address: options.listen, source })?;
        let (store, token, identity) = open(options.data_dir.clone()).await?;

        let (failed, failure) = watch::channel(None);
        let (root, _) = Actor::spawn(None, Root, failed).await?;
        let Scan { last, unfinished, collecting, deleted, roster } = scan(store.clone()).await?;
        let collector = CollectorHandle::start(store.clone(), root.get_cell()).await?;
        let pool = PoolHandle::start(root.get_cell()).await?;
        let sessions =
            SessionsHandle::start(options.lease, identity, store.clone(), roster, root.get_cell()).await?;
        let experiments = ExperimentsHandle::start(store.clone(), last + 1, root.get_cell()).await?;
        sessions.wire(pool.clone(), experiments.clone(), collector.clone());
        experiments.wire(pool.clone(), sessions.clone(), collector.clone());
        collector.wire(sessions.clone());
        collector.resume(&unfinished, &collecting);
        collector.deleted_experiment(deleted);
        experiments.load(unfinished).await?;

        let search = Search::new(
            store.clone(),
            experiments.clone(),
            pool.clone(),
            sessions.clone(),
            collector.clone(),
            &options,
        );
        let agents =
            Agents { sessions: sessions.clone(), collector: collector.clone(), store: store.clone() };
        let (stop_server, stop) = oneshot::channel();
        let server = server::start(listener, options.tls.as_ref(), Auth::new(&token), search, agents, stop)?;
        let (url, published) = publish(&options, address, &token)?;
        tracing::info!(url, "engine serves");
        Ok(Self {
            url,
            token,
            root,
            failure,
            experiments,
            sessions,
            pool,
            collector,
            store,
            stop_server,
            server,
            _published: published,
        })
    }

    /// Where it is reached, for example `http://127.0.0.1:7070`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token for its calls.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns, with the reason, when a part of the engine has failed that cannot be started again.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        loop {
            if let Some(reason) = failure.borrow_and_update().clone() {
                return reason;
            }
            if failure.changed().await.is_err() {
                // The root ends only with the engine itself.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits, at most so long, until the connected agents have removed the checkpoints that they were told to remove.
    /// What is left is taken up at the next start.
    pub async fn collected(&self, longest: Duration) {
        if !self.collector.at_rest(longest).await {
            tracing::info!(
                "checkpoints that nothing keeps are left; they are removed when the engine runs again"
            );
        }
    }

    /// Ends: agents are told to reconnect, snapshots are written. Experiments go on at the next start.
    ///
    /// # Errors
    /// A part does not answer; everything acknowledged is durable all the same.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.sessions.end_all("the engine ends");
        let closed = self.experiments.close_all().await;
        // The server may have ended by itself.
        let _told = self.stop_server.send(());
        let mut server = self.server;
        if tokio::time::timeout(LAST_CALLS, &mut server).await.is_err() {
            // Streams that somebody still reads would go on for ever.
            server.abort();
        }
        self.experiments.stop().await;
        self.sessions.stop().await;
        self.pool.stop().await;
        self.collector.stop().await;
        stop(&self.root).await;
        // The lock of the data directory is free when this returns.
        let closed_by = tokio::time::Instant::now() + LAST_CALLS;
        while self.store.handles() > 1 && tokio::time::Instant::now() < closed_by {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(closed?)
    }
}

/// Where it is reached, written down for programs on this host if they are to find it.
fn publish(options: &Options, address: SocketAddr, token: &str) -> Result<(String, Published), Error> {
    let tls = options.tls.is_some();
    let scheme = if tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", reachable(address, tls));
    if !options.publish {
        return Ok((url, Published::default()));
    }
    let server = Server { url: url.clone(), token: token.to_owned(), pid: std::process::id() };
    let published = Published::write(&options.data_dir, address, &server)?;
    Ok((url, published))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => Error::PortInUse { address },
        _ => Error::Listen { address, source },
    })
}

/// An address by which programs on this host reach the engine: never "any address", and for TLS a name that a
/// certificate can carry.
fn reachable(address: SocketAddr, tls: bool) -> String {
    let port = address.port();
    match address.ip() {
        ip if tls && (ip.is_loopback() || ip.is_unspecified()) => format!("localhost:{port}"),
        IpAddr::V4(ip) if ip.is_unspecified() => format!("127.0.0.1:{port}"),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("[::1]:{port}"),
        _ => address.to_string(),
    }
}

/// Opens the store of a data directory; reads its token, and what tells it from others.
async fn open(data_dir: PathBuf) -> Result<(Store, String, String), Error> {
    let open = move || {
        create_private(&data_dir)?;
        let store = Store::open(&data_dir.join("store"), toprung_store::Options::default())?;
        // Only now: the lock of the store is ours.
        Backups::clean(&data_dir).map_err(|source| Error::File {
            action: "clear a backup in",
            path: data_dir.clone(),
            source,
        })?;
        let token = auth::token(&data_dir)?;
        let identity = load::identity(&store)?;
        Ok((store, token, identity))
    };
    tokio::task::spawn_blocking(open).await.map_err(|error| Error::Server { reason: error.to_string() })?
}

fn create_private(data_dir: &Path) -> Result<(), Error> {
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    created.map_err(|source| Error::File { action: "create", path: data_dir.to_owned(), source })
}

/// What a start has to take up.
struct Scan {
    /// The newest experiment's number.
    last: u64,
    /// Experiments that have not ended.
    unfinished: Vec<u64>,
    /// Experiments that have ended, and not all of their checkpoints are collected.
    collecting: Vec<u64>,
    /// Checkpoints of experiments that were deleted.
    deleted: crate::deleted::Notes,
    /// Agents that were ever here.
    roster: Roster,
}

async fn scan(store: Store) -> Result<Scan, Error> {
    let scan = move || {
        let deleted = crate::deleted::resume(&store)?;
        let (mut unfinished, mut collecting, mut before) = (Vec::new(), Vec::new(), None);
        let mut last = load::last_experiment(&store)?;
        loop {
            let page = archive::experiments(&store, before, PAGE)?;
            let Some(oldest) = page.last().map(|experiment| experiment.id) else { break };
            last = last.max(page[0].id);
            for found in &page {
                if found.ended_unix_ms == 0 {
                    unfinished.push(found.id);
                } else if found.collecting {
                    collecting.push(found.id);
                }
            }
            before = Some(oldest);
        }
        unfinished.reverse();
        let roster = Roster::load(&store)?;
        Ok(Scan { last, unfinished, collecting, deleted, roster })
    };
    tokio::task::spawn_blocking(scan).await.map_err(|error| Error::Server { reason: error.to_string() })?
}

/// The root supervisor. Its children hold no state that could be rebuilt alone: if one fails, the engine has failed.
struct Root;

impl Actor for Root {
    type Msg = ();
    type State = watch::Sender<Option<String>>;
    type Arguments = watch::Sender<Option<String>>;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        failed: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(failed)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        failed: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(_, error) = event {
            tracing::error!(%error, "a part of the engine failed");
            failed.send_replace(Some(error.to_string()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_is_reached_by_loopback() {
        let at = |address: &str, tls| reachable(address.parse().unwrap(), tls);
        assert_eq!(at("0.0.0.0:7070", false), "127.0.0.1:7070");
        assert_eq!(at("[::]:7070", false), "[::1]:7070");
        assert_eq!(at("0.0.0.0:7070", true), "localhost:7070");
        assert_eq!(at("10.1.2.3:7070", true), "10.1.2.3:7070");
        assert_eq!(at("127.0.0.1:7070", false), "127.0.0.1:7070");
    }
}
