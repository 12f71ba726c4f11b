//! Made-up runs for tests: step curves that fall as those of searches do.

use super::setup::{Contestant, Setup, Task};
use crate::run::{Run, Step};
use toprung_searchers::TrialId;
use toprung_searchers::stream::{Purpose, Stream};

/// The place of the searcher that finds the best values fastest.
pub(crate) const BEST: usize = 1;

const NAMES: [&str; 12] = [
    "random",
    "auto",
    "asha",
    "one epoch, best k",
    "hyperband",
    "tpe",
    "bohb",
    "pasha",
    "gp",
    "adaptive_asha (conservative)",
    "sync_halving",
    "asha <stop_once>",
];
/// How fast each of them falls: the larger, the better.
const SPEED: [f64; 12] = [0.5, 1.4, 1.2, 0.6, 0.9, 0.8, 1.25, 1.1, 0.85, 1.0, 0.95, 1.2];

pub(crate) fn setup(tasks: usize, searchers: usize) -> Setup {
    let task = |place: usize| Task {
        name: format!("task_{place}"),
        metric: "val_error".into(),
        smaller_is_better: place != 2,
        best: if place == 2 { -0.95 } else { 0.05 },
        median: if place == 2 { -0.55 } else { 0.45 },
        worst: Some(if place == 2 { 0.0 } else { 1.0 }),
        budget: (place == 0).then_some(4_000.0),
        time_unit: "s".into(),
        length_unit: "epochs".into(),
        cost_unit: "GPU seconds".into(),
    };
    let searcher = |place: usize| Contestant {
        label: NAMES[place].into(),
        baseline: place == 0 || place == 3,
        settings: format!("divisor 3, max_rungs {}", place + 2),
    };
    let mut setup = Setup::new((0..tasks).map(task).collect(), (0..searchers).map(searcher).collect());
    setup.command = "toprung simulate --table curves.csv --searcher auto --seeds 30".into();
    setup.settings = vec![("slots".into(), "8".into()), ("start-up".into(), "10 s".into())];
    setup
}

/// One run of a task and searcher by place, its noise from the seed.
pub(crate) fn run(setup: &Setup, task: usize, searcher: usize, seed: u32) -> Run {
    let scale = &setup.tasks[task];
    let mut stream = Stream::new(seed, TrialId((task * 100 + searcher) as u32), Purpose::Decision(77));
    let speed = SPEED[searcher] * (1.0 + 0.15 * task as f64);
    let (end, mut time, mut best) = (4_000.0, 10.0 + 20.0 * stream.unit(), f64::INFINITY);
    let mut steps = Vec::new();
    while time < end {
        let fallen = 1.6 * (1.0 + time / 60.0).powf(-speed) * (0.6 + 0.8 * stream.unit());
        let regret = if fallen < 0.004 { 0.0 } else { fallen };
        let value = scale.best + regret * (scale.median - scale.best);
        if value < best {
            best = value;
            let length = (time * 0.9) as u64;
            steps.push(Step { time, length, cost: cost(task, length), best });
        }
        time *= 1.05 + 0.4 * stream.unit();
    }
    let total_length = 3_600 - 200 * searcher as u64;
    steps.retain(|step| step.length <= total_length);
    Run {
        task: scale.name.clone(),
        searcher: setup.searchers[searcher].label.clone(),
        seed,
        steps,
        end_time: end,
        total_length,
        total_cost: cost(task, total_length),
        wasted_length: (total_length as f64 * 0.05 * stream.unit()) as u64,
        utilisation: 0.8 + 0.2 * stream.unit(),
        trials: 40 + stream.index(20),
        reports: 500 + stream.index(200),
    }
}

/// The first task costs what it trains.
fn cost(task: usize, length: u64) -> f64 {
    if task == 0 { length as f64 } else { length as f64 * 1.7 }
}

/// A setup with all its runs, seeds from 0.
pub(crate) fn comparison_input(tasks: usize, searchers: usize, seeds: u32) -> (Setup, Vec<Run>) {
    let mut setup = setup(tasks, searchers);
    setup.resamples = 400;
    let mut runs = Vec::new();
    for task in 0..tasks {
        for searcher in 0..searchers {
            runs.extend((0..seeds).map(|seed| run(&setup, task, searcher, seed)));
        }
    }
    (setup, runs)
}
