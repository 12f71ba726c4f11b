//! What is left when an agent dies, and what happens when the engine does not keep up.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};
use support::{Bench, eventually, options, runs};
use tokio::sync::watch;
use toprung_proto::v1::ExitCause;

const SERVER: &str = "AGENT_TEST_SERVER";
const STATE_DIR: &str = "AGENT_TEST_STATE_DIR";

/// Not a test by itself: the agent that [`no_process_survives_a_killed_agent`] kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run as a process of its own by another test"]
async fn an_agent_as_a_process() {
    let server = std::env::var(SERVER).unwrap();
    let state_dir = PathBuf::from(std::env::var(STATE_DIR).unwrap());
    let (_never, shutdown) = watch::channel(false);
    toprung_agent::run(options(&server, &state_dir), shutdown).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_survives_a_killed_agent() {
    let mut bench = Bench::without_agent().await;
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "an_agent_as_a_process"])
        .env(SERVER, &bench.server)
        .env(STATE_DIR, bench.state_dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    bench.until_registered().await;
    let order = bench.shell("sleep 1000 & echo child=$!; wait");
    bench.begin(order).await;
    let leader = bench.started().await;
    bench.until(|bench| bench.log.iter().any(|line| line.starts_with("child="))).await;
    let child: i32 = bench.log[0].strip_prefix("child=").unwrap().parse().unwrap();
    assert!(runs(leader) && runs(child));
    agent.kill().unwrap();
    agent.wait().unwrap();
    eventually("the trial's processes end", || !runs(leader) && !runs(child)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_ends_what_a_former_one_left() {
    let state_dir = tempfile::tempdir().unwrap();
    let mut left = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    let mut other = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    let directory = state_dir.path().join("groups/former");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("lock"), "").unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", left.id())).unwrap();
    let started = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
    fs::write(directory.join(format!("{}.group", left.id())), format!("{} {started}", boot.trim())).unwrap();
    // This number was given to another process since.
    fs::write(directory.join(format!("{}.group", other.id())), format!("{} 1", boot.trim())).unwrap();
    let path = state_dir.path().to_owned();
    let bench = Bench::start_with(|options| options.state_dir = path).await;
    let (left_id, other_id) = (left.id() as i32, other.id() as i32);
    eventually("the leftover ends", || !runs(left_id)).await;
    assert!(runs(other_id));
    assert!(!directory.exists());
    other.kill().unwrap();
    left.wait().unwrap();
    other.wait().unwrap();
    bench.shut_down();
    bench.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_engine_holds_the_script_back_and_nothing_is_lost() {
    let mut bench = Bench::start().await;
    bench.log_acknowledges = false;
    let order = bench.python("for i in range(60000): print('line', i, 'x' * 50)\nprint('epoch=1 loss=0')");
    bench.begin(order).await;
    bench.started().await;
    // Silence means that the script waits: it has printed three times what the agent keeps.
    bench.until(|bench| bench.silent_heartbeats == 2).await;
    let kept: usize = bench.log.iter().map(String::len).sum();
    assert!(kept > 100_000 && kept <= 1 << 20, "{kept}");
    bench.log.clear();
    bench.log_acknowledges = true;
    bench.disconnect();
    bench.until_registered().await;
    let (exit, reports, _) = bench.exit().await;
    assert_eq!((exit.cause(), reports.len()), (ExitCause::Success, 1), "{exit:?}");
    let count = |bench: &Bench| bench.log.iter().filter(|line| line.starts_with("line ")).count();
    bench.until(|bench| count(bench) >= 60000).await;
    assert_eq!(count(&bench), 60000);
}
