//! The line to the engine: cut, refused, come again.

use super::support::{Bench, attempt, runs};
use toprung_proto::v1::{self, ExitCause, StopKind, engine_message};

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
