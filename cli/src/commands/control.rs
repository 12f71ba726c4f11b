//! `toprung pause` and `toprung kill`

use super::look;
use crate::args::{Control, Global};
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format, json};
use toprung_proto::v1;

/// Pauses; returns when it is durable, not when every trial has saved.
pub(super) async fn pause(global: &Global, args: Control) -> Result<Exit, Error> {
    let found = look(global, |client, _| async move { client.pause(args.id).await }).await?;
    let (id, hint) = (args.id, global.in_hints());
    say(&found, args.json, &format!("go on with: toprung resume {id}{hint}"))
}

/// Ends it.
pub(super) async fn kill(global: &Global, args: Control) -> Result<Exit, Error> {
    let found = look(global, |client, _| async move { client.kill(args.id).await }).await?;
    let (id, hint) = (args.id, global.in_hints());
    say(&found, args.json, &format!("its trials stay: toprung trials {id}{hint}"))
}

fn say(found: &v1::Experiment, as_json: bool, next: &str) -> Result<Exit, Error> {
    if as_json {
        output::print_json(&serde_json::json!({"experiment": json::experiment(found)}))?;
    } else {
        output::print(&told(found, next))?;
    }
    Ok(Exit::Ok)
}

fn told(found: &v1::Experiment, next: &str) -> String {
    let state = match found.state() {
        v1::ExperimentState::Killing => "ending",
        _ => format::experiment_state(found.state),
    };
    format!("experiment {} is {state}; {next}\n", found.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_killing() {
        let mut found = v1::Experiment { id: 2, ..Default::default() };
        found.set_state(v1::ExperimentState::Killing);
        assert_eq!(told(&found, "x"), "experiment 2 is ending; x\n");
        found.set_state(v1::ExperimentState::Pausing);
        assert_eq!(told(&found, "x"), "experiment 2 is pausing; x\n");
    }
}
