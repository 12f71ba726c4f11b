//! Checkpoints in a real server that speaks S3, with agents that share nothing else.

use crate::document::{self, Trial};
use crate::processes::wait_until;
use crate::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use crate::server::Server;
use crate::workplace::Workplace;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;

const EPOCHS: u64 = 40;

/// A search in a bucket, by a server; the agents have their credentials from the environment.
fn workplace(s3: &S3Server) -> (Workplace, Server) {
    let mut place = Workplace::with_search(&format!(
        "\
name: one
entrypoint: python3 train.py
hyperparameters: {{learning_rate: 0.5}}
searcher: {{name: single, metric: validation_loss, max_length: {{epochs: {EPOCHS}}}}}
data: {{sleep_ms: 50}}
max_restarts: 0
checkpoint_storage: {{type: s3, bucket: {BUCKET}, prefix: team/a, endpoint_url: '{}'}}
",
        s3.url()
    ));
    place.set("AWS_ACCESS_KEY_ID", ACCESS_KEY);
    place.set("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    (place, server)
}

fn wait_for_checkpoint(place: &Workplace, least: u64) {
    place.wait_for(&["trials", "1", "1"], |found| {
        (found["trial"]["checkpoint"]["length"].as_u64()? >= least).then_some(())
    });
}

/// The checkpoints in the bucket that are complete, by their names.
fn complete(s3: &S3Server) -> BTreeSet<String> {
    let objects = s3.objects();
    let of = |name: &String| Some(name.strip_suffix("/manifest.json")?.rsplit('/').next()?.to_owned());
    objects.iter().filter_map(of).collect()
}

/// Those that the engine knows.
fn known(place: &Workplace) -> BTreeSet<String> {
    let found = place.json(&["checkpoints", "list", "1"]);
    let all = found["checkpoints"].as_array().unwrap();
    all.iter().map(|checkpoint| checkpoint["uuid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_trial_goes_on_on_an_agent_that_shares_nothing_but_the_bucket() {
    let s3 = S3Server::start();
    let (place, server) = workplace(&s3);
    let first = server.agent(&place, "first");
    place.ask(&["run", "search.yaml", "--detach"]).expect(0);
    wait_for_checkpoint(&place, 3);
    place.ask(&["pause", "1"]).expect(0);
    place.wait_for_state("1", "paused", &[]);
    first.signal(Signal::SIGTERM);
    first.wait().expect(0);

    let _second = server.agent(&place, "second");
    place.ask(&["resume", "1"]).expect(0).prints(&["experiment 1 completed"]);
    let trial = Trial::of(&place, 1);
    assert_eq!((trial.number("attempt"), trial.number("restarts")), (2, 0), "{:?}", trial.value);
    assert_eq!(trial.lengths(), (1..=EPOCHS).collect::<Vec<u64>>(), "nothing is trained twice");
    let log = document::log(&place, 1);
    let fetched = log.iter().any(|line| line.contains("fetching the checkpoint") && line.contains("s3://"));
    assert!(fetched, "{log:?}");

    // What nothing keeps leaves the bucket, though the agent that saved some of it is gone.
    let kept = || (complete(&s3) == known(&place) && known(&place).len() <= 2).then_some(());
    wait_until("the collection", || format!("{:?} {:?}", s3.objects(), known(&place)), kept);
    let shown = place.json(&["show", "1"])["experiment"].clone();
    assert_eq!(shown["checkpoint_count"], known(&place).len());
    assert!(shown["checkpoint_bytes"].as_u64().unwrap() > 0);

    let best = place.json(&["best", "1"])["best"]["checkpoint"].clone();
    let uuid = best["uuid"].as_str().unwrap();
    let fetch = ["checkpoints", "download", uuid, "-o", "fetched"];
    place.ask(&fetch).expect(0).prints(&["fetched: checkpoint"]);
    let weights = std::fs::read_to_string(place.work().join("fetched/model.json")).unwrap();
    assert!(weights.contains(&format!("\"length\": {}", best["length"])), "{weights}");
    place.ask(&fetch).expect(2).says(&["exists"]);

    place.ask(&["delete", "1", "--yes"]).expect(0).prints(&["experiment 1 is deleted"]);
    let empty = || s3.objects().is_empty().then_some(());
    wait_until("an empty bucket", || format!("{:?}", s3.objects()), empty);
}

#[test]
fn a_checkpoint_that_was_stored_and_not_told_of_is_absent_and_leaves_the_bucket() {
    let s3 = S3Server::start();
    let (place, server) = workplace(&s3);
    let agent = server.agent(&place, "one");
    // The fourth one is stored; before the agent can know, it is dead.
    s3.silent_at_manifest(4);
    place.ask(&["run", "search.yaml", "--detach"]).expect(0);
    let stored = || (complete(&s3).len() >= 4).then_some(());
    wait_until("four checkpoints", || format!("{:?}", s3.objects()), stored);
    agent.signal(Signal::SIGKILL);
    agent.wait().expect(-1);
    place
        .wait_for(&["trials", "1", "1"], |found| (found["trial"]["checkpoint"]["length"] == 3).then_some(()));
    let orphan: BTreeSet<String> = complete(&s3).difference(&known(&place)).cloned().collect();
    assert_eq!(orphan.len(), 1, "{:?}", s3.objects());

    let _again = server.agent(&place, "one");
    place.ask(&["show", "1", "--follow"]).expect(0).prints(&["experiment 1 completed"]);
    let trial = Trial::of(&place, 1);
    assert_eq!((trial.number("attempt"), trial.number("restarts")), (2, 0), "{:?}", trial.value);
    let again = trial.reports.iter().filter(|report| report.attempt == 2).map(|report| report.length);
    assert_eq!(again.min(), Some(4), "it goes on from what the engine knows");
    let gone = || (complete(&s3) == known(&place)).then_some(());
    wait_until("the end of the orphan", || format!("{:?} {:?}", s3.objects(), known(&place)), gone);
    assert!(orphan.is_disjoint(&complete(&s3)));
}

#[test]
fn a_bucket_that_is_not_there_is_said_in_the_log() {
    let s3 = S3Server::start();
    let (place, server) = workplace(&s3);
    let _agent = server.agent(&place, "one");
    let short = "searcher.max_length.epochs=2";
    place.ask(&["run", "search.yaml", "--set", "checkpoint_storage.bucket=other", "--set", short]).expect(0);
    let log = document::log(&place, 1).join("\n");
    assert!(log.contains("the checkpoint at length 1 was not stored") && log.contains("`other`"), "{log}");
    assert!(!log.contains(SECRET_KEY));
}

#[test]
fn a_search_that_needs_more_than_its_quota_pauses_and_may_be_resumed_all_the_same() {
    let s3 = S3Server::start();
    let (place, server) = workplace(&s3);
    let _agent = server.agent(&place, "one");
    // One checkpoint alone is larger.
    place.ask(&["run", "search.yaml", "--detach", "--set", "checkpoint_storage.max_size=20"]).expect(0);
    place.wait_for_state("1", "paused", &[]);
    let shown = place.json(&["show", "1"])["experiment"].clone();
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains("max_size") && reason.contains("toprung resume 1"), "{reason}");
    place.ask(&["resume", "1"]).expect(0).prints(&["experiment 1 completed"]);
    assert_eq!(Trial::of(&place, 1).lengths(), (1..=EPOCHS).collect::<Vec<u64>>());
}

#[test]
fn a_quota_removes_what_nothing_keeps_before_the_end() {
    let s3 = S3Server::start();
    let (place, server) = workplace(&s3);
    let _agent = server.agent(&place, "one");
    // Room for a handful: the best and the latest fit.
    place.ask(&["run", "search.yaml", "--set", "checkpoint_storage.max_size=500"]).expect(0);
    let trial = Trial::of(&place, 1);
    assert_eq!((trial.state(), trial.number("attempt")), ("completed", 1), "it was never paused");
}
