//! The errors of the engine.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be opened, read or written.
    #[error(transparent)]
    Store(#[from] toprung_store::Error),
    /// Another program listens there. Stop it, or choose another address.
    #[error(
        "cannot listen on {address}: another program uses this port; stop it or choose another with --listen"
    )]
    PortInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Listening beyond this host needs TLS, or the explicit wish to go without.
    #[error(
        "{address} is reachable from other hosts: give a certificate and key for TLS, or allow plain text explicitly"
    )]
    PlainText {
        /// The address.
        address: SocketAddr,
    },
    /// A file of the data directory or of TLS cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The server cannot start.
    #[error("cannot start the server: {reason}")]
    Server {
        /// Why.
        reason: String,
    },
    /// An actor cannot start.
    #[error("cannot start the engine: {0}")]
    Spawn(#[from] ractor::SpawnErr),
    /// An actor does not answer.
    #[error(transparent)]
    Unavailable(#[from] crate::actors::Unavailable),
    /// An experiment cannot be run by this version.
    #[error("experiment {experiment} cannot be loaded: {reason}")]
    Unusable {
        /// The experiment.
        experiment: u64,
        /// Why.
        reason: String,
    },
    /// A replay decides otherwise than the journal says.
    #[error(transparent)]
    Diverged(#[from] crate::experiment::machine::Diverged),
    /// A record of the store cannot be decoded.
    #[error("a stored {what} cannot be read: {reason}")]
    Unreadable {
        /// Which record.
        what: &'static str,
        /// Why.
        reason: String,
    },
}
