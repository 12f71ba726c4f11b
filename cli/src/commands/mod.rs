//! The commands, one file each. A command reads its arguments, asks the engine, and prints.

mod agent;
mod agents;
mod ask;
mod ask_tell;
mod backup;
mod beside;
mod best;
mod checkpoints;
mod control;
mod decide;
mod delete;
mod drain;
mod fork;
mod list;
mod logs;
mod plan;
mod resume;
mod run;
mod schema;
mod serve;
mod show;
mod simulate;
pub(crate) mod source;
mod status;
mod store;
mod trials;
mod tune_searcher;
mod watch;

use crate::args::{AgentsCommand, Arguments, Command, Global};
use crate::connect::{self, Need, Session};
use crate::errors::Error;
use crate::exit::Exit;
use std::future::Future;
use std::time::Duration;

/// A session without an agent ends at once.
const LOOKED: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) async fn dispatch(arguments: Arguments) -> Result<Exit, Error> {
    let global = arguments.global;
    match arguments.command {
        Command::Run(args) => run::run(&global, &args).await,
        Command::Plan(args) => plan::run(&global, &args).await,
        Command::Simulate(args) => simulate::run(&global, &args).await,
        Command::TuneSearcher(args) => tune_searcher::run(&global, &args).await,
        Command::List(args) => list::run(&global, args).await,
        Command::Show(args) => show::run(&global, args).await,
        Command::Trials(args) => trials::run(&global, args).await,
        Command::Logs(args) => logs::run(&global, args).await,
        Command::Best(args) => best::run(&global, args).await,
        Command::Pause(args) => control::pause(&global, args).await,
        Command::Fork(args) => fork::run(&global, args, false).await,
        Command::Continue(args) => fork::run(&global, args, true).await,
        Command::Resume(args) => resume::run(&global, args).await,
        Command::Kill(args) => control::kill(&global, args).await,
        Command::Delete(args) => delete::run(&global, args).await,
        Command::Ask(args) => ask::ask(&global, args).await,
        Command::Tell(args) => ask::tell(&global, args).await,
        Command::AskTell(args) => ask_tell::run(&global, args).await,
        Command::Decide(args) => decide::run(&global, args).await,
        Command::Agents(args) => match args.command {
            None => agents::run(&global, args.show).await,
            Some(AgentsCommand::Drain(drain)) => drain::drain(&global, drain).await,
            Some(AgentsCommand::Undrain { name, json }) => drain::undrain(&global, name, json).await,
        },
        Command::Checkpoints(args) => checkpoints::run(&global, args.command).await,
        Command::Status(args) => status::run(&global, args).await,
        Command::Serve(args) => serve::run(&global, &args).await,
        Command::Agent(args) => agent::run(&global, &args).await,
        Command::Bench(args) => crate::bench::run(&args).await,
        Command::BenchTrial(args) => crate::bench::trial::run(args.role, &args.directory).await,
        Command::Store(args) => store::run(&global, args.command).await,
        Command::Schema => schema::print(),
        Command::Completions(args) => schema::completions(args.shell),
    }
}

/// Asks an engine without running trials, and closes it again.
pub(crate) async fn look<T, F>(
    global: &Global,
    ask: impl FnOnce(crate::client::Client, connect::Mode) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let session: Session = connect::open(global, Need::Look).await?;
    let answer = ask(session.client.clone(), session.mode).await;
    let closed = session.close(LOOKED).await;
    let answer = answer?;
    closed?;
    Ok(answer)
}
