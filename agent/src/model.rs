//! Model directories: fetched from the engine by their hash, verified, unpacked once and shared by attempts.

use crate::{
    attempt::Failure, identity::random_bits, layout::Layout, python_package::hex, report::Reporter,
    session::connection::EngineClient,
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Seek as _, Write as _},
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tonic::{Code, Status};
use toprung_proto::v1::{ExitCause, FetchModelRequest};

/// An archive, and what it unpacks to, are not larger than this.
const LARGEST_ARCHIVE: u64 = 4 << 30;
const LARGEST_DIRECTORY: u64 = 16 << 30;
const MOST_ENTRIES: usize = 1_000_000;
/// Longest silence of the engine while it sends.
const SILENCE: Duration = Duration::from_secs(30);
/// A transfer that breaks is tried this often, with a second between.
const TRIES: u32 = 5;

/// The unpacked model directories of this node.
pub(crate) struct Models {
    client: EngineClient,
    directory: PathBuf,
    gates: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Models {
    pub(crate) fn new(client: EngineClient, layout: &Layout) -> Self {
        Self { client, directory: layout.models(), gates: Mutex::default() }
    }

    /// The directory with the model of this hash, fetched if it is not here yet. It is shared: copy it before use.
    pub(crate) async fn provide(&self, sha256: &str, reporter: &Reporter) -> Result<PathBuf, Failure> {
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unusable(format!("the model's hash `{sha256}` is not a SHA-256 in hexadecimal")));
        }
        let path = self.directory.join(sha256.to_ascii_lowercase());
        if path.is_dir() {
            return Ok(path);
        }
        let gate = Arc::clone(
            self.gates.lock().unwrap_or_else(PoisonError::into_inner).entry(sha256.to_owned()).or_default(),
        );
        let _guard = gate.lock().await;
        if !path.is_dir() {
            reporter.step("fetching the model directory").await;
            let archive = self.fetch(sha256).await?;
            self.unpack(archive, &path).await?;
        }
        Ok(path)
    }

    async fn fetch(&self, sha256: &str) -> Result<File, Failure> {
        let mut tries = 1;
        loop {
            match self.fetch_once(sha256).await {
                Ok(archive) => return Ok(archive),
                Err(status) if tries < TRIES && is_passing(&status) => {
                    tracing::info!(%status, tries, "the model's transfer broke, trying again");
                    tries += 1;
                    sleep(Duration::from_secs(1)).await;
                }
                Err(status) => {
                    let cause =
                        if is_passing(&status) { ExitCause::AgentLost } else { ExitCause::Environment };
                    let message = format!("cannot fetch the model directory: {}", status.message());
                    return Err(Failure::new(cause, message));
                }
            }
        }
    }

    async fn fetch_once(&self, sha256: &str) -> Result<File, Status> {
        let late = |_| Status::deadline_exceeded("the engine was silent for too long");
        let local = |error: io::Error| Status::internal(format!("cannot keep the archive: {error}"));
        let mut client = self.client.clone();
        let request = FetchModelRequest { model_sha256: sha256.to_owned() };
        let mut chunks = timeout(SILENCE, client.fetch_model(request)).await.map_err(late)??.into_inner();
        let mut archive = tempfile::tempfile_in(&self.directory).map_err(local)?;
        let (mut hasher, mut size) = (Sha256::new(), 0_u64);
        while let Some(chunk) = timeout(SILENCE, chunks.message()).await.map_err(late)?? {
            size += chunk.data.len() as u64;
            if size > LARGEST_ARCHIVE {
                return Err(Status::internal(format!("the archive is larger than {LARGEST_ARCHIVE} bytes")));
            }
            hasher.update(&chunk.data);
            // Chunks are at most 256 KiB into the page cache: not worth a thread each.
            archive.write_all(&chunk.data).map_err(local)?;
        }
        let found = hex(&hasher.finalize());
        if !found.eq_ignore_ascii_case(sha256) {
            return Err(Status::data_loss(format!("the archive's hash is {found} instead of {sha256}")));
        }
        archive.rewind().map_err(local)?;
        Ok(archive)
    }

    async fn unpack(&self, archive: File, path: &Path) -> Result<(), Failure> {
        let draft = self.directory.join(format!("draft-{:016x}", random_bits()));
        let target = path.to_owned();
        let unpacked = spawn_blocking(move || {
            let result = unpack_archive(archive, &draft).and_then(|()| match fs::rename(&draft, &target) {
                // Another agent on the same directory was quicker.
                Err(_) if target.is_dir() => fs::remove_dir_all(&draft),
                result => result,
            });
            if result.is_err() && draft.exists() {
                fs::remove_dir_all(&draft)?;
            }
            result
        });
        match unpacked.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unusable(format!("cannot unpack the model directory: {error}"))),
            Err(error) => Err(unusable(format!("cannot unpack the model directory: {error}"))),
        }
    }
}

