//! Follows an experiment until it ends, is paused, or Ctrl-C.
//!
//! With the engine in this process Ctrl-C pauses the experiment and waits until its trials have saved; the second one
//! leaves at once. With another engine Ctrl-C only stops watching. A connection that breaks is tried again.

use crate::client::Client;
use crate::connect::{Mode, Session};
use crate::display::Display;
use crate::errors::Error;
use crate::interrupt::Interrupts;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tonic::Streaming;
use toprung_proto::v1;
use v1::ExperimentState as State;

/// The screen is drawn, and the server asked for views, at most so often.
const RATE_HZ: u32 = 10;
/// How long a broken connection is tried again.
const SERVER_PATIENCE: Duration = Duration::from_mins(5);
const DISCOVERED_PATIENCE: Duration = Duration::from_secs(10);

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The experiment ended: completed, killed or in error.
    Ended,
    /// It is paused; its trials have saved.
    Paused(v1::Experiment),
    /// Ctrl-C, and the experiment goes on elsewhere.
    Detached,
    /// A second Ctrl-C: trials may still be saving.
    Abandoned,
}

/// Follows experiment `id`.
pub(crate) async fn follow(
    session: &mut Session,
    id: u64,
    display: Display,
    interrupts: &mut Interrupts,
) -> Result<Outcome, Error> {
    let client = session.client.clone();
    let mut stream = client.watch(id, RATE_HZ).await?;
    let mut follower = Follower::new(client.clone(), id, session.mode, display);
    let mut ticks = interval(Duration::from_millis(1000 / u64::from(RATE_HZ)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            item = client.next(&mut stream) => match follower.item(item).await? {
                Step::Go => {}
                Step::End(outcome) => return Ok(outcome),
                Step::Broken(error) => {
                    let again = follower.reconnect(error);
                    tokio::select! {
                        opened = again => stream = opened?,
                        () = interrupts.next() => return Ok(Outcome::Detached),
                    }
                }
            },
            () = interrupts.next() => {
                if let Some(outcome) = follower.interrupted()? {
                    return Ok(outcome);
                }
            }
            _ = ticks.tick() => {
                follower.tick().await?;
                if let Some(error) = session.agent_failure() {
                    return Err(error);
                }
            }
        }
    }
}

/// What follows from an item of the stream.
enum Step {
    Go,
    End(Outcome),
    Broken(Error),
}

struct Follower {
    client: Client,
    id: u64,
    mode: Mode,
    display: Display,
    pausing: Option<JoinHandle<Result<v1::Experiment, Error>>>,
    interrupted: bool,
}

impl Follower {
    fn new(client: Client, id: u64, mode: Mode, mut display: Display) -> Self {
        display.footer(match mode {
            Mode::Embedded => "Ctrl-C pauses the search",
            Mode::Server | Mode::Discovered => "Ctrl-C stops watching; the search goes on",
        });
        Self { client, id, mode, display, pausing: None, interrupted: false }
    }

    async fn item(
        &mut self,
        item: Result<Option<v1::WatchExperimentResponse>, Error>,
    ) -> Result<Step, Error> {
        match item {
            Ok(Some(view)) => {
                let resting = view.experiment.as_ref().and_then(at_rest);
                self.display.view(view)?;
                Ok(resting.map_or(Step::Go, Step::End))
            }
            Ok(None) => {
                let experiment = self.client.experiment(self.id).await?;
                Ok(at_rest(&experiment).map_or_else(|| Step::Broken(self.cut_off()), Step::End))
            }
            Err(error) if error.is_transient() && self.mode != Mode::Embedded => Ok(Step::Broken(error)),
            Err(error) => Err(error),
        }
    }

    fn cut_off(&self) -> Error {
        let cause = "the server ended the answer early".to_owned();
        Error::Unreachable { url: self.client.url().to_owned(), cause }
    }

    /// Opens the stream again, with growing pauses, until the patience is at its end.
    fn reconnect(
        &mut self,
        error: Error,
    ) -> impl Future<Output = Result<Streaming<v1::WatchExperimentResponse>, Error>> + use<'_> {
        let patience = match self.mode {
            Mode::Server => SERVER_PATIENCE,
            Mode::Discovered | Mode::Embedded => DISCOVERED_PATIENCE,
        };
        async move {
            let give_up = Instant::now() + patience;
            self.display.note(&format!("{error}; trying again for {} s", patience.as_secs()))?;
            self.display.draw()?;
            let mut pause = Duration::from_millis(500);
            let mut last = error;
            while Instant::now() + pause < give_up {
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
                match timeout_at(give_up, self.client.watch(self.id, RATE_HZ)).await {
                    Ok(Ok(stream)) => return Ok(stream),
                    Ok(Err(error)) if error.is_transient() => last = error,
                    Ok(Err(error)) => return Err(error),
                    Err(_) => break,
                }
            }
            Err(last)
        }
    }

    /// Ctrl-C.
    fn interrupted(&mut self) -> Result<Option<Outcome>, Error> {
        if self.mode != Mode::Embedded {
            return Ok(Some(Outcome::Detached));
        }
        if self.interrupted {
            return Ok(Some(Outcome::Abandoned));
        }
        self.interrupted = true;
        let (client, id) = (self.client.clone(), self.id);
        self.pausing = Some(tokio::spawn(async move { client.pause(id).await }));
        let text = "pausing: trials save their checkpoints; Ctrl-C again leaves at once";
        self.display.footer(text);
        self.display.note(text)?;
        Ok(None)
    }

    /// Draws, and looks whether pausing was refused.
    async fn tick(&mut self) -> Result<(), Error> {
        self.display.draw()?;
        if self.pausing.as_ref().is_none_or(|task| !task.is_finished()) {
            return Ok(());
        }
        let Some(task) = self.pausing.take() else {
            return Ok(());
        };
        match task.await {
            Ok(Ok(_)) => Ok(()),
            // It has just ended by itself: the stream will say so.
            Ok(Err(Error::Conflict(reason))) => self.display.note(&reason),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(Error::Engine(format!("pausing failed: {error}"))),
        }
    }
}

