//! The life of one attempt: preparing → started → running → exit. Its `Exit` is sent exactly once, by [`live`].

mod entrypoint;
mod escalation;
mod exit;
mod fetch;
mod last_error;
mod memory;
mod metrics_file;
mod output;
mod policies;
mod prepare;
mod printed;
mod shortage;
mod supervise;
mod variables;

pub(crate) use exit::{Failure, invalid};
pub(crate) use output::{LineReader, Tail};

use crate::{
    checkpoint,
    contract::{Contract, Control, Terms},
    environment::Environments,
    identity::AttemptKey,
    layout::Layout,
    model::Models,
    orphans::Ledger,
    remote::RemoteCheckpoints,
    report::Reporter,
};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::spawn_blocking;
use toprung_proto::v1::{self, Exit, ExitCause, LogStream, attempt_event::Kind};

/// What all attempts of this agent share.
pub(crate) struct Node {
    pub(crate) layout: Layout,
    pub(crate) slots: Vec<v1::Slot>,
    pub(crate) cores: u32,
    pub(crate) models: Models,
    pub(crate) environments: Environments,
    pub(crate) remote: Arc<RemoteCheckpoints>,
    pub(crate) python_package: PathBuf,
    /// A short path: those of Unix sockets hold 107 bytes.
    pub(crate) sockets: tempfile::TempDir,
    pub(crate) ledger: Arc<Ledger>,
}

/// The contract that a `StartAttempt` begins.
pub(crate) fn contract(order: &v1::StartAttempt) -> Contract {
    Contract::new(Terms {
        train_until: order.train_until,
        max_length: order.max_length,
        time_metric: order.time_metric.clone(),
        metric: order.metric.clone(),
        conversion: order.conversion.unwrap_or_default(),
        resumes: resumes(order),
    })
}

/// Whether an attempt goes on from a checkpoint of its own trial. That of another, or of another experiment, does not hold
/// what the trial has trained.
fn resumes(order: &v1::StartAttempt) -> bool {
    let (Some(attempt), Some(checkpoint)) = (&order.attempt, &order.checkpoint) else { return false };
    let source = order.source.as_ref().map_or(attempt.experiment, |source| source.experiment);
    checkpoint.trial == attempt.trial && source == attempt.experiment
}

/// Lives the attempt through, from its order to its exit.
pub(crate) async fn live(
    node: Arc<Node>,
    key: AttemptKey,
    order: v1::StartAttempt,
    control: Arc<Control>,
    reporter: Reporter,
) {
    let run = order.run.clone().unwrap_or_default();
    let checkpoints = match &run.storage {
        Some(_) => node.remote.folder(key.experiment, key.trial),
        None => node.layout.checkpoints(&run.checkpoint_dir, key),
    };
    sweep(&checkpoints).await;
    let unfinished_before: HashSet<_> = checkpoint::incomplete(&checkpoints).into_iter().collect();
    let preparing = prepare::prepare(&node, key, &order, &run, &checkpoints, &reporter);
    let asked_to_end = control.until(|contract| contract.demand().map(|_| contract.reason().to_owned()));
    let prepared = tokio::select! {
        biased;
        reason = asked_to_end => Err(Failure::new(ExitCause::Requested, reason)),
        prepared = preparing => prepared,
    };
    let exit = match prepared {
        Ok(prepared) => supervise::run(&node, key, &order, &run, prepared, &control, &reporter)
            .await
            .unwrap_or_else(Failure::into_exit),
        Err(failure) => failure.into_exit(),
    };
    clean_up(&node, key, &checkpoints, !run.checkpoint_dir.is_empty(), unfinished_before).await;
    reporter.say_dropped().await;
    say_exit(key, &exit, &reporter).await;
    reporter.event(Kind::Exit(exit)).await;
}

/// Removes what dead attempts of the trial have begun and not completed.
async fn sweep(checkpoints: &Path) {
    let checkpoints = checkpoints.to_owned();
    if let Err(error) = spawn_blocking(move || checkpoint::sweep(&checkpoints)).await {
        tracing::warn!(%error, "clearing up before an attempt broke off");
    }
}

async fn say_exit(key: AttemptKey, exit: &Exit, reporter: &Reporter) {
    tracing::info!(attempt = %key, cause = exit.cause().as_str_name(), message = exit.message, "attempt ended");
    if exit.cause() != ExitCause::Success {
        reporter.line(LogStream::Toprung, exit.message.clone()).await;
    }
}

/// Whether an unfinished checkpoint is this attempt's by its name.
fn names(path: &Path, attempt: u32) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(&format!("incomplete-{attempt}-"))
}

/// Removes what only this attempt needed, also checkpoints that it began and did not complete. In a directory that
/// other nodes see a newer attempt may be writing: there only what bears this attempt's number goes.
async fn clean_up(
    node: &Arc<Node>,
    key: AttemptKey,
    checkpoints: &Path,
    shared: bool,
    unfinished_before: HashSet<PathBuf>,
) {
    let directory = node.layout.attempt(key);
    let checkpoints = checkpoints.to_owned();
    let cleaning = spawn_blocking(move || {
        let unfinished = checkpoint::incomplete(&checkpoints).into_iter();
        let own = |path: &PathBuf| !unfinished_before.contains(path) && (!shared || names(path, key.attempt));
        for path in unfinished.filter(own).chain([directory]) {
            if let Err(error) = remove(&path) {
                tracing::warn!(%error, path = %path.display(), "cannot clean up after an attempt");
            }
        }
    });
    if let Err(error) = cleaning.await {
        tracing::warn!(%error, "cleaning up after an attempt broke off");
    }
}

/// Removes a directory that a dying process may still write to.
fn remove(path: &Path) -> io::Result<()> {
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => return removed,
        }
    }
    fs::remove_dir_all(path)
}