/// Whether the same call may succeed later.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::DataLoss
    )
}

fn unusable(message: String) -> Failure {
    Failure::new(ExitCause::Environment, message)
}

/// Unpacks a zstd-compressed tar: only files, directories and links inside; bounded in size and number. Blocking.
fn unpack_archive(archive: File, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let decoder = zstd::stream::read::Decoder::new(archive)?;
    let mut archive = tar::Archive::new(decoder.take(LARGEST_DIRECTORY));
    archive.set_preserve_permissions(true);
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        if count >= MOST_ENTRIES {
            return Err(io::Error::other(format!("it holds more than {MOST_ENTRIES} entries")));
        }
        let link = entry.link_name()?.map(std::borrow::Cow::into_owned);
        let allowed = match (&link, kind) {
            (_, tar::EntryType::Regular | tar::EntryType::Directory | tar::EntryType::Continuous) => {
                stays_inside(&path)
            }
            (Some(link), tar::EntryType::Symlink) => {
                stays_inside(&path) && stays_inside(&path.parent().unwrap_or(Path::new("")).join(link))
            }
            _ => false,
        };
        if !allowed || !entry.unpack_in(target)? {
            return Err(io::Error::other(format!("the entry {} ({kind:?}) is not allowed", path.display())));
        }
    }
    Ok(())
}

/// Whether a relative path never climbs above its start.
fn stays_inside(path: &Path) -> bool {
    let mut depth = 0_i32;
    path.components().all(|component| {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => return false,
        }
        depth >= 0
    })
}

/// Copies a directory with everything in it; links stay links. Blocking.
pub(crate) fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(fill: impl FnOnce(&mut tar::Builder<zstd::stream::write::Encoder<'static, File>>)) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut builder = tar::Builder::new(zstd::stream::write::Encoder::new(file, 1).unwrap());
        fill(&mut builder);
        let mut file = builder.into_inner().unwrap().finish().unwrap();
        file.rewind().unwrap();
        file
    }

    fn raw_entry(kind: tar::EntryType, path: &str, link: &str) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    #[test]
    fn unpacks_files_directories_and_inner_links() {
        let root = tempfile::tempdir().unwrap();
        let archive = pack(|builder| {
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            header.set_mode(0o755);
            header.set_cksum();
            builder.append_data(&mut header, "inner/run.sh", &b"hi"[..]).unwrap();
            let link = raw_entry(tar::EntryType::Symlink, "inner/link", "../inner/run.sh");
            builder.append(&link, io::empty()).unwrap();
        });
        unpack_archive(archive, root.path()).unwrap();
        assert_eq!(fs::read(root.path().join("inner/link")).unwrap(), b"hi");
        let copy = root.path().join("copy");
        copy_directory(&root.path().join("inner"), &copy).unwrap();
        assert!(copy.join("link").is_symlink());
        assert_eq!(fs::read(copy.join("run.sh")).unwrap(), b"hi");
    }

    #[test]
    fn nothing_escapes_the_directory() {
        let hostile = [
            raw_entry(tar::EntryType::Regular, "../escaped", ""),
            raw_entry(tar::EntryType::Regular, "/tmp/escaped", ""),
            raw_entry(tar::EntryType::Symlink, "link", "/etc/passwd"),
            raw_entry(tar::EntryType::Symlink, "a/link", "../../b"),
            raw_entry(tar::EntryType::Link, "hard", "other"),
            raw_entry(tar::EntryType::Fifo, "pipe", ""),
            raw_entry(tar::EntryType::Char, "device", ""),
        ];
        for header in hostile {
            let root = tempfile::tempdir().unwrap();
            let archive = pack(|builder| builder.append(&header, io::empty()).unwrap());
            let error = unpack_archive(archive, &root.path().join("target")).unwrap_err();
            assert!(error.to_string().contains("not allowed"), "{error}");
        }
    }
}
