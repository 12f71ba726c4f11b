//! Where a benchmark runs: sizes, a directory of its own, and an engine in this process.

use crate::client::Client;
use crate::embed;
use crate::errors::Error;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use toprung_engine::{Engine, Options};

/// What is the same for all benchmarks of a run.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    directory: PathBuf,
    quick: bool,
}

impl Setting {
    /// `directory`: on the disk to be measured; none: the system's temporary directory.
    pub(super) fn new(directory: Option<PathBuf>, quick: bool) -> Self {
        Self { directory: directory.unwrap_or_else(std::env::temp_dir), quick }
    }

    /// The full size, or the one that only shows that everything works.
    pub(super) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A new directory that goes away with the answer.
    pub(super) fn scratch(&self) -> Result<TempDir, Error> {
        let made = tempfile::Builder::new().prefix("toprung-bench-").tempdir_in(&self.directory);
        made.map_err(Error::io(format!("cannot create a directory in {}", self.directory.display())))
    }
}

/// An engine in this process over a fresh store.
pub(super) struct Place {
    engine: Engine,
    /// A client of it.
    pub client: Client,
    scratch: TempDir,
}

impl Place {
    /// Starts it.
    pub(super) async fn start(setting: &Setting) -> Result<Self, Error> {
        let scratch = setting.scratch()?;
        let data_dir = scratch.path().join("data");
        let mut options = Options::new(data_dir.clone());
        options.publish = false;
        let started = Engine::start(options).await;
        let engine = started.map_err(|error| embed::engine_error(&data_dir, error))?;
        let client = Client::connect(engine.url(), Some(engine.token()), None).await?;
        Ok(Self { engine, client, scratch })
    }

    /// Where the engine listens.
    pub(super) fn url(&self) -> &str {
        self.engine.url()
    }

    /// Its token.
    pub(super) fn token(&self) -> &str {
        self.engine.token()
    }

    /// Its directory; the store lies in `data`.
    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// One more client, with a connection of its own.
    pub(super) async fn another_client(&self) -> Result<Client, Error> {
        Client::connect(self.url(), Some(self.token()), None).await
    }

    /// Ends the engine and removes the directory.
    pub(super) async fn stop(self) -> Result<(), Error> {
        embed::stop_engine(self.engine).await
    }
}
