//! The program that decides a `custom` search, as the journal knows it: what it has not seen yet, what it saved, and its
//! newest decisions.
//!
//! **Bounds.** What the program said it has seen is forgotten. Of the rest, validations short of their trials' lengths are
//! thinned: when there are [`MOST_BETWEEN`], of every two the older one goes, and is counted. All others are kept; a program
//! that wants more while [`MOST_UNSEEN`] wait for it is refused, so they are bounded by what it wanted.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use toprung_proto::v1::{self, SearchEventKind as Kind, TrialState};

use super::machine::{Machine, State, Turn};
use super::snapshot::Stored;
use super::trial::Trial;

/// Validations short of their trials' lengths that are kept unseen. An even number: halves keep the newest.
pub const MOST_BETWEEN: usize = 10_000;
/// While so many events are unseen, a program that wants something is refused.
pub const MOST_UNSEEN: usize = 20_000;
/// Decisions that are known again.
const KNOWN: usize = 16;
/// Events in one answer.
const PAGE: usize = 500;
/// Metrics of one event, and bytes of their names.
const MOST_METRICS: usize = 64;
const LONGEST_NAME: usize = 128;
/// Letters of a reason.
const LONGEST_REASON: usize = 500;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its decisions so far.
    pub decided: u64,
    /// When the last one came; 0: none has.
    pub decided_ms: i64,
    /// The name it gave then.
    pub client: Box<str>,
    /// Ids given to trials that it wanted so far.
    pub wanted: u32,
    /// The newest event that it has seen.
    pub seen: u64,
    /// What it saved.
    pub state: Option<Box<str>>,
    /// Validations that were left out.
    pub left_out: u64,
    /// Number of the newest event.
    pub newest: u64,
    /// What it has not seen, in order.
    events: VecDeque<Stored<v1::SearchEvent>>,
    /// Of these, validations short of their trials' lengths.
    between: usize,
    /// The newest length of each trial that has not ended, as it was told.
    lengths: BTreeMap<u32, u64>,
    /// Its newest decisions and what they were answered.
    known: VecDeque<(Box<str>, Stored<v1::DecideResponse>)>,
}

impl Program {
    /// What a decision was answered that has been taken already.
    pub fn answer(&self, request_id: &str) -> Option<&v1::DecideResponse> {
        self.known.iter().rev().find(|(id, _)| **id == *request_id).map(|(_, answer)| &answer.0)
    }

    /// How many events it has not seen, and the time of the first of them.
    pub fn unseen(&self) -> (usize, i64) {
        (self.events.len(), self.events.front().map_or(0, |event| event.0.time_unix_ms))
    }

    /// How many it has not seen, having seen events up to `seen`.
    pub fn unseen_after(&self, seen: u64) -> usize {
        self.events.len() - self.events.partition_point(|event| event.0.number <= seen)
    }

    /// The newest length of a trial that it was told; 0: none.
    pub fn length(&self, trial: u32) -> u64 {
        self.lengths.get(&trial).copied().unwrap_or(0)
    }

    /// Whether it does not know yet, having seen events up to `seen`, that a trial has ended.
    pub fn is_late(&self, trial: u32, seen: u64) -> bool {
        let ended =
            |event: &&Stored<v1::SearchEvent>| event.0.trial == trial && event.0.kind() == Kind::Ended;
        self.events.iter().rev().find(ended).is_some_and(|event| event.0.number > seen)
    }

    /// Takes a decision in.
    fn take(&mut self, directed: &v1::SearchDirected, now_ms: i64) {
        let creates = |wish: &&v1::Wish| matches!(wish.kind, Some(v1::wish::Kind::Create(_)));
        let first = self.wanted + 1;
        self.wanted += directed.wishes.iter().filter(creates).count() as u32;
        self.decided += 1;
        self.decided_ms = now_ms;
        self.client = directed.client.as_str().into();
        if let Some(state) = &directed.state {
            self.state = Some(state.as_str().into());
        }
        self.forget(directed.seen);
        let answer = v1::DecideResponse {
            decided: self.decided,
            trials: (first..=self.wanted).collect(),
            ignored: directed.ignored.clone(),
            again: false,
        };
        if self.known.len() == KNOWN {
            self.known.pop_front();
        }
        self.known.push_back((directed.request_id.as_str().into(), Stored(answer)));
    }

    /// What was seen is not needed any more.
    fn forget(&mut self, seen: u64) {
        self.seen = self.seen.max(seen.min(self.newest));
        while let Some(event) = self.events.pop_front_if(|event| event.0.number <= self.seen) {
            self.between -= usize::from(is_between(&event.0));
        }
    }

