//! What a searcher heard and decided, in words that compare.

use std::collections::BTreeMap;
use toprung_proto::v1::{self, DecisionKind};
use toprung_searchers::{Action, Event, Reason, TrialId};

/// A search, in the order of its events.
#[derive(Debug, Default)]
pub struct Transcript {
    /// Each event, with every bit of its metric.
    pub heard: Vec<String>,
    pub created: Vec<v1::TrialCreated>,
    pub decisions: Vec<v1::Decision>,
    /// Why the search was over.
    pub end: Option<String>,
    /// Of all that was heard: trial, length, metric.
    pub best: Option<(u32, u64, f64)>,
    /// How long trials have trained.
    pub lengths: BTreeMap<u32, u64>,
}

impl Transcript {
    pub fn hear(&mut self, event: &Event) {
        // The shortest text that reads back as the same number.
        self.heard.push(format!("{event:?}"));
        let Event::Validated { trial, length, metric } = *event else { return };
        self.lengths.insert(trial.0, length);
        if !metric.is_nan() && self.best.is_none_or(|(_, _, best)| metric < best) {
            self.best = Some((trial.0, length, metric));
        }
    }

    pub fn say(&mut self, action: &Action) {
        match action {
            Action::Create(create) => {
                let hparams_json = toprung_searchers::to_json_text(&create.hparams);
                self.created.push(v1::TrialCreated { trial: create.trial.0, hparams_json });
                let parent = create.clone_from.and_then(|parent| self.lengths.get(&parent.0));
                self.lengths.insert(create.trial.0, parent.copied().unwrap_or(0));
            }
            Action::TrainTo { trial, length, reason } => {
                self.decide(DecisionKind::Train, *trial, *length, reason);
            }
            Action::Pause { trial, reason } => self.end_of(DecisionKind::Pause, *trial, reason),
            Action::Stop { trial, reason } => self.end_of(DecisionKind::Stop, *trial, reason),
            Action::Shutdown { reason } => self.end = Some(reason.to_string()),
        }
    }

    fn end_of(&mut self, kind: DecisionKind, trial: TrialId, reason: &Reason) {
        self.decide(kind, trial, self.lengths[&trial.0], reason);
    }

    fn decide(&mut self, kind: DecisionKind, trial: TrialId, length: u64, reason: &Reason) {
        let (kind, trial, reason) = (kind.into(), trial.0, reason.to_string());
        self.decisions.push(v1::Decision { kind, trial, length, reason });
    }

    /// Fails at the first thing that differs.
    pub fn is_same_as(&self, engine: &Self, label: &str) {
        first_difference("event", &self.heard, &engine.heard, label);
        first_difference("trial", &self.created, &engine.created, label);
        first_difference("decision", &self.decisions, &engine.decisions, label);
        assert_eq!(self.lengths, engine.lengths, "{label}: lengths");
        assert_eq!((self.best, &self.end), (engine.best, &engine.end), "{label}");
        assert!(!self.decisions.is_empty() && self.end.is_some(), "{label}: nothing was compared");
    }
}

fn first_difference<T: PartialEq + std::fmt::Debug>(what: &str, harness: &[T], engine: &[T], label: &str) {
    for index in 0..harness.len().max(engine.len()) {
        assert_eq!(harness.get(index), engine.get(index), "{label}: {what} {index}, harness and engine");
    }
}
