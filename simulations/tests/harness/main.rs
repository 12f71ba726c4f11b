//! Tests of the simulation harness from outside.
//!
//! | file | holds |
//! |---|---|
//! | `protocol` | the protocol of comparison, worked by hand |
//! | `nearest` | which row answers a configuration |
//! | `shared` | the benchmark tables, where they are there |
//! | `inputs` | CSV, Parquet, experiments that ran |
//! | `world` | faults, accounts, replay |

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod inputs;
mod nearest;
mod protocol;
mod shared;
mod world;

use toprung_searchers::{Action, Create, Dimension, Domain, Event, Reason, Space, TrialId, Value};
use toprung_simulations::Player;

/// A space of one number in 0 … 100.
fn line() -> Space {
    let domain = Domain::Double { min: 0.0, max: 100.0, log: false, quantize: None, count: None };
    Space::new([("x".to_owned(), Dimension::always(domain))].into())
}

/// Says what it was told to say, and remembers what it heard.
#[derive(Default)]
struct Script {
    /// For each event in order what to do: see `action`.
    lines: Vec<&'static str>,
    heard: Vec<String>,
    at: usize,
}

impl Script {
    fn new(lines: &[&'static str]) -> Self {
        Self { lines: lines.to_vec(), ..Self::default() }
    }
}

impl Player for Script {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        self.heard.push(match event {
            Event::Capacity(capacity) => format!("capacity {capacity}"),
            Event::Validated { trial, length, metric } => format!("{trial}@{length}: {metric}"),
            Event::Exited { trial, reason } => format!("{trial} {reason:?}"),
            Event::Directed(_) => "directed".to_owned(),
            Event::CannotPause { trial } => format!("{trial} cannot pause"),
        });
        let line = self.lines.get(self.at).copied().unwrap_or("");
        self.at += 1;
        actions.extend(line.split(", ").filter(|word| !word.is_empty()).map(action));
    }
}

/// `+1 x>9`: create trial 1 with that x, train to 9. `1>9`: train on. `1 pause`, `1 stop`, `end`.
fn action(word: &str) -> Action {
    let reason = Reason::SearchOver { trials: 0 };
    if word == "end" {
        return Action::Shutdown { reason };
    }
    let number = |text: &str| text.parse::<u64>().unwrap();
    let trial = |text: &str| TrialId(text.parse().unwrap());
    if let Some(create) = word.strip_prefix('+') {
        let (id, rest) = create.split_once(' ').unwrap();
        let (x, to) = rest.split_once('>').unwrap();
        let hparams = [("x".to_owned(), Value::Double(x.parse().unwrap()))].into();
        return Action::Create(Create {
            trial: trial(id),
            hparams,
            clone_from: None,
            train_to: number(to),
            bracket: 0,
            why: "".into(),
        });
    }
    match word.split_once('>') {
        Some((id, to)) => Action::TrainTo { trial: trial(id), length: number(to), reason },
        None => match word.split_once(' ').unwrap() {
            (id, "pause") => Action::Pause { trial: trial(id), reason },
            (id, "stop") => Action::Stop { trial: trial(id), reason },
            other => panic!("{other:?}"),
        },
    }
}
