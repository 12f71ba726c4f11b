//! What the benchmark `neighbours` runs as trials: real processes that speak the contract of a trial over its socket.
//!
//! Each adds what it measured to files in a directory of the benchmark; the formats are in [`record`].

use super::failed;
use super::record;
use crate::errors::Error;
use crate::exit::Exit;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

/// Between two reports of a calm trial.
const PACE: Duration = Duration::from_millis(40);
/// As many connections as a trial may have.
const CONNECTIONS: usize = 64;
/// Reports that a connection of the flood has on their way.
const AHEAD: u64 = 64;
/// How often the flood says how far it is.
const COUNT: Duration = Duration::from_millis(50);
/// A trial that spins ends by itself, should nobody end it.
const LONGEST: Duration = Duration::from_mins(5);

/// What a trial does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Reports 25 times a second and waits for the decision on each report.
    Calm,
    /// Reports as fast as the agent takes it, over as many connections as it may have.
    Flood,
    /// Only uses a processor.
    Spin,
}

/// Runs until the agent ends the trial.
pub(crate) async fn run(role: Role, directory: &Path) -> Result<Exit, Error> {
    match role {
        Role::Calm => calm(directory).await?,
        Role::Flood => flood(directory).await?,
        Role::Spin => spin(),
    }
    Ok(Exit::Ok)
}

/// One connection to the agent.
struct Contract {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
}

impl Contract {
    async fn open() -> Result<Self, Error> {
        let path = std::env::var_os("TOPRUNG_SOCKET").map(PathBuf::from);
        let path =
            path.ok_or_else(|| failed("this command is a trial of a benchmark: only an agent starts it"))?;
        let (reading, writing) = UnixStream::connect(path).await.map_err(failed)?.into_split();
        Ok(Self { reading: BufReader::new(reading), writing })
    }

    /// The answer to one line; none: the agent has closed the connection.
    async fn ask(&mut self, line: &str) -> Result<Option<serde_json::Value>, Error> {
        let mut answer = String::new();
        if self.writing.write_all(line.as_bytes()).await.is_err() {
            return Ok(None);
        }
        match self.reading.read_line(&mut answer).await {
            Ok(0) | Err(_) => Ok(None),
            Ok(_) => serde_json::from_str(&answer).map(Some).map_err(failed),
        }
    }
}

fn file(directory: &Path, name: &str) -> Result<File, Error> {
    let path = directory.join(format!("{name}-{}", std::process::id()));
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.map_err(Error::io(format!("cannot write {}", path.display())))
}

/// Reports ever better, so that each decision is to train on.
async fn calm(directory: &Path) -> Result<(), Error> {
    let mut times = file(directory, record::TIMES)?;
    let mut contract = Contract::open().await?;
    contract.ask("{\"type\":\"hello\",\"sdk\":\"bench\",\"version\":\"1\"}\n").await?;
    let mut length = 0;
    while let Some(until) = may_go_on(&mut contract, length).await? {
        tokio::time::sleep(PACE).await;
        length = until;
        let asked = Instant::now();
        let loss = -record::now();
        let report = format!(
            "{{\"type\":\"report\",\"group\":\"validation\",\"length\":{length},\"metrics\":{{\"loss\":{loss}}}}}\n"
        );
        if contract.ask(&report).await?.is_none() {
            return Ok(());
        }
        let next = may_go_on(&mut contract, length).await?;
        let line = record::time(record::now(), asked.elapsed());
        times.write_all(line.as_bytes()).map_err(Error::io("cannot write the times"))?;
        if next.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

/// The length to train to; none: the trial is over.
async fn may_go_on(contract: &mut Contract, length: u64) -> Result<Option<u64>, Error> {
    loop {
        let Some(answer) = contract.ask(&format!("{{\"type\":\"next\",\"length\":{length}}}\n")).await?
        else {
            return Ok(None);
        };
        match answer["action"].as_str() {
            Some("wait") => {}
            Some("train") => return Ok(answer["until"].as_u64()),
            _ => return Ok(None),
        }
    }
}

async fn flood(directory: &Path) -> Result<(), Error> {
    let mut count = file(directory, record::COUNTS)?;
    let answered = Arc::new(AtomicU64::new(0));
    let mut floods = JoinSet::new();
    for _ in 0..CONNECTIONS {
        floods.spawn(pour(Arc::clone(&answered)));
    }
    loop {
        tokio::select! {
            ended = floods.join_next() => match ended {
                Some(ended) => super::joined(ended)?,
                None => return Ok(()),
            },
            () = tokio::time::sleep(COUNT) => {
                let line = record::count(record::now(), answered.load(Ordering::Relaxed));
                count.write_all(line.as_bytes()).map_err(Error::io("cannot write the count"))?;
            }
        }
    }
}

/// Reports on one connection, some always ahead of their answers.
async fn pour(answered: Arc<AtomicU64>) -> Result<(), Error> {
    let Contract { mut reading, mut writing } = Contract::open().await?;
    let line = "{\"type\":\"report\",\"group\":\"training\",\"length\":1,\
                \"metrics\":{\"loss\":0.5,\"accuracy\":0.5}}\n";
    let lines = line.repeat(AHEAD as usize / 2);
    let mut buffer = vec![0; 16 << 10];
    let (mut sent, mut heard) = (0, 0);
    loop {
        while sent - heard <= AHEAD / 2 {
            if writing.write_all(lines.as_bytes()).await.is_err() {
                return Ok(());
            }
            sent += AHEAD / 2;
        }
        let Ok(read @ 1..) = reading.read(&mut buffer).await else { return Ok(()) };
        let answers = buffer.iter().take(read).filter(|byte| **byte == b'\n').count() as u64;
        heard += answers;
        answered.fetch_add(answers, Ordering::Relaxed);
    }
}

fn spin() {
    let started = Instant::now();
    let mut value = 1_u64;
    while started.elapsed() < LONGEST {
        for _ in 0..100_000 {
            value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}
