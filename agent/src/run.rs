//! From options to a running daemon: what has to be there, in which order, before the engine is told of this agent.

use crate::{
    Error, Options,
    attempt::Node,
    daemon::Daemon,
    environment::Environments,
    identity::{host_name, random_bits},
    layout::Layout,
    lock::StateLock,
    model::Models,
    orphans::Ledger,
    python_package,
    remote::RemoteCheckpoints,
    session::{SessionState, connection, state::Identity},
    slots,
    spool::{Limits, Recovered, Spool, directory::Directory},
};
use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Instant};
use tokio::{sync::watch, task::spawn_blocking};

/// A file of the spool is about this long.
const SEGMENT: u64 = 8 << 20;
/// The smallest spool.
const SMALLEST: u64 = 1 << 20;

/// Runs the agent until `shutdown` becomes true, its sender is gone, or the engine says goodbye for good.
///
/// At the end attempts are asked to save, then get SIGTERM, then SIGKILL (see [`Options::drain_timeout`]), and their
/// exits are sent if the engine can be reached. Losing the engine is no error: the agent connects again, for ever.
///
/// # Errors
/// It cannot start, the engine refuses it, or the engine said goodbye.
pub async fn run(options: Options, shutdown: watch::Receiver<bool>) -> Result<(), Error> {
    let client = connection::client(&options)?;
    let start = format!("{:016x}", random_bits());
    let layout = Layout::create(&options.state_dir, options.environments_dir.as_deref(), &start)?;
    let own = layout.clone();
    // What a former daemon left is certainly dead, and what it had accepted is known, before the engine is told of
    // this one.
    let opening = spawn_blocking(move || {
        let lock = StateLock::take(own.root())?;
        let ledger = Ledger::open(&own)?;
        let (spool, recovered) = open_spool(&own, options.spool_limit)?;
        Ok::<_, Error>((lock, ledger, spool, recovered))
    });
    let fail = |source| Error::StateDirectory { action: "open", path: layout.root().to_owned(), source };
    let (_lock, ledger, spool, recovered) =
        opening.await.map_err(|error| fail(io::Error::other(error)))??;
    let ledger = Arc::new(ledger);
    let slots = slots::detect_slots(options.slots);
    let remote = Arc::new(RemoteCheckpoints::new(&layout));
    let node = Node {
        python_package: python_package::install(&layout)?,
        models: Models::new(client.clone(), &layout),
        environments: Environments::new(&layout, Arc::clone(&ledger)),
        remote,
        slots: slots.clone(),
        cores: slots::cores(),
        sockets: socket_directory()?,
        ledger: Arc::clone(&ledger),
        layout: layout.clone(),
    };
    let host = host_name();
    let agent = options.name.clone().unwrap_or_else(|| host.clone());
    let identity = Identity { agent, instance: spool.instance().to_owned(), host, slots };
    let state = SessionState::resume(identity.clone(), options.spool_bytes, recovered, Instant::now());
    let result = Daemon::new(&options, client, node, identity, state, spool).run(shutdown).await;
    ledger.close().await;
    let own = layout.attempts_of(&start);
    if let Err(error) = fs::remove_dir_all(&own) {
        tracing::debug!(%error, path = %own.display(), "cannot remove");
    }
    result
}

/// Opens the spool and says what was found in it. Blocking.
fn open_spool(layout: &Layout, limit: u64) -> Result<(Spool<Directory>, Recovered), Error> {
    let path = layout.spool();
    let limit = limit.max(SMALLEST);
    let limits = Limits { segment_bytes: SEGMENT.min(limit / 4), total_bytes: limit };
    let instance = format!("{:016x}", random_bits());
    let opened = Directory::open(&path).and_then(|directory| Spool::open(directory, limits, &instance));
    let (spool, recovered) =
        opened.map_err(|source| Error::StateDirectory { action: "open the spool in", path, source })?;
    for damage in &recovered.damage {
        tracing::error!(damage, "the spool is damaged");
    }
    let (batches, events, attempts) = (recovered.batches.len(), recovered.events.len(), recovered.open.len());
    if batches + events + attempts > 0 {
        tracing::info!(
            batches,
            events,
            attempts,
            "going on with what a former agent had not been able to send"
        );
    }
    Ok((spool, recovered))
}

/// A directory with a short path that only this user may enter.
fn socket_directory() -> Result<tempfile::TempDir, Error> {
    let base = std::env::temp_dir();
    let base = if base.as_os_str().len() > 40 { Path::new("/tmp").to_owned() } else { base };
    tempfile::Builder::new()
        .prefix("toprung-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&base)
        .map_err(|source| Error::StateDirectory { action: "create", path: base, source })
}
