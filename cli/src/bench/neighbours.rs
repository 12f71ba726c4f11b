//! What a flood of one search does to another: the time from a report to its decision of a calm search, alone, beside a
//! search whose trials report without a pause on another agent, and on the same agent.
//!
//! The flood keeps as many batches on their way as an agent is allowed, which is also what a real agent lets one attempt
//! keep unacknowledged. The calm search is measured alone before and after; the ratio is to the mean of both.

use super::agent::{Agent, BATCH, Heard};
use super::figure::{Figure, Target, Unit};
use super::place::{Place, Setting};
use super::times::Percentiles;
use super::{events, failed, joined, search};
use crate::errors::Error;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior};
use toprung_proto::v1::{self, AttemptId, DecisionKind, ExitCause, MetricGroup};

/// Slots, and running trials, of each search.
const SLOTS: u32 = 16;
/// Reports a second of the calm search.
const RATE: u32 = 100;
/// A length that is never reached.
const FAR: u64 = 1 << 40;
/// Rungs at 1, 4, 16, 64 and 256.
const HALVING: &str =
    "name: async_halving, num_rungs: 5, divisor: 4, max_length: {batches: 256}, max_trials: 1000000";

/// Where the flood is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    Nowhere,
    OnAnotherAgent,
    OnTheSameAgent,
}

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let before = one(setting, Flood::Nowhere).await?.0;
    let (other, other_rate) = one(setting, Flood::OnAnotherAgent).await?;
    let (same, same_rate) = one(setting, Flood::OnTheSameAgent).await?;
    let after = one(setting, Flood::Nowhere).await?.0;
    let alone =
        Percentiles { p50: f64::midpoint(before.p50, after.p50), p99: f64::midpoint(before.p99, after.p99) };
    let figure = |place: &str, word: &str, found: Percentiles, value: f64, alone: f64| {
        let what = format!("report to decision beside a flood on {place}, {word}, against alone");
        Figure::new(what, value / alone, Unit::Times, Target::AtMost(2.0)).with_times(Some(found))
    };
    let rate = |place: &str, rate: f64| {
        let what = format!("reports of the flood on {place} meanwhile");
        Figure::new(what, rate, Unit::PerSecond, Target::None)
    };
    let base = Figure::new(
        "report to decision, calm search alone, p50",
        alone.p50,
        Unit::Milliseconds,
        Target::None,
    );
    Ok(vec![
        base.with_times(Some(alone)),
        figure("another agent", "p50", other, other.p50, alone.p50),
        figure("another agent", "p99", other, other.p99, alone.p99),
        rate("another agent", other_rate),
        figure("the same agent", "p50", same, same.p50, alone.p50),
        figure("the same agent", "p99", same, same.p99, alone.p99),
        rate("the same agent", same_rate),
    ])
}

/// The times of the calm search, and the flood's reports a second.
async fn one(setting: &Setting, flood: Flood) -> Result<(Percentiles, f64), Error> {
    let during = setting.size(Duration::from_secs(8), Duration::from_millis(500));
    let place = Place::start(setting).await?;
    let slots = if flood == Flood::OnTheSameAgent { 2 * SLOTS } else { SLOTS };
    let agent = Agent::connect(place.url(), place.token(), "calm", slots).await?;
    let file = search::file("\"true\"", &format!("{HALVING}, max_concurrent_trials: {SLOTS}"));
    let mut calm = Running::new(agent, search::create(&place.client, file, Vec::new()).await?);
    calm.until_full(SLOTS, 0).await?;
    // Only now, so that each search is on its agent.
    let file = search::file("\"true\"", &search::random(u64::from(SLOTS), FAR));
    let mut loud = None;
    match flood {
        Flood::Nowhere => {}
        Flood::OnTheSameAgent => {
            search::create(&place.client, file, Vec::new()).await?;
            calm.until_full(SLOTS, SLOTS).await?;
        }
        Flood::OnAnotherAgent => {
            let agent = Agent::connect(place.url(), place.token(), "loud", SLOTS).await?;
            search::create(&place.client, file, Vec::new()).await?;
            let mut running = Running::new(agent, calm.calm);
            running.until_full(0, SLOTS).await?;
            loud = Some(tokio::spawn(running.run(during)));
        }
    }
    let calm = calm.run(during).await?;
    let loud = match loud {
        Some(task) => joined(task.await)?.durable,
        None => 0,
    };
    place.stop().await?;
    // Some of the durable ones are of the calm search: few.
    let rate = (calm.durable + loud) as f64 / during.as_secs_f64();
    let times = Percentiles::of(calm.times).ok_or_else(|| failed("no decision came"))?;
    Ok((times, rate))
}

