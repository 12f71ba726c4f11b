//! What can go wrong while a report is written.

use std::path::PathBuf;

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be written: check that the folder exists, is writable and has room.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Rows could not be encoded as CSV.
    #[error("CSV: {0}")]
    Csv(#[from] csv::Error),
    /// Rows could not be encoded as Parquet.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The comparison could not be encoded as JSON.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A plot could not be drawn as PNG.
    #[error("PNG of {plot}: {problem}")]
    Png {
        /// The plot's name.
        plot: String,
        /// What went wrong.
        problem: String,
    },
}
