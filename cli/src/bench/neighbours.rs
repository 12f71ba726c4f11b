//! What misbehaviour of one search does to another: the time from a report to its decision, as the script of the calm
//! search sees it, alone, beside processes that only use the processor, and beside a search whose trials report without
//! a pause, on another agent and on the same one.
//!
//! All is real: server, agents and trials are processes of their own at their natural priority. A flooding trial has all
//! the connections that it may have and always a report ready on each; only the agent holds it back. The calm search is
//! measured alone before and after; ratios are to the mean of both. What only uses the processor shows how much of a
//! ratio is due to too few processors.

use super::child::{self, Server};
use super::figure::{Figure, Target, Unit};
use super::place::Setting;
use super::times::Percentiles;
use super::{failed, record, search};
use crate::client::Client;
use crate::errors::Error;
use crate::model::archive;
use crate::model::listing::Listing;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::Child;

/// Trials of the calm search.
const CALM: u32 = 4;
/// Trials that flood, or processes that spin.
const LOUD: u32 = 2;
/// A length that is never reached, and the number of rungs up to it: each is a decision.
const FAR: u64 = 1 << 40;
const RUNGS: u32 = 40;
/// Trials run within this, or never will.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// What is beside the calm search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    Spinning,
    FloodOnAnotherAgent,
    FloodOnTheSameAgent,
}

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let before = one(setting, Beside::Nothing).await?.0;
    let (spinning, _) = one(setting, Beside::Spinning).await?;
    let (other, other_rate) = one(setting, Beside::FloodOnAnotherAgent).await?;
    let (same, same_rate) = one(setting, Beside::FloodOnTheSameAgent).await?;
    let after = one(setting, Beside::Nothing).await?.0;
    let alone =
        Percentiles { p50: f64::midpoint(before.p50, after.p50), p99: f64::midpoint(before.p99, after.p99) };
    let base = Figure::new(
        "report to decision, calm search alone, p50",
        alone.p50,
        Unit::Milliseconds,
        Target::None,
    );
    let mut figures = vec![base.with_times(Some(alone))];
    let spin = format!("{LOUD} processes that only use the processor");
    figures.extend(ratios(&spin, spinning, alone, Target::None));
    for (place, found, rate) in [("another agent", other, other_rate), ("the same agent", same, same_rate)] {
        let flood = format!("a flood by {LOUD} trials on {place}");
        figures.extend(ratios(&flood, found, alone, Target::AtMost(2.0)));
        figures.push(Figure::new(format!("reports of {flood}"), rate, Unit::PerSecond, Target::None));
    }
    Ok(figures)
}

fn ratios(beside: &str, found: Percentiles, alone: Percentiles, target: Target) -> [Figure; 2] {
    [("p50", found.p50 / alone.p50), ("p99", found.p99 / alone.p99)].map(|(word, ratio)| {
        let what = format!("report to decision beside {beside}, {word}, against alone");
        Figure::new(what, ratio, Unit::Times, target).with_times(Some(found))
    })
}

