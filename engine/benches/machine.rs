//! Cost per event of the pure parts: the experiment machine with many trials behind it, and the scheduler.
//!
//! `cargo bench -p toprung-engine`. Figures in `docs/benchmarks.md`.

#![allow(clippy::unwrap_used, missing_docs)]

use divan::Bencher;
use divan::counter::ItemsCount;
use toprung_engine::experiment::{Effect, Machine, Spec};
use toprung_engine::scheduler::{AgentSlots, Limits, Scheduler};
use toprung_proto::v1::{self, attempt_event::Kind, journal_record::Input};

fn main() {
    divan::main();
}

/// Trials that are run in one measured round.
const ROUND: u32 = 1_000;

fn machine(trials: u32) -> Machine {
    let yaml = format!(
        "entrypoint: python train.py\nhyperparameters: {{rate: {{type: log, minval: -4, maxval: -1}}}}\n\
         searcher: {{name: async_halving, metric: loss, num_rungs: 4, max_trials: {trials}, divisor: 4,\n  \
         max_length: {{epochs: 64}}, max_concurrent_trials: 16, stop_once: true}}"
    );
    let config = toprung_config::parse(&yaml).unwrap().config;
    let created = v1::ExperimentCreated {
        id: 1,
        name: "bench".into(),
        seed: 1,
        config_json: config.complete().to_string(),
        ..Default::default()
    };
    Machine::new(Spec::new(&created, 0).unwrap()).unwrap()
}

/// Runs trials one after the other, each to the end its searcher gives it.
struct Runner {
    machine: Machine,
    waiting: Vec<(u32, u32)>,
    batches: u64,
    trials: u32,
}

impl Runner {
    fn new(trials: u32) -> Self {
        let mut runner =
            Self { machine: machine(trials + 2 * ROUND), waiting: Vec::new(), batches: 0, trials: 0 };
        runner.step(Input::Created(v1::ExperimentCreated::default()));
        runner.step(Input::Capacity(v1::CapacityChanged { trials: 1, agents: 1 }));
        runner.run(trials);
        runner
    }

    fn step(&mut self, input: Input) -> Option<v1::DecisionKind> {
        let step = self.machine.step(input, 1)?;
        for effect in &step.effects {
            if let Effect::Request { trial, attempt, .. } = effect {
                self.waiting.push((*trial, *attempt));
            }
        }
        step.record.decisions.last().map(v1::Decision::kind)
    }

    fn tell(&mut self, trial: u32, kind: Kind) -> Option<v1::DecisionKind> {
        self.batches += 1;
        let attempt = Some(v1::AttemptId { experiment: 1, trial, attempt: 1 });
        let events = vec![v1::AttemptEvent { attempt, kind: Some(kind) }];
        let (agent, instance, sequence) = ("a".to_owned(), "i".to_owned(), self.batches);
        self.step(Input::AgentEvents(v1::AgentEvents { agent, instance, sequence, events }))
    }

    fn run(&mut self, trials: u32) {
        let until = self.trials + trials;
        while self.trials < until {
            let (trial, attempt) = self.waiting.pop().unwrap();
            self.trials += 1;
            self.step(Input::Allocated(v1::AttemptAllocated {
                trial,
                attempt,
                agent: "a".into(),
                slots: vec![0],
            }));
            self.tell(trial, Kind::Started(v1::Started::default()));
            for length in [1, 4, 16, 64] {
                let value = f64::from(trial.wrapping_mul(2_654_435_761) % 100_003) / f64::from(length as u32);
                let metrics = vec![v1::Metric { name: "loss".into(), value }];
                let report = v1::Report { group: 2, length, metrics, time_unix_ms: 1 };
                if self.tell(trial, Kind::Report(report)) == Some(v1::DecisionKind::Stop) {
                    break;
                }
            }
            let exit = v1::Exit { cause: v1::ExitCause::Requested.into(), ..Default::default() };
            self.tell(trial, Kind::Exit(exit));
        }
    }
}

/// Whole trials (allocated, started, reported, decided, ended) with so many before them.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5, sample_size = 1)]
fn trials_through_the_machine(bencher: Bencher<'_, '_>, before: u32) {
    bencher
        .counter(ItemsCount::new(ROUND))
        .with_inputs(|| Runner::new(before))
        .bench_local_values(|mut runner| runner.run(ROUND));
}

/// Request, allocation and release with so many experiments that wait.
#[divan::bench(args = [1, 10, 100])]
fn allocations(bencher: Bencher<'_, '_>, experiments: u64) {
    let mut scheduler = Scheduler::default();
    let slot = |index| v1::Slot { index, kind: v1::SlotKind::Gpu.into(), ..Default::default() };
    scheduler.agent_joined("a", AgentSlots::new((0..8).map(slot).collect()), Vec::new());
    let limits = Limits { priority: 42, weight: 1.0, slots_per_trial: 1, max_slots: None };
    for experiment in 1..=experiments {
        scheduler.add_experiment(experiment, limits);
        for trial in 1..=16 {
            scheduler.request(v1::AttemptId { experiment, trial, attempt: 1 }, None);
        }
    }
    let mut held: std::collections::VecDeque<_> = scheduler.allocate().into();
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        let mut attempt = held.pop_front().unwrap().attempt;
        scheduler.release(&attempt);
        attempt.attempt += 1;
        scheduler.request(attempt, None);
        held.extend(scheduler.allocate());
    });
}
