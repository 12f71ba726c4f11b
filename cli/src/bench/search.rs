//! Searches to measure with: small experiment files, and what became of them.

use super::events::METRIC;
use super::failed;
use crate::client::Client;
use crate::errors::Error;
use std::time::Duration;
use toprung_proto::v1::{self, ExperimentState};

/// How often an experiment is looked at until it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// An experiment file. `searcher`: what its searcher has beside metric and hyperparameters.
pub(super) fn file(entrypoint: &str, searcher: &str) -> String {
    format!(
        "name: benchmark\n\
         entrypoint: {entrypoint}\n\
         hyperparameters:\n\
         \x20 learning_rate: {{type: log, base: 10, minval: -4, maxval: -1}}\n\
         \x20 hidden: {{type: int, minval: 16, maxval: 256}}\n\
         searcher: {{metric: {METRIC}, {searcher}}}\n"
    )
}

/// The searcher `random` with so many trials of this length, as many at once as there are slots.
pub(super) fn random(trials: u64, length: u64) -> String {
    format!("name: random, max_trials: {trials}, max_length: {{batches: {length}}}, max_concurrent_trials: 0")
}

/// Starts a search; answers its number. `archive`: its packed model, which only real agents read.
pub(super) async fn create(client: &Client, file: String, archive: Vec<u8>) -> Result<u64, Error> {
    let request = v1::CreateExperimentRequest {
        config_yaml: file,
        config_file: "bench.yaml".to_owned(),
        model_archive: archive,
        ..Default::default()
    };
    Ok(client.create(request).await?.experiment.unwrap_or_default().id)
}

/// Waits until it has completed with so many completed trials. Anything else is an error.
pub(super) async fn completed(client: &Client, id: u64, trials: u64) -> Result<(), Error> {
    loop {
        let experiment = client.experiment(id).await?;
        if experiment.ended_unix_ms == 0 {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let found = experiment.trials.map_or(0, |counts| counts.completed);
        if experiment.state() == ExperimentState::Completed && found == trials {
            return Ok(());
        }
        let state = experiment.state().as_str_name();
        return Err(failed(format!(
            "{state} with {found} of {trials} trials completed: {}",
            experiment.reason
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_valid() {
        for entrypoint in ["\"true\"", "[sh, trial.sh]"] {
            let parsed = toprung_config::parse(&file(entrypoint, &random(3, 1 << 40)));
            let parsed = parsed.unwrap_or_else(|problems| panic!("{problems}"));
            assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
            assert_eq!(parsed.config.searcher.max_length, 1 << 40);
        }
    }
}
