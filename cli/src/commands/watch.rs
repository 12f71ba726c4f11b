//! Following an experiment from a command: shows it, prints the result, and says how it can go on.

use crate::args::{Global, Showing};
use crate::client::Client;
use crate::connect::{Mode, Session};
use crate::display::Display;
use crate::errors::Error;
use crate::exit::Exit;
use crate::follow::{Outcome, follow};
use crate::interrupt::Interrupts;
use crate::output::{self, experiment, format, json, table};
use std::time::Duration;
use toprung_proto::v1;
use v1::{ExperimentState as State, TrialState};

/// An agent whose trials have ended needs only moments.
const CLOSE: Duration = Duration::from_secs(15);
/// After a second Ctrl-C its trials are cut off.
const ABANDON: Duration = Duration::from_secs(3);
/// After the last experiment of another terminal: that terminal still asks for its result.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// A page of trials when the failed one is looked for.
const PAGE: u32 = 1000;

/// Follows experiment `id`, prints how it ended, and closes the session.
pub(super) async fn watch(
    global: &Global,
    mut session: Session,
    id: u64,
    showing: Showing,
) -> Result<Exit, Error> {
    let mut interrupts = Interrupts::start()?;
    let watched = watch_all(global, &mut session, id, showing, &mut interrupts).await;
    let grace = match watched {
        Ok((_, true)) => ABANDON,
        _ => CLOSE,
    };
    let closed = tokio::select! {
        closed = session.close(grace) => closed,
        () = interrupts.next() => return Ok(Exit::Interrupted),
    };
    let (exit, _) = watched?;
    closed?;
    Ok(exit)
}

/// The exit code of the first experiment, and whether somebody is in a hurry.
async fn watch_all(
    global: &Global,
    session: &mut Session,
    id: u64,
    showing: Showing,
    interrupts: &mut Interrupts,
) -> Result<(Exit, bool), Error> {
    let (exit, mut hurry) = watch_one(global, session, id, showing, interrupts).await?;
    let mut last = id;
    // Another terminal may have submitted to the engine of this process: it stays until those have ended too.
    while session.mode == Mode::Embedded && exit != Exit::Interrupted && !hurry {
        let Some(next) = submitted_after(&session.client, last).await? else {
            break;
        };
        let name = format::printable(&next.name);
        output::note(&format!(
            "experiment {} ({name}) was submitted to this engine: it goes on here",
            next.id
        ));
        last = next.id;
        // Who has submitted it prints its result.
        let display = Display::choose(showing, interrupts.sender(), &global.data_dir);
        match follow(session, last, display, interrupts).await? {
            Outcome::Ended | Outcome::Paused(_) => {}
            Outcome::Detached => break,
            Outcome::Abandoned => hurry = true,
        }
    }
    if last != id && !hurry {
        tokio::time::sleep(LAST_ANSWERS).await;
    }
    say_what_waits(session, id, &global.in_hints()).await?;
    Ok((exit, hurry))
}

async fn watch_one(
    global: &Global,
    session: &mut Session,
    id: u64,
    showing: Showing,
    interrupts: &mut Interrupts,
) -> Result<(Exit, bool), Error> {
    let display = Display::choose(showing, interrupts.sender(), &global.data_dir);
    let hint = global.in_hints();
    match follow(session, id, display, interrupts).await? {
        Outcome::Ended => {
            let exit = print_ending(&session.client, id, showing, &hint).await?;
            Ok((exit, false))
        }
        Outcome::Paused(experiment) => {
            if showing.json {
                output::print_json(&serde_json::json!({"experiment": json::experiment(&experiment)}))?;
            }
            output::note(&format!("paused; go on with: toprung resume {id}{hint}"));
            Ok((Exit::Interrupted, false))
        }
        Outcome::Detached => {
            if showing.json {
                let experiment = session.client.experiment(id).await?;
                output::print_json(&serde_json::json!({"experiment": json::experiment(&experiment)}))?;
            }
            output::note(&format!(
                "no longer watched; the search goes on\n  watch again: toprung show {id} --follow{hint}\n  \
                 pause:       toprung pause {id}{hint}\n  end:         toprung kill {id}{hint}"
            ));
            Ok((Exit::Interrupted, false))
        }
        Outcome::Abandoned => {
            output::note(&format!("left while trials were saving; go on with: toprung resume {id}{hint}"));
            Ok((Exit::Interrupted, true))
        }
    }
}

