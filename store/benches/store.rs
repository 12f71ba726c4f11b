//! Figures of the store, each in a process of its own so that memory is told apart. Run all with
//! `cargo bench -p toprung-store`, one with `cargo bench -p toprung-store -- NAME`. `TOPRUNG_BENCH_CACHE_MIB` sets the
//! database's cache.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use prost::Message;
use toprung_proto::v1::journal_record::Input;
use toprung_proto::v1::{
    AgentEvents, AttemptEvent, AttemptId, AttemptReport, JournalRecord, Metric, Report, ReportChunk,
    attempt_event,
};
use toprung_store::{Batch, Key, Options, Store};

/// Names the directory to the process that opens it.
const FILLED: &str = "TOPRUNG_BENCH_FILLED";

type Figure = fn();
const FIGURES: [(&str, Figure); 6] = [
    ("appends-64", || appends(64, 40_000)),
    ("appends-1000", || appends(1000, 100_000)),
    ("reports", reports),
    ("memory", memory),
    ("open", open),
    ("delete", delete),
];

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    match wanted.as_deref() {
        Some("fill") => return fill_and_die(),
        Some("open-filled") => return open_filled(),
        Some("open-cut") => return open_cut(),
        _ => {}
    }
    if let Some(name) = wanted {
        let (_, figure) = FIGURES.iter().find(|(known, _)| *known == name).expect("a known figure");
        return figure();
    }
    for (name, _) in FIGURES {
        let status = std::process::Command::new(std::env::current_exe().unwrap()).arg(name).status().unwrap();
        assert!(status.success(), "{name}: {status}");
    }
}

fn report(trial: u32, length: u64) -> AttemptEvent {
    let metric = |name: &str, value| Metric { name: name.to_owned(), value };
    let value = f64::from(trial) / (length as f64 + 1.7);
    AttemptEvent {
        attempt: Some(AttemptId { experiment: 1, trial, attempt: 1 }),
        kind: Some(attempt_event::Kind::Report(Report {
            group: 1,
            length,
            metrics: vec![metric("loss", value), metric("accuracy", 1.0 - value)],
            time_unix_ms: 1_700_000_000_000 + length as i64,
        })),
    }
}

fn record(sequence: u64, events: Vec<AttemptEvent>) -> JournalRecord {
    let agent_events =
        AgentEvents { agent: "agent-1".to_owned(), instance: "1".to_owned(), sequence, events };
    JournalRecord {
        sequence,
        time_unix_ms: 1_700_000_000_000,
        input: Some(Input::AgentEvents(agent_events)),
        ..JournalRecord::default()
    }
}

/// The defaults, or another cache, to see what it costs and brings.
fn options() -> Options {
    let mebibytes = std::env::var("TOPRUNG_BENCH_CACHE_MIB").ok().and_then(|text| text.parse::<u64>().ok());
    let default = Options::default();
    Options { cache_bytes: mebibytes.map_or(default.cache_bytes, |mebibytes| mebibytes << 20), ..default }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Tasks that append one small record each and wait for it, again and again.
fn appends(tasks: u64, total: u64) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let started = Instant::now();
    let mut times = runtime().block_on(async {
        let mut set = tokio::task::JoinSet::new();
        for experiment in 1..=tasks {
            let store = store.clone();
            set.spawn(async move {
                let mut times = Vec::new();
                for sequence in 1..=total / tasks {
                    let started = Instant::now();
                    let journal = vec![(experiment, record(sequence, vec![report(1, sequence)]))];
                    store.append(Batch { journal, ..Batch::default() }).await.unwrap();
                    times.push(started.elapsed());
                }
                times
            });
        }
        set.join_all().await.concat()
    });
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("appends by {tasks} tasks: {rate:.0}/s, p50 {:?}, p99 {:?}", at(50), at(99));
}

/// Records of 500 reports, eight experiments at once.
fn reports() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let started = Instant::now();
    runtime().block_on(async {
        let mut set = tokio::task::JoinSet::new();
        for experiment in 1..=8 {
            let store = store.clone();
            set.spawn(async move {
                for sequence in 1..=250 {
                    let events = (0..500).map(|trial| report(trial, sequence)).collect();
                    let journal = vec![(experiment, record(sequence, events))];
                    store.append(Batch { journal, ..Batch::default() }).await.unwrap();
                }
            });
        }
        set.join_all().await;
    });
    let reports = 8 * 250 * 500;
    println!("reports, 500 a record: {:.0}/s", f64::from(reports) / started.elapsed().as_secs_f64());
    println!("  {}", footprint(dir.path()));
}

