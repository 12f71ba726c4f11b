//! Agents that go and come back, engines that stop and start again: nothing is lost, nothing counts twice.

use toprung_proto::v1::{self, ExitCause, TrialState, engine_message};

use super::world::{Agent, client, create, engine, exit, random_search, report, started, until};

async fn trial(client: &mut super::world::Client, experiment: u64, trial: u32) -> v1::Trial {
    let request = v1::GetTrialRequest { experiment, trial };
    client.get_trial(request).await.unwrap().into_inner().trial.unwrap()
}

async fn reports(client: &mut super::world::Client, experiment: u64, trial: u32) -> Vec<(u32, u64)> {
    let request = v1::StreamReportsRequest { experiment, trial: Some(trial), follow: false };
    let mut stream = client.stream_reports(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(page) = stream.message().await.unwrap() {
        found.extend(page.reports.into_iter().map(|found| (found.attempt, found.report.unwrap().length)));
    }
    found
}

#[tokio::test]
async fn a_repeated_batch_is_acknowledged_and_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, random_search(1, 9)).await.id;
    let mut agent = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    let sequence = agent.tell(attempt, vec![started(), report(1, 0.5)]).await;
    agent.acknowledged(sequence).await;

    // The acknowledgement was lost: the agent sends the batch again on a new stream.
    let mut again = Agent::connect(&engine, "a", "1", 1, vec![attempt]).await;
    assert_eq!(again.registered.keep, [attempt]);
    let event = |kind| v1::AttemptEvent { attempt: Some(attempt), kind: Some(kind) };
    again.batch(sequence, vec![event(started()), event(report(1, 0.5))]).await;
    again.acknowledged(sequence).await;
    assert_eq!(reports(&mut client, id, 1).await, [(1, 1)]);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn running_attempts_outlive_the_engine() {
    let directory = tempfile::tempdir().unwrap();
    let before = engine(directory.path()).await;
    let mut calls = client(&before).await;
    let id = create(&mut calls, random_search(1, 2)).await.id;
    let mut agent = Agent::connect(&before, "a", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    let sequence = agent.tell(attempt, vec![started(), report(1, 0.5)]).await;
    agent.acknowledged(sequence).await;
    before.shutdown().await.unwrap();
    drop((agent, calls));

    let after = engine(directory.path()).await;
    let mut calls = client(&after).await;
    let found = trial(&mut calls, id, 1).await;
    assert_eq!((found.state(), found.attempt, found.length), (TrialState::Running, 1, 1));
    let mut agent = Agent::connect(&after, "a", "1", 1, vec![attempt]).await;
    assert_eq!(agent.registered.keep, [attempt]);
    agent.batch(2, vec![v1::AttemptEvent { attempt: Some(attempt), kind: Some(report(2, 0.25)) }]).await;
    loop {
        let engine_message::Kind::Decision(decided) = agent.next().await else { continue };
        match decided.decision.unwrap().kind() {
            // The decision on the first length, said again.
            v1::DecisionKind::Train => assert_eq!(decided.at_length, 1),
            kind => {
                assert_eq!(kind, v1::DecisionKind::Stop);
                break;
            }
        }
    }
    agent
        .batch(3, vec![v1::AttemptEvent { attempt: Some(attempt), kind: Some(exit(ExitCause::Requested)) }])
        .await;
    let ended = until(&mut calls, id, "the end", |experiment| experiment.ended_unix_ms != 0).await;
    assert_eq!(ended.best.unwrap().metric, 0.25);
    assert_eq!(reports(&mut calls, id, 1).await, [(1, 1), (1, 2)]);
    after.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_agent_that_comes_back_without_an_attempt_gets_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, random_search(1, 9)).await.id;
    let mut agent = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let first = agent.start().await;
    assert_eq!(first.attempt.unwrap().attempt, 1);
    drop(agent);
    let mut agent = Agent::connect(&engine, "a", "2", 1, Vec::new()).await;
    assert!(agent.registered.keep.is_empty());
    assert_eq!(agent.start().await.attempt.unwrap().attempt, 2);
    let found = trial(&mut client, id, 1).await;
    assert_eq!(found.restarts, 0, "the trial did not fail");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_agent_lost_for_longer_than_its_lease_loses_its_attempts_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, random_search(1, 9)).await.id;
    let mut lost = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let old = lost.start().await.attempt.unwrap();
    let sequence = lost.tell(old, vec![started(), report(1, 0.5)]).await;
    lost.acknowledged(sequence).await;
    drop(lost);
    let mut other = Agent::connect(&engine, "b", "1", 1, Vec::new()).await;
    let start = other.start().await;
    assert_eq!(start.attempt.unwrap().attempt, 2);

    // The lost agent returns: its attempt is not kept, and what it still sends counts for nothing.
    let mut late = Agent::connect(&engine, "a", "1", 1, vec![old]).await;
    assert!(late.registered.keep.is_empty());
    let lost = v1::Exit { cause: ExitCause::AgentLost.into(), ..v1::Exit::default() };
    let kinds = [report(9, 0.0), v1::attempt_event::Kind::Exit(lost)];
    let event = |kind| v1::AttemptEvent { attempt: Some(old), kind: Some(kind) };
    late.batch(2, kinds.map(event).into()).await;
    late.acknowledged(2).await;
    let found = trial(&mut client, id, 1).await;
    assert_eq!((found.attempt, found.best_metric), (2, Some(0.5)));
    assert_ne!(found.state(), TrialState::Pending, "the exit of the old attempt is not the new one's");
    assert_eq!(reports(&mut client, id, 1).await, [(1, 1), (1, 9)], "the late report is kept as data");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn pause_is_durable_and_gives_slots_back() {
    let directory = tempfile::tempdir().unwrap();
    let before = engine(directory.path()).await;
    let mut calls = client(&before).await;
    let id = create(&mut calls, random_search(4, 9)).await.id;
    let mut agent = Agent::connect(&before, "a", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    calls.pause_experiment(v1::PauseExperimentRequest { id }).await.unwrap();
    loop {
        if let engine_message::Kind::Stop(stop) = agent.next().await {
            assert_eq!(stop.kind(), v1::StopKind::Preempt);
            break;
        }
    }
    agent.tell(attempt, vec![exit(ExitCause::Requested)]).await;
    until(&mut calls, id, "paused", |experiment| experiment.state() == v1::ExperimentState::Paused).await;
    before.shutdown().await.unwrap();
    drop((agent, calls));

    let after = engine(directory.path()).await;
    let mut calls = client(&after).await;
    let agent = Agent::connect(&after, "a", "2", 1, Vec::new()).await;
    let found = calls.get_experiment(v1::GetExperimentRequest { id }).await.unwrap().into_inner();
    assert_eq!(found.experiment.unwrap().state(), v1::ExperimentState::Paused);
    calls.resume_experiment(v1::ResumeExperimentRequest { id }).await.unwrap();
    tokio::spawn(agent.work());
    let ended = until(&mut calls, id, "the end", |experiment| experiment.ended_unix_ms != 0).await;
    assert_eq!(ended.trials.unwrap().completed, 4);
    after.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_second_agent_of_the_same_name_is_refused_while_the_first_is_connected() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let first = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let refused = Agent::try_connect(&engine, "a", "2", 1, Vec::new()).await.err().unwrap();
    assert!(refused.message().contains("an agent named a is connected already"), "{refused}");
    drop(first);
    let deadline = tokio::time::Instant::now() + super::world::DEADLINE;
    while Agent::try_connect(&engine, "a", "2", 1, Vec::new()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the name was not free again in time");
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restarted_daemon_takes_the_place_of_the_former_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, random_search(1, 9)).await.id;
    let mut former = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let attempt = former.start().await.attempt.unwrap();
    let event = |length| v1::AttemptEvent { attempt: Some(attempt), kind: Some(report(length, 0.5)) };
    former.batch(1, vec![event(1)]).await;
    former.acknowledged(1).await;
    // The former session is not ended: only the instance says that this is the same agent.
    let mut again = Agent::try_connect(&engine, "a", "1", 1, vec![attempt]).await.unwrap();
    assert_eq!(again.registered.keep, [attempt]);
    again.batch(1, vec![event(1)]).await;
    again.batch(2, vec![event(2)]).await;
    again.acknowledged(2).await;
    assert_eq!(reports(&mut client, id, 1).await, [(1, 1), (1, 2)], "each once");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn attempts_of_another_engine_are_not_taken_for_own_ones() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    create(&mut client, random_search(1, 9)).await;
    let mut agent = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let identity = agent.registered.engine.clone();
    assert!(!identity.is_empty());
    let attempt = agent.start().await.attempt.unwrap();
    let again = Agent::try_connect_for(&engine, "a", "1", 1, vec![attempt], "other").await.unwrap();
    assert_eq!(again.registered.keep, []);
    assert_eq!(again.registered.engine, identity);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_unreadable_snapshot_is_made_up_for_by_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let before = engine(directory.path()).await;
    let mut calls = client(&before).await;
    let id = create(&mut calls, random_search(1, 9)).await.id;
    let mut agent = Agent::connect(&before, "a", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    let sequence = agent.tell(attempt, vec![started(), report(4, 0.5)]).await;
    agent.acknowledged(sequence).await;
    before.shutdown().await.unwrap();
    drop((agent, calls));

    let path = directory.path().join("store");
    let store = toprung_store::Store::open(&path, toprung_store::Options::default()).unwrap();
    let written = store.read_snapshot(id).unwrap().unwrap();
    store.write_snapshot(id, written.seq, written.version, vec![255; 64]).unwrap();
    drop(store);
    let after = engine(directory.path()).await;
    let mut calls = client(&after).await;
    let found = trial(&mut calls, id, 1).await;
    assert_eq!((found.state(), found.length, found.best_metric), (TrialState::Running, 4, Some(0.5)));
    after.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_agent_on_which_everything_fails_is_excluded_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let before = engine(directory.path()).await;
    let mut calls = client(&before).await;
    let mut good = Agent::connect(&before, "good", "1", 1, Vec::new()).await;
    let id = create(&mut calls, random_search(8, 9)).await.id;
    let attempt = good.start().await.attempt.unwrap();
    let mut bad = Agent::connect(&before, "bad", "1", 3, Vec::new()).await;
    let mut failed = Vec::new();
    for _ in 0..3 {
        failed.push(bad.start().await.attempt.unwrap());
    }
    for attempt in &failed {
        let sequence = bad.tell(*attempt, vec![started(), exit(ExitCause::Failed)]).await;
        bad.acknowledged(sequence).await;
    }
    let sequence = good.tell(attempt, vec![started(), report(1, 0.5)]).await;
    good.acknowledged(sequence).await;
    let seen = until(&mut calls, id, "the exclusion", |seen| !seen.excluded_agents.is_empty()).await;
    assert_eq!(seen.excluded_agents[0].agent, "bad");
    for attempt in &failed {
        assert_eq!(trial(&mut calls, id, attempt.trial).await.restarts, 0, "given back");
    }
    before.shutdown().await.unwrap();
    drop((good, bad, calls));

    let after = engine(directory.path()).await;
    let mut calls = client(&after).await;
    // The good one has kept its attempt and is full; the bad one is free and gets nothing.
    let _good = Agent::connect(&after, "good", "1", 1, vec![attempt]).await;
    let _bad = Agent::connect(&after, "bad", "1", 3, Vec::new()).await;
    let agents = calls.list_agents(v1::ListAgentsRequest {}).await.unwrap().into_inner().agents;
    let bad = agents.iter().find(|agent| agent.name == "bad").unwrap();
    assert_eq!(bad.excluded_from[0].experiment, id);
    let waits = tokio::time::timeout(super::world::DEADLINE, async {
        loop {
            let found = trial(&mut calls, id, failed[0].trial).await;
            assert!(found.agent.is_empty(), "{found:?}");
            if found.reason.contains("it does without bad") {
                return;
            }
        }
    });
    waits.await.expect("it says what it waits for");
    after.shutdown().await.unwrap();
}
