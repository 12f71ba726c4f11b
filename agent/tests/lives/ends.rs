//! How attempts end: paused, preempted, killed, or with their agent.

use super::support::{Bench, eventually, names, runs, script};
use toprung_proto::v1::{DecisionKind, ExitCause, StopKind};

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_script_is_terminated_when_it_is_to_pause() {
    let mut bench = Bench::start().await;
    let order = bench.shell("echo epoch=3 error=0.5; exec sleep 1000");
    bench.begin(order).await;
    bench.report().await;
    bench.decide(3, DecisionKind::Pause, 0).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!((exit.cause(), exit.signal), (ExitCause::Requested, 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preempted_script_saves_and_leaves() {
    let mut bench = Bench::start().await;
    let order = bench.python(&script(
        r#"
print("ready", flush=True)
while not ask(type="status")["preempt"]:
    pass
draft = os.path.join(os.environ["TOPRUNG_CHECKPOINT_DIR"], "incomplete-1")
os.mkdir(draft)
open(os.path.join(draft, "weights"), "w").write("12345")
saved = ask(type="checkpoint", length=2, unit=None, directory="incomplete-1")
assert os.path.isdir(saved["path"]), saved
os.mkdir(os.path.join(os.environ["TOPRUNG_CHECKPOINT_DIR"], "incomplete-2"))
assert ask(type="next", length=2)["action"] == "pause"
"#,
    ));
    bench.begin(order).await;
    bench.line("ready").await;
    bench.stop(StopKind::Preempt).await;
    let (exit, _, checkpoints) = bench.exit().await;
    assert_eq!((exit.cause(), exit.signal), (ExitCause::Requested, 0), "{exit:?}");
    assert_eq!((checkpoints[0].length, checkpoints[0].total_size), (2, 5));
    assert_eq!(checkpoints[0].files[0].path, "weights");
    let directory = bench.path("checkpoints/1/1");
    assert_eq!(names(&directory), [checkpoints[0].uuid.clone()], "the unfinished one is gone");
    assert_eq!(
        checkpoints[0].path,
        directory.canonicalize().unwrap().join(&checkpoints[0].uuid).to_str().unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stubborn_group_is_killed_with_its_grandchild() {
    let mut bench = Bench::start().await;
    let mut order = bench.shell(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo child=$$ >&2; sleep 1000; sleep 1000' & wait; wait",
    );
    order.run.as_mut().unwrap().grace_seconds = 1;
    bench.begin(order).await;
    let leader = bench.started().await;
    bench.until(|bench| bench.log.iter().any(|line| line.starts_with("child="))).await;
    let child = bench.log.iter().find_map(|line| line.strip_prefix("child=")).unwrap().parse().unwrap();
    assert!(runs(leader) && runs(child));
    bench.stop(StopKind::Stop).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!((exit.cause(), exit.signal), (ExitCause::Requested, 9), "{exit:?}");
    eventually("the grandchild ends", || !runs(child)).await;
}

/// Told to save, then SIGTERM, then SIGKILL: it ignores all but the last, and so does its child.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_ignores_preemption_gives_its_slots_back_in_time() {
    let mut bench = Bench::start().await;
    let mut order = bench.python(&script(
        r#"
import signal, subprocess, time
signal.signal(signal.SIGTERM, lambda *_: print("terminated", flush=True))
child = subprocess.Popen(["sh", "-c", "trap '' TERM; echo up; sleep 1000; sleep 1000"], stdout=subprocess.PIPE)
child.stdout.readline()
print(f"child={child.pid}", file=sys.stderr, flush=True)
while not ask(type="status")["preempt"]:
    time.sleep(0.01)
print("asked", flush=True)
while True:
    time.sleep(1000)
"#,
    ));
    let run = order.run.as_mut().unwrap();
    (run.preemption_timeout_seconds, run.grace_seconds) = (1, 1);
    bench.begin(order).await;
    let leader = bench.started().await;
    bench.until(|bench| bench.log.iter().any(|line| line.starts_with("child="))).await;
    let child = bench.log.iter().find_map(|line| line.strip_prefix("child=")).unwrap().parse().unwrap();
    let asked = std::time::Instant::now();
    bench.stop(StopKind::Preempt).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!((exit.cause(), exit.signal), (ExitCause::Requested, 9), "{exit:?}");
    assert!(asked.elapsed() >= std::time::Duration::from_secs(2), "each stage had its second");
    bench.until(|bench| bench.log.iter().any(|line| line == "terminated")).await;
    let place = |text: &str| bench.log.iter().position(|line| line == text);
    assert!(place("asked").is_some() && place("asked") < place("terminated"), "{:?}", bench.log);
    eventually("its group is gone", || !runs(leader) && !runs(child)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_group_ends_with_its_leader() {
    let mut bench = Bench::start().await;
    let order = bench.shell("sleep 1000 & echo child=$! >&2");
    bench.begin(order).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Success);
    bench.until(|bench| bench.log.iter().any(|line| line.starts_with("child="))).await;
    let child = bench.log.iter().find_map(|line| line.strip_prefix("child=")).unwrap().parse().unwrap();
    eventually("the child ends", || !runs(child)).await;
    eventually("the working directory is removed", || {
        names(&bench.path("attempts"))
            .iter()
            .all(|instance| names(&bench.path("attempts").join(instance)).is_empty())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_shutdown_attempts_end_and_nothing_is_left() {
    let mut bench = Bench::start().await;
    let order = bench.shell("trap '' TERM; echo ready >&2; sleep 1000; sleep 1000");
    bench.begin(order).await;
    let pid = bench.started().await;
    bench.line("ready").await;
    bench.shut_down();
    let (exit, ..) = bench.exit().await;
    assert_eq!((exit.cause(), exit.message.as_str()), (ExitCause::Requested, "the agent shuts down"));
    assert!(!runs(pid));
    let (groups, attempts) = (bench.path("groups"), bench.path("attempts"));
    bench.ended().await.unwrap();
    assert!(names(&groups).is_empty() && names(&attempts).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_script_may_save_its_results() {
    let mut bench = Bench::start().await;
    let order = bench.shell("echo epoch=9 error=0.5; sleep 0.3; echo saved");
    bench.begin(order).await;
    bench.report().await;
    bench.decide(9, DecisionKind::Stop, 0).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!((exit.cause(), exit.signal, exit.exit_code), (ExitCause::Requested, 0, 0), "{exit:?}");
    bench.line("saved").await;
}
