//! Which files of a model directory are sent along.
//!
//! Left out: what `.toprungignore` and `.gitignore` exclude (those of the directory; inside a git working tree also
//! those above it), and always [`NEVER`] and the data directory. Links are followed: a trial runs on another machine.

use crate::errors::Error;
use crate::output::format;
use ignore::{DirEntry, WalkBuilder};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Directories that are never sent.
pub(crate) const NEVER: [&str; 6] = [".toprung", ".git", "__pycache__", "target", "node_modules", ".venv"];

/// A model directory may have so many bytes.
pub(crate) const LIMIT: u64 = 100 << 20;

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Within the directory.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
}

/// The files of a model directory, sorted by path.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The directory.
    pub directory: PathBuf,
    /// What is sent.
    pub files: Vec<File>,
    /// What was left out although nothing excludes it, with the reason.
    pub skipped: Vec<String>,
}

impl Listing {
    /// No files: the trials are run by programs that have their own.
    pub(crate) fn none() -> Self {
        Self { directory: PathBuf::new(), files: Vec::new(), skipped: Vec::new() }
    }

    /// Lists `directory`; `data_dir` is left out if it lies in it.
    pub(crate) fn of(directory: &Path, data_dir: &Path) -> Result<Self, Error> {
        if !directory.is_dir() {
            return Err(Error::Model {
                message: format!("the model directory {} is not a directory", directory.display()),
                help: "name the directory of the model's code with --model-dir".to_owned(),
            });
        }
        let mut listing = Self { directory: directory.to_path_buf(), files: Vec::new(), skipped: Vec::new() };
        for entry in walk(directory, data_dir) {
            match entry {
                Ok(entry) => listing.add(&entry)?,
                // A link to nothing (editors leave them) must not stop a search.
                Err(error) if error.io_error().is_some_and(is_missing) => {
                    listing.skipped.push(error.to_string());
                }
                Err(error) => {
                    return Err(Error::Model {
                        message: format!("cannot read the model directory: {error}"),
                        help: "correct it, or exclude it in .toprungignore".to_owned(),
                    });
                }
            }
        }
        listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        listing.check_size()?;
        Ok(listing)
    }

    fn add(&mut self, entry: &DirEntry) -> Result<(), Error> {
        let path = entry.path();
        let Ok(within) = path.strip_prefix(&self.directory) else {
            return Ok(());
        };
        let kind = entry.file_type();
        if kind.is_some_and(|kind| kind.is_dir()) {
            return Ok(());
        }
        if !kind.is_some_and(|kind| kind.is_file()) {
            self.skipped.push(format!("{}: not a file", within.display()));
            return Ok(());
        }
        let size = match std::fs::metadata(path) {
            Err(error) if is_missing(&error) => {
                self.skipped.push(format!("{}: gone while it was listed", within.display()));
                return Ok(());
            }
            read => read.map_err(Error::io(format!("cannot read {}", path.display())))?.len(),
        };
        self.files.push(File { path: within.to_path_buf(), size });
        Ok(())
    }

    /// All sizes added up.
    pub(crate) fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The file is sent.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.files.binary_search_by(|file| file.path.as_path().cmp(path)).is_ok()
    }

    fn check_size(&self) -> Result<(), Error> {
        let size = self.size();
        if size <= LIMIT {
            return Ok(());
        }
        let mut largest: Vec<&File> = self.files.iter().collect();
        largest.sort_by_key(|file| std::cmp::Reverse(file.size));
        let named: Vec<_> = largest
            .iter()
            .take(5)
            .map(|file| format!("\n  {:>10}  {}", format::bytes(file.size), file.path.display()))
            .collect();
        Err(Error::Model {
            message: format!(
                "the model directory {} has {}, more than {} may be sent; the largest files:{}",
                self.directory.display(),
                format::bytes(size),
                format::bytes(LIMIT),
                named.concat()
            ),
            help: format!(
                "exclude data and results by a line in {} (as in .gitignore); a trial reads data where it lies",
                self.directory.join(".toprungignore").display()
            ),
        })
    }
}

/// A file is not there.
pub(crate) fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

fn walk(directory: &Path, data_dir: &Path) -> ignore::Walk {
    let own = data_dir.canonicalize().ok();
    let in_git = directory
        .canonicalize()
        .is_ok_and(|path| path.ancestors().any(|ancestor| ancestor.join(".git").exists()));
    WalkBuilder::new(directory)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(in_git)
        .require_git(false)
        .parents(in_git)
        .follow_links(true)
        .add_custom_ignore_filename(".toprungignore")
        .filter_entry(move |entry| !is_excluded(entry, own.as_deref()))
        .build()
}

fn is_excluded(entry: &DirEntry, data_dir: Option<&Path>) -> bool {
    // The directory itself may have any name.
    if entry.depth() == 0 || !entry.file_type().is_some_and(|kind| kind.is_dir()) {
        return false;
    }
    let never = NEVER.iter().any(|name| entry.file_name() == OsStr::new(name));
    never || data_dir.is_some_and(|own| entry.path().canonicalize().is_ok_and(|path| path == own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn names(root: &Path) -> Vec<String> {
        let listing = Listing::of(root, &root.join("state")).unwrap();
        listing.files.iter().map(|file| file.path.display().to_string()).collect()
    }

    #[test]
    fn ignored_and_generated_files_stay_at_home() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in ["train.py", "pkg/model.py", ".hidden", "b.log", "data/big.bin", "target"] {
            write(root, path, "x");
        }
        for path in [".git/HEAD", "pkg/__pycache__/m.pyc", ".toprung/db", ".venv/x", "state/db"] {
            write(root, path, "x");
        }
        write(root, ".gitignore", "*.log\n");
        write(root, ".toprungignore", "data/\n");
        let expected = [".gitignore", ".hidden", ".toprungignore", "pkg/model.py", "target", "train.py"];
        assert_eq!(names(root), expected);
    }

    #[test]
    fn a_repository_above_excludes_too() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), ".git/HEAD", "x");
        write(dir.path(), ".gitignore", "*.pt\n");
        write(dir.path(), "model/train.py", "x");
        write(dir.path(), "model/weights.pt", "x");
        assert_eq!(names(&dir.path().join("model")), ["train.py"]);
    }

    #[test]
    fn links_are_followed_and_dead_ones_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "train.py", "x");
        std::os::unix::fs::symlink("train.py", root.join("run.py")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join(".#train.py")).unwrap();
        let listing = Listing::of(root, &root.join("state")).unwrap();
        assert!(listing.contains(Path::new("run.py")));
        assert_eq!(listing.files.len(), 2);
        assert_eq!(listing.skipped.len(), 1, "{:?}", listing.skipped);
    }

    #[test]
    fn too_much_names_the_largest_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (index, megabytes) in [1_u64, 60, 50, 2, 3, 4].into_iter().enumerate() {
            let file = fs::File::create(root.join(format!("f{index}.bin"))).unwrap();
            file.set_len(megabytes << 20).unwrap();
        }
        let error = Listing::of(root, &root.join("state")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("120.0 MiB") && text.contains("100.0 MiB"), "{text}");
        let (largest, next) = (text.find("f1.bin").unwrap(), text.find("f2.bin").unwrap());
        assert!(largest < next && !text.contains("f0.bin"), "{text}");
        assert!(error.help().contains(".toprungignore"));
    }
}
