//! Which engine answers: the named server, the one that runs for the data directory, or one inside this process.

use crate::args::Global;
use crate::client::Client;
use crate::discovery;
use crate::embed::Embedded;
use crate::errors::Error;
use std::path::Path;
use std::time::Duration;

/// A read command holds the store for moments only; a second one waits for it.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(200);
/// An engine on this machine answers at once or not at all.
const LOCAL_ANSWER: Duration = Duration::from_secs(3);

/// How the engine was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `--server`.
    Server,
    /// Another process runs the engine of this data directory.
    Discovered,
    /// It runs in this process and ends with it.
    Embedded,
}

/// What an engine in this process is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Look or change a state: no agent, nothing is published.
    Look,
    /// Serve programs that run trials themselves: no agent, but published, so that others may join.
    Host,
    /// Remove files of checkpoints: an agent without slots, nothing is published.
    Remove,
    /// Run trials with so many slots.
    Train {
        /// None: as many as the machine has.
        slots: Option<u32>,
    },
}

/// An engine to talk to. Must be closed with [`Session::close`].
pub(crate) struct Session {
    /// Talks to it.
    pub client: Client,
    /// How it was found.
    pub mode: Mode,
    embedded: Option<Embedded>,
}

impl Session {
    /// Ends what runs in this process; at most `grace` is waited for it.
    pub(crate) async fn close(self, grace: Duration) -> Result<(), Error> {
        match self.embedded {
            Some(embedded) => embedded.stop(grace).await,
            None => Ok(()),
        }
    }

    /// Whether the engine runs in this process.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// The agent inside this process has ended by itself; `None` while it runs or where there is none.
    pub(crate) fn agent_failure(&mut self) -> Option<Error> {
        self.embedded.as_mut().and_then(Embedded::agent_failure)
    }
}

/// Finds or starts the engine.
pub(crate) async fn open(global: &Global, need: Need) -> Result<Session, Error> {
    if let Some(server) = &global.server {
        let client = to_server(global, server).await?;
        return Ok(Session { client, mode: Mode::Server, embedded: None });
    }
    let data_dir = global.data_dir.as_path();
    if !matches!(need, Need::Train { .. } | Need::Host) && !data_dir.exists() {
        return Err(Error::NoExperiments(data_dir.to_path_buf()));
    }
    let give_up = tokio::time::Instant::now() + LOCK_WAIT;
    loop {
        if let Some(client) = running(data_dir, global.tls_ca.as_deref()).await {
            return Ok(Session { client, mode: Mode::Discovered, embedded: None });
        }
        match Embedded::start(data_dir, need).await {
            Ok((embedded, client)) => {
                return Ok(Session { client, mode: Mode::Embedded, embedded: Some(embedded) });
            }
            // Another command has the store for a moment, or an engine is just starting.
            Err(Error::Locked { .. }) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(LOCK_RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Connects to `--server`.
pub(crate) async fn to_server(global: &Global, server: &str) -> Result<Client, Error> {
    let url = discovery::normal_url(server);
    let token = server_token(global, &url);
    Client::connect(&url, token.as_deref(), global.tls_ca.as_deref()).await
}

/// The token for a server: as given, or as a server on this machine has left it.
pub(crate) fn server_token(global: &Global, url: &str) -> Option<String> {
    global.token.clone().or_else(|| discovery::of_url(url).map(|found| found.token))
}

/// The engine that runs for the data directory, if it answers.
pub(crate) async fn running(data_dir: &Path, tls_ca: Option<&Path>) -> Option<Client> {
    let found = discovery::of_data_dir(data_dir)?;
    let ask = async {
        let client = Client::connect(&found.url, Some(&found.token), tls_ca).await?;
        client.experiments(1).await?;
        Ok::<_, Error>(client)
    };
    match tokio::time::timeout(LOCAL_ANSWER, ask).await {
        Ok(Ok(client)) => Some(client),
        Ok(Err(error)) => {
            tracing::info!(url = found.url, pid = found.pid, %error, "the published engine does not answer");
            None
        }
        Err(_) => {
            tracing::info!(url = found.url, pid = found.pid, "the published engine is silent");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(data_dir: &Path) -> Global {
        Global { server: None, token: None, tls_ca: None, data_dir: data_dir.into(), verbose: 0 }
    }

    #[tokio::test]
    async fn looking_where_nothing_was_run_creates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none");
        let error = open(&global(&missing), Need::Look).await.err().unwrap();
        assert!(matches!(error, Error::NoExperiments(_)), "{error}");
        assert!(!missing.exists());
    }

    #[tokio::test]
    async fn a_published_engine_that_is_gone_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"url": "http://127.0.0.1:1", "token": "t", "pid": 1}"#;
        std::fs::write(dir.path().join("server.json"), text).unwrap();
        assert!(running(dir.path(), None).await.is_none());
    }

    #[test]
    fn a_given_token_wins() {
        let mut options = global(Path::new("x"));
        options.token = Some("mine".into());
        assert_eq!(server_token(&options, "http://127.0.0.1:7070").as_deref(), Some("mine"));
    }
}