/// Prints the result of an experiment that has ended.
async fn print_ending(client: &Client, id: u64, showing: Showing, hint: &str) -> Result<Exit, Error> {
    let ended = client.experiment(id).await?;
    let request =
        v1::ListTrialsRequest { experiment: id, after: 0, limit: experiment::RANKED, best_first: true };
    let mut best = client.trials(request).await?.trials;
    best.retain(|trial| trial.best_metric.is_some());
    let failed = if ended.state() == State::Error { failed_trial(client, id).await? } else { None };
    if showing.json {
        output::print_json(&serde_json::json!({
            "experiment": json::experiment(&ended),
            "best_trials": json::trials(&best),
            "failed_trial": failed.as_ref().map(json::trial),
        }))?;
    } else {
        let ending = experiment::Ending { experiment: &ended, best: &best, failed: failed.as_ref(), hint };
        output::print(&experiment::ending(&ending, format::now_ms(), table::terminal_width()))?;
    }
    Ok(if ended.state() == State::Completed { Exit::Ok } else { Exit::SearchFailed })
}

/// The trial that failed last.
async fn failed_trial(client: &Client, id: u64) -> Result<Option<v1::Trial>, Error> {
    let mut found: Option<v1::Trial> = None;
    let mut after = 0;
    loop {
        let request = v1::ListTrialsRequest { experiment: id, after, limit: PAGE, best_first: false };
        let page = client.trials(request).await?;
        after = page.trials.last().map_or(after, |trial| trial.id);
        let failures = page
            .trials
            .into_iter()
            .filter(|trial| trial.state() == TrialState::Error || trial.failure.is_some());
        found = found
            .into_iter()
            .chain(failures)
            .max_by_key(|trial| (trial.state() == TrialState::Error, trial.ended_unix_ms, trial.id));
        if !page.more {
            return Ok(found);
        }
    }
}

/// The oldest experiment after `id` that has not ended.
async fn submitted_after(client: &Client, id: u64) -> Result<Option<v1::Experiment>, Error> {
    let listed = client.experiments(100).await?.experiments;
    let at_work = |experiment: &v1::Experiment| {
        matches!(experiment.state(), State::Active | State::Pausing | State::Killing)
    };
    Ok(listed
        .into_iter()
        .filter(|experiment| experiment.id > id && at_work(experiment))
        .min_by_key(|experiment| experiment.id))
}

/// Says which experiments go on because the engine has started: their process had ended before them.
pub(super) async fn say_what_goes_on(session: &Session, but: u64, hint: &str) -> Result<(), Error> {
    say_of_others(session, but, hint, "goes on too; stop it with: toprung pause").await
}

/// Says which other experiments stop working because the engine of this process ends.
async fn say_what_waits(session: &Session, but: u64, hint: &str) -> Result<(), Error> {
    say_of_others(session, but, hint, "has not ended; go on with: toprung resume").await
}

async fn say_of_others(session: &Session, but: u64, hint: &str, what: &str) -> Result<(), Error> {
    if session.mode != Mode::Embedded {
        return Ok(());
    }
    for experiment in session.client.experiments(100).await?.experiments {
        if experiment.state() == State::Active && experiment.id != but {
            let (id, name) = (experiment.id, format::printable(&experiment.name));
            output::note(&format!("experiment {id} ({name}) {what} {id}{hint}"));
        }
    }
    Ok(())
}
