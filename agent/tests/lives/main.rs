//! Whole lives of attempts: a real agent, real processes, and an engine that does as the test says.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod connection;
mod ends;
mod environments;
#[path = "../support/mod.rs"]
mod support;

use support::{Bench, attempt, script};
use toprung_proto::v1::{self, DecisionKind, ExitCause, MetricGroup};

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
