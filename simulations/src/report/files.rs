//! The entry: one comparison, and everything that can be made of it.

use super::error::Error;
use super::plot::{self, Picture};
use super::{page, tables, terminal};
use crate::judge::Comparison;
use std::fs;
use std::path::{Path, PathBuf};

/// A comparison that can be shown.
pub struct Report<'a> {
    comparison: &'a Comparison,
}

impl<'a> Report<'a> {
    /// A report on a comparison.
    pub fn new(comparison: &'a Comparison) -> Self {
        Self { comparison }
    }

    /// A table and the conclusion for a terminal of this many columns. Plain text, without colours.
    pub fn table(&self, width: u16) -> String {
        terminal::table(self.comparison, width)
    }

    /// The standings as CSV: one row for each axis, part of the budget, task (or `*` for all) and searcher.
    pub fn csv(&self) -> Result<String, Error> {
        tables::standings(self.comparison)
    }

    /// Every run at every budget as CSV.
    pub fn runs_csv(&self) -> Result<String, Error> {
        tables::runs(self.comparison)
    }

    /// Every run at every budget as a Parquet file.
    pub fn parquet(&self, path: &Path) -> Result<(), Error> {
        let bytes = tables::parquet(self.comparison)?;
        write(path, &bytes)
    }

    /// The whole comparison as JSON. A number that could not be measured is null.
    pub fn json(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(self.comparison)?)
    }

    /// A page that shows everything and refers to nothing outside itself.
    pub fn html(&self) -> String {
        page::html(self.comparison)
    }

    /// All plots.
    pub fn pictures(&self) -> Vec<Picture> {
        plot::pictures(self.comparison)
    }

    /// Writes `index.html`, `standings.csv`, `runs.csv`, `runs.parquet`, `comparison.json`, `table.txt` and each plot as
    /// `plots/NAME.svg` and `plots/NAME.png` into a folder, which is made if need be. Returns the files' paths.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let plots = folder.join("plots");
        fs::create_dir_all(&plots).map_err(|source| Error::Write { path: plots.clone(), source })?;
        let mut written = Vec::new();
        let mut put = |path: PathBuf, bytes: &[u8]| {
            write(&path, bytes)?;
            written.push(path);
            Ok::<(), Error>(())
        };
        put(folder.join("index.html"), self.html().as_bytes())?;
        put(folder.join("standings.csv"), self.csv()?.as_bytes())?;
        put(folder.join("runs.csv"), self.runs_csv()?.as_bytes())?;
        put(folder.join("runs.parquet"), &tables::parquet(self.comparison)?)?;
        put(folder.join("comparison.json"), self.json()?.as_bytes())?;
        put(folder.join("table.txt"), self.table(120).as_bytes())?;
        for picture in self.pictures() {
            put(plots.join(format!("{}.svg", picture.name)), picture.svg().as_bytes())?;
            put(plots.join(format!("{}.png", picture.name)), &picture.png()?)?;
        }
        Ok(written)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Comparison, samples};

    /// Set `REPORT_FOLDER` to look at the result.
    #[test]
    fn every_file_is_written() {
        let (setup, runs) = samples::comparison_input(2, 12, 10);
        let comparison = Comparison::new(setup, &runs).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let folder =
            std::env::var_os("REPORT_FOLDER").map_or(temporary.path().join("new/folder"), PathBuf::from);
        let written = Report::new(&comparison).write(&folder).unwrap();
        assert!(written.iter().all(|path| fs::metadata(path).unwrap().len() > 500), "{written:?}");
        let names: Vec<String> =
            written.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        for name in
            ["index.html", "runs.parquet", "mean-rank.svg", "mean-rank.png", "2-task_1-regret-length.png"]
        {
            assert!(names.iter().any(|written| written == name), "{name} is not among {names:?}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.join("comparison.json")).unwrap()).unwrap();
        assert_eq!(json["verdicts"].as_array().unwrap().len(), 12);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let (setup, runs) = samples::comparison_input(1, 1, 1);
        let comparison = Comparison::new(setup, &runs).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Report::new(&comparison).write(file.path()).unwrap_err().to_string();
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
    }
}
