//! What can be wrong with a simulation before it starts. Once started, a simulation has no errors.

use std::path::PathBuf;

/// A simulation that cannot be run as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read: check that it is there and may be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should: correct it.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and what is allowed.
        problem: String,
    },
    /// The parts of a table do not fit each other.
    #[error("table {name}: {problem}")]
    Table {
        /// The table.
        name: String,
        /// What is wrong, where, and what is allowed.
        problem: String,
    },
    /// A setting of the simulated world makes no sense: change it.
    #[error("{setting} is {found}, allowed is {allowed}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What it was.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The searcher cannot be run as configured.
    #[error(transparent)]
    Searcher(#[from] toprung_searchers::Error),
}
