//! The experiment file: parsing, defaults, merging, its JSON Schema and its reference.
//!
//! Strict, and all mistakes at once, each with line, column and path. Everything that leaves [`parse`] is valid.
//!
//! | module | holds |
//! |---|---|
//! | `node` | the raw layer: YAML as a tree with places |
//! | `language` | the words of the file, their ranges and defaults: one description for parser, schema and reference |
//! | `context` | collecting problems; reading a map by its description |
//! | `top`, `searcher`, `hyperparameters`, … | the validating layer, a section each |
//! | [`config`] | what comes out |
//! | `complete` | back into the file's language, with secrets masked if wanted |
//! | `emit` | YAML text from a tree |
//! | `merge` | a template under the file, `--set` over it |
//! | `schema`, `reference` | what editors and people read |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod checkpoints;
mod complete;
pub mod config;
mod constraints;
mod context;
mod emit;
mod entrypoint;
mod environment;
mod grid;
mod halving;
mod hyperparameters;
mod language;
mod length;
mod merge;
mod model;
mod nearest;
mod node;
mod prior;
mod problem;
mod reference;
mod resources;
mod schema;
mod searcher;
mod top;
mod value;

pub use config::{
    BindMount, CheckpointPolicy, CheckpointStorage, Device, Entrypoint, Environment, ExperimentConfig,
    Images, Length, LogAction, LogPolicy, Metrics, Profiling, Resources, SearcherSettings, StoragePlace,
    WarmStart,
};
pub use emit::to_yaml;
pub use merge::merged;
pub use nearest::suggestion;
pub use problem::{Problem, Problems, Report, Severity};
pub use reference::reference;
pub use schema::schema;

/// A file that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What it says, with every default filled in.
    pub config: ExperimentConfig,
    /// What its author should know; none is an error.
    pub warnings: Vec<Problem>,
}

/// Parses an experiment file.
///
/// # Errors
/// All mistakes of the file at once, with its warnings, in the order of their places. Where the text is not YAML, that alone.
pub fn parse(yaml: &str) -> Result<Parsed, Problems> {
    let mut cx = context::Context::default();
    let config = match node::read(yaml) {
        // An empty file lacks what a map without keys lacks.
        Ok(root) if root.is_null() => top::read(&mut cx, &node::Node::new(node::Kind::Map(Vec::new()))),
        Ok(root) => top::read(&mut cx, &root),
        Err(error) => {
            cx.error(error.span, "", error.message, "");
            None
        }
    };
    let problems = cx.finish();
    match config {
        Some(config) if !problems.has_errors() => Ok(Parsed { config, warnings: problems.0 }),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests;
