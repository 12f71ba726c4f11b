//! Full load for as long as wished: memory, files, threads and the size of the store stay flat.
//!
//! ```text
//! TOPRUNG_SOAK_MINUTES=60 cargo test -p toprung --test kills soak -- --ignored --nocapture
//! ```
//!
//! Two agents with four slots each train as fast as they can; a search that has ended is deleted, and the next begins, so
//! that nothing has a reason to grow. A sample is taken every few seconds; the middle of the last half's two quarters is
//! compared, so that a start or a saw-tooth does not count as growth.

use crate::cluster::Cluster;
use crate::curve;
use crate::workplace::Workplace;
use std::path::Path;
use std::time::{Duration, Instant};

const BETWEEN: Duration = Duration::from_secs(3);
/// Columns of the table, with the growth that is allowed beyond a tenth: KiB, files, threads, KiB. The redo log is cut at
/// 64 MiB, so the store may be that much larger at one time than at another.
const COLUMNS: [(&str, u64); 8] = [
    ("engine memory (KiB)", 16 << 10),
    ("engine files", 8),
    ("engine threads", 4),
    ("agent memory (KiB)", 16 << 10),
    ("agent files", 24),
    ("agent threads", 8),
    ("store (KiB)", 80 << 10),
    ("agent's directory (KiB)", 16 << 10),
];

type Sample = [u64; COLUMNS.len()];

#[test]
#[ignore = "takes minutes: TOPRUNG_SOAK_MINUTES, 5 if not set"]
fn soak() {
    let minutes = crate::number("TOPRUNG_SOAK_MINUTES").unwrap_or(5);
    let place = Workplace::new();
    std::fs::create_dir(place.work().join("model")).unwrap();
    place.write("model/search.yaml", &file());
    let cluster = Cluster::start(&place, 2, 4);
    let url = cluster.url();
    let end = Instant::now() + Duration::from_mins(minutes);
    let (mut samples, mut experiment, mut trials) = (Vec::new(), 0_u64, 0);
    println!("{:>6} {}", "s", COLUMNS.map(|(name, _)| format!("{name:>24}")).join(""));
    while Instant::now() < end {
        experiment += 1;
        let id = experiment.to_string();
        place.ask(&["run", "model/search.yaml", "--detach", "--server", &url]).expect(0);
        loop {
            let sample = sample(&place, &cluster);
            let row = sample.map(|value| format!("{value:>24}")).join("");
            println!(
                "{:>6} {row}",
                (Duration::from_mins(minutes).saturating_sub(end - Instant::now().min(end))).as_secs()
            );
            samples.push(sample);
            std::thread::sleep(BETWEEN);
            let shown = place.ask(&["show", &id, "--json", "--server", &url]).expect(0).json();
            if shown["experiment"]["state"] != "active" {
                assert_eq!(shown["experiment"]["state"], "completed", "{shown}");
                trials += shown["experiment"]["trials"]["total"].as_u64().unwrap();
                break;
            }
            if Instant::now() >= end {
                place.ask(&["kill", &id, "--server", &url]).expect(0);
                place.wait_for_state(&id, "killed", &["--server", &url]);
                break;
            }
        }
        place.ask(&["delete", &id, "--yes", "--server", &url]).expect(0);
    }
    cluster.stop();
    println!(
        "{minutes} minutes, {experiment} searches, {trials} trials that ended, {} samples",
        samples.len()
    );
    check(&samples);
}

fn file() -> String {
    format!(
        "\
name: soak
entrypoint: ['{}', trial, --exact, --nocapture]
hyperparameters: {{curve: {{type: int, minval: 0, maxval: {}}}}}
searcher: {{name: async_halving, num_rungs: 3, divisor: 3, max_trials: 150, metric: error, max_length: {{epochs: 27}}}}
data: {{book: /dev/null, sleep_ms: 0}}
",
        std::env::current_exe().unwrap().display(),
        curve::COUNT - 1
    )
}

/// The last half's quarters have the same middle, within what is allowed.
fn check(samples: &[Sample]) {
    let (third, last) = samples[samples.len() / 2..].split_at(samples.len() / 4);
    assert!(third.len() >= 5, "too short to say anything: {} samples", samples.len());
    for (column, (name, allowed)) in COLUMNS.iter().enumerate() {
        let (before, after) = (middle(third, column), middle(last, column));
        println!("{name}: {before} in the third quarter, {after} in the last");
        assert!(after <= before + before / 10 + allowed, "{name} grows: {before}, then {after}");
    }
}

fn middle(samples: &[Sample], column: usize) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(|sample| sample[column]).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

fn sample(place: &Workplace, cluster: &Cluster<'_>) -> Sample {
    let (server, agents) = cluster.pids();
    let agent = agents[0];
    [
        status(server, "VmRSS:"),
        files(server),
        status(server, "Threads:"),
        status(agent, "VmRSS:"),
        files(agent),
        status(agent, "Threads:"),
        size(&place.work().join("server")) / 1024,
        size(&place.work().join("agent-0")) / 1024,
    ]
}

fn status(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn files(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// Bytes of the files below; what disappears meanwhile counts nothing.
fn size(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
