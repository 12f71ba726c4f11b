//! Who plays: a [`Searcher`], or one of the baselines that every comparison carries.

use std::collections::VecDeque;
use toprung_searchers::{
    Action, Create, Error, Event, ExitReason, Reason, Searcher, SearcherConfig, Space, TrialId,
};

/// Takes events and says what is to be done, by the contract of [`toprung_searchers::method`].
pub trait Player {
    /// Takes one event, and appends what is to be done, in order.
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>);
}

impl<P: Player + ?Sized> Player for Box<P> {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        (**self).handle(event, actions);
    }
}

impl Player for Searcher {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        self.handle_into(event, None, actions);
    }
}

/// A searcher that begins anew each time it is over, for budgets that outlast one search (rounds of Hyperband).
///
/// Each round draws other configurations: its seed is the one before plus a constant.
#[derive(Clone, Debug)]
pub struct Rounds {
    config: SearcherConfig,
    searcher: Searcher,
    capacity: u32,
    /// Trials of the rounds before.
    before: u32,
    /// Trials of this round.
    created: u32,
}

/// Between the seeds of two rounds: seeds of a comparison are small numbers, so no round meets another's.
const ROUND_SEED: u32 = 0x0100_0001;

impl Rounds {
    /// The first round before its first event.
    pub fn new(config: SearcherConfig, space: Space, seed: u32) -> Result<Self, Error> {
        let searcher = Searcher::new(config.clone(), space, seed)?;
        Ok(Self { config, searcher, capacity: 0, before: 0, created: 0 })
    }

    fn take(&mut self, event: &Event, actions: &mut Vec<Action>) -> bool {
        for action in self.searcher.handle(event) {
            let shifted = |trial: TrialId| TrialId(trial.0 + self.before);
            actions.push(match action {
                Action::Create(create) => {
                    self.created = create.trial.0;
                    let (trial, clone_from) = (shifted(create.trial), create.clone_from.map(shifted));
                    Action::Create(Create { trial, clone_from, ..create })
                }
                Action::TrainTo { trial, length, reason } => {
                    Action::TrainTo { trial: shifted(trial), length, reason }
                }
                Action::Pause { trial, reason } => Action::Pause { trial: shifted(trial), reason },
                Action::Stop { trial, reason } => Action::Stop { trial: shifted(trial), reason },
                Action::Shutdown { .. } => return true,
            });
        }
        false
    }
}

impl Player for Rounds {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        let event = match *event {
            Event::Capacity(capacity) => {
                self.capacity = capacity;
                event.clone()
            }
            Event::Validated { trial, .. } | Event::Exited { trial, .. } | Event::CannotPause { trial }
                if trial.0 <= self.before =>
            {
                return;
            }
            Event::Validated { trial, length, metric } => {
                Event::Validated { trial: TrialId(trial.0 - self.before), length, metric }
            }
            Event::Exited { trial, reason } => {
                Event::Exited { trial: TrialId(trial.0 - self.before), reason }
            }
            Event::CannotPause { trial } => Event::CannotPause { trial: TrialId(trial.0 - self.before) },
            // No program decides here.
            Event::Directed(_) => return,
        };
        let mut over = self.take(&event, actions);
        // A round that creates nothing would begin for ever.
        while over && self.created > 0 {
            let (seed, space) =
                (self.searcher.seed().wrapping_add(ROUND_SEED), self.searcher.space().clone());
            // The same configuration was accepted before.
            let Ok(next) = Searcher::new(self.config.clone(), space, seed) else { return };
            self.searcher = next;
            self.before += self.created;
            self.created = 0;
            over = self.take(&Event::Capacity(self.capacity), actions);
        }
    }
}

/// The baseline "train all one epoch, continue the best k": so many trials to the first length, then the best of them in
/// full, best first.
#[derive(Clone, Debug)]
pub struct FirstThenBest {
    space: Space,
    seed: u32,
    trials: u32,
    keep: usize,
    first_length: u64,
    max_length: u64,
    capacity: u32,
    created: u32,
    outstanding: u32,
    /// Trials that wait, with their metrics (NaN last).
    waiting: Vec<(f64, u32)>,
    /// The best, once all are in; best first.
    best: Option<VecDeque<u32>>,
    over: bool,
}

impl FirstThenBest {
    /// `trials` are trained to `first_length`, the best `keep` of them go on to `max_length`.
    pub fn new(space: Space, seed: u32, trials: u32, keep: u32, first_length: u64, max_length: u64) -> Self {
        Self {
            space,
            seed,
            trials,
            keep: keep as usize,
            first_length,
            max_length,
            capacity: 0,
            created: 0,
            outstanding: 0,
            waiting: Vec::new(),
            best: None,
            over: false,
        }
    }

    fn start(&mut self, actions: &mut Vec<Action>) {
        while self.outstanding < self.capacity {
            if self.created < self.trials {
                self.created += 1;
                let trial = TrialId(self.created);
                let hparams = self.space.draw(self.seed, trial);
                actions.push(Action::Create(Create {
                    trial,
                    hparams,
                    clone_from: None,
                    train_to: self.first_length,
                    bracket: 0,
                    why: "".into(),
                }));
            } else if let Some(next) = self.next_best() {
                let reason = Reason::Resumed { length: self.max_length };
                actions.push(Action::TrainTo { trial: TrialId(next), length: self.max_length, reason });
            } else {
                break;
            }
            self.outstanding += 1;
        }
        if self.outstanding == 0
            && self.created >= self.trials
            && self.best.as_ref().is_some_and(VecDeque::is_empty)
        {
            self.over = true;
            actions.push(Action::Shutdown { reason: Reason::SearchOver { trials: u64::from(self.created) } });
        }
    }

    fn next_best(&mut self) -> Option<u32> {
        if self.best.is_none() {
            if self.outstanding > 0 {
                return None;
            }
            self.waiting.sort_by(|a, b| {
                a.0.is_nan().cmp(&b.0.is_nan()).then(a.0.total_cmp(&b.0)).then(a.1.cmp(&b.1))
            });
            self.best = Some(self.waiting.drain(..).take(self.keep).map(|(_, trial)| trial).collect());
        }
        self.best.as_mut()?.pop_front()
    }
}

impl Player for FirstThenBest {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        if self.over {
            return;
        }
        match *event {
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { trial, length, .. } if length >= self.max_length => {
                actions.push(Action::Stop { trial, reason: Reason::MaxLength { length } });
            }
            Event::Validated { trial, length, metric } if length == self.first_length => {
                self.waiting.push((metric, trial.0));
                actions.push(Action::Pause { trial, reason: Reason::RoundDone { round: 1, length } });
            }
            Event::Validated { .. } | Event::Directed(_) | Event::CannotPause { .. } => {}
            Event::Exited { trial, reason } => {
                self.outstanding = self.outstanding.saturating_sub(1);
                if reason != (ExitReason::Paused { resumable: true }) {
                    self.waiting.retain(|(_, waiting)| *waiting != trial.0);
                }
            }
        }
        self.start(actions);
    }
}
