//! The spool's files on a real disk, and the thread that syncs them.

use super::segments::Disk;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

/// How long what was written may wait to be synced.
const LONGEST_UNSYNCED: Duration = Duration::from_secs(1);
/// Files that are kept open.
const MOST_OPEN: usize = 4;
/// How a file's name ends.
const SUFFIX: &str = ".spool";
/// Where files go that are not used any more.
const ASIDE: &str = "aside";

/// What the syncing thread is to do.
#[derive(Debug, Default)]
struct Todo {
    files: BTreeMap<u64, Arc<File>>,
    urgent: bool,
    over: bool,
}

#[derive(Debug, Default)]
struct Desk {
    todo: Mutex<Todo>,
    changed: Condvar,
}

impl Desk {
    fn change(&self, change: impl FnOnce(&mut Todo)) {
        change(&mut self.todo.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// Waits until something is due; `None`: it is over and nothing is left.
    fn next(&self) -> Option<BTreeMap<u64, Arc<File>>> {
        let mut todo = self.todo.lock().unwrap_or_else(PoisonError::into_inner);
        while todo.files.is_empty() && !todo.over {
            todo = self.changed.wait(todo).unwrap_or_else(PoisonError::into_inner);
        }
        if !todo.urgent && !todo.over {
            let calm = |todo: &mut Todo| !todo.urgent && !todo.over;
            let waited = self.changed.wait_timeout_while(todo, LONGEST_UNSYNCED, calm);
            todo = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        todo.urgent = false;
        let files = std::mem::take(&mut todo.files);
        (!todo.over || !files.is_empty()).then_some(files)
    }
}

/// A directory with the spool's files.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    files: BTreeMap<u64, Arc<File>>,
    desk: Arc<Desk>,
    syncing: Option<JoinHandle<()>>,
}

impl Directory {
    /// Opens the directory, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let desk = Arc::new(Desk::default());
        let (own, directory) = (Arc::clone(&desk), path.to_owned());
        let syncing = std::thread::Builder::new()
            .name("spool-sync".to_owned())
            .spawn(move || sync(&own, &directory))?;
        Ok(Self { path: path.to_owned(), files: BTreeMap::new(), desk, syncing: Some(syncing) })
    }

    fn name(segment: u64) -> String {
        format!("{segment:016}{SUFFIX}")
    }

    fn file(&mut self, segment: u64, create: bool) -> io::Result<Arc<File>> {
        if let Some(file) = self.files.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let path = self.path.join(Self::name(segment));
        let file =
            File::options().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)?;
        let file = Arc::new(file);
        if self.files.len() >= MOST_OPEN {
            self.files.pop_first();
        }
        self.files.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    fn forget(&mut self, segment: u64) {
        self.files.remove(&segment);
        self.desk.change(|todo| drop(todo.files.remove(&segment)));
    }
}

fn sync(desk: &Desk, directory: &Path) {
    let mut newest = 0;
    while let Some(files) = desk.next() {
        for (segment, file) in files {
            let mut synced = file.sync_data();
            if segment > newest {
                newest = segment;
                // Its name must outlive a power cut, too.
                synced = synced.and_then(|()| File::open(directory)?.sync_all());
            }
            if let Err(error) = synced {
                tracing::error!(segment, %error, "cannot sync the spool; a power cut of this node may lose more than a second");
            }
        }
    }
}

impl Disk for Directory {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).map(str::parse::<u64>);
            found.extend(number.and_then(Result::ok));
        }
        found.sort_unstable();
        Ok(found)
    }

    fn read(&mut self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = self.file(segment, false)?;
        let there = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; length.min(there as usize)];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(segment, true)?.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, segment: u64, length: u64) -> io::Result<()> {
        self.file(segment, false)?.set_len(length)
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        fs::remove_file(self.path.join(Self::name(segment)))?;
        self.forget(segment);
        Ok(())
    }

    fn set_aside(&mut self, segment: u64, label: &str) -> io::Result<String> {
        let aside = self.path.join(ASIDE);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&aside)?;
        let (mut count, mut place) = (0, aside.join(format!("{label}-{}", Self::name(segment))));
        while place.exists() {
            count += 1;
            place = aside.join(format!("{label}-{count}-{}", Self::name(segment)));
        }
        fs::rename(self.path.join(Self::name(segment)), place)?;
        self.forget(segment);
        Ok(aside.display().to_string())
    }

    fn written(&mut self, segment: u64, urgent: bool) {
        let Some(file) = self.files.get(&segment).map(Arc::clone) else { return };
        // Of the older files only their places are read, and seldom.
        self.desk.change(|todo| {
            todo.files.insert(segment, file);
            todo.urgent |= urgent;
        });
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.desk.change(|todo| todo.over = true);
        if let Some(syncing) = self.syncing.take()
            && syncing.join().is_err()
        {
            tracing::error!("the thread that syncs the spool broke off");
        }
    }
}
