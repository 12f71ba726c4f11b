//! Tests of the parser as a whole.

mod accepted;
mod drawn;
mod models;
mod properties;
mod refused;
mod refused_search;
mod relations;
mod schema;

use crate::{ExperimentConfig, Problem, Problems, parse};

/// The smallest file, to which tests add lines.
pub(crate) const SMALLEST: &str = "\
entrypoint: python train.py
searcher: {name: single, metric: loss, max_length: {epochs: 3}}
";

/// The config of a file that must be accepted.
pub(crate) fn accepted(yaml: &str) -> ExperimentConfig {
    match parse(yaml) {
        Ok(parsed) => parsed.config,
        Err(problems) => panic!("{yaml}\n{problems}"),
    }
}

/// The warnings of a file that must be accepted.
pub(crate) fn warnings(yaml: &str) -> Vec<Problem> {
    match parse(yaml) {
        Ok(parsed) => parsed.warnings,
        Err(problems) => panic!("{yaml}\n{problems}"),
    }
}

/// The problems of a file that must be refused.
pub(crate) fn refused(yaml: &str) -> Problems {
    match parse(yaml) {
        Ok(_) => panic!("accepted:\n{yaml}"),
        Err(problems) => problems,
    }
}

/// [`SMALLEST`] with lines after it.
pub(crate) fn with(lines: &str) -> String {
    format!("{SMALLEST}{lines}")
}
