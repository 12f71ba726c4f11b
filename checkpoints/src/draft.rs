//! A directory that is written aside, and gets its name when it is complete.

use crate::{Error, Manifest};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// How a download that is not complete begins.
const ASIDE: &str = "fetching-";

/// The directory; removed when it is dropped without a name.
pub(crate) struct Draft {
    pub(crate) path: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Draft {
    /// Beside `target`, which must not exist. Blocking.
    pub(crate) fn create(target: &Path) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if fs::symlink_metadata(target).is_ok() {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Error::local("write", target)(source));
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{ASIDE}{}-{number}", std::process::id());
        let path = parent(target).join(name);
        if path.exists() {
            // Of a process that had this number before.
            fs::remove_dir_all(&path).map_err(Error::local("remove", &path))?;
        }
        fs::create_dir_all(&path).map_err(Error::local("create", &path))?;
        Ok(Self { path, target: target.to_owned(), done: false })
    }

    /// Makes all directories and links of the manifest. Blocking.
    pub(crate) fn furnish(&self, manifest: &Manifest) -> Result<(), Error> {
        for directory in &manifest.empty_directories {
            let path = self.path.join(directory);
            fs::create_dir_all(&path).map_err(Error::local("create", &path))?;
        }
        for path in manifest.files.iter().map(|file| &file.path).chain(manifest.links.iter().map(|l| &l.path))
        {
            let path = self.path.join(path);
            let parent = path.parent().unwrap_or(&self.path);
            fs::create_dir_all(parent).map_err(Error::local("create", parent))?;
        }
        Ok(())
    }

    /// Gives it its name. Links come last, so that no file is written through one. Blocking.
    pub(crate) fn complete(mut self, manifest: &Manifest) -> Result<(), Error> {
        for link in &manifest.links {
            let path = self.path.join(&link.path);
            std::os::unix::fs::symlink(&link.target, &path).map_err(Error::local("create", &path))?;
        }
        let sync = |path: &Path| fs::File::open(path).and_then(|directory| directory.sync_all());
        sync(&self.path).map_err(Error::local("sync", &self.path))?;
        fs::rename(&self.path, &self.target).map_err(Error::local("name", &self.target))?;
        self.done = true;
        let parent = parent(&self.target);
        sync(parent).map_err(Error::local("sync", parent))
    }
}

/// The directory that a path lies in; a bare name lies in the current one.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove a download that was cut short");
        }
    }
}
