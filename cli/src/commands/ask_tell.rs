//! `toprung ask-tell`: ask and tell as JSON lines, for a program that keeps this command beside it.
//!
//! Lines are answered as they are ready, not in order. The trials that were handed out are kept alive. An engine that is
//! gone for a while is tried again: every request may come twice.

use super::beside::{Patient, closed, input, say};
use super::{ask, run, source};
use crate::args::{AskTell, Global, Source};
use crate::connect::{self, Need, Session};
use crate::errors::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::model::archive;
use crate::model::listing::Listing;
use crate::output::asking;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use toprung_proto::v1::{self, DecisionKind, TellOutcome, ask_response::Outcome};

/// Lines under way at once; more wait in the pipe.
const UNDER_WAY: usize = 256;
/// What runs in this process ends at once.
const CLOSE: Duration = Duration::from_secs(5);

/// A line of the program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Value,
    ask: Option<AskLine>,
    tell: Option<TellLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskLine {
    #[serde(default)]
    lane: u32,
    /// Seconds.
    #[serde(default)]
    wait: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TellLine {
    trial: u32,
    attempt: u32,
    #[serde(default)]
    length: u64,
    #[serde(default)]
    metrics: BTreeMap<String, Value>,
    #[serde(default)]
    training: bool,
    checkpoint: Option<String>,
    outcome: Option<String>,
    #[serde(default)]
    message: String,
}

/// What lines share.
struct Link {
    engine: Patient,
    experiment: u64,
    client: String,
    /// Attempts to be kept alive, by trial.
    open: Mutex<BTreeMap<u32, u32>>,
}

/// Answers lines until standard input ends.
pub(super) async fn run(global: &Global, args: AskTell) -> Result<Exit, Error> {
    let (session, experiment) = begin(global, &args).await?;
    let link = Arc::new(Link {
        engine: Patient::new(global, session, Need::Host, Duration::from_secs(args.patience)),
        experiment,
        client: args.client,
        open: Mutex::default(),
    });
    say(&json!({"experiment": experiment}))?;
    let mut interrupts = Interrupts::start()?;
    let exit = tokio::select! {
        ended = lines(&link) => ended.map(|()| Exit::Ok),
        ended = keep_alive(&link) => ended.map(|()| Exit::Ok),
        () = interrupts.next() => Ok(Exit::Interrupted),
    };
    // Lines that were under way at an interrupt are given up; they let the link go when they are next looked at.
    let gone = async {
        while Arc::strong_count(&link) > 1 {
            tokio::task::yield_now().await;
        }
    };
    // Without the link the engine in this process cannot be ended in order; what it acknowledged is durable.
    let _late = tokio::time::timeout(CLOSE, gone).await;
    if let Some(link) = Arc::into_inner(link) {
        link.engine.close(CLOSE).await?;
    }
    exit
}

/// Finds the experiment, or starts it from its file.
async fn begin(global: &Global, args: &AskTell) -> Result<(Session, u64), Error> {
    if let Ok(id) = args.what.parse() {
        let session = connect::open(global, Need::Host).await?;
        return match session.client.experiment(id).await {
            Ok(_) => Ok((session, id)),
            Err(error) => Err(closed(session, error, CLOSE).await),
        };
    }
    let file = Source { file: (&args.what).into(), sets: args.sets.clone(), template: args.template.clone() };
    let loaded = source::load(&file, None)?;
    if !matches!(loaded.config.entrypoint, toprung_config::Entrypoint::External { .. }) {
        return Err(Error::Usage {
            message: format!("agents would run the trials of {}", args.what),
            help: "write `entrypoint: external` in it, or run it with `toprung run`".to_owned(),
        });
    }
    let session = connect::open(global, Need::Host).await?;
    let request = v1::CreateExperimentRequest {
        config_yaml: loaded.text.clone(),
        config_file: loaded.file.clone(),
        model_archive: archive::pack(&Listing::none(), |_| ())?,
        request_id: run::request_id(),
        ..Default::default()
    };
    match session.client.create(request).await {
        Ok(created) => Ok((session, created.experiment.unwrap_or_default().id)),
        Err(error) => Err(source::drawn(closed(session, error, CLOSE).await, &loaded)),
    }
}

async fn lines(link: &Arc<Link>) -> Result<(), Error> {
    let mut input = input();
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(line) = input.recv().await {
        let line = line.map_err(Error::io("cannot read standard input"))?;
        while tasks.try_join_next().is_some() {}
        // Never closed.
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let link = link.clone();
        tasks.spawn(async move {
            let _permit = permit;
            // The reader of our output may be gone; then its end of the input closes, too.
            let _gone = say(&link.answer(&line).await);
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Says of every open attempt that its program is there, four times a lease; tells of those that are to end.
async fn keep_alive(link: &Arc<Link>) -> Result<(), Error> {
    let mut told = BTreeMap::new();
    loop {
        let every = link.lease().await / 4;
        tokio::time::sleep(every.clamp(Duration::from_millis(100), Duration::from_mins(1))).await;
        let open = link.open.lock().await.clone();
        for (trial, attempt) in open {
            let request = link.about(trial, attempt);
            // One that fails comes again with the next turn.
            let Ok(answer) = link.engine.client().await.tell(request).await else { continue };
            let kind = answer.decision.as_ref().map(v1::Decision::kind);
            if answer.over {
                link.close(trial, attempt).await;
            }
            let goes_on = kind == Some(DecisionKind::Train);
            if !goes_on && told.insert(trial, (attempt, kind)) != Some((attempt, kind)) {
                say(&json!({"notice": asking::told(&answer), "attempt": attempt}))?;
            }
        }
    }
}

impl Link {
    /// The lease of the experiment, as its file says; as long as that is not known, a short one.
    async fn lease(&self) -> Duration {
        let found = self.engine.client().await.experiment(self.experiment).await;
        let config = found.ok().and_then(|found| serde_json::from_str::<Value>(&found.config_json).ok());
        let seconds = config.and_then(|config| config.pointer("/entrypoint/external/lease")?.as_u64());
        Duration::from_secs(seconds.unwrap_or(4))
    }

    fn about(&self, trial: u32, attempt: u32) -> v1::TellRequest {
        let (experiment, client) = (self.experiment, self.client.clone());
        v1::TellRequest { experiment, client, trial, attempt, ..Default::default() }
    }

    async fn close(&self, trial: u32, attempt: u32) {
        let mut open = self.open.lock().await;
        if open.get(&trial) == Some(&attempt) {
            open.remove(&trial);
        }
    }

    /// The answer to a line; with the words of the error if there is none.
    async fn answer(&self, line: &str) -> Value {
        let line: Line = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(error) => return json!({"id": null, "error": format!("not a line of ask and tell: {error}")}),
        };
        let id = line.id;
        let answered = match (line.ask, line.tell) {
            (Some(ask), None) => self.ask(ask).await,
            (None, Some(tell)) => self.tell(tell).await,
            _ => Err(Error::Usage { message: "a line has `ask` or `tell`".to_owned(), help: String::new() }),
        };
        match answered {
            Ok(Value::Object(mut answer)) => {
                answer.insert("id".to_owned(), id);
                Value::Object(answer)
            }
            Ok(answer) => answer,
            Err(error) => json!({"id": id, "error": error.to_string(), "exit_code": error.exit() as u8}),
        }
    }

    async fn ask(&self, line: AskLine) -> Result<Value, Error> {
        let request = v1::AskRequest {
            experiment: self.experiment,
            client: self.client.clone(),
            lane: line.lane,
            max_wait_ms: (line.wait.clamp(0.0, 60.0) * 1_000.0) as u32,
        };
        let outcome = self.engine.call(|client| {
            let request = request.clone();
            async move { client.ask(request).await }
        });
        let outcome = outcome.await?;
        if let Outcome::Assignment(given) = &outcome {
            self.open.lock().await.insert(given.trial, given.attempt);
        }
        Ok(asking::asked(&outcome))
    }

    async fn tell(&self, line: TellLine) -> Result<Value, Error> {
        let (trial, attempt) = (line.trial, line.attempt);
        let mut metrics = Vec::new();
        for (name, value) in line.metrics {
            let value = number(&value).ok_or_else(|| Error::Usage {
                message: format!("the metric {name} is {value}, expected a number"),
                help: "infinities are \"Infinity\" and \"-Infinity\", and \"NaN\" is a metric, too"
                    .to_owned(),
            })?;
            metrics.push(v1::Metric { name, value });
        }
        let request = v1::TellRequest {
            reports: ask::report(line.length, metrics, line.training).into_iter().collect(),
            checkpoint: line.checkpoint.map(|label| v1::ToldCheckpoint { label, length: line.length }),
            outcome: outcome(line.outcome.as_deref())?.into(),
            message: line.message,
            ..self.about(trial, attempt)
        };
        let answer = self.engine.call(|client| {
            let request = request.clone();
            async move { client.tell(request).await }
        });
        let answer = answer.await?;
        if answer.over {
            self.close(trial, attempt).await;
        }
        Ok(json!({"told": asking::told(&answer)}))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(word) if ["NaN", "Infinity", "-Infinity"].contains(&word.as_str()) => word.parse().ok(),
        other => other.as_f64(),
    }
}

fn outcome(word: Option<&str>) -> Result<TellOutcome, Error> {
    match word {
        None => Ok(TellOutcome::Unspecified),
        Some("done") => Ok(TellOutcome::Done),
        Some("failed") => Ok(TellOutcome::Failed),
        Some("invalid") => Ok(TellOutcome::Invalid),
        Some("released") => Ok(TellOutcome::Released),
        Some(other) => Err(Error::Usage {
            message: format!("`{other}` is no outcome"),
            help: "it is one of done, failed, invalid, released".to_owned(),
        }),
    }
}