/// The trials that run on one agent.
struct Running {
    agent: Agent,
    /// The calm experiment; attempts of others flood.
    calm: u64,
    ready: VecDeque<(AttemptId, u64)>,
    reported: HashMap<(u32, u32), Instant>,
    floods: Vec<AttemptId>,
    length: u64,
    found: Found,
}

/// What was measured.
#[derive(Default)]
struct Found {
    times: Vec<Duration>,
    /// Events acknowledged.
    durable: usize,
}

impl Running {
    fn new(agent: Agent, calm: u64) -> Self {
        let (ready, reported) = (VecDeque::new(), HashMap::new());
        Self { agent, calm, ready, reported, floods: Vec::new(), length: 0, found: Found::default() }
    }

    /// Waits until so many trials of each kind run.
    async fn until_full(&mut self, calm: u32, loud: u32) -> Result<(), Error> {
        while self.ready.len() < calm as usize || self.floods.len() < loud as usize {
            let heard = self.agent.next().await?;
            self.hear(heard)?;
        }
        self.agent.flush()
    }

    async fn run(mut self, during: Duration) -> Result<Found, Error> {
        let until = tokio::time::Instant::now() + during;
        let mut pace = pace();
        loop {
            self.flood()?;
            tokio::select! {
                heard = self.agent.next() => { let heard = heard?; self.hear(heard)?; }
                _ = pace.tick() => self.report()?,
                () = tokio::time::sleep_until(until) => return Ok(self.found),
            }
        }
    }

    /// As much as is allowed.
    fn flood(&mut self) -> Result<(), Error> {
        while !self.floods.is_empty() && self.agent.has_room() {
            for _ in 0..BATCH / self.floods.len() {
                self.length += 1;
                let report =
                    |attempt: &AttemptId| events::report(*attempt, MetricGroup::Training, self.length);
                self.agent.say(self.floods.iter().map(report));
            }
            self.agent.flush()?;
        }
        Ok(())
    }

    /// The next calm trial reports and saves a checkpoint.
    fn report(&mut self) -> Result<(), Error> {
        let Some((attempt, length)) = self.ready.pop_front() else { return Ok(()) };
        let report = events::report(attempt, MetricGroup::Validation, length);
        self.agent.say([report, events::checkpoint(attempt, length)]);
        self.reported.insert((attempt.trial, attempt.attempt), Instant::now());
        self.agent.flush()
    }

    fn hear(&mut self, heard: Heard) -> Result<(), Error> {
        match heard {
            Heard::Start(start) => {
                let attempt = start.attempt.ok_or_else(|| failed("a start without an attempt"))?;
                self.agent.say([events::started(attempt)]);
                if attempt.experiment == self.calm {
                    self.ready.push_back((attempt, start.train_until));
                } else {
                    self.floods.push(attempt);
                }
            }
            Heard::Decision(answer) => self.decided(answer)?,
            Heard::Durable(events) => self.found.durable += events,
            Heard::Stop => {}
        }
        Ok(())
    }

    fn decided(&mut self, answer: v1::AttemptDecision) -> Result<(), Error> {
        let attempt = answer.attempt.ok_or_else(|| failed("a decision without an attempt"))?;
        let decision = answer.decision.unwrap_or_default();
        if let Some(left) = self.reported.remove(&(attempt.trial, attempt.attempt)) {
            self.found.times.push(left.elapsed());
        }
        if decision.kind() == DecisionKind::Train {
            self.ready.push_back((attempt, decision.length));
        } else {
            self.agent.say([events::exit(attempt, ExitCause::Requested)]);
        }
        Ok(())
    }
}

fn pace() -> Interval {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / RATE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
