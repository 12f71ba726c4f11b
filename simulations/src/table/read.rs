//! Files of any kind that a mapping can describe, by how their names end.

use super::{Mapping, Table};
use crate::error::Error;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use std::fs::File;
use std::path::Path;

impl Table {
    /// Reads a Parquet file (`.parquet`), or else CSV, see [`Table::read_parquet`] and [`Table::read_csv`].
    pub fn read(path: &Path, mapping: &Mapping) -> Result<Self, Error> {
        if is_parquet(path) { Self::read_parquet(path, mapping) } else { Self::read_csv(path, mapping) }
    }

    /// The heads of the columns of such a file, from which a [`Mapping`] can be made.
    pub fn heads(path: &Path) -> Result<Vec<String>, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let format = |problem: String| Error::Format { path: path.to_owned(), problem };
        let file = File::open(path).map_err(read)?;
        if is_parquet(path) {
            let reader = SerializedFileReader::new(file).map_err(|error| format(error.to_string()))?;
            let schema = reader.metadata().file_metadata().schema();
            return Ok(schema.get_fields().iter().map(|field| field.name().to_owned()).collect());
        }
        let compressed = path.extension().is_some_and(|extension| extension == "zst");
        let input: Box<dyn std::io::Read> =
            if compressed { Box::new(zstd::Decoder::new(file).map_err(read)?) } else { Box::new(file) };
        let mut reader = csv::Reader::from_reader(input);
        let heads = reader.headers().map_err(|error| format(error.to_string()))?;
        Ok(heads.iter().map(str::to_owned).collect())
    }
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}