    fn push(&mut self, event: v1::SearchEvent, now_ms: i64) {
        self.newest += 1;
        let event = v1::SearchEvent { number: self.newest, time_unix_ms: now_ms, ..event };
        match event.kind() {
            // Each is a person's command: only the newest says how it stands.
            Kind::Experiment => self.events.retain(|event| event.0.kind() != Kind::Experiment),
            Kind::Validated => drop(self.lengths.insert(event.trial, event.length)),
            Kind::Ended => drop(self.lengths.remove(&event.trial)),
            _ => {}
        }
        self.between += usize::from(is_between(&event));
        self.events.push_back(Stored(event));
        if self.between >= MOST_BETWEEN {
            self.thin();
        }
    }

    /// Of every two validations short of their trials' lengths the older one goes.
    fn thin(&mut self) {
        let before = self.events.len();
        let mut stays = true;
        self.events.retain(|event| {
            stays ^= is_between(&event.0);
            !is_between(&event.0) || stays
        });
        let gone = before - self.events.len();
        self.between -= gone;
        self.left_out += gone as u64;
    }

    /// Events after a number, a page of them.
    fn page(&self, after: u64) -> Vec<v1::SearchEvent> {
        let from = self.events.partition_point(|event| event.0.number <= after);
        self.events.range(from..).take(PAGE).map(|event| event.0.clone()).collect()
    }
}

/// A validation after which the trial trains on as it was told before.
fn is_between(event: &v1::SearchEvent) -> bool {
    event.kind() == Kind::Validated && event.length < event.train_until
}

impl Machine {
    pub(super) fn on_directed(&mut self, directed: &v1::SearchDirected, turn: &mut Turn) -> bool {
        if self.fold.state.is_end() || self.fold.end.is_some() {
            return false;
        }
        let Some(program) = self.fold.program.as_deref_mut() else { return false };
        if program.answer(&directed.request_id).is_some() {
            return false;
        }
        program.take(directed, turn.now_ms);
        let wishes = directed.wishes.iter().filter_map(super::directing::wish).collect();
        let directed = toprung_searchers::Directed { wishes, progress: directed.progress };
        self.tell(toprung_searchers::Event::Directed(directed), turn);
        true
    }

    /// What happened is kept for the program, if one decides.
    fn keep_for_program(&mut self, event: v1::SearchEvent, turn: &Turn) {
        let over = self.fold.end.is_some() || self.fold.state.is_end();
        if let Some(program) = self.fold.program.as_deref_mut().filter(|_| !over) {
            program.push(event, turn.now_ms);
        }
    }

    /// The search has begun.
    pub(super) fn keep_begun(&mut self, turn: &Turn) {
        self.keep_for_program(v1::SearchEvent { kind: Kind::Begun.into(), ..Default::default() }, turn);
    }

    /// The experiment was paused or resumed.
    pub(super) fn keep_experiment(&mut self, state: State, turn: &Turn) {
        let reason = match state {
            State::Pausing => "paused",
            State::Active => "resumed",
            _ => return,
        };
        let kind = Kind::Experiment.into();
        self.keep_for_program(v1::SearchEvent { kind, reason: reason.into(), ..Default::default() }, turn);
    }

    /// A trial was created, rests or has ended.
    pub(super) fn keep_trial(&mut self, id: u32, kind: Kind, reason: &str, turn: &Turn) {
        if self.fold.program.is_none() {
            return;
        }
        let Some(trial) = self.trial(id) else { return };
        let ended = if kind == Kind::Ended { trial.state() } else { TrialState::Unspecified };
        let event = v1::SearchEvent {
            state: ended.into(),
            metric: trial.validated.then(|| self.spec.as_reported(trial.latest)),
            reason: reason.chars().take(LONGEST_REASON).collect(),
            ..about(id, trial, kind)
        };
        self.keep_for_program(event, turn);
    }

    /// A trial validated at a length. Known lengths are those of a trial that was trained again.
    pub(super) fn keep_validated(&mut self, id: u32, report: &v1::Report, metric: f64, turn: &Turn) {
        let Some(program) = &self.fold.program else { return };
        let Some(trial) = self.trial(id).filter(|_| report.length > program.length(id)) else { return };
        let short = |metric: &&v1::Metric| metric.name.len() <= LONGEST_NAME;
        let metrics: Vec<_> = report.metrics.iter().filter(short).take(MOST_METRICS).cloned().collect();
        let event = v1::SearchEvent {
            length: report.length,
            metrics_left_out: (report.metrics.len() - metrics.len()) as u32,
            metrics,
            metric: Some(metric),
            ..about(id, trial, Kind::Validated)
        };
        self.keep_for_program(event, turn);
    }

