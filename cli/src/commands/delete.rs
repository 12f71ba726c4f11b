//! `toprung delete`

use crate::args::{Delete, Global};
use crate::client::Client;
use crate::connect::{self, Mode, Need};
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format};
use std::io::{BufRead as _, IsTerminal as _};
use toprung_proto::v1;

/// The agent of this process ends within this.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(5);

/// Removes an experiment; asks before on a terminal.
pub(super) async fn run(global: &Global, args: Delete) -> Result<Exit, Error> {
    let need = if args.keep_checkpoints { Need::Look } else { Need::Remove };
    let session = connect::open(global, need).await?;
    if need == Need::Remove && session.mode == Mode::Embedded {
        agent_is_there(&session.client).await?;
    }
    let deleted = delete(&session.client, args).await;
    let closed = session.close(CLOSING).await;
    let deleted = deleted?;
    closed?;
    if args.json {
        let (left, waiting) = deleted.as_ref().map(|done| (done.checkpoints, &done.waiting_for)).unzip();
        output::print_json(&serde_json::json!({
            "deleted": deleted.as_ref().map(|_| args.id), "checkpoints": left, "waiting_for": waiting,
        }))?;
    } else {
        output::print(&text(args.id, args.keep_checkpoints, deleted.as_ref()))?;
    }
    Ok(Exit::Ok)
}

/// What was done, and what is left to do.
fn text(id: u64, keep: bool, deleted: Option<&v1::DeleteExperimentResponse>) -> String {
    let Some(deleted) = deleted else { return "nothing was deleted\n".to_owned() };
    let kept = if keep { "; its checkpoints stay where they are" } else { "" };
    if deleted.waiting_for.is_empty() {
        return format!("experiment {id} is deleted{kept}\n");
    }
    let agents = deleted.waiting_for.join(", ");
    format!(
        "experiment {id} is deleted; files of its checkpoints lie with {}, which {} not connected: they are removed when \
         it comes back\n",
        format::printable(&agents),
        if deleted.waiting_for.len() == 1 { "is" } else { "are" },
    )
}

/// Waits a moment for the agent of this process: it removes the files.
async fn agent_is_there(client: &Client) -> Result<(), Error> {
    let give_up = tokio::time::Instant::now() + CLOSING;
    while tokio::time::Instant::now() < give_up {
        if client.agents().await?.agents.iter().any(|agent| agent.connected) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn delete(client: &Client, args: Delete) -> Result<Option<v1::DeleteExperimentResponse>, Error> {
    if !args.yes {
        let experiment = client.experiment(args.id).await?;
        if !std::io::stdin().is_terminal() {
            return Err(Error::Usage {
                message: format!("experiment {} was not deleted: nobody can be asked", args.id),
                help: "pass --yes".to_owned(),
            });
        }
        if !confirmed(&question(&experiment, args.keep_checkpoints))? {
            return Ok(None);
        }
    }
    client.delete(args.id, args.keep_checkpoints).await.map(Some)
}

fn question(experiment: &v1::Experiment, keep_checkpoints: bool) -> String {
    let checkpoints = if keep_checkpoints { "reports and logs" } else { "reports, logs and checkpoints" };
    let trials = experiment.trials.map_or(0, |trials| trials.total);
    format!(
        "delete experiment {} ({}, {}) with {}, their {checkpoints}? [y/N] ",
        experiment.id,
        format::printable(&experiment.name),
        format::experiment_state(experiment.state),
        format::counted(trials, "trial", "trials")
    )
}

fn confirmed(question: &str) -> Result<bool, Error> {
    output::print(question)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Error::io("cannot read the answer"))?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_deletes() {
        assert!(is_yes("Yes\n") && is_yes("y"));
        assert!(!is_yes("") && !is_yes("n") && !is_yes("yesterday"));
    }

    #[test]
    fn the_question_says_what_is_lost() {
        let trials = v1::TrialCounts { total: 1, ..Default::default() };
        let experiment =
            v1::Experiment { id: 4, name: "digits".into(), trials: Some(trials), ..Default::default() };
        let text = question(&experiment, false);
        assert!(text.contains("experiment 4 (digits, unspecified) with 1 trial,"), "{text}");
        assert!(text.contains("checkpoints") && !question(&experiment, true).contains("checkpoints"));
    }
}
