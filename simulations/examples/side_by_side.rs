//! Our side of `simulations/benches/side_by_side.py`: the same workloads, timed, as JSON on standard output.
//!
//! Times are seconds of this thread's processor time, which others on a busy machine lengthen less than those of a clock.

use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use toprung_searchers::models::TpeConfig;
use toprung_searchers::{
    Action, Assignment, Dimension, Domain, Event, ExitReason, ModelConfig, Searcher, SearcherConfig, Space,
    TrialId, Value,
};
use toprung_simulations::synthetic::{PowerLaw, Shape};
use toprung_simulations::{Error, Reports, Task, World};

/// More trials than any workload has.
const MANY: u64 = 10_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let histories = [1_000, 10_000, 100_000];
    let tpe: Result<Vec<Json>, Error> = histories.into_iter().map(tpe_suggestion).collect();
    let rungs = [1_000, 10_000, 100_000, 1_000_000];
    let decisions: Result<Vec<Json>, Error> = rungs.into_iter().map(asha_decision).collect();
    let found = json!({
        "random": [random_suggestion()?],
        "tpe": tpe?,
        "asha": decisions?,
        "simulation": [simulation(100_000)?],
    });
    println!("{found}");
    Ok(())
}

/// Seconds that this thread ran; of the clock where the system does not tell.
fn seconds(began: Instant) -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = times.and_then(|times| times.split_whitespace().next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| began.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// How long a piece of work takes.
fn timed(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let before = seconds(began);
    work();
    seconds(began) - before
}

/// Floats in 0 … 1.
fn floats(count: usize) -> Space {
    let domain = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
    let one = |index: usize| (format!("x{index}"), Dimension::always(domain.clone()));
    Space::new((0..count).map(one).collect())
}

/// A search and the trials that run in it, in the order in which they report.
struct Play {
    searcher: Searcher,
    running: VecDeque<(TrialId, u64, f64)>,
    created: u32,
    /// What trials had that are not to be placed anew.
    recorded: BTreeMap<TrialId, Assignment>,
    actions: Vec<Action>,
}

impl Play {
    fn new(
        config: SearcherConfig,
        space: Space,
        recorded: BTreeMap<TrialId, Assignment>,
    ) -> Result<Self, Error> {
        let searcher = Searcher::new(config, space, 1)?;
        let mut play = Self { searcher, running: VecDeque::new(), created: 0, recorded, actions: Vec::new() };
        play.tell(&Event::Capacity(1));
        Ok(play)
    }

    fn tell(&mut self, event: &Event) {
        let mut actions = std::mem::take(&mut self.actions);
        let recorded = (!self.recorded.is_empty()).then_some(&self.recorded);
        self.searcher.handle_into(event, recorded, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Create(create) => {
                    self.created += 1;
                    let value = metric(create.trial, &create.hparams);
                    self.running.push_back((create.trial, create.train_to, value));
                }
                Action::Stop { trial, .. } => {
                    self.tell(&Event::Exited { trial, reason: ExitReason::Stopped })
                }
                Action::TrainTo { trial, length, .. } => self.running.push_back((trial, length, 0.5)),
                Action::Pause { .. } | Action::Shutdown { .. } => {}
            }
        }
        self.actions = actions;
    }

    /// The next trial reports, and what follows.
    fn step(&mut self) {
        if let Some((trial, length, metric)) = self.running.pop_front() {
            self.tell(&Event::Validated { trial, length, metric });
        }
    }

    fn until(&mut self, created: u32) {
        while self.created < created {
            self.step();
        }
    }
}

/// A bowl; without hyperparameters something like chance.
fn metric(trial: TrialId, assignment: &Assignment) -> f64 {
    if assignment.is_empty() {
        return f64::from(trial.0.wrapping_mul(2_654_435_769)) / f64::from(u32::MAX);
    }
    let term = |value: &Value| if let Value::Double(number) = value { (number - 0.3).powi(2) } else { 0.0 };
    assignment.values().map(term).sum()
}

fn random() -> SearcherConfig {
    SearcherConfig::Random { max_trials: MANY, max_length: 1, max_concurrent_trials: 0 }
}

/// Ask and tell of random search, four dimensions.
fn random_suggestion() -> Result<Json, Error> {
    let mut play = Play::new(random(), floats(4), BTreeMap::new())?;
    let count = 1_000_000;
    let took = timed(|| play.until(count));
    Ok(json!({"n": 0, "seconds": took / f64::from(count)}))
}

/// Ask and tell of TPE, five dimensions, after so many trials.
fn tpe_suggestion(trials: u32) -> Result<Json, Error> {
    let space = floats(5);
    let recorded = (1..=trials).map(|trial| (TrialId(trial), space.draw(7, TrialId(trial)))).collect();
    let model = ModelConfig::Tpe(TpeConfig { random_fraction: 0.0, ..TpeConfig::default() });
    let config = SearcherConfig::ModelBased { inner: Box::new(random()), model };
    let mut play = Play::new(config, space, recorded)?;
    // Trials of the past get what they had; the first after them makes the model.
    play.until(trials + 1);
    let count = 200;
    let took = timed(|| play.until(trials + 1 + count));
    Ok(json!({"n": trials, "seconds": took / f64::from(count)}))
}

/// A report to the lowest rung of ASHA, the decision to stop, and the next trial (without hyperparameters).
fn asha_decision(trials: u32) -> Result<Json, Error> {
    let config = SearcherConfig::AsyncHalving {
        num_rungs: 4,
        max_trials: MANY,
        divisor: 3.0,
        min_length: None,
        max_length: 27,
        max_concurrent_trials: 0,
        stop_once: true,
    };
    let mut play = Play::new(config, Space::default(), BTreeMap::new())?;
    play.until(trials);
    let count = 10_000;
    let mut steps = 0_u32;
    let took = timed(|| {
        while play.created < trials + count {
            play.step();
            steps += 1;
        }
    });
    Ok(json!({"n": trials, "seconds": took / f64::from(steps)}))
}

/// A whole simulated search: ASHA (promotion), 27 lengths, all of them reported, 100 slots.
fn simulation(trials: u64) -> Result<Json, Error> {
    let task = PowerLaw::new("power", 1, 4, 27, Shape::default())?;
    let config = SearcherConfig::AsyncHalving {
        num_rungs: 4,
        max_trials: trials,
        divisor: 3.0,
        min_length: None,
        max_length: 27,
        max_concurrent_trials: 0,
        stop_once: false,
    };
    let mut searcher = Searcher::new(config, task.space().clone(), 1)?;
    let world = World { reports: Reports::EveryLength, ..World::calm(100) };
    let mut played = Ok(0);
    let took =
        timed(|| played = world.play(&task, &mut searcher, "asha", 1).map(|outcome| outcome.run.trials));
    Ok(json!({"n": played?, "seconds": took / trials as f64}))
}