    /// What a program is answered that listens; `None`: no program decides here. Hyperparameters of trials that have
    /// ended are in the store.
    pub fn heard(&self, after: u64, with_state: bool) -> Option<v1::ListenResponse> {
        let program = self.fold.program.as_deref()?;
        let mut events = program.page(after);
        for event in &mut events {
            event.hparams_json =
                self.trial(event.trial).map(|it| it.hparams_json.to_string()).unwrap_or_default();
        }
        Some(v1::ListenResponse {
            events,
            decided: program.decided,
            seen: program.seen,
            next_trial: program.wanted + 1,
            state: program.state.as_deref().filter(|_| with_state).map(str::to_owned),
            left_out: program.left_out,
            over: None,
        })
    }
}

fn about(id: u32, trial: &Trial, kind: Kind) -> v1::SearchEvent {
    v1::SearchEvent {
        kind: kind.into(),
        trial: id,
        length: trial.length,
        train_until: trial.train_until,
        ..Default::default()
    }
}

/// Where it stands with its program; `None`: none decides.
pub(super) fn view(machine: &Machine) -> Option<v1::SearchProgram> {
    let program = machine.fold.program.as_deref()?;
    let (unseen, since) = program.unseen();
    Some(v1::SearchProgram {
        client: program.client.to_string(),
        decided: program.decided,
        decided_unix_ms: program.decided_ms,
        unseen: unseen as u64,
        unseen_since_unix_ms: since,
        waiting: program.wanted.saturating_sub(machine.fold.trials.len() as u32),
        // The shell knows who listens.
        listening: false,
        heard_unix_ms: 0,
        left_out: program.left_out,
    })
}

/// Why nothing runs in a search that a program decides; `None`: something does, or none decides.
pub(super) fn why_nothing_runs(machine: &Machine) -> Option<String> {
    let program = machine.fold.program.as_deref()?;
    let pending = machine.fold.counts[TrialState::Pending as usize];
    if machine.fold.state != State::Active || machine.holding() > 0 || pending > 0 {
        return None;
    }
    let name = if program.client.is_empty() { String::new() } else { format!(" ({})", program.client) };
    let waiting = program.wanted.saturating_sub(machine.fold.trials.len() as u32);
    Some(match (waiting, program.unseen().0) {
        (0, 0) => format!("waiting: its program{name} wants nothing now"),
        (0, 1) => format!("waiting: its program{name} has not seen 1 event"),
        (0, unseen) => format!("waiting: its program{name} has not seen {unseen} events"),
        (waiting, _) => format!("waiting: {waiting} wanted trials wait for room"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind, trial: u32, length: u64) -> v1::SearchEvent {
        v1::SearchEvent { kind: kind.into(), trial, length, train_until: 1_000_000, ..Default::default() }
    }

    #[test]
    fn validations_between_are_thinned_and_nothing_else_is() {
        let mut program = Program::default();
        for trial in 1..=5 {
            program.push(event(Kind::Created, trial, 0), 1);
        }
        for length in 1..=40_000 {
            program.push(event(Kind::Validated, 1 + (length % 5) as u32, length), 2);
        }
        program.push(v1::SearchEvent { train_until: 50_000, ..event(Kind::Validated, 1, 50_000) }, 3);
        for trial in 1..=5 {
            program.push(event(Kind::Ended, trial, 50_000), 4);
        }
        let kept: Vec<_> = program.events.iter().map(|event| event.0.clone()).collect();
        let count = |kind: Kind| kept.iter().filter(|event| event.kind() == kind).count();
        assert_eq!((count(Kind::Created), count(Kind::Ended)), (5, 5));
        assert!(count(Kind::Validated) <= MOST_BETWEEN, "{}", count(Kind::Validated));
        assert_eq!(program.between, count(Kind::Validated) - 1);
        assert_eq!(program.left_out as usize + count(Kind::Validated), 40_001, "what is gone is counted");
        assert!(kept.iter().any(|event| event.length == 40_000), "the newest one stays");
        assert!(kept.iter().any(|event| event.length == 50_000 && event.train_until == 50_000));
        assert!(kept.is_sorted_by(|a, b| a.number < b.number));
        assert!(program.lengths.is_empty());
        program.forget(u64::MAX);
        assert_eq!((program.events.len(), program.between, program.seen), (0, 0, program.newest));
    }

    #[test]
    fn pages_follow_each_other() {
        let mut program = Program::default();
        for length in 1..=1_200 {
            program.push(event(Kind::Validated, 1, length), 1);
        }
        program.forget(100);
        let mut after = 0;
        let mut numbers = Vec::new();
        while let Some(last) = program.page(after).last() {
            numbers.extend(program.page(after).iter().map(|event| event.number));
            after = last.number;
        }
        assert_eq!(numbers, (101..=1_200).collect::<Vec<_>>());
        assert_eq!((program.unseen_after(200), program.unseen_after(0)), (1_000, 1_100));
    }
}
