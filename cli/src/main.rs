//! The one binary, `toprung`: the search as a person at a terminal sees it.
//!
//! | module | holds |
//! |---|---|
//! | `args` | the command line |
//! | `commands` | one file per command |
//! | `connect`, `discovery`, `client`, `embed` | which engine answers, and how it is asked |
//! | `follow`, `display`, `live`, `plain` | a search while it runs |
//! | `model` | what is sent along with an experiment |
//! | `output` | text, tables, JSON |
//! | `simulation` | searches in virtual time |
//! | `bench` | what this machine does in a second |
//! | `errors`, `problems`, `exit` | what went wrong, and what to do |
//!
//! Nothing here decides about a search: that is the engine's. Text is made by pure functions, printed elsewhere.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod args;
mod bench;
mod client;
mod commands;
mod connect;
mod discovery;
mod display;
mod embed;
mod errors;
mod exit;
mod follow;
mod interrupt;
mod live;
mod logging;
mod model;
mod output;
mod plain;
mod problems;
mod repeats;
mod simulation;
mod spinner;
mod waiting;

use clap::Parser as _;
use errors::Error;
use exit::Exit;
use std::process::ExitCode;
use std::time::Duration;

/// Many small messages are made and dropped on different threads. In the runs of `docs/benchmarks.md` transitions were
/// faster with this allocator, for more memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Background tasks end within this; they hold nothing that is not written.
const LEAVE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // One library for TLS in the whole process, before anything asks for it; nothing can have chosen another yet.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let arguments = args::Arguments::parse();
    let exit = run(arguments).unwrap_or_else(|error| {
        errors::show(&error);
        error.exit()
    });
    exit.into()
}

fn run(arguments: args::Arguments) -> Result<Exit, Error> {
    logging::start(arguments.global.verbose)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let result = runtime.block_on(commands::dispatch(arguments));
    runtime.shutdown_timeout(LEAVE);
    result
}
