//! 1 000 running trials of a halving search report at their rungs, at a steady rate; measured is the time from a report
//! leaving the agent to its decision arriving there. Both the report and the decision are durable by then.

use super::agent::{Agent, Heard};
use super::figure::{Figure, Target, Unit};
use super::place::{Place, Setting};
use super::times::Percentiles;
use super::{bare, events, failed, joined, search};
use crate::errors::Error;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};
use toprung_proto::v1::{AttemptId, DecisionKind, ExitCause, MetricGroup};
use toprung_store::Batch;

/// Agents that share the trials.
const AGENTS: u32 = 4;
/// Reports a second, of all trials together.
const RATE: u32 = 400;
/// Rungs at 1, 4, 16, 64 and 256.
const HALVING: &str =
    "name: async_halving, num_rungs: 5, divisor: 4, max_length: {batches: 256}, max_trials: 1000000";

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let trials = setting.size(1_000, 40);
    let during = setting.size(Duration::from_secs(15), Duration::from_millis(500));
    let place = Place::start(setting).await?;
    let all_run = Arc::new(Barrier::new(AGENTS as usize));
    let mut set = JoinSet::new();
    for index in 0..AGENTS {
        let (name, slots) = (format!("agent-{index}"), trials / AGENTS);
        let agent = Agent::connect(place.url(), place.token(), &name, slots).await?;
        set.spawn(Running::new(agent).report(slots as usize, all_run.clone(), during));
    }
    let file = search::file("\"true\"", &format!("{HALVING}, max_concurrent_trials: {trials}"));
    search::create(&place.client, file, Vec::new()).await?;
    let mut times = Vec::new();
    while let Some(task) = set.join_next().await {
        times.extend(joined(task)?);
    }
    place.stop().await?;
    let bare = bare::paced(setting, Duration::from_secs(1) / RATE, during / 3, batch).await?;
    let bare = Percentiles::of(bare).ok_or_else(|| failed("nothing was appended"))?;
    let rate = times.len() as f64 / during.as_secs_f64();
    let times = Percentiles::of(times).ok_or_else(|| failed("no decision came"))?;
    let what = format!("report to decision, {trials} running trials, {rate:.0} decisions/s, p99");
    let figure = Figure::new(what, times.p99, Unit::Milliseconds, Target::AtMost(5.0))
        .with_times(Some(times))
        .against("the report straight into the store, p99", bare.p99)
        .against("the report straight into the store, p50", bare.p50);
    Ok(vec![figure])
}

/// The record of one report.
fn batch(experiment: u64, sequence: u64) -> Batch {
    let attempt = AttemptId { experiment, trial: sequence as u32, attempt: 1 };
    let said = vec![events::report(attempt, MetricGroup::Validation, 1), events::checkpoint(attempt, 1)];
    events::record(experiment, sequence, said)
}

/// The trials that run on one agent.
struct Running {
    agent: Agent,
    /// Who may report, and at which length.
    ready: VecDeque<(AttemptId, u64)>,
    /// When a report left.
    reported: HashMap<(u32, u32), Instant>,
    times: Vec<Duration>,
}

impl Running {
    fn new(agent: Agent) -> Self {
        Self { agent, ready: VecDeque::new(), reported: HashMap::new(), times: Vec::new() }
    }

    /// Waits until all trials run, then reports for a while; answers the times to the decisions.
    async fn report(
        mut self,
        slots: usize,
        all_run: Arc<Barrier>,
        during: Duration,
    ) -> Result<Vec<Duration>, Error> {
        while self.ready.len() < slots {
            let heard = self.agent.next().await?;
            self.hear(heard)?;
        }
        self.agent.flush()?;
        all_run.wait().await;
        let until = tokio::time::Instant::now() + during;
        let mut pace = pace();
        loop {
            tokio::select! {
                heard = self.agent.next() => { let heard = heard?; self.hear(heard)?; }
                _ = pace.tick() => self.one()?,
                () = tokio::time::sleep_until(until) => return Ok(self.times),
            }
        }
    }

    /// The next trial reports and saves a checkpoint, as a script does before it asks whether to go on.
    fn one(&mut self) -> Result<(), Error> {
        let Some((attempt, length)) = self.ready.pop_front() else { return Ok(()) };
        self.agent.say([
            events::report(attempt, MetricGroup::Validation, length),
            events::checkpoint(attempt, length),
        ]);
        self.reported.insert((attempt.trial, attempt.attempt), Instant::now());
        self.agent.flush()
    }

    fn hear(&mut self, heard: Heard) -> Result<(), Error> {
        match heard {
            Heard::Start(start) => {
                let attempt = start.attempt.ok_or_else(|| failed("a start without an attempt"))?;
                self.ready.push_back((attempt, start.train_until));
                self.agent.say([events::started(attempt)]);
            }
            Heard::Decision(answer) => {
                let attempt = answer.attempt.ok_or_else(|| failed("a decision without an attempt"))?;
                let decision = answer.decision.unwrap_or_default();
                if let Some(left) = self.reported.remove(&(attempt.trial, attempt.attempt)) {
                    self.times.push(left.elapsed());
                }
                if decision.kind() == DecisionKind::Train {
                    self.ready.push_back((attempt, decision.length));
                } else {
                    self.agent.say([events::exit(attempt, ExitCause::Requested)]);
                }
            }
            Heard::Stop | Heard::Durable(_) => {}
        }
        Ok(())
    }
}

fn pace() -> Interval {
    let mut pace = tokio::time::interval(Duration::from_secs(1) * AGENTS / RATE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
