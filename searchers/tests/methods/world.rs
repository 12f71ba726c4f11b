//! What stands around a searcher in these tests: trials that run, pause and end as they are told.

use std::collections::{BTreeMap, VecDeque};
use toprung_searchers::{
    Action, Create, Dimension, Domain, Event, ExitReason, Reason, Searcher, SearcherConfig, Space, TrialId,
    Value,
};

pub(crate) const SEED: u32 = 11;

/// A space of a number and a choice.
pub(crate) fn space() -> Space {
    let rate = Domain::Double { min: 1e-4, max: 1.0, log: true, quantize: None, count: Some(3) };
    let kind = Domain::Categorical(vec![Value::String("a".to_owned()), Value::Int(2)]);
    Space::new(
        [("rate", rate), ("kind", kind)]
            .map(|(name, domain)| (name.to_owned(), Dimension::always(domain)))
            .into(),
    )
}

pub(crate) fn asha(rungs: u32, trials: u64, divisor: f64, length: u64, stop_once: bool) -> SearcherConfig {
    SearcherConfig::AsyncHalving {
        num_rungs: rungs,
        max_trials: trials,
        divisor,
        min_length: None,
        max_length: length,
        max_concurrent_trials: 0,
        stop_once,
    }
}

pub(crate) fn start(config: SearcherConfig) -> Searcher {
    Searcher::new(config, space(), SEED).unwrap()
}

pub(crate) fn capacity(searcher: &mut Searcher, places: u32) -> Vec<Action> {
    searcher.handle(&Event::Capacity(places))
}

pub(crate) fn validated(searcher: &mut Searcher, trial: u32, length: u64, metric: f64) -> Vec<Action> {
    searcher.handle(&Event::Validated { trial: TrialId(trial), length, metric })
}

pub(crate) fn exited(searcher: &mut Searcher, trial: u32, reason: ExitReason) -> Vec<Action> {
    searcher.handle(&Event::Exited { trial: TrialId(trial), reason })
}

pub(crate) fn cannot_pause(searcher: &mut Searcher, trial: u32) -> Vec<Action> {
    searcher.handle(&Event::CannotPause { trial: TrialId(trial) })
}

/// All that a trial can exit with.
pub(crate) const EXITS: [ExitReason; 7] = [
    ExitReason::Completed,
    PAUSED,
    ExitReason::Paused { resumable: false },
    ExitReason::Stopped,
    ExitReason::Errored,
    ExitReason::InvalidHyperparameters,
    ExitReason::Killed,
];

pub(crate) const PAUSED: ExitReason = ExitReason::Paused { resumable: true };

/// An action in a few letters: `+3` created, `3>9` trains to 9, `3 pause`, `3 stop`, `end`.
pub(crate) fn brief(actions: &[Action]) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Create(create) => format!("+{}", create.trial),
        Action::TrainTo { trial, length, .. } => format!("{trial}>{length}"),
        Action::Pause { trial, .. } => format!("{trial} pause"),
        Action::Stop { trial, .. } => format!("{trial} stop"),
        Action::Shutdown { .. } => "end".to_owned(),
    };
    actions.iter().map(word).collect()
}

/// What a whole search did.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The length each trial reached.
    pub(crate) lengths: BTreeMap<u32, u64>,
    pub(crate) most_at_once: usize,
    /// All trials, in order.
    pub(crate) created: Vec<Create>,
    pub(crate) end: Option<Reason>,
}

impl History {
    pub(crate) fn total(&self) -> u64 {
        self.lengths.values().sum()
    }

    pub(crate) fn ended_at(&self, length: u64) -> usize {
        self.lengths.values().filter(|&&reached| reached == length).count()
    }
}

/// Runs a search to its end: trials report in the order in which they were started, one at a time.
pub(crate) fn run(searcher: &mut Searcher, places: u32, metric: impl Fn(u32, u64) -> f64) -> History {
    run_seeing(searcher, places, |_| (), metric)
}

/// The same; `see` is shown every trial when it is created.
pub(crate) fn run_seeing(
    searcher: &mut Searcher,
    places: u32,
    see: impl Fn(&Create),
    metric: impl Fn(u32, u64) -> f64,
) -> History {
    let mut history = History::default();
    let mut running: VecDeque<(u32, u64)> = VecDeque::new();
    let mut events: VecDeque<Event> = [Event::Capacity(places)].into();
    loop {
        while let Some(event) = events.pop_front() {
            for action in searcher.handle(&event) {
                if let Action::Create(create) = &action {
                    see(create);
                }
                follow(&action, &mut running, &mut events, &mut history);
            }
            history.most_at_once = history.most_at_once.max(running.len());
        }
        let Some((trial, length)) = running.front().copied() else {
            break;
        };
        running.pop_front();
        history.lengths.insert(trial, length);
        events.push_back(Event::Validated { trial: TrialId(trial), length, metric: metric(trial, length) });
    }
    assert!(history.end.is_some(), "the search never ended: {history:?}");
    history
}

fn follow(
    action: &Action,
    running: &mut VecDeque<(u32, u64)>,
    events: &mut VecDeque<Event>,
    history: &mut History,
) {
    match *action {
        Action::Create(ref create) => {
            running.push_back((create.trial.0, create.train_to));
            history.created.push(create.clone());
        }
        Action::TrainTo { trial, length, .. } => running.push_back((trial.0, length)),
        Action::Pause { trial, .. } => events.push_back(Event::Exited { trial, reason: PAUSED }),
        // Of a paused trial nothing follows; then this event changes nothing.
        Action::Stop { trial, .. } => events.push_back(Event::Exited { trial, reason: ExitReason::Stopped }),
        Action::Shutdown { ref reason } => {
            assert!(history.end.replace(reason.clone()).is_none(), "ended twice");
        }
    }
}
