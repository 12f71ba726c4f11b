//! What a person may choose about an agent.

use std::{fmt, path::PathBuf, time::Duration};

/// Options of [`crate::run()`].
#[derive(Clone)]
pub struct Options {
    /// The engine: `http://host:port` or `https://host:port`.
    pub server: String,
    /// Bearer token of the engine; never logged, never given to trials.
    pub token: Option<String>,
    /// PEM file with the CA of an `https` engine; `None`: the system's.
    pub tls_ca: Option<PathBuf>,
    /// Name of this agent, stable over restarts; default: the host's name.
    pub name: Option<String>,
    /// Where models, environments, checkpoints, working directories and the spool lie. One agent at a time uses it.
    pub state_dir: PathBuf,
    /// Where Python environments lie, if not below `state_dir`: they serve every agent of the node.
    pub environments_dir: Option<PathBuf>,
    /// This many CPU slots instead of what the node has.
    pub slots: Option<u32>,
    /// At shutdown: time from the preempt signal to SIGTERM, and from SIGTERM to SIGKILL.
    pub drain_timeout: Duration,
    /// Bytes of unacknowledged reports kept in memory; those beyond are read back from the spool.
    pub spool_bytes: usize,
    /// Bytes of output lines kept of one attempt; what it prints beyond is counted and dropped.
    pub log_bytes: u64,
    /// Bytes of the spool on disk beyond which trials that report wait, at least 1 MiB.
    pub spool_limit: u64,
}

impl Options {
    /// Options for the engine at `server` with the given state directory and defaults for the rest.
    pub fn new(server: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self { server: server.into(), state_dir: state_dir.into(), ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server: "http://127.0.0.1:7070".to_owned(),
            token: None,
            tls_ca: None,
            name: None,
            state_dir: PathBuf::from(".toprung/agent"),
            environments_dir: None,
            slots: None,
            drain_timeout: Duration::from_secs(10),
            spool_bytes: 32 << 20,
            log_bytes: 1 << 30,
            spool_limit: 4 << 30,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("server", &self.server)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("tls_ca", &self.tls_ca)
            .field("name", &self.name)
            .field("state_dir", &self.state_dir)
            .field("environments_dir", &self.environments_dir)
            .field("slots", &self.slots)
            .field("drain_timeout", &self.drain_timeout)
            .field("spool_bytes", &self.spool_bytes)
            .field("log_bytes", &self.log_bytes)
            .field("spool_limit", &self.spool_limit)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_token() {
        let options = Options { token: Some("hush".to_owned()), ..Options::default() };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
