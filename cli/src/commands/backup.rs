//! `toprung store backup`: by the engine that uses the data directory, or from the directory itself if none does.

use crate::args::Global;
use crate::client::Client;
use crate::connect;
use crate::embed::store_error;
use crate::errors::Error;
use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use toprung_proto::v1::{self, backup_store_response::Part};
use toprung_store::{Options, Store};

/// What was copied.
#[derive(Debug)]
pub(super) struct Done {
    /// The last commit that is in it.
    pub frame: u64,
    /// Files, and bytes of them.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
}

/// Makes `dir` a data directory with a copy of the store.
pub(super) async fn run(global: &Global, dir: &Path) -> Result<Done, Error> {
    let client = match &global.server {
        Some(server) => Some(connect::to_server(global, server).await?),
        None => connect::running(&global.data_dir, global.tls_ca.as_deref()).await,
    };
    if let Some(client) = client {
        return receive(&client, dir).await;
    }
    let (data_dir, dir) = (global.data_dir.clone(), dir.to_owned());
    let copied = tokio::task::spawn_blocking(move || copy(&data_dir, &dir));
    copied.await.map_err(|error| Error::Store(format!("the command has failed: {error}")))?
}

fn copy(data_dir: &Path, dir: &Path) -> Result<Done, Error> {
    let source = data_dir.join("store");
    if !source.exists() {
        return Err(Error::NoExperiments(source));
    }
    let failed = |error| store_error(data_dir, &error);
    let store = Store::open(&source, Options::default()).map_err(failed)?;
    let done = store.backup(&dir.join("store")).map_err(failed)?;
    Ok(Done { frame: done.frame, files: done.files, bytes: done.bytes })
}

/// Writes what the engine sends aside, and puts it in place when it is complete.
async fn receive(client: &Client, dir: &Path) -> Result<Done, Error> {
    let mut stream = client.backup().await?;
    let mut target = Target::create(dir)?;
    while let Some(message) = client.next(&mut stream).await? {
        match message.part {
            Some(Part::File(file)) => target.begin(&file)?,
            Some(Part::Data(data)) => target.write(&data)?,
            Some(Part::Done(done)) => return target.finish(&done),
            None => {}
        }
    }
    Err(Error::Server { url: client.url().to_owned(), cause: "the backup was cut off".to_owned() })
}

/// A copy that is being received. Removed when it is dropped unfinished.
struct Target {
    dir: PathBuf,
    aside: PathBuf,
    /// The file that is being written, and how many bytes of it are still to come.
    file: Option<(PathBuf, File, u64)>,
    files: u64,
    finished: bool,
}

impl Target {
    fn create(dir: &Path) -> Result<Self, Error> {
        let store = dir.join("store");
        if store.exists() {
            return Err(Error::Usage {
                message: format!("{} exists already; a backup wants a new directory", store.display()),
                help: "name another".to_owned(),
            });
        }
        let aside = dir.join("store.receiving");
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(format!("cannot remove {}", aside.display()))(error));
            }
            _ => {}
        }
        directory(&aside)?;
        Ok(Self { dir: dir.to_owned(), aside, file: None, files: 0, finished: false })
    }

    fn begin(&mut self, file: &v1::BackupFile) -> Result<(), Error> {
        self.end_file()?;
        let name = Path::new(&file.path);
        let inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || file.path.is_empty() {
            return Err(broken(&format!("it names a file outside of the store: {}", file.path)));
        }
        let path = self.aside.join(name);
        if let Some(parent) = path.parent() {
            directory(parent)?;
        }
        let created = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let created = created.map_err(Error::io(format!("cannot create {}", path.display())))?;
        self.file = Some((path, created, file.size));
        self.files += 1;
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        let Some((path, file, left)) = &mut self.file else { return Err(broken("data without a file")) };
        *left = left.checked_sub(data.len() as u64).ok_or_else(|| broken("a file is too long"))?;
        file.write_all(data).map_err(Error::io(format!("cannot write {}", path.display())))
    }

    fn end_file(&mut self) -> Result<(), Error> {
        match self.file.take() {
            None => Ok(()),
            Some((path, file, 0)) => {
                file.sync_all().map_err(Error::io(format!("cannot write {}", path.display())))
            }
            Some((path, ..)) => Err(broken(&format!("{} is cut short", path.display()))),
        }
    }

    fn finish(mut self, done: &v1::BackupDone) -> Result<Done, Error> {
        self.end_file()?;
        if self.files != done.files {
            return Err(broken(&format!("{} of {} files came", self.files, done.files)));
        }
        let store = self.dir.join("store");
        let placed = sync_directories(&self.aside)
            .and_then(|()| fs::rename(&self.aside, &store))
            .and_then(|()| File::open(&self.dir)?.sync_all());
        placed.map_err(Error::io(format!("cannot create {}", store.display())))?;
        self.finished = true;
        Ok(Done { frame: done.frame, files: done.files, bytes: done.bytes })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = fs::remove_dir_all(&self.aside)
        {
            tracing::warn!(path = %self.aside.display(), %error, "cannot be removed");
        }
    }
}

fn broken(what: &str) -> Error {
    Error::Store(format!("the backup cannot be used: {what}"))
}

fn directory(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(Error::io(format!("cannot create {}", path.display())))
}

fn sync_directories(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_directories(&entry.path())?;
        }
    }
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64) -> v1::BackupFile {
        v1::BackupFile { path: path.to_owned(), size }
    }

    #[test]
    fn a_complete_copy_is_put_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut target = Target::create(dir.path()).unwrap();
        target.begin(&file("wal/1", 4)).unwrap();
        target.write(b"ab").unwrap();
        target.write(b"cd").unwrap();
        target.begin(&file("format", 0)).unwrap();
        target.finish(&v1::BackupDone { frame: 7, files: 2, bytes: 4 }).unwrap();
        assert_eq!(fs::read(dir.path().join("store/wal/1")).unwrap(), b"abcd");
        assert!(dir.path().join("store/format").exists() && !dir.path().join("store.receiving").exists());
        assert!(Target::create(dir.path()).is_err(), "it is never written over");
    }

    #[test]
    fn what_is_cut_or_strange_is_no_backup() {
        let dir = tempfile::tempdir().unwrap();
        let done = v1::BackupDone { frame: 7, files: 1, bytes: 4 };
        let mut target = Target::create(dir.path()).unwrap();
        for path in ["../x", "/etc/x", "", "a/../../x"] {
            assert!(target.begin(&file(path, 1)).is_err(), "{path}");
        }
        target.begin(&file("a", 4)).unwrap();
        target.write(b"abc").unwrap();
        assert!(target.finish(&done).is_err(), "cut short");
        let mut target = Target::create(dir.path()).unwrap();
        target.begin(&file("a", 2)).unwrap();
        assert!(target.write(b"abc").is_err(), "too long");
        drop(target);
        assert!(Target::create(dir.path()).unwrap().finish(&done).is_err(), "a file is missing");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }
}
