//! Checkpoints that the engine does not want any more leave the disk, one order after the other.
//!
//! A checkpoint is renamed aside first, so that a removal cut short leaves nothing that looks like one; then its files
//! go. Orders may be repeated: what is not there counts as removed. Nothing outside the directory where this agent
//! would have put the checkpoint is touched.

use crate::{checkpoint::sweep_all, layout::Layout, remote::RemoteCheckpoints};
use std::{
    collections::VecDeque,
    fs,
    future::pending,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::{JoinHandle, spawn_blocking};
use toprung_checkpoints::Key;
use toprung_proto::v1::{
    CheckpointDeleted, CheckpointPlace, CheckpointStorage, CheckpointsDeleted, DeleteCheckpoints,
};

/// How a checkpoint that is being removed begins.
const ASIDE: &str = "deleted-";

/// Orders that wait, and the one that is being carried out. Bounded by what the engine sends on one connection.
pub(crate) struct Deletions {
    layout: Layout,
    remote: Arc<RemoteCheckpoints>,
    waiting: VecDeque<DeleteCheckpoints>,
    running: Option<JoinHandle<CheckpointsDeleted>>,
    /// Clears up after an earlier start of the agent.
    clearing: JoinHandle<()>,
}

impl Drop for Deletions {
    fn drop(&mut self) {
        self.clearing.abort();
    }
}

impl Deletions {
    /// Begins with what an earlier start of the agent left.
    pub(crate) fn new(layout: Layout, remote: Arc<RemoteCheckpoints>) -> Self {
        // Read at once: what is noted from now on is under way.
        let unfinished = remote.unfinished();
        let folders = [layout.checkpoint_root(""), layout.cache()];
        let clearing = tokio::spawn(clear(Arc::clone(&remote), unfinished, folders));
        Self { layout, remote, waiting: VecDeque::new(), running: None, clearing }
    }

    pub(crate) fn push(&mut self, order: DeleteCheckpoints) {
        self.waiting.push_back(order);
    }

    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// The next order that is carried out; for ever without one. May be dropped and called again.
    pub(crate) async fn done(&mut self) -> CheckpointsDeleted {
        loop {
            let Some(running) = &mut self.running else {
                let Some(order) = self.waiting.pop_front() else { return pending().await };
                let layout = self.layout.clone();
                self.running = Some(match order.storage.clone() {
                    Some(storage) => tokio::spawn(from_store(Arc::clone(&self.remote), storage, order)),
                    None => spawn_blocking(move || carry_out(&layout, &order)),
                });
                continue;
            };
            let ended = running.await;
            self.running = None;
            match ended {
                Ok(deleted) => return deleted,
                Err(error) => tracing::error!(%error, "removing checkpoints broke off"),
            }
        }
    }
}

/// Deletes what the order names in an object store, and on this node.
async fn from_store(
    remote: Arc<RemoteCheckpoints>,
    storage: CheckpointStorage,
    order: DeleteCheckpoints,
) -> CheckpointsDeleted {
    let opened = remote.open(&storage);
    let mut checkpoints = Vec::new();
    for place in order.checkpoints {
        let CheckpointPlace { trial, uuid, path } = place;
        let key = Key { experiment: order.experiment, trial, uuid: uuid.clone() };
        let deleted = match &opened {
            Ok(store) => store.delete(&key).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let cache = Arc::clone(&remote);
        let forgotten = match deleted {
            Ok(()) => spawn_blocking(move || cache.forget(&key)).await.map_err(io::Error::other).flatten(),
            Err(_) => Ok(()),
        };
        let error =
            deleted.and_then(|()| forgotten.map_err(|error| error.to_string())).err().unwrap_or_default();
        if !error.is_empty() {
            tracing::warn!(path, error, "a checkpoint was not deleted");
        }
        checkpoints.push(CheckpointDeleted { trial, uuid, error });
    }
    CheckpointsDeleted { experiment: order.experiment, checkpoints }
}

/// Deletes what was uploaded and never told to the engine.
async fn clear(
    remote: Arc<RemoteCheckpoints>,
    unfinished: Vec<(PathBuf, DeleteCheckpoints)>,
    folders: [PathBuf; 2],
) {
    if let Err(error) = spawn_blocking(move || folders.iter().for_each(|folder| sweep_all(folder))).await {
        tracing::warn!(%error, "clearing up after an earlier start broke off");
    }
    for (note, order) in unfinished {
        let Some(storage) = order.storage.clone() else { continue };
        let deleted = from_store(Arc::clone(&remote), storage, order).await;
        if deleted.checkpoints.iter().all(|deleted| deleted.error.is_empty())
            && let Err(error) = fs::remove_file(&note)
        {
            tracing::warn!(%error, path = %note.display(), "cannot remove a note");
        }
    }
}

/// Removes what the order names. Blocking.
fn carry_out(layout: &Layout, order: &DeleteCheckpoints) -> CheckpointsDeleted {
    let remove = |place: &CheckpointPlace| {
        let error = remove(layout, order, place).err().unwrap_or_default();
        if !error.is_empty() {
            tracing::warn!(path = place.path, error, "a checkpoint was not removed");
        }
        CheckpointDeleted { trial: place.trial, uuid: place.uuid.clone(), error }
    };
    CheckpointsDeleted {
        experiment: order.experiment,
        checkpoints: order.checkpoints.iter().map(remove).collect(),
    }
}

fn remove(layout: &Layout, order: &DeleteCheckpoints, place: &CheckpointPlace) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if place.uuid.is_empty() || !place.uuid.bytes().all(plain) {
        return Err(format!("`{}` is no name of a checkpoint", place.uuid));
    }
    let root = layout.checkpoint_root(&order.checkpoint_dir);
    let folder = layout.checkpoints_of(&order.checkpoint_dir, order.experiment, place.trial);
    let directory = folder.join(&place.uuid);
    if directory != Path::new(&place.path) {
        return Err(format!("it lies at {}, this agent keeps it at {}", place.path, directory.display()));
    }
    match below(&root, &folder) {
        Ok(true) => {}
        Ok(false) => return Err(format!("{} does not lie in {}", folder.display(), root.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", folder.display())),
    }
    let aside = folder.join(format!("{ASIDE}{}", place.uuid));
    // Left over from a removal that was cut short.
    let removed = unless_absent(fs::remove_dir_all(&aside))
        .and_then(|()| unless_absent(fs::rename(&directory, &aside)))
        .and_then(|()| unless_absent(fs::remove_dir_all(&aside)));
    removed.map_err(|error| format!("{}: {error}", directory.display()))
}

/// Whether `folder` lies in `root` after all symbolic links.
fn below(root: &Path, folder: &Path) -> io::Result<bool> {
    Ok(folder.canonicalize()?.starts_with(root.canonicalize()?))
}

fn unless_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn layout(root: &Path) -> Layout {
        Layout::create(root, None, "abc").unwrap()
    }

    fn saved(folder: &Path, uuid: &str) -> PathBuf {
        let path = folder.join(uuid);
        fs::create_dir_all(path.join("inner")).unwrap();
        fs::write(path.join("inner/weights"), b"12345").unwrap();
        path
    }

    fn order(paths: &[(&str, &Path)]) -> DeleteCheckpoints {
        let place = |(uuid, path): &(&str, &Path)| CheckpointPlace {
            trial: 2,
            uuid: (*uuid).to_owned(),
            path: path.display().to_string(),
        };
        DeleteCheckpoints {
            experiment: 1,
            checkpoint_dir: String::new(),
            checkpoints: paths.iter().map(place).collect(),
            storage: None,
        }
    }

    fn errors(layout: &Layout, order: &DeleteCheckpoints) -> Vec<bool> {
        carry_out(layout, order).checkpoints.iter().map(|deleted| !deleted.error.is_empty()).collect()
    }

    #[test]
    fn a_checkpoint_goes_its_neighbour_stays_and_a_repeat_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let folder = layout.checkpoints_of("", 1, 2);
        let (gone, stays) = (saved(&folder, "aa"), saved(&folder, "bb"));
        let order = order(&[("aa", &gone)]);
        assert_eq!(errors(&layout, &order), [false]);
        assert_eq!(errors(&layout, &order), [false], "absent counts as removed");
        assert!(stays.join("inner/weights").exists());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing lies aside");
    }

    #[test]
    fn a_removal_cut_short_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let folder = layout.checkpoints_of("", 1, 2);
        let aside = saved(&folder, "deleted-aa");
        assert_eq!(errors(&layout, &order(&[("aa", &folder.join("aa"))])), [false]);
        assert!(!aside.exists());
    }

    #[test]
    fn nothing_outside_the_checkpoints_is_touched() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let folder = layout.checkpoints_of("", 1, 2);
        let (inside, outside) = (saved(&folder, "aa"), saved(&root.path().join("elsewhere"), "aa"));
        let wrong = order(&[
            ("aa", &outside),
            ("..", &folder.join("..")),
            ("", &folder),
            ("../aa", &folder.join("../aa")),
        ]);
        assert_eq!(errors(&layout, &wrong), [true; 4]);
        assert!(inside.exists() && outside.exists());

        // A trial's folder that is a link to another place.
        fs::remove_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(root.path().join("elsewhere"), &folder).unwrap();
        assert_eq!(errors(&layout, &order(&[("aa", &folder.join("aa"))])), [true]);
        assert!(outside.exists());
    }

    #[tokio::test]
    async fn orders_are_carried_out_in_turn() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let folder = layout.checkpoints_of("", 1, 2);
        let (first, second) = (saved(&folder, "aa"), saved(&folder, "bb"));
        let remote = Arc::new(RemoteCheckpoints::new(&layout));
        let mut deletions = Deletions::new(layout, remote);
        deletions.push(order(&[("aa", &first)]));
        deletions.push(order(&[("bb", &second)]));
        assert_eq!(deletions.done().await.checkpoints[0].uuid, "aa");
        assert!(second.exists());
        assert_eq!(deletions.done().await.checkpoints[0].uuid, "bb");
        assert!(!second.exists());
    }
}
