//! `toprung show`

use super::{look, status, watch};
use crate::args::{Global, Show, Showing};
use crate::connect::{self, Mode, Need};
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, experiment, format, json};
use std::time::Duration;
use toprung_proto::v1::{Experiment, ExperimentState as State};

/// Shows one experiment, its configuration, or follows it.
pub(super) async fn run(global: &Global, args: Show) -> Result<Exit, Error> {
    if args.follow {
        return follow(global, args).await;
    }
    let found = look(global, |client, _| async move {
        let found = client.experiment(args.id).await?;
        if !args.json && !args.config {
            status::say_degraded(&client).await?;
        }
        Ok(found)
    })
    .await?;
    if args.config {
        return config(&found.config_json, args.json);
    }
    if args.json {
        output::print_json(&serde_json::json!({"experiment": json::experiment(&found)}))?;
    } else {
        output::print(&experiment::show(&found, format::now_ms()))?;
    }
    Ok(Exit::Ok)
}

/// The complete configuration as an experiment file that can be run again, or as JSON.
fn config(text: &str, as_json: bool) -> Result<Exit, Error> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if as_json => output::print_json(&value)?,
        Ok(value) => output::print(&toprung_config::to_yaml(&value))?,
        Err(_) => output::print(&format!("{text}\n"))?,
    }
    Ok(Exit::Ok)
}

async fn follow(global: &Global, args: Show) -> Result<Exit, Error> {
    let session = connect::open(global, Need::Look).await?;
    if session.mode == Mode::Embedded {
        let found = session.client.experiment(args.id).await;
        if !found.as_ref().is_ok_and(has_ended) {
            session.close(Duration::from_secs(5)).await?;
            found?;
            return Err(Error::Conflict(format!(
                "nothing runs in {}: go on with `toprung resume {}{}`",
                global.data_dir.display(),
                args.id,
                global.in_hints()
            )));
        }
    }
    let showing = Showing { json: args.json, quiet: false };
    watch::watch(global, session, args.id, showing).await
}

fn has_ended(experiment: &Experiment) -> bool {
    matches!(experiment.state(), State::Completed | State::Killed | State::Error)
}
