//! A backup of the store over the wire, while everything goes on.
//!
//! The copy is made beside the store first (base and log written anew, other files linked), so that a slow reader holds up
//! nothing; then it is sent file by file. One at a time. What an engine that was killed has left is removed by the next.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use toprung_proto::v1::{self, backup_store_response::Part};
use toprung_store::Store;

use super::gate::later;
use super::{blocking, status};

/// Bytes of a file in one message.
const CHUNK: usize = 256 << 10;
/// The directory, beside the store, in which a copy is made.
const STAGE: &str = "backup.partial";
/// When another backup may be asked for.
const AGAIN: Duration = Duration::from_secs(10);

type Sender = mpsc::Sender<Result<v1::BackupStoreResponse, Status>>;

/// Makes backups, one at a time.
#[derive(Clone)]
pub struct Backups {
    store: Store,
    stage: PathBuf,
    one: Arc<Semaphore>,
}

impl Backups {
    /// Of the store in this data directory.
    pub fn new(store: Store, data_dir: &Path) -> Self {
        Self { store, stage: data_dir.join(STAGE), one: Arc::new(Semaphore::new(1)) }
    }

    /// Removes what a killed engine has left.
    pub fn clean(data_dir: &Path) -> io::Result<()> {
        remove(&data_dir.join(STAGE))
    }

    /// Copies the store and sends the copy. RESOURCE_EXHAUSTED: another backup is being made.
    pub(super) async fn send(
        &self,
        admitted: OwnedSemaphorePermit,
    ) -> Result<ReceiverStream<Result<v1::BackupStoreResponse, Status>>, Status> {
        let busy = |_| later(Code::ResourceExhausted, "another backup is being made", AGAIN);
        let turn = self.one.clone().try_acquire_owned().map_err(busy)?;
        let (store, stage) = (self.store.clone(), Stage(self.stage.clone()));
        // Should the caller go away meanwhile, turn and stage are given up with the task.
        let (stage, turn, frame) = blocking(move || {
            let stage = stage.prepare()?;
            let copied = store.stage_backup(&stage.0)?;
            Ok((stage, turn, copied.frame))
        })
        .await?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let _held = (admitted, turn);
            if let Err(error) = send_all(&stage.0, frame, &sender) {
                // A reader that is gone needs no reason.
                let _gone = sender.blocking_send(Err(status(error)));
            }
        });
        Ok(ReceiverStream::new(receiver))
    }
}

/// The copy; gone with this value.
struct Stage(PathBuf);

impl Stage {
    fn prepare(self) -> Result<Self, crate::Error> {
        let failed = |source| crate::Error::File { action: "remove", path: self.0.clone(), source };
        remove(&self.0).map_err(failed)?;
        Ok(self)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a backup could not be cleared away");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Sends every file, then `done`. The end of the stream without it says that the reader is gone.
fn send_all(stage: &Path, frame: u64, sender: &Sender) -> Result<(), crate::Error> {
    let mut done = v1::BackupDone { frame, files: 0, bytes: 0 };
    let mut left = vec![PathBuf::new()];
    while let Some(directory) = left.pop() {
        let path = stage.join(&directory);
        let failed = |source| crate::Error::File { action: "read", path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let inner = directory.join(entry.file_name());
            if entry.file_type().map_err(failed)?.is_dir() {
                left.push(inner);
                continue;
            }
            let Some(size) = send_file(stage, &inner, sender)? else { return Ok(()) };
            done.files += 1;
            done.bytes += size;
        }
    }
    // A reader that is gone has no backup, and knows it.
    let _gone = sender.blocking_send(Ok(response(Part::Done(done))));
    Ok(())
}

/// Sends a file as long as it was when its turn came; its size. `None`: the reader is gone.
fn send_file(stage: &Path, inner: &Path, sender: &Sender) -> Result<Option<u64>, crate::Error> {
    let path = stage.join(inner);
    let failed = |source| crate::Error::File { action: "read", path: path.clone(), source };
    let file = fs::File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let name = inner.to_string_lossy().into_owned();
    let mut rest = file.take(size);
    if sender.blocking_send(Ok(response(Part::File(v1::BackupFile { path: name, size })))).is_err() {
        return Ok(None);
    }
    let mut left = size;
    while left > 0 {
        let mut data = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        rest.read_exact(&mut data).map_err(failed)?;
        left -= data.len() as u64;
        if sender.blocking_send(Ok(response(Part::Data(data)))).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(size))
}

fn response(part: Part) -> v1::BackupStoreResponse {
    v1::BackupStoreResponse { part: Some(part) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt as _;

    #[tokio::test]
    async fn one_backup_is_made_at_a_time_and_nothing_is_left_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(&dir.path().join("store"), toprung_store::Options::default()).unwrap();
        let store = tokio::task::spawn_blocking({
            let open = open();
            move || open
        });
        let backups = Backups::new(store.await.unwrap(), dir.path());
        let admitted = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let other = backups.one.clone().try_acquire_owned().unwrap();
        let refused = backups.send(admitted()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(AGAIN));
        drop(other);
        // What a killed engine has left is no obstacle.
        fs::create_dir_all(backups.stage.join("old")).unwrap();
        let mut stream = backups.send(admitted()).await.unwrap();
        let mut last = None;
        while let Some(message) = tokio_stream::StreamExt::next(&mut stream).await {
            last = message.unwrap().part;
        }
        assert!(matches!(last, Some(Part::Done(v1::BackupDone { files: 2.., .. }))), "{last:?}");
        drop(backups.one.acquire().await.unwrap());
        assert!(!backups.stage.exists());
    }
}