/// The times of the calm search, and the flood's reports a second.
async fn one(setting: &Setting, beside: Beside) -> Result<(Percentiles, f64), Error> {
    let warm = setting.size(Duration::from_secs(2), Duration::from_millis(100));
    let during = setting.size(Duration::from_secs(12), Duration::from_secs(1));
    let stage = Stage::start(setting).await?;
    let same = beside == Beside::FloodOnTheSameAgent;
    let mut processes = vec![stage.agent("calm", if same { CALM + LOUD } else { CALM })?];
    let halving = format!(
        "name: async_halving, num_rungs: {RUNGS}, divisor: 2, stop_once: true, max_length: {{batches: {FAR}}}, \
         max_trials: 1000000, max_concurrent_trials: {CALM}"
    );
    let calm = stage.search("calm", &halving, CALM).await?;
    let mut loud = None;
    match beside {
        Beside::Nothing => {}
        Beside::Spinning => {
            for _ in 0..LOUD {
                processes.push(stage.spin()?);
            }
        }
        Beside::FloodOnAnotherAgent | Beside::FloodOnTheSameAgent => {
            if !same {
                processes.push(stage.agent("loud", LOUD)?);
            }
            loud = Some(stage.search("flood", &search::random(u64::from(LOUD), FAR), LOUD).await?);
        }
    }
    tokio::time::sleep(warm).await;
    let from = record::now();
    tokio::time::sleep(during).await;
    let to = record::now();
    let times = Percentiles::of(record::times(&stage.records, from, to)?);
    let rate = record::rate(&stage.records, from, to)?;
    for id in loud.into_iter().chain([calm]) {
        stage.end(id).await?;
    }
    for mut process in processes {
        process.kill().await.map_err(Error::io("cannot end a process of the benchmark"))?;
    }
    stage.server.kill().await?;
    Ok((times.ok_or_else(|| failed("no decision came"))?, rate))
}

/// A server, and where its searches write what they measure.
struct Stage {
    server: Server,
    client: Client,
    records: PathBuf,
    scratch: TempDir,
}

impl Stage {
    async fn start(setting: &Setting) -> Result<Self, Error> {
        let scratch = setting.scratch()?;
        let records = scratch.path().join("records");
        for directory in [&records, &scratch.path().join("model")] {
            let failed = Error::io(format!("cannot create {}", directory.display()));
            std::fs::create_dir(directory).map_err(failed)?;
        }
        let server = Server::start(scratch.path()).await?;
        let (url, token) = (&server.published.url, &server.published.token);
        let client = Client::connect(url, Some(token), None).await?;
        Ok(Self { server, client, records, scratch })
    }

    fn agent(&self, name: &str, slots: u32) -> Result<Child, Error> {
        let mut command = child::program(self.scratch.path())?;
        command.env("TOPRUNG_TOKEN", &self.server.published.token).arg("agent");
        command.args(["--server", &self.server.published.url, "--name", name]);
        command.args(["--slots", &slots.to_string(), "--state-dir"]).arg(self.scratch.path().join(name));
        command.spawn().map_err(Error::io("cannot start `toprung agent`"))
    }

    fn spin(&self) -> Result<Child, Error> {
        let mut command = child::program(self.scratch.path())?;
        command.args(["bench-trial", "spin"]).arg(&self.records);
        command.spawn().map_err(Error::io("cannot start a process"))
    }

    /// Starts a search and waits until so many of its trials run.
    async fn search(&self, role: &str, searcher: &str, trials: u32) -> Result<u64, Error> {
        let program = std::env::current_exe().map_err(Error::io("cannot find this program"))?;
        let model = self.scratch.path().join("model");
        let entry = |path: &Path| format!("{:?}", path.to_string_lossy());
        let entrypoint = format!("[{}, bench-trial, {role}, {}]", entry(&program), entry(&self.absolute()?));
        let archive = archive::pack(&Listing::of(&model, &self.scratch.path().join("data"))?, |_| {})?;
        let id = search::create(&self.client, search::file(&entrypoint, searcher), archive).await?;
        let started = Instant::now();
        while self.client.experiment(id).await?.trials.is_none_or(|counts| counts.running < u64::from(trials))
        {
            if started.elapsed() > PATIENCE {
                return Err(failed(format!("{trials} {role} trials did not run within {PATIENCE:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(id)
    }

    /// Trials run elsewhere.
    fn absolute(&self) -> Result<PathBuf, Error> {
        std::path::absolute(&self.records).map_err(Error::io("cannot find the working directory"))
    }

    /// Ends a search and its processes.
    async fn end(&self, id: u64) -> Result<(), Error> {
        self.client.kill(id).await?;
        let started = Instant::now();
        while self.client.experiment(id).await?.ended_unix_ms == 0 {
            if started.elapsed() > PATIENCE {
                return Err(failed(format!("search {id} did not end within {PATIENCE:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
