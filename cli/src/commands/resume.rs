//! `toprung resume`

use super::watch;
use crate::args::{Global, Resume};
use crate::connect::{self, Mode, Need, Session};
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format, json};
use crate::spinner;
use std::time::Duration;
use toprung_proto::v1::{Experiment, ExperimentState as State};

/// An agent without trials ends at once.
const CLOSE: Duration = Duration::from_secs(5);

/// Goes on with an experiment and follows it. One that is active already is only followed.
pub(super) async fn run(global: &Global, args: Resume) -> Result<Exit, Error> {
    if global.server.is_none() && !global.data_dir.exists() {
        return Err(Error::NoExperiments(global.data_dir.clone()));
    }
    let need = Need::Train { slots: args.slots };
    let session = spinner::waiting("starting", connect::open(global, need)).await?;
    match resume(global, args, &session).await {
        Ok(true) => watch::watch(global, session, args.id, args.show).await,
        Ok(false) => {
            session.close(CLOSE).await?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            if let Err(second) = session.close(CLOSE).await {
                tracing::warn!(error = %second, "closing after a refused resume");
            }
            Err(error)
        }
    }
}

/// Whether it is to be followed.
async fn resume(global: &Global, args: Resume, session: &Session) -> Result<bool, Error> {
    if args.detach && session.mode == Mode::Embedded {
        return Err(Error::Usage {
            message: "--detach needs an engine that goes on after this command".to_owned(),
            help: "leave it out, or start an engine with `toprung serve --agent`".to_owned(),
        });
    }
    let mut experiment = session.client.experiment(args.id).await?;
    if experiment.state() != State::Active {
        experiment = session.client.resume(args.id).await?;
    }
    watch::say_what_goes_on(session, args.id, &global.in_hints()).await?;
    if args.detach {
        say(&experiment, args.show.json, &global.in_hints())?;
    }
    Ok(!args.detach)
}

fn say(experiment: &Experiment, as_json: bool, hint: &str) -> Result<(), Error> {
    if as_json {
        return output::print_json(&serde_json::json!({"experiment": json::experiment(experiment)}));
    }
    let state = format::experiment_state(experiment.state);
    let id = experiment.id;
    output::print(&format!("experiment {id} is {state}; watch it with: toprung show {id} --follow{hint}\n"))
}