/// The outcome if nothing more will happen.
fn at_rest(experiment: &v1::Experiment) -> Option<Outcome> {
    match experiment.state() {
        State::Completed | State::Killed | State::Error => Some(Outcome::Ended),
        State::Paused => Some(Outcome::Paused(experiment.clone())),
        State::Unspecified | State::Active | State::Pausing | State::Killing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Global;
    use crate::connect::{self, Need};
    use crate::model::{archive, listing::Listing};
    use std::path::Path;

    const CLOSE: Duration = Duration::from_secs(5);

    #[test]
    fn only_states_without_a_future_end_it() {
        let outcome = |state| {
            let mut experiment = v1::Experiment::default();
            experiment.set_state(state);
            at_rest(&experiment)
        };
        assert!(matches!(outcome(State::Completed), Some(Outcome::Ended)));
        assert!(matches!(outcome(State::Error), Some(Outcome::Ended)));
        assert!(matches!(outcome(State::Paused), Some(Outcome::Paused(_))));
        assert!(outcome(State::Pausing).is_none());
        assert!(outcome(State::Active).is_none());
    }

    const SEARCH: &str = "\
name: waiting
entrypoint: python train.py
hyperparameters:
  lr: {type: log, minval: -4, maxval: -1}
searcher: {name: random, metric: error, max_trials: 4, max_length: {epochs: 2}}
";

    /// An engine without an agent, and a search in it that waits for one.
    async fn waiting_search(data_dir: &Path) -> (Session, u64) {
        let global =
            Global { server: None, token: None, tls_ca: None, data_dir: data_dir.to_path_buf(), verbose: 0 };
        let session = connect::open(&global, Need::Look).await.unwrap();
        let model = tempfile::tempdir().unwrap();
        let listing = Listing::of(model.path(), data_dir).unwrap();
        let request = v1::CreateExperimentRequest {
            config_yaml: SEARCH.to_owned(),
            config_file: "search.yaml".to_owned(),
            model_archive: archive::pack(&listing, |_| {}).unwrap(),
            request_id: "one".to_owned(),
            ..Default::default()
        };
        let created = session.client.create(request).await.unwrap();
        (session, created.experiment.unwrap().id)
    }

    #[tokio::test]
    async fn control_c_pauses_an_embedded_search_durably() {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, id) = waiting_search(dir.path()).await;
        let mut interrupts = Interrupts::start().unwrap();
        interrupts.sender().try_send(()).unwrap();
        let outcome = follow(&mut session, id, Display::Quiet(None), &mut interrupts).await.unwrap();
        assert!(matches!(outcome, Outcome::Paused(_)), "{outcome:?}");
        assert_eq!(session.client.experiment(id).await.unwrap().state(), State::Paused);
        session.close(CLOSE).await.unwrap();
    }

    #[tokio::test]
    async fn the_second_control_c_leaves_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (session, id) = waiting_search(dir.path()).await;
        let client = session.client.clone();
        let mut follower = Follower::new(client, id, Mode::Embedded, Display::Quiet(None));
        assert!(follower.interrupted().unwrap().is_none());
        assert!(matches!(follower.interrupted().unwrap(), Some(Outcome::Abandoned)));
        session.close(CLOSE).await.unwrap();
    }

    #[tokio::test]
    async fn with_a_server_control_c_only_detaches() {
        let dir = tempfile::tempdir().unwrap();
        let (session, id) = waiting_search(dir.path()).await;
        let global = Global {
            server: Some(session.client.url().to_owned()),
            token: Some(std::fs::read_to_string(dir.path().join("token")).unwrap()),
            tls_ca: None,
            data_dir: "unused".into(),
            verbose: 0,
        };
        let mut remote = connect::open(&global, Need::Look).await.unwrap();
        let mut interrupts = Interrupts::start().unwrap();
        interrupts.sender().try_send(()).unwrap();
        let outcome = follow(&mut remote, id, Display::Quiet(None), &mut interrupts).await.unwrap();
        assert!(matches!(outcome, Outcome::Detached), "{outcome:?}");
        assert_eq!(session.client.experiment(id).await.unwrap().state(), State::Active);
        session.close(CLOSE).await.unwrap();
    }

    #[tokio::test]
    async fn a_killed_search_ends_the_following() {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, id) = waiting_search(dir.path()).await;
        session.client.kill(id).await.unwrap();
        let mut interrupts = Interrupts::start().unwrap();
        let outcome = follow(&mut session, id, Display::Quiet(None), &mut interrupts).await.unwrap();
        assert!(matches!(outcome, Outcome::Ended), "{outcome:?}");
        session.close(CLOSE).await.unwrap();
    }

    #[tokio::test]
    async fn an_experiment_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, id) = waiting_search(dir.path()).await;
        let mut interrupts = Interrupts::start().unwrap();
        let error = follow(&mut session, id + 1, Display::Quiet(None), &mut interrupts).await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{error}");
        session.close(CLOSE).await.unwrap();
    }
}
