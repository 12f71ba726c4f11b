//! Why the agent as a whole cannot start or go on. What goes wrong in one attempt is an `Exit` of it, not an error here.

use std::{io, path::PathBuf};

/// Why the agent ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server address cannot be used; correct it.
    #[error(
        "the server address `{address}` is not usable: {problem}; write http://host:port or https://host:port"
    )]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The CA certificate cannot be read; check the path.
    #[error("cannot read the CA certificate {path}: {source}")]
    Certificate {
        /// The path as given.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The token cannot be sent in a header; copy it again from the engine's data directory.
    #[error("the token holds characters that no token has; copy it again from `<data-dir>/token`")]
    Token,
    /// The state directory cannot be used; give another or correct its permissions.
    #[error("cannot use the state directory: {action} {path}: {source}")]
    StateDirectory {
        /// What was tried: `create`, `lock`, `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Another agent uses the state directory; give this one another, or end the other.
    #[error(
        "another agent{} uses the state directory {path}; end it, or give this one another --state-dir",
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other's process, if it is known.
        holder: Option<u32>,
    },
    /// Processes of trials of a former agent do not end; while they may run, their trials must not be started again.
    #[error(
        "processes of trials that a former agent left cannot be killed: {processes:?}; end them, then start the agent again"
    )]
    Leftovers {
        /// Their numbers.
        processes: Vec<i32>,
    },
    /// The engine does not accept this agent; usually a wrong token.
    #[error("the engine at {server} refused this agent: {message}; check the token")]
    Refused {
        /// The engine's address.
        server: String,
        /// The engine's words.
        message: String,
    },
    /// The engine does not want this agent any more, for example because another one took its name.
    #[error("the engine at {server} sent this agent away: {reason}")]
    SentAway {
        /// The engine's address.
        server: String,
        /// The engine's words.
        reason: String,
    },
}
