//! Whole lives of attempts: a real agent, real processes, and an engine that does as the test says.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Bench, attempt, eventually, names, runs};
use toprung_proto::v1::{self, DecisionKind, ExitCause, MetricGroup, StopKind, engine_message};

/// A client of the socket in a few lines of the standard library.
const CLIENT: &str = r#"
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(os.environ["TOPRUNG_SOCKET"])
lines = connection.makefile("r")
def ask(**message):
    connection.sendall((json.dumps(message) + "\n").encode())
    return json.loads(lines.readline())
def validate(length, unit=None, **metrics):
    return ask(type="report", group="validation", length=length, unit=unit, metrics=metrics)
assert ask(type="hello", sdk="test", version="1") == {"ok": True}
"#;

fn script(body: &str) -> String {
    format!("{CLIENT}\n{body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn printed_lines_become_reports() {
    let mut bench = Bench::start().await;
    let order = bench.shell("echo epoch=1 loss=0.5; echo epoch=2 error=nan acc=1e-4; echo done >&2");
    bench.begin(order).await;
    let (exit, reports, _) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Success, "{exit:?}");
    assert_eq!((reports[0].group(), reports[0].length), (MetricGroup::Training, 1));
    assert_eq!((reports[1].group(), reports[1].length), (MetricGroup::Validation, 2));
    assert!(reports[1].metrics[0].value.is_nan());
    assert_eq!(exit.last_lines.len(), 3);
    bench.line("done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metrics_file_is_followed() {
    let mut bench = Bench::start().await;
    let mut order = bench.shell(r#"echo 'error=9'; echo '{"epoch": 2, "error": NaN}' > out.jsonl"#);
    order.run.as_mut().unwrap().metrics_file = "out.jsonl".to_owned();
    bench.begin(order).await;
    let (_, reports, _) = bench.exit().await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!((reports[0].group(), reports[0].length), (MetricGroup::Validation, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_in_the_environment_and_the_command() {
    let mut bench = Bench::start().await;
    let mut order = bench.shell(
        "echo {lr} {deep.width} {max_length} {trial_id} {trial_seed} {{}}; echo $TOPRUNG_TRIAL_ID $TOPRUNG_ATTEMPT \
         $TOPRUNG_METRIC $TOPRUNG_TIME_METRIC $TOPRUNG_TRAIN_UNTIL $TOPRUNG_SLOTS $USER_VARIABLE x${TOPRUNG_TOKEN}x \
         x${TOPRUNG_LATEST_CHECKPOINT}x; cat $TOPRUNG_HPARAMS_FILE; echo; ls -d $TOPRUNG_SCRATCH_DIR | wc -l",
    );
    order.run.as_mut().unwrap().environment.insert("USER_VARIABLE".to_owned(), "mine".to_owned());
    bench.begin(order).await;
    bench.line("0.5 64 9 1 42 {}").await;
    bench.line("1 1 error epochs 3 0 mine xx xx").await;
    bench.line(r#"{"lr": 0.5, "deep": {"width": 64}}"#).await;
    bench.line("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_package_can_be_imported() {
    let mut bench = Bench::start().await;
    let order = bench.python("import toprung; print('imported', toprung.__name__)");
    bench.begin(order).await;
    bench.line("imported toprung").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_trains_on_until_it_is_paused() {
    let mut bench = Bench::start().await;
    let order = bench.python(&script(
        r#"
print(ask(type="next", length=0), flush=True)
assert validate(3, error=0.5, x="NaN")["ok"]
print(ask(type="next", length=3), flush=True)
assert validate(9, error=0.4)["ok"]
print(ask(type="next", length=8), flush=True)
"#,
    ));
    bench.begin(order).await;
    bench.line("{'action': 'train', 'until': 3}").await;
    assert_eq!(bench.report().await.length, 3);
    bench.decide(3, DecisionKind::Train, 9).await;
    bench.line("{'action': 'train', 'until': 9}").await;
    assert_eq!(bench.report().await.length, 9);
    bench.decide(9, DecisionKind::Pause, 0).await;
    bench.line("{'action': 'pause', 'reason': 'rank 5 of 9'}").await;
    let (exit, ..) = bench.exit().await;
    assert_eq!((exit.cause(), exit.message.as_str()), (ExitCause::Requested, "rank 5 of 9"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_told_to_stop() {
    let mut bench = Bench::start().await;
    let order = bench.python(&script(
        r#"
validate(3, error=0.5)
print(ask(type="next", length=3), flush=True)
print(ask(type="status"), flush=True)
"#,
    ));
    bench.begin(order).await;
    bench.report().await;
    bench.decide(3, DecisionKind::Stop, 0).await;
    bench.line("{'action': 'stop', 'reason': 'rank 5 of 9'}").await;
    bench.line("{'preempt': False, 'stop': True, 'reason': 'rank 5 of 9'}").await;
    assert_eq!(bench.exit().await.0.cause(), ExitCause::Requested);
}

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
async fn failures_say_what_happened() {
    let cases: [(&[&str], ExitCause, &str); 5] = [
        (&["no-such-program"], ExitCause::Entrypoint, "`no-such-program` was not found on the PATH"),
        (&["./missing.sh"], ExitCause::Entrypoint, "does not exist"),
        (&["python3", "missing.py"], ExitCause::Entrypoint, "can't open file"),
        (&["sh", "-c", "echo lost >&2; exit 3"], ExitCause::Failed, "exit code 3: lost"),
        (&["echo", "{learning_rate}"], ExitCause::Entrypoint, "names no hyperparameter"),
    ];
    let mut bench = Bench::start().await;
    for (index, (argv, cause, message)) in cases.into_iter().enumerate() {
        let mut order = bench.shell("");
        order.attempt = Some(v1::AttemptId { attempt: index as u32 + 1, ..attempt() });
        order.run.as_mut().unwrap().argv = argv.iter().map(|part| (*part).to_owned()).collect();
        bench.begin(order).await;
        let (exit, ..) = bench.exit().await;
        assert_eq!(exit.cause(), cause, "{exit:?}");
        assert!(exit.message.contains(message), "{exit:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_without_the_metric_breaks_the_contract() {
    let mut bench = Bench::start().await;
    let order = bench.python(&script(
        r#"
answer = validate(3, loss=1, acc=2)
assert not answer["ok"]
sys.exit(answer["error"])
"#,
    ));
    bench.begin(order).await;
    let (exit, reports, _) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Contract);
    assert_eq!(exit.message, "a validation must contain 'error'; reported were: loss, acc");
    assert!(reports.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_answered_and_lengths_converted() {
    let mut bench = Bench::start().await;
    let mut order = bench.python(&script(
        r#"
assert validate(32, unit="batches", error=1)["ok"]
assert "needs" not in json.dumps(validate(1, unit="epochs", error=1))
assert "allowed are" in validate(1, unit="steps", error=1)["error"]
assert not ask(type="nonsense")["ok"]
assert "too long" not in json.dumps(ask(type="progress", fraction=0.5))
assert not ask(type="report", group="training", length=1, metrics={str(i): 1 for i in range(1001)})["ok"]
assert not ask(type="checkpoint", length=1, directory="../out")["ok"]
connection.sendall(b"x" * (1 << 20) + b"y\n")
assert "1048576" in json.loads(lines.readline())["error"]
assert ask(type="invalid_hyperparameters", reason="too wide")["ok"]
"#,
    ));
    order.conversion = Some(v1::LengthConversion { records_per_epoch: 1000, records_per_batch: 64 });
    bench.begin(order).await;
    let (exit, reports, _) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::InvalidHyperparameters, "{exit:?}");
    assert_eq!(reports.iter().map(|report| report.length).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_that_cannot_be_installed_say_why() {
    let mut bench = Bench::start().await;
    let mut order = bench.python("print('never')");
    order.run.as_mut().unwrap().requirements = vec!["/nonexistent/pkg".to_owned()];
    bench.begin(order.clone()).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Environment);
    assert!(exit.message.contains("/nonexistent/pkg"), "{exit:?}");
    let lines = bench.log.len();
    order.attempt = Some(v1::AttemptId { attempt: 2, ..attempt() });
    bench.begin(order).await;
    let (again, ..) = bench.exit().await;
    assert_eq!(again.message, exit.message);
    assert!(!bench.log[lines..].iter().any(|line| line.contains("creating")), "not built again");
}

const SETUP: &str = "echo setting up; echo mark=$TOPRUNG_PROCESS_OF; which python";

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_set_up_once() {
    let mut bench = Bench::start().await;
    for number in 1..=2 {
        let mut order = bench.python("import sys; print('prefix', sys.prefix)");
        order.attempt = Some(v1::AttemptId { attempt: number, ..attempt() });
        order.run.as_mut().unwrap().setup = SETUP.to_owned();
        bench.begin(order).await;
        let (exit, ..) = bench.exit().await;
        assert_eq!(exit.cause(), ExitCause::Success, "{exit:?}");
    }
    bench.until(|bench| bench.log.iter().filter(|line| line.starts_with("prefix ")).count() == 2).await;
    let times = |bench: &Bench| bench.log.iter().filter(|line| *line == "setting up").count();
    assert_eq!(times(&bench), 1);
    let prefix = bench.log.iter().find_map(|line| line.strip_prefix("prefix ")).unwrap();
    assert!(prefix.contains("/environments/"), "{prefix}");
    // By this an agent that died in between is told whose the process was.
    let [instance] = names(&bench.path("groups")).try_into().unwrap();
    assert!(bench.log.contains(&format!("mark={instance}/environment")), "{:?}", bench.log);
    // A build that was cut off lacks its marker; it is removed and built again.
    let prefix = std::path::PathBuf::from(prefix);
    std::fs::rename(prefix.join(".complete"), prefix.join("junk")).unwrap();
    let mut order = bench.python("print('third')");
    order.attempt = Some(v1::AttemptId { attempt: 3, ..attempt() });
    order.run.as_mut().unwrap().setup = SETUP.to_owned();
    bench.begin(order).await;
    bench.line("third").await;
    assert_eq!(times(&bench), 2);
    assert!(prefix.join(".complete").is_file() && !prefix.join("junk").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_with_another_hash_is_refused() {
    let mut bench = Bench::start().await;
    let mut order = bench.python("");
    order.model_sha256 = "0".repeat(64);
    bench.begin(order).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Environment);
    assert!(exit.message.contains("no such model"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_attempt_is_answered() {
    let mut bench = Bench::start().await;
    bench.stop(StopKind::Kill).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!((exit.cause(), exit.message.as_str()), (ExitCause::AgentLost, "unknown here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_repeats_what_was_not_acknowledged() {
    let mut bench = Bench::start().await;
    bench.acknowledges = false;
    let order = bench.shell("echo epoch=1 error=1; exec sleep 1000");
    bench.begin(order).await;
    let is_report = |event: &v1::AttemptEvent| matches!(event.kind, Some(v1::attempt_event::Kind::Report(_)));
    bench.until(|bench| bench.batches.iter().any(|batch| batch.events.iter().any(is_report))).await;
    let before = std::mem::take(&mut bench.batches);
    bench.disconnect();
    bench.acknowledges = true;
    bench.until_registered().await;
    assert_eq!(bench.registrations[1].running, [attempt()]);
    assert_eq!(bench.registrations[1].instance, bench.registrations[0].instance);
    let count = before.len();
    bench.until(|bench| bench.batches.len() >= count).await;
    assert_eq!(bench.batches[..count], before[..]);
    bench.stop(StopKind::Kill).await;
    assert_eq!(bench.exit().await.0.cause(), ExitCause::Requested);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_not_kept_is_killed() {
    let mut bench = Bench::start().await;
    let order = bench.shell("exec sleep 1000");
    bench.begin(order).await;
    let pid = bench.started().await;
    bench.keeps = false;
    bench.disconnect();
    bench.until_registered().await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Requested);
    assert!(!runs(pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_is_neither_lost_nor_dropped() {
    let mut bench = Bench::start().await;
    let order = bench.python("for i in range(60000): print('line', i, 'x' * 50)");
    bench.begin(order).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Success, "{exit:?}");
    let is_line = |line: &&String| line.starts_with("line ");
    bench.until(|bench| bench.log.iter().filter(is_line).count() == 60000).await;
    let last = bench.log.iter().rfind(is_line).unwrap();
    assert!(last.starts_with("line 59999 "), "{last}");
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
async fn a_goodbye_without_return_ends_the_agent() {
    let mut bench = Bench::start().await;
    let goodbye = v1::Goodbye { reason: "over".to_owned(), reconnect: false };
    bench.send(engine_message::Kind::Goodbye(goodbye)).await;
    let error = bench.ended().await.unwrap_err();
    assert!(error.to_string().ends_with("sent this agent away: over"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused() {
    let bench = Bench::without_waiting(|options| options.token = Some("wrong".to_owned())).await;
    let error = bench.ended().await.unwrap_err();
    assert!(matches!(error, toprung_agent::Error::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("wrong ") || error.to_string().contains("wrong token"));
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
