//! An engine and an agent inside this process, for a machine without a server.
//!
//! Only an engine with an agent, or for programs that run trials themselves, is published: another terminal may submit
//! to it. One that only looks holds the store
//! for moments and must not be given work.

use crate::client::Client;
use crate::connect::Need;
use crate::errors::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The engine needs this at most to write what it still holds.
const ENGINE_STOP: Duration = Duration::from_secs(30);

/// Longest wait for the removal of checkpoints.
const COLLECTING: Duration = Duration::from_secs(10);

/// What runs in this process. Ended by [`Embedded::stop`].
pub(crate) struct Embedded {
    engine: toprung_engine::Engine,
    agent: Option<RunningAgent>,
}

/// An agent of this process.
pub(crate) struct RunningAgent {
    /// None: its end has been told.
    task: Option<JoinHandle<Result<(), toprung_agent::Error>>>,
    shutdown: watch::Sender<bool>,
}

impl RunningAgent {
    /// Starts it in the background.
    pub(crate) fn start(options: toprung_agent::Options) -> Self {
        let (shutdown, stopped) = watch::channel(false);
        Self { task: Some(tokio::spawn(toprung_agent::run(options, stopped))), shutdown }
    }

    /// Asks it to end and waits at most `grace`; then it is cut off.
    pub(crate) async fn stop(mut self, grace: Duration) -> Result<(), Error> {
        self.shutdown.send_replace(true);
        let Some(mut task) = self.task.take() else {
            return Ok(());
        };
        match tokio::time::timeout(grace, &mut task).await {
            Ok(ended) => outcome(ended),
            Err(_) => {
                task.abort();
                tracing::warn!(seconds = grace.as_secs(), "the agent did not end in time");
                Ok(())
            }
        }
    }

    /// Waits until it ends by itself; its end is told once.
    pub(crate) async fn ended(&mut self) -> Result<(), Error> {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let ended = task.await;
        self.task = None;
        outcome(ended)
    }
}

impl Embedded {
    /// Starts an engine on a free port of the loopback address, and an agent if trials are to run.
    pub(crate) async fn start(data_dir: &Path, need: Need) -> Result<(Self, Client), Error> {
        let mut options = toprung_engine::Options::new(data_dir.to_path_buf());
        options.publish = matches!(need, Need::Train { .. } | Need::Host);
        let engine =
            toprung_engine::Engine::start(options).await.map_err(|error| engine_error(data_dir, error))?;
        let client = Client::connect(engine.url(), Some(engine.token()), None).await?;
        let agent = match need {
            Need::Look | Need::Host => None,
            Need::Remove => Some(RunningAgent::start(agent_options(&engine, data_dir, Some(0)))),
            Need::Train { slots } => Some(RunningAgent::start(agent_options(&engine, data_dir, slots))),
        };
        Ok((Self { engine, agent }, client))
    }

    /// Why the agent is gone, if it has ended by itself.
    pub(crate) fn agent_failure(&mut self) -> Option<Error> {
        // Asked once without waiting.
        let result = futures_util::FutureExt::now_or_never(self.agent.as_mut()?.ended())?;
        self.agent = None;
        Some(result.err().unwrap_or_else(|| Error::Agent("without a reason".to_owned())))
    }

    /// Ends the agent, then the engine. Checkpoints that nothing keeps leave the disk before.
    pub(crate) async fn stop(self, grace: Duration) -> Result<(), Error> {
        if self.agent.is_some() {
            self.engine.collected(COLLECTING).await;
        }
        let agent = match self.agent {
            Some(agent) => agent.stop(grace).await,
            None => Ok(()),
        };
        stop_engine(self.engine).await?;
        agent
    }
}

/// Ends an engine within the time it may need.
pub(crate) async fn stop_engine(engine: toprung_engine::Engine) -> Result<(), Error> {
    match tokio::time::timeout(ENGINE_STOP, engine.shutdown()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Error::Engine(error.to_string())),
        Err(_) => Err(Error::Engine(format!("the engine did not stop in {} s", ENGINE_STOP.as_secs()))),
    }
}

/// Where the Python environments of this user lie on this node, for all data directories: `toprung/environments` below
/// `$XDG_CACHE_HOME` or `~/.cache`. `None`: there is no home directory.
pub(crate) fn environments_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("toprung/environments"))
}

/// The agent that runs beside an engine of this process.
pub(crate) fn agent_options(
    engine: &toprung_engine::Engine,
    data_dir: &Path,
    slots: Option<u32>,
) -> toprung_agent::Options {
    let mut options = toprung_agent::Options::new(engine.url(), data_dir.join("agent"));
    options.token = Some(engine.token().to_owned());
    options.slots = slots;
    options.environments_dir = environments_dir();
    options.log_bytes = log_limit().unwrap_or(options.log_bytes);
    options
}

/// What TOPRUNG_LOG_LIMIT says, in bytes.
fn log_limit() -> Option<u64> {
    let text = std::env::var("TOPRUNG_LOG_LIMIT").ok()?;
    match text.parse::<u32>() {
        Ok(mebibytes) => Some(u64::from(mebibytes) << 20),
        Err(error) => {
            tracing::warn!(%error, text, "TOPRUNG_LOG_LIMIT is no number of MiB; the usual limit counts");
            None
        }
    }
}

/// Why an engine did not start, with what a person can do.
pub(crate) fn engine_error(data_dir: &Path, error: toprung_engine::Error) -> Error {
    use toprung_engine::Error as Engine;
    match error {
        Engine::Store(error) => store_error(data_dir, &error),
        Engine::PortInUse { address } => Error::PortInUse(address.to_string()),
        other => Error::Engine(other.to_string()),
    }
}

/// Why a store cannot be used, with what a person can do.
pub(crate) fn store_error(data_dir: &Path, error: &toprung_store::Error) -> Error {
    match error {
        toprung_store::Error::Locked { pid, .. } => {
            Error::Locked { dir: data_dir.to_path_buf(), holder: holder(data_dir, *pid) }
        }
        other => Error::Store(other.to_string()),
    }
}

/// Who has the data directory, as far as it is known.
fn holder(data_dir: &Path, pid: Option<u32>) -> String {
    match (pid, crate::discovery::of_data_dir(data_dir)) {
        (pid, Some(found)) if pid.is_none_or(|pid| pid == found.pid) => {
            format!(" (process {}, {})", found.pid, found.url)
        }
        (Some(pid), _) => format!(" (process {pid})"),
        (None, _) => String::new(),
    }
}

fn outcome(ended: Result<Result<(), toprung_agent::Error>, tokio::task::JoinError>) -> Result<(), Error> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Error::Agent(error.to_string())),
        Err(error) => Err(Error::Agent(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_that_has_ended_is_told_once_and_can_be_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let options = toprung_agent::Options::new("no address at all", directory.path().join("agent"));
        let mut agent = RunningAgent::start(options);
        let error = agent.ended().await.unwrap_err();
        assert!(error.to_string().contains("no address at all"), "{error}");
        let again = tokio::time::timeout(Duration::ZERO, agent.ended()).await;
        assert!(again.is_err(), "told twice");
        agent.stop(Duration::from_secs(1)).await.unwrap();
    }
}
