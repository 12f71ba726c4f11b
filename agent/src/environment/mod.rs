//! Python environments: built once per content and node, shared by attempts and agents.
//!
//! An environment lies at its final path from the start (virtual environments cannot be moved) and counts only with its
//! `.complete` marker; a lock file keeps two agents from building one at once. A failed build is remembered for half a
//! minute, so that sixteen trials do not fail one after the other at the same missing package.

mod build;
mod interpreter;
mod wanted;

pub(crate) use wanted::Wanted;

use crate::{attempt::Failure, layout::Layout, orphans::Ledger, report::Reporter};
use interpreter::Interpreters;
use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::sleep;
use toprung_proto::v1::ExitCause;

/// How long a failed build is not repeated.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Longest wait for another agent that builds the same environment.
const LONGEST_LOCK: Duration = Duration::from_hours(1);

/// The last failed build of one environment.
type Gate = Arc<tokio::sync::Mutex<Option<(Instant, Failure)>>>;

/// The environments of this node.
pub(crate) struct Environments {
    directory: PathBuf,
    interpreters: Interpreters,
    gates: Mutex<HashMap<String, Gate>>,
    ledger: Arc<Ledger>,
}

impl Environments {
    pub(crate) fn new(layout: &Layout, ledger: Arc<Ledger>) -> Self {
        Self {
            directory: layout.environments(),
            interpreters: Interpreters::default(),
            gates: Mutex::default(),
            ledger,
        }
    }

    /// The root of the environment that is wanted, built if it is not there; `None` if none is wanted.
    pub(crate) async fn provide(
        &self,
        wanted: &Wanted<'_>,
        reporter: &Reporter,
    ) -> Result<Option<PathBuf>, Failure> {
        if wanted.is_nothing() {
            return Ok(None);
        }
        let interpreter = self.interpreters.find(wanted.python).await.map_err(failure)?;
        let hash = wanted.hash(&interpreter.identity).map_err(failure)?;
        let root = self.directory.join(&hash);
        if is_complete(&root) {
            return Ok(Some(root));
        }
        let gate =
            Arc::clone(self.gates.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default());
        let mut failed = gate.lock().await;
        if let Some((when, failure)) = failed.as_ref()
            && when.elapsed() < REMEMBERED
        {
            return Err(failure.clone());
        }
        let _lock = lock(&root.with_extension("lock"), reporter).await?;
        if !is_complete(&root) {
            let built = build::build(&root, wanted, &interpreter, reporter, &self.ledger).await;
            *failed = built.as_ref().err().map(|failure| (Instant::now(), failure.clone()));
            built?;
        }
        Ok(Some(root))
    }
}

fn is_complete(root: &Path) -> bool {
    root.join(build::COMPLETE).is_file()
}

fn failure(message: String) -> Failure {
    Failure::new(ExitCause::Environment, message)
}

/// Takes the lock file; the lock is free when the file is closed, also by a crash.
async fn lock(path: &Path, reporter: &Reporter) -> Result<File, Failure> {
    let broken = |error: &dyn std::fmt::Display| failure(format!("cannot lock {}: {error}", path.display()));
    let file = File::create(path).map_err(|error| broken(&error))?;
    let started = Instant::now();
    let mut told = false;
    while let Err(error) = file.try_lock() {
        match error {
            std::fs::TryLockError::Error(error) => return Err(broken(&error)),
            std::fs::TryLockError::WouldBlock if started.elapsed() > LONGEST_LOCK => {
                return Err(failure(
                    "another agent builds the same environment for more than an hour".to_owned(),
                ));
            }
            std::fs::TryLockError::WouldBlock => {}
        }
        if !told {
            reporter.step("waiting for another agent that builds the same environment").await;
            told = true;
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(file)
}
