//! Searches in virtual time: what `toprung simulate` and `toprung tune-searcher` share.
//!
//! | file | holds |
//! |---|---|
//! | `amount`, `budget` | virtual time, and what a search may use up |
//! | `listed` | `NAME:KEY=VALUE,…` as it is written |
//! | `spec` | a searcher as it is written, read by the parser of the experiment file |
//! | `tasks`, `columns`, `synthetic`, `recorded` | where curves come from: tables, formulae, experiments that ran |
//! | `arena` | tasks, contestants and the simulated cluster, checked and ready |
//! | `playing`, `progress` | all runs on all cores, and how far they are |
//! | `judging` | what the runs are compared by |
//! | `replicates` | very many searches at once, by the kernels |
//! | `grid`, `tuning`, `advice` | settings to try, those that are left, and what to take |
//!
//! Nothing here decides about a search: searchers, world and judge are those of `toprung-simulations`.

pub(crate) mod advice;
pub(crate) mod amount;
pub(crate) mod arena;
pub(crate) mod budget;
mod columns;
pub(crate) mod grid;
pub(crate) mod judging;
mod listed;
pub(crate) mod playing;
mod progress;
mod recorded;
pub(crate) mod replicates;
pub(crate) mod spec;
mod synthetic;
pub(crate) mod tasks;
pub(crate) mod tuning;

use crate::errors::Error;

/// What the harness says of a wrong setting or file, with what to do.
fn refused(error: toprung_simulations::Error) -> Error {
    use toprung_simulations::Error as Found;
    let help = match &error {
        Found::Read { .. } => {
            "check the path; --table takes a CSV or Parquet file, or a folder with task.json"
        }
        Found::Format { .. } => "--columns says which columns are what; `toprung simulate --help` shows how",
        Found::Table { .. } => "a table needs metrics of at least two configurations that differ",
        Found::Setting { .. } => "`toprung simulate --help` lists the settings",
        Found::Searcher(_) => "this searcher does not go with the hyperparameters of the curves",
    };
    Error::Usage { message: error.to_string(), help: help.to_owned() }
}
