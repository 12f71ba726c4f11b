//! Two attempts of one trial at the same time: as after a partition, when the older one has not heard yet that it is over.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use support::{Bench, attempt, names, runs, script};
use toprung_proto::v1::{AttemptId, ExitCause, attempt_event::Kind};

/// What both scripts begin with.
const DRAFTS: &str = r#"
number = os.environ["TOPRUNG_ATTEMPT"]
root = pathlib.Path(os.environ["TOPRUNG_CHECKPOINT_DIR"])
def draft(name):
    directory = root / f"incomplete-{number}-{name}"
    directory.mkdir()
    (directory / "weights").write_text(number)
    return directory.name
def wait_for(name):
    while not (root / name).exists():
        time.sleep(0.01)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_writes_its_own_checkpoints_and_takes_away_only_its_own() {
    let shared = tempfile::tempdir().unwrap();
    let (mut older, mut newer) = (Bench::start().await, Bench::start().await);
    let first =
        "assert ask(type='checkpoint', length=1, directory=draft('a'))['ok']\ndraft('b')\nwait_for('end')";
    let second = "name = draft('a')\nprint('drafted', flush=True)\nwait_for('save')\nassert ask(type='checkpoint', length=1, directory=name)['ok']";
    let order = |bench: &Bench, body: &str, number| {
        let mut order = bench.python(&script(&format!("{DRAFTS}\n{body}")));
        order.attempt = Some(AttemptId { attempt: number, ..attempt() });
        order.run.as_mut().unwrap().checkpoint_dir = shared.path().to_str().unwrap().to_owned();
        order
    };
    let (first, second) = (order(&older, first, 1), order(&newer, second, 2));
    older.begin(first).await;
    newer.begin(second).await;
    newer.line("drafted").await;
    let trial = shared.path().join("1/1");
    fs::write(trial.join("end"), "").unwrap();
    let (exit, _, saved) = older.exit().await;
    assert_eq!((exit.cause(), saved.len()), (ExitCause::Success, 1), "{exit:?}");
    assert!(trial.join("incomplete-2-a").exists() && !trial.join("incomplete-1-b").exists());
    fs::write(trial.join("save"), "").unwrap();
    let (exit, _, saved_too) = newer.exit().await;
    assert_eq!((exit.cause(), saved_too.len()), (ExitCause::Success, 1), "{exit:?}");
    let weights = |uuid: &str| fs::read_to_string(trial.join(uuid).join("weights")).unwrap();
    assert_eq!((weights(&saved[0].uuid), weights(&saved_too[0].uuid)), ("1".to_owned(), "2".to_owned()));
    assert!(!names(&trial).iter().any(|name| name.starts_with("incomplete")));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_agent_the_newer_starts_when_the_older_is_dead() {
    let mut bench = Bench::start().await;
    let order = bench.shell("trap '' TERM; sleep 1000");
    bench.begin(order).await;
    let older = bench.started().await;
    let mut order = bench.shell("echo epoch=1 loss=1");
    order.attempt = Some(AttemptId { attempt: 2, ..attempt() });
    bench.begin(order).await;
    let Kind::Exit(exit) = bench.event().await else { panic!("the newer one spoke first") };
    assert_eq!(exit.cause(), ExitCause::Requested, "{exit:?}");
    assert!(!runs(older));
    let newer = bench.started().await;
    assert_ne!(newer, older);
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Success, "{exit:?}");
}
