//! Standings and runs as CSV, and runs as Parquet.

use super::error::Error;
use crate::judge::{Comparison, Score, Standing};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

/// The standings: over all tasks for each axis, and for each task in time.
pub(super) fn standings(comparison: &Comparison) -> Result<String, Error> {
    let setup = &comparison.setup;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "axis",
        "fraction",
        "task",
        "searcher",
        "baseline",
        "regret",
        "regret_low",
        "regret_high",
        "mean_rank",
        "rank_error",
    ])?;
    let mut put = |axis: &str, fraction: f64, task: &str, standing: &Standing| {
        let searcher = &setup.searchers[standing.searcher];
        let regret = standing.regret;
        writer.write_record([
            axis,
            &cell(fraction),
            task,
            &searcher.label,
            &searcher.baseline.to_string(),
            &cell(regret.value),
            &cell(regret.low),
            &cell(regret.high),
            &cell(standing.rank),
            &cell(standing.rank_error),
        ])
    };
    for verdict in &comparison.verdicts {
        for standing in &verdict.standings {
            put(verdict.axis.name(), verdict.fraction, "*", standing)?;
        }
    }
    for task in &comparison.tasks {
        for (standings, &fraction) in task.standings.iter().zip(&setup.fractions) {
            for standing in standings {
                put("time", fraction, &setup.tasks[task.task].name, standing)?;
            }
        }
    }
    finish(writer)
}

/// Every run at every budget.
pub(super) fn runs(comparison: &Comparison) -> Result<String, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["task", "searcher", "seed", "axis", "fraction", "budget", "best", "regret"])?;
    for score in &comparison.scores {
        writer.write_record([
            &score.task,
            &score.searcher,
            &score.seed.to_string(),
            score.axis.name(),
            &cell(score.fraction),
            &cell(score.budget),
            &cell(score.best),
            &cell(score.regret),
        ])?;
    }
    finish(writer)
}

/// A number as it can be read back to the same bits; empty for NaN.
fn cell(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

fn finish(writer: csv::Writer<Vec<u8>>) -> Result<String, Error> {
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const SCHEMA: &str = "message runs {
    required binary task (utf8);
    required binary searcher (utf8);
    required int64 seed;
    required binary axis (utf8);
    required double fraction;
    required double budget;
    required double best;
    required double regret;
}";

/// Every run at every budget, in one row group compressed by zstd.
pub(super) fn parquet(comparison: &Comparison) -> Result<Vec<u8>, Error> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    let mut column = 0;
    while let Some(mut writer) = group.next_column()? {
        let scores = &comparison.scores;
        match writer.untyped() {
            ColumnWriter::ByteArrayColumnWriter(typed) => {
                typed.write_batch(&texts(scores, column), None, None)?
            }
            ColumnWriter::Int64ColumnWriter(typed) => {
                let seeds: Vec<i64> = scores.iter().map(|score| i64::from(score.seed)).collect();
                typed.write_batch(&seeds, None, None)?
            }
            ColumnWriter::DoubleColumnWriter(typed) => {
                typed.write_batch(&numbers(scores, column), None, None)?
            }
            _ => 0, // The schema above has no other types.
        };
        writer.close()?;
        column += 1;
    }
    group.close()?;
    file.close()?;
    Ok(bytes)
}

fn texts(scores: &[Score], column: usize) -> Vec<ByteArray> {
    let text = |score: &Score| match column {
        0 => ByteArray::from(score.task.as_str()),
        1 => ByteArray::from(score.searcher.as_str()),
        _ => ByteArray::from(score.axis.name()),
    };
    scores.iter().map(text).collect()
}

fn numbers(scores: &[Score], column: usize) -> Vec<f64> {
    let number = |score: &Score| match column {
        4 => score.fraction,
        5 => score.budget,
        6 => score.best,
        _ => score.regret,
    };
    scores.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    fn comparison() -> Comparison {
        let (setup, runs) = samples::comparison_input(2, 4, 3);
        Comparison::new(setup, &runs).unwrap()
    }

    #[test]
    fn golden_standings() {
        insta::assert_snapshot!(standings(&comparison()).unwrap());
    }

    #[test]
    fn runs_read_back_to_the_same_bits() {
        let comparison = comparison();
        let text = runs(&comparison).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), comparison.scores.len());
        for (row, score) in rows.iter().zip(&comparison.scores) {
            assert_eq!((&row[0], &row[1]), (score.task.as_str(), score.searcher.as_str()));
            assert_eq!((row[6].parse().unwrap(), row[7].parse().unwrap()), (score.best, score.regret));
        }
    }

    #[test]
    fn parquet_reads_back_to_the_same_bits() {
        let comparison = comparison();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &parquet(&comparison).unwrap()).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), comparison.scores.len());
        for (row, score) in rows.iter().zip(&comparison.scores) {
            assert_eq!(row.get_string(0).unwrap(), &score.task);
            assert_eq!(row.get_string(1).unwrap(), &score.searcher);
            assert_eq!(row.get_long(2).unwrap(), i64::from(score.seed));
            assert_eq!(row.get_string(3).unwrap(), score.axis.name());
            let numbers = [4, 5, 6, 7].map(|column| row.get_double(column).unwrap());
            assert_eq!(numbers, [score.fraction, score.budget, score.best, score.regret]);
        }
    }
}
