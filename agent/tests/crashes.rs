//! What is left when an agent dies, and what happens when the engine does not keep up.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use support::{Bench, attempt, eventually, names, options, runs};
use tokio::sync::watch;
use toprung_proto::v1::{ExitCause, attempt_event::Kind};

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

fn agent_process(bench: &Bench) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "an_agent_as_a_process"])
        .env(SERVER, &bench.server)
        .env(STATE_DIR, bench.state_dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(agent: &mut Child) {
    agent.kill().unwrap();
    agent.wait().unwrap();
}

/// Reports lengths from 1 to `$1` and writes down the last that was accepted; goes on while there is no file `enough`.
const REPORTS: &str = r#"
import json, os, socket, time
connection = socket.socket(socket.AF_UNIX)
connection.connect(os.environ["TOPRUNG_SOCKET"])
lines = connection.makefile("r")
for length in range(1, 1000000):
    metrics = {"loss": 1 / length}
    message = {"type": "report", "group": "training", "length": length, "metrics": metrics}
    connection.sendall((json.dumps(message) + "\n").encode())
    assert json.loads(lines.readline())["ok"]
    with open(PLACE + ".new", "w") as file:
        file.write(str(length))
    os.rename(PLACE + ".new", PLACE)
"#;

fn number(path: &Path) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_comes_exactly_once_although_the_agent_was_killed() {
    let mut bench = Bench::without_agent().await;
    let mut agent = agent_process(&bench);
    bench.until_registered().await;
    bench.acknowledges = false;
    let place = bench.path("accepted");
    let order = bench.python(&format!("PLACE = {:?}\n{REPORTS}", place.to_str().unwrap()));
    bench.begin(order).await;
    // Some batches have come and are not acknowledged; then the engine is away, and the trial goes on.
    bench.until(|bench| bench.batches.len() >= 3).await;
    bench.be_away();
    let before = number(&place);
    eventually("the trial goes on", || number(&place) > before + 300).await;
    kill(&mut agent);
    let pid = bench.batches.iter().flat_map(|batch| &batch.events).find_map(|event| match &event.kind {
        Some(Kind::Started(started)) => Some(started.pid),
        _ => None,
    });
    bench.acknowledges = true;
    bench.be_back();
    let mut agent = agent_process(&bench);
    bench.until_registered().await;
    assert!(!runs(pid.unwrap()), "what ran is dead before the engine is told of the new daemon");
    let accepted = number(&place);
    let [former, present] = bench.registrations.as_slice() else { panic!("not two registrations") };
    assert_eq!(former.instance, present.instance);
    assert_eq!(present.running, [attempt()], "until its exit is acknowledged");
    let sent_before = bench.batches.clone();
    let (exit, reports, _) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::AgentLost, "{exit:?}");
    let lengths: Vec<u64> = reports.iter().map(|report| report.length).collect();
    assert_eq!(lengths, (1..=lengths.len() as u64).collect::<Vec<_>>(), "each once, in order");
    assert!(lengths.len() as u64 >= accepted, "{} of {accepted}", lengths.len());
    for batch in &sent_before {
        let again = bench.batches.iter().rfind(|other| other.sequence == batch.sequence).unwrap();
        assert_eq!(again, batch, "a number never stands for two contents");
    }
    // The acknowledgement has come when the agent has been silent for a while.
    bench.until(|bench| bench.silent_heartbeats == 2).await;
    kill(&mut agent);
    // Now that all is acknowledged nothing of it comes again.
    let count = bench.batches.len();
    let mut agent = agent_process(&bench);
    bench.until_registered().await;
    assert!(bench.registrations[2].running.is_empty());
    bench.until(|bench| bench.silent_heartbeats == 2).await;
    assert_eq!(bench.batches.len(), count);
    kill(&mut agent);
}

