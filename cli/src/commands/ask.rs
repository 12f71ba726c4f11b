//! `toprung ask` and `toprung tell`: one call each, for programs that run trials themselves.

use super::look;
use crate::args::{Ask, Global, Tell};
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, asking};
use toprung_proto::v1::{self, TellOutcome, ask_response::Outcome};

/// Asks for a trial; the exit code says whether there is one.
pub(super) async fn ask(global: &Global, args: Ask) -> Result<Exit, Error> {
    let request = v1::AskRequest {
        experiment: args.id,
        client: args.client,
        lane: args.lane,
        max_wait_ms: args.wait.saturating_mul(1_000),
    };
    let outcome = look(global, |client, _| async move { client.ask(request).await }).await?;
    if args.json {
        output::print_json(&asking::asked(&outcome))?;
    } else {
        output::print(&asking::asked_text(&outcome))?;
    }
    Ok(match outcome {
        Outcome::Assignment(_) => Exit::Ok,
        Outcome::Nothing(_) => Exit::Unavailable,
        Outcome::Over(_) => Exit::NotFound,
    })
}

/// Tells what came of a trial.
pub(super) async fn tell(global: &Global, args: Tell) -> Result<Exit, Error> {
    let as_json = args.json;
    let request = request(args);
    let answer = look(global, |client, _| async move { client.tell(request).await }).await?;
    if as_json {
        output::print_json(&asking::told(&answer))?;
    } else {
        output::print(&asking::told_text(&answer))?;
    }
    Ok(Exit::Ok)
}

fn request(args: Tell) -> v1::TellRequest {
    let (outcome, message) = match (args.done, args.released, args.failed, args.invalid) {
        (true, ..) => (TellOutcome::Done, None),
        (_, true, ..) => (TellOutcome::Released, None),
        (_, _, Some(why), _) => (TellOutcome::Failed, Some(why)),
        (.., Some(why)) => (TellOutcome::Invalid, Some(why)),
        _ => (TellOutcome::Unspecified, None),
    };
    let length = args.length.unwrap_or(0);
    let metrics = args.metrics.into_iter().map(|(name, value)| v1::Metric { name, value });
    v1::TellRequest {
        experiment: args.id,
        trial: args.trial,
        attempt: args.attempt,
        client: args.client,
        reports: report(length, metrics.collect(), args.training).into_iter().collect(),
        checkpoint: args.checkpoint.map(|label| v1::ToldCheckpoint { label, length }),
        outcome: outcome.into(),
        message: message.unwrap_or_default(),
    }
}

/// A report, if there are metrics.
pub(super) fn report(length: u64, metrics: Vec<v1::Metric>, training: bool) -> Option<v1::Report> {
    let group = if training { v1::MetricGroup::Training } else { v1::MetricGroup::Validation };
    (!metrics.is_empty()).then(|| v1::Report { group: group.into(), length, metrics, time_unix_ms: 0 })
}
