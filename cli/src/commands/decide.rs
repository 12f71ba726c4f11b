//! `toprung decide`: listen and decide as JSON lines, for a program that keeps this command beside it.
//!
//! Events come as they happen; decisions are taken one after another, in the order of their lines. An engine that is gone for
//! a while is tried again: a decision has an id of its own, so that it counts once.

use super::beside::{Patient, closed, input, say};
use super::{run, source};
use crate::args::{Decide, Global, Source};
use crate::connect::{self, Need, Session};
use crate::errors::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output::deciding;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use toprung_proto::v1::{self, wish};

/// Events that are sent beyond those that were seen.
const AHEAD: u64 = 2_000;
/// One question to the engine waits so long for something to happen.
const WAIT_MS: u32 = 30_000;
/// Trials of this process may save before it ends.
const CLOSE: Duration = Duration::from_mins(1);

/// A line of the program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    seen: u64,
    #[serde(default)]
    wishes: Vec<WishLine>,
    state: Option<String>,
    progress: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WishLine {
    create: Option<CreateLine>,
    train: Option<u32>,
    /// Of `train`.
    length: Option<u64>,
    pause: Option<u32>,
    stop: Option<u32>,
    finish: Option<bool>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateLine {
    hparams: Option<Value>,
    #[serde(default)]
    length: u64,
    #[serde(default)]
    clone_from: u32,
}

/// What both directions share.
struct Link {
    engine: Patient,
    experiment: u64,
    client: String,
    /// The newest event that was seen.
    seen: watch::Sender<u64>,
    /// Held while a decision is taken: the end is told when it has been answered.
    deciding: Mutex<()>,
}

/// Sends events and takes decisions until the search is over or standard input ends.
pub(super) async fn run(global: &Global, args: Decide) -> Result<Exit, Error> {
    run::check(global, args.slots)?;
    let need = Need::Train { slots: args.slots };
    let (session, experiment) = begin(global, &args, need).await?;
    let engine = Patient::new(global, session, need, Duration::from_secs(args.patience));
    let link = Arc::new(Link {
        engine,
        experiment,
        client: args.client,
        seen: watch::Sender::new(0),
        deciding: Mutex::new(()),
    });
    let mut interrupts = Interrupts::start()?;
    let exit = tokio::select! {
        ended = talk(&link) => ended,
        () = interrupts.next() => Ok(Exit::Interrupted),
    };
    if let Some(link) = Arc::into_inner(link) {
        link.engine.close(CLOSE).await?;
    }
    exit
}

/// Finds the experiment, or starts it from its file.
async fn begin(global: &Global, args: &Decide, need: Need) -> Result<(Session, u64), Error> {
    if let Ok(id) = args.what.parse() {
        let session = connect::open(global, need).await?;
        return match session.client.experiment(id).await {
            Ok(_) => Ok((session, id)),
            Err(error) => Err(closed(session, error, CLOSE).await),
        };
    }
    let file = Source { file: (&args.what).into(), sets: args.sets.clone(), template: args.template.clone() };
    let loaded = source::load(&file, None)?;
    let method = &loaded.config.searcher.method;
    if !method.is_custom() {
        return Err(Error::Usage {
            message: format!("the searcher of {} is `{}`, which decides by itself", args.what, method.name()),
            help: "write `searcher: {name: custom, …}` in it, or run it with `toprung run`".to_owned(),
        });
    }
    let model_archive = run::pack(global, args.model_dir.as_deref(), &file.file, &loaded)?;
    let session = connect::open(global, need).await?;
    let request = v1::CreateExperimentRequest {
        config_yaml: loaded.text.clone(),
        config_file: loaded.file.clone(),
        model_archive,
        request_id: run::request_id(),
        ..Default::default()
    };
    match session.client.create(request).await {
        Ok(created) => Ok((session, created.experiment.unwrap_or_default().id)),
        Err(error) => Err(source::drawn(closed(session, error, CLOSE).await, &loaded)),
    }
}

async fn talk(link: &Arc<Link>) -> Result<Exit, Error> {
    let experiment =
        link.engine.call(|client| async move { client.experiment(link.experiment).await }).await?;
    let first = link.listen(0, 0, true).await?;
    link.seen.send_replace(first.seen);
    let decided = first.decided;
    say(&deciding::ready(&experiment, &first))?;
    tokio::select! {
        ended = events(link, first) => ended.map(|()| Exit::Ok),
        ended = decisions(link, decided) => ended.map(|()| Exit::Ok),
    }
}

/// Sends what happens, until the search is over.
async fn events(link: &Link, first: v1::ListenResponse) -> Result<(), Error> {
    let (mut heard, mut sent) = (first, link.seen.borrow().to_owned());
    let mut seen = link.seen.subscribe();
    loop {
        if let Some(over) = &heard.over {
            let _answered = link.deciding.lock().await;
            return say(&json!({"over": deciding::over(over)}));
        }
        if let Some(last) = heard.events.last() {
            sent = last.number;
            say(&json!({"events": heard.events.iter().map(deciding::event).collect::<Vec<_>>()}))?;
        }
        // What this answers holds a lock: it must not live on.
        if seen.wait_for(|seen| sent <= seen.saturating_add(AHEAD)).await.is_err() {
            return Ok(());
        }
        heard = link.listen(sent, WAIT_MS, false).await?;
    }
}

/// Takes decisions, one after another, until standard input ends. `decided`: how many were taken; one that somebody else takes
/// between them is an error.
async fn decisions(link: &Link, mut decided: u64) -> Result<(), Error> {
    let mut input = input();
    while let Some(line) = input.recv().await {
        let line = line.map_err(Error::io("cannot read standard input"))?;
        let line: Line = match serde_json::from_str(&line) {
            Ok(line) => line,
            Err(error) => {
                say(&json!({"id": null, "error": format!("not a decision: {error}")}))?;
                continue;
            }
        };
        let _deciding = link.deciding.lock().await;
        let (id, seen) = (line.id.clone(), line.seen);
        let answer = match link.decide(line, decided).await {
            Ok(answer) => {
                decided = answer.decided;
                link.seen.send_if_modified(|known| std::mem::replace(known, seen.max(*known)) < seen);
                with_id(deciding::decided(&answer), id)
            }
            Err(error) => {
                let over = matches!(error, Error::Conflict(_)) && link.is_ending().await;
                json!({"id": id, "error": error.to_string(), "exit_code": error.exit() as u8, "over": over})
            }
        };
        say(&answer)?;
    }
    Ok(())
}

fn with_id(mut answer: Value, id: Value) -> Value {
    answer["id"] = id;
    answer
}

impl Link {
    async fn listen(
        &self,
        after: u64,
        max_wait_ms: u32,
        with_state: bool,
    ) -> Result<v1::ListenResponse, Error> {
        let request = v1::ListenRequest { experiment: self.experiment, after, max_wait_ms, with_state };
        self.engine.call(|client| async move { client.listen(request).await }).await
    }

    /// Whether the experiment has ended, or is about to.
    async fn is_ending(&self) -> bool {
        use v1::ExperimentState as State;
        let found = self.engine.client().await.experiment(self.experiment).await;
        found.is_ok_and(|found| {
            matches!(found.state(), State::Killing | State::Killed | State::Completed | State::Error)
        })
    }

    async fn decide(&self, line: Line, after: u64) -> Result<v1::DecideResponse, Error> {
        let mut wishes = Vec::new();
        for wish in line.wishes {
            wishes.push(wished(wish)?);
        }
        let request = v1::DecideRequest {
            experiment: self.experiment,
            request_id: run::request_id(),
            after: Some(after),
            seen: line.seen,
            wishes,
            state: line.state,
            progress: line.progress,
            client: self.client.clone(),
        };
        let decide = |client: crate::client::Client| {
            let request = request.clone();
            async move { client.decide(request).await }
        };
        self.engine.call(decide).await
    }
}

fn wished(line: WishLine) -> Result<v1::Wish, Error> {
    let WishLine { create, train, length, pause, stop, finish, reason } = line;
    let wrong = |message: &str| {
        Error::Usage {
        message: message.to_owned(),
        help: "a wish has one of `create`, `train` with `length`, `pause`, `stop` and `finish`, and may have a `reason`"
            .to_owned(),
    }
    };
    let kinds = [
        create.map(|create| {
            wish::Kind::Create(v1::WishedTrial {
                hparams_json: create.hparams.map(|hparams| hparams.to_string()).unwrap_or_default(),
                length: create.length,
                clone_from: create.clone_from,
            })
        }),
        train.map(|trial| wish::Kind::Train(v1::WishedLength { trial, length: length.unwrap_or(0) })),
        pause.map(wish::Kind::Pause),
        stop.map(wish::Kind::Stop),
        finish.map(wish::Kind::Finish),
    ];
    if length.is_some() != train.is_some() {
        return Err(wrong("`length` stands beside `train`, or in `create`"));
    }
    let mut kinds = kinds.into_iter().flatten();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(v1::Wish { kind: Some(kind), reason }),
        (None, _) => Err(wrong("a wish wants nothing")),
        _ => Err(wrong("a wish wants several things at once")),
    }
}