/// 100 000 trials with 10 reports each: journal, report chunk, summary.
fn memory() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    println!("memory: before: {}", footprint(dir.path()));
    let started = Instant::now();
    for trial in 1..=100_000_u32 {
        let events: Vec<_> = (1..=10).map(|length| report(trial, length)).collect();
        let reports = events.iter().filter_map(|event| match &event.kind {
            Some(attempt_event::Kind::Report(report)) => {
                Some(AttemptReport { attempt: 1, report: Some(report.clone()) })
            }
            _ => None,
        });
        let chunk = ReportChunk { reports: reports.collect() }.encode_to_vec();
        let batch = Batch {
            journal: vec![(1, record(u64::from(trial), events))],
            puts: vec![(Key::ReportChunk(1, trial, 1), chunk), (Key::Trial(1, trial), summary(trial))],
            deletes: Vec::new(),
        };
        send(&store, batch);
    }
    wait(&store);
    println!(
        "memory: after 100 000 trials of 10 reports in {:?}: {}",
        started.elapsed(),
        footprint(dir.path())
    );
    drop(store);
    println!("memory: closed: {}", footprint(dir.path()));
}

/// 10 experiments of 100 000 finished trials each, opened first after the end of a process that did not close them.
fn open() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["fill", "open-filled", "open-cut"] {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        let status = process.arg(part).env(FILLED, dir.path()).status().unwrap();
        assert!(status.success(), "{part}: {status}");
    }
}

fn fill_and_die() {
    let dir = std::env::var_os(FILLED).expect("set by the figure named open");
    std::mem::forget(fill(Path::new(&dir), 10));
    std::process::exit(0);
}

fn open_filled() {
    let dir = std::env::var_os(FILLED).expect("set by the figure named open");
    let dir = Path::new(&dir);
    for _ in 0..3 {
        let started = Instant::now();
        let store = Store::open(dir, options()).unwrap();
        let opened = started.elapsed();
        assert_eq!(store.last_sequence(10).unwrap(), 100_000);
        let read = Instant::now();
        let records = store.journal(10, 1).unwrap().inspect(|record| assert!(record.is_ok())).count();
        println!(
            "open with 1 000 000 trials: {opened:?}; {records} journal records in {:?}; {}",
            read.elapsed(),
            footprint(dir)
        );
    }
}

/// The same without the mark that the database may be used, as after a power cut.
fn open_cut() {
    let dir = std::env::var_os(FILLED).expect("set by the figure named open");
    std::fs::remove_file(Path::new(&dir).join("wal/mark")).unwrap();
    println!("after a power cut:");
    open_filled();
}

/// Deleting one experiment of 100 000 trials.
fn delete() {
    let dir = tempfile::tempdir().unwrap();
    let store = fill(dir.path(), 1);
    let started = Instant::now();
    store.delete_experiment(1).unwrap();
    println!("delete an experiment of 100 000 trials: {:?}; {}", started.elapsed(), footprint(dir.path()));
}

fn fill(dir: &Path, experiments: u64) -> Store {
    let store = Store::open(dir, options()).unwrap();
    let started = Instant::now();
    for experiment in 1..=experiments {
        for trial in 1..=100_000_u32 {
            let batch = Batch {
                journal: vec![(experiment, record(u64::from(trial), vec![report(trial, 1)]))],
                puts: vec![(Key::Trial(experiment, trial), summary(trial))],
                deletes: Vec::new(),
            };
            send(&store, batch);
        }
    }
    wait(&store);
    println!("filled with {experiments} x 100 000 trials in {:?}: {}", started.elapsed(), footprint(dir));
    store
}

fn summary(trial: u32) -> Vec<u8> {
    (0..300).map(|index| (trial.wrapping_mul(2_654_435_761).rotate_left(index) >> 24) as u8).collect()
}

/// Queues, waiting while the queue is full.
fn send(store: &Store, batch: Batch) {
    while let Err(error) = store.submit(batch.clone(), |result| result.unwrap()) {
        assert!(matches!(error, toprung_store::Error::Busy), "{error}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until everything queued is written.
fn wait(store: &Store) {
    let (sender, receiver) = sync_channel(1);
    loop {
        let sender = sender.clone();
        if store.submit(Batch::default(), move |result| sender.send(result).unwrap()).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    receiver.recv().unwrap().unwrap();
}

/// Memory of this process and size of the database file.
fn footprint(dir: &Path) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    let file = std::fs::metadata(dir.join("db/db")).map_or(0, |file| file.len()) >> 20;
    let log = std::fs::read_dir(dir.join("wal")).into_iter().flatten().flatten();
    let log = log.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>() >> 20;
    format!(
        "resident {} MiB (highest {} MiB), database file {file} MiB, base and log {log} MiB",
        of("VmRSS:"),
        of("VmHWM:")
    )
}