/// A trial with a process that leaves group and session, and does not mind SIGTERM.
const ESCAPES: &str = r#"
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        with open(PLACE, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(1000)
    os._exit(0)
os.wait()
while not os.path.exists(PLACE) or not os.path.getsize(PLACE):
    time.sleep(0.01)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_left_its_group_does_not_outlive_its_attempt() {
    let mut bench = Bench::start().await;
    let place = bench.path("escaped");
    let order = bench.python(&format!("PLACE = {:?}\n{ESCAPES}", place.to_str().unwrap()));
    bench.begin(order).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Success, "{exit:?}");
    let escaped = number(&place) as i32;
    assert!(escaped > 0 && !runs(escaped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_left_its_group_is_dead_before_the_next_agent_registers() {
    let mut bench = Bench::without_agent().await;
    let mut agent = agent_process(&bench);
    bench.until_registered().await;
    let place = bench.path("escaped");
    let script = format!("PLACE = {:?}\n{ESCAPES}\ntime.sleep(1000)", place.to_str().unwrap());
    let order = bench.python(&script);
    bench.begin(order).await;
    let leader = bench.started().await;
    eventually("a process escapes", || number(&place) > 0).await;
    let escaped = number(&place) as i32;
    // Without its watchdog only the next agent can find it.
    let watchdog = watchdog(bench.state_dir.path());
    assert!(Command::new("kill").args(["-KILL", &watchdog.to_string()]).status().unwrap().success());
    kill(&mut agent);
    assert!(runs(escaped) && runs(leader));
    let mut agent = agent_process(&bench);
    bench.until_registered().await;
    assert!(!runs(escaped) && !runs(leader));
    kill(&mut agent);
}

/// A process with the mark of an attempt, in no ledger: as it is when its agent dies right after its start.
fn marked(instance: &str) -> Child {
    let mut command = Command::new("sleep");
    command
        .arg("1000")
        .env("TOPRUNG_PROCESS_OF", format!("{instance}/1-1-1"))
        .process_group(0)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_in_no_ledger_is_dead_before_the_next_agent_registers() {
    let state_dir = tempfile::tempdir().unwrap();
    let directory = state_dir.path().join("groups/gone");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("lock"), "").unwrap();
    let (mut left, mut other) = (marked("gone"), marked("gone-too"));
    let path = state_dir.path().to_owned();
    let bench = Bench::start_with(|options| options.state_dir = path).await;
    assert!(!runs(left.id() as i32) && runs(other.id() as i32));
    assert!(!directory.exists());
    other.kill().unwrap();
    left.wait().unwrap();
    other.wait().unwrap();
    bench.shut_down();
    bench.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_ends_a_process_that_is_in_no_ledger() {
    let mut bench = Bench::without_agent().await;
    let mut agent = agent_process(&bench);
    bench.until_registered().await;
    let [instance] = names(&bench.path("groups")).try_into().unwrap();
    let mut left = marked(&instance);
    kill(&mut agent);
    let pid = left.id() as i32;
    eventually("the process ends", || !runs(pid)).await;
    left.wait().unwrap();
}

/// The watchdog of the agent with this state directory.
fn watchdog(state_dir: &Path) -> i32 {
    let state_dir = state_dir.canonicalize().unwrap();
    let ours = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("toprung-watchdog") && line.contains(state_dir.to_str().unwrap())
    };
    names(Path::new("/proc")).iter().filter_map(|name| name.parse().ok()).find(ours).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_one_state_directory_is_refused() {
    let bench = Bench::start().await;
    let (_never, shutdown) = watch::channel(false);
    let second = toprung_agent::run(options(&bench.server, bench.state_dir.path()), shutdown).await;
    let message = second.unwrap_err().to_string();
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    bench.shut_down();
    bench.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_gets_nothing_of_the_former() {
    let mut bench = Bench::start().await;
    let order = bench.shell("echo epoch=1 loss=0.5; sleep 1000");
    bench.begin(order).await;
    let leader = bench.started().await;
    assert_eq!(bench.report().await.length, 1);
    bench.batches.clear();
    bench.engine = "other".to_owned();
    bench.disconnect();
    // It comes once as what it was, is told whose it is, and comes again as new.
    bench.until_registered().await;
    bench.until_registered().await;
    let [first, second, third] = bench.registrations.as_slice() else { panic!("not three registrations") };
    assert_eq!((first.instance.as_str(), second.engine.as_str()), (second.instance.as_str(), "store"));
    assert_ne!(third.instance, first.instance);
    assert!(third.running.is_empty() && third.engine.is_empty());
    assert!(!runs(leader));
    assert_eq!(bench.batches, []);
    assert_eq!(names(&bench.path("spool/aside")).len(), 1, "the exit that nobody was told");
    // The same number of the other engine is another attempt.
    let order = bench.shell("echo epoch=2 loss=0.5");
    bench.begin(order).await;
    let (exit, reports, _) = bench.exit().await;
    assert_eq!((exit.cause(), reports[0].length), (ExitCause::Success, 2));
    bench.shut_down();
    bench.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_survives_a_killed_agent() {
    let mut bench = Bench::without_agent().await;
    let mut agent = agent_process(&bench);
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
    bench.until(|bench| bench.log.len() > 1_000).await;
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
