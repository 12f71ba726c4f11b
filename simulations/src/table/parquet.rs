//! Parquet files as tables. Read row by row, without Arrow.

use super::Table;
use super::columns::{Builder, Cell, Mapping};
use crate::error::Error;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::fs::File;
use std::path::Path;

impl Table {
    /// Reads a Parquet file with plain columns (no lists or maps among those that the mapping names), uncompressed or by
    /// snappy or zstd.
    pub fn read_parquet(path: &Path, mapping: &Mapping) -> Result<Self, Error> {
        let format = |error: parquet::errors::ParquetError| Error::Format {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let reader = SerializedFileReader::new(file).map_err(format)?;
        let schema = reader.metadata().file_metadata().schema();
        let heads: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let mut builder = Builder::new(path, mapping, &heads)?;
        for (index, row) in reader.get_row_iter(None).map_err(format)?.enumerate() {
            let cells: Vec<Cell> =
                row.map_err(format)?.into_columns().into_iter().map(|(_, field)| cell(field)).collect();
            builder.line(index, |column| cells.get(column).cloned().unwrap_or(Cell::Empty))?;
        }
        builder.finish()
    }
}

fn cell(field: Field) -> Cell {
    match field {
        Field::Null => Cell::Empty,
        Field::Bool(truth) => Cell::Bool(truth),
        Field::Byte(number) => Cell::Int(i64::from(number)),
        Field::Short(number) => Cell::Int(i64::from(number)),
        Field::Int(number) => Cell::Int(i64::from(number)),
        Field::Long(number) => Cell::Int(number),
        Field::UByte(number) => Cell::Int(i64::from(number)),
        Field::UShort(number) => Cell::Int(i64::from(number)),
        Field::UInt(number) => Cell::Int(i64::from(number)),
        Field::ULong(number) => i64::try_from(number).map_or(Cell::Number(number as f64), Cell::Int),
        Field::Float(number) => Cell::Number(f64::from(number)),
        Field::Double(number) => Cell::Number(number),
        Field::Str(text) => Cell::Text(text),
        // Dates, decimals and nested values are told apart by their text.
        other => Cell::Text(other.to_string()),
    }
}
