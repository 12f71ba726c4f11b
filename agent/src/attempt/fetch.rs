//! The checkpoint that an attempt continues from, as a directory of this node.

use super::{Failure, Node};
use crate::{remote::Held, report::Reporter};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, SystemTime},
};
use tokio::{task::spawn_blocking, time::timeout};
use toprung_checkpoints::{Error, Key, read_tree};
use toprung_proto::v1::{Checkpoint, CheckpointStorage, ExitCause, StartAttempt};

/// Between two lines on how far a download is.
const NEXT_LINE: Duration = Duration::from_secs(5);
/// A download is given up after this.
const LONGEST: Duration = Duration::from_hours(2);

/// A directory to continue from.
pub(crate) struct Start {
    pub(crate) path: PathBuf,
    /// Keeps it in the cache.
    pub(crate) held: Option<Held>,
}

/// Where the order's checkpoint lies; fetched if it is in an object store and not in the cache. `None`: there is none.
pub(crate) async fn provide(
    node: &Node,
    order: &StartAttempt,
    reporter: &Reporter,
) -> Result<Option<Start>, Failure> {
    let Some(checkpoint) = &order.checkpoint else { return Ok(None) };
    let source = order.source.clone().unwrap_or_default();
    if let Some(storage) = source.storage {
        return from_store(node, checkpoint, source.experiment, &storage, reporter).await.map(Some);
    }
    let path = PathBuf::from(&checkpoint.path);
    if path.is_dir() {
        return Ok(Some(Start { path, held: None }));
    }
    let message = format!(
        "the checkpoint {} at length {} is not on this node ({}); agents on several nodes need a shared \
         checkpoint_storage",
        checkpoint.uuid, checkpoint.length, checkpoint.path
    );
    Err(Failure::new(ExitCause::Environment, message))
}

async fn from_store(
    node: &Node,
    checkpoint: &Checkpoint,
    experiment: u64,
    storage: &CheckpointStorage,
    reporter: &Reporter,
) -> Result<Start, Failure> {
    let key = Key { experiment, trial: checkpoint.trial, uuid: checkpoint.uuid.clone() };
    let path = node.remote.directory(&key);
    let held = node.remote.hold(path.clone());
    let start = Start { path: path.clone(), held: Some(held) };
    if is_cached(&path, checkpoint).await {
        return Ok(start);
    }
    let remote = node.remote.open(storage).map_err(|error| failure(&error))?;
    let cache = Arc::clone(&node.remote);
    let stale = key.clone();
    // What lies there is not what was saved: a script may have changed it.
    let removed = spawn_blocking(move || cache.forget(&stale)).await;
    if let Ok(Err(error)) = removed {
        return Err(Failure::new(
            ExitCause::Environment,
            format!("cannot remove {}: {error}", path.display()),
        ));
    }
    reporter
        .step(format!("fetching the checkpoint at length {} from {}", checkpoint.length, checkpoint.path))
        .await;
    let (done, all) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |bytes: u64, total: u64| {
        done.fetch_max(bytes, Ordering::Relaxed);
        all.store(total, Ordering::Relaxed);
    };
    let fetching = timeout(LONGEST, remote.download(&key, &path, &progress));
    tokio::pin!(fetching);
    let fetched = loop {
        match timeout(NEXT_LINE, &mut fetching).await {
            Ok(fetched) => break fetched,
            Err(_) => {
                let (done, all) = (done.load(Ordering::Relaxed), all.load(Ordering::Relaxed));
                reporter.step(format!("fetching the checkpoint: {done} of {all} bytes")).await;
            }
        }
    };
    match fetched {
        Ok(Ok(_)) => Ok(start),
        // Another attempt on this node was quicker.
        Ok(Err(_)) if is_cached(&path, checkpoint).await => Ok(start),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => {
            let message = format!("fetching the checkpoint took longer than {} s", LONGEST.as_secs());
            Err(Failure::new(ExitCause::Environment, message))
        }
    }
}

/// Whether the directory holds exactly what was saved.
async fn is_cached(path: &Path, checkpoint: &Checkpoint) -> bool {
    if !path.is_dir() {
        return false;
    }
    let tree = path.to_owned();
    let read = spawn_blocking(move || read_tree(&tree, &[])).await;
    let Ok(Ok(found)) = read else { return false };
    let saved = checkpoint.files.iter().filter(|file| !file.sha256.is_empty());
    let same = saved.clone().count() == found.files.len()
        && saved.zip(&found.files).all(|(saved, found)| {
            (saved.path.as_str(), saved.size, saved.sha256.as_str())
                == (found.path.as_str(), found.size, found.sha256.as_str())
        });
    if same && let Err(error) = fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now())) {
        tracing::debug!(%error, path = %path.display(), "cannot mark a directory of the cache as used");
    }
    same
}

fn failure(error: &Error) -> Failure {
    // What may pass is not the trial's fault.
    let cause = if error.is_passing() { ExitCause::AgentLost } else { ExitCause::Environment };
    Failure::new(cause, format!("cannot fetch the checkpoint: {error}"))
}
