//! `toprung bench`: what this machine does in a second, measured through the real engine.
//!
//! | module | holds |
//! |---|---|
//! | `figure`, `times` | results, and how they are shown |
//! | `place`, `child` | an engine in this process or in one of its own, over a fresh store |
//! | `agent`, `events`, `search` | an agent without processes, what it says, and searches for it |
//! | `bare` | what the figures are compared with: the disk, the store and the wire alone |
//! | `trial`, `record` | what `neighbours` runs as trials, and what they write down |
//! | the others | one benchmark each |
//!
//! Nothing is simulated but the training: gRPC over loopback, sled on a disk, every answer durable. What a figure is
//! compared with is measured in the same run, because machines are noisy.

mod agent;
mod bare;
mod child;
mod decisions;
mod enter;
mod events;
mod figure;
mod memory;
mod neighbours;
mod place;
mod processes;
mod record;
mod reports;
mod search;
mod start;
mod times;
mod transitions;
pub(crate) mod trial;
mod trials;

use crate::args::Bench;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, table};
use figure::Figure;
use place::Setting;
use std::time::Duration;

/// No benchmark takes longer; filling a store with a million trials is the slowest.
const LONGEST: Duration = Duration::from_mins(20);

/// The benchmarks, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    /// Durable pauses and resumes by 64 clients.
    Transitions,
    /// Metric reports taken in durably.
    Reports,
    /// Trials that do nothing, without processes.
    Trials,
    /// Trials that do nothing, as real processes on two slots.
    Processes,
    /// From a report to its decision, with 1 000 running trials.
    Decisions,
    /// The same of a calm search, beside one that floods.
    Neighbours,
    /// From Enter to the first line of the user's script.
    Enter,
    /// Memory of an engine with 100 000 trials of 10 reports.
    Memory,
    /// Start over a store with 1 000 000 finished trials.
    Start,
}

/// Runs the benchmarks and prints their figures. A missed target is a result, not an error.
pub(crate) async fn run(args: &Bench) -> Result<Exit, Error> {
    let setting = Setting::new(args.dir.clone(), args.quick);
    let mut figures = vec![bare::flush(&setting)?];
    let all = <Name as clap::ValueEnum>::value_variants();
    for name in all.iter().filter(|name| args.names.is_empty() || args.names.contains(name)) {
        output::note(&format!("measuring: {}", word(*name)));
        let found = tokio::time::timeout(LONGEST, measure(*name, &setting)).await;
        let late = |_| failed(format!("{} took longer than {} s", word(*name), LONGEST.as_secs()));
        figures.extend(found.map_err(late)??);
    }
    print(args, &figures)
}

fn print(args: &Bench, figures: &[Figure]) -> Result<Exit, Error> {
    if args.json {
        let figures: Vec<_> = figures.iter().map(Figure::json).collect();
        output::print_json(&serde_json::json!({"quick": args.quick, "figures": figures}))?;
    } else {
        output::print(&figure::table(figures, table::terminal_width()))?;
        if args.quick {
            output::note("--quick: the sizes are too small for the figures to mean much");
        }
    }
    Ok(Exit::Ok)
}

async fn measure(name: Name, setting: &Setting) -> Result<Vec<Figure>, Error> {
    match name {
        Name::Transitions => transitions::measure(setting).await,
        Name::Reports => reports::measure(setting).await,
        Name::Trials => trials::measure(setting).await,
        Name::Processes => processes::measure(setting).await,
        Name::Decisions => decisions::measure(setting).await,
        Name::Neighbours => neighbours::measure(setting).await,
        Name::Enter => enter::measure(setting).await,
        Name::Memory => memory::measure(setting).await,
        Name::Start => start::measure(setting).await,
    }
}

fn word(name: Name) -> String {
    clap::ValueEnum::to_possible_value(&name).map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A benchmark could not be carried out.
fn failed(what: impl std::fmt::Display) -> Error {
    Error::Engine(format!("the benchmark failed: {what}"))
}

/// The outcome of a task of a benchmark.
fn joined<T>(task: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    task.map_err(failed)?
}
