//! Preemption by priority, and agents that are drained, over the real wire and store.

use tonic::Code;
use toprung_proto::v1::{self, ExitCause, StopKind, TrialState, engine_message};

use super::world::{
    Agent, Client, DEADLINE, client, create, engine, exit, random_search, report, started, until,
};

fn search(trials: u32, priority: u8) -> String {
    format!("{}resources: {{priority: {priority}}}\n", random_search(trials, 9))
}

async fn agent_of(client: &mut Client, name: &str) -> v1::Agent {
    let agents = client.list_agents(v1::ListAgentsRequest {}).await.unwrap().into_inner().agents;
    agents.into_iter().find(|agent| agent.name == name).unwrap()
}

async fn trial(client: &mut Client, experiment: u64, trial: u32) -> v1::Trial {
    let request = v1::GetTrialRequest { experiment, trial };
    client.get_trial(request).await.unwrap().into_inner().trial.unwrap()
}

async fn drain(client: &mut Client, name: &str, reason: &str) -> v1::Agent {
    let request = v1::DrainAgentRequest { name: name.into(), reason: reason.into() };
    client.drain_agent(request).await.unwrap().into_inner().agent.unwrap()
}

async fn undrain(client: &mut Client, name: &str) -> v1::Agent {
    let request = v1::UndrainAgentRequest { name: name.into() };
    client.undrain_agent(request).await.unwrap().into_inner().agent.unwrap()
}

async fn stopped(agent: &mut Agent) -> v1::StopAttempt {
    loop {
        if let engine_message::Kind::Stop(stop) = agent.next().await {
            return stop;
        }
    }
}

fn save(length: u64) -> v1::attempt_event::Kind {
    v1::attempt_event::Kind::Checkpoint(v1::Checkpoint { uuid: "c".into(), length, ..Default::default() })
}

#[tokio::test]
async fn an_urgent_experiment_gets_the_slot_also_over_a_restart_of_the_engine() {
    let directory = tempfile::tempdir().unwrap();
    let before = engine(directory.path()).await;
    let mut calls = client(&before).await;
    let bulk = create(&mut calls, search(1, 42)).await.id;
    let mut agent = Agent::connect(&before, "a", "1", 1, Vec::new()).await;
    let old = agent.start().await.attempt.unwrap();
    let sequence = agent.tell(old, vec![started(), report(1, 0.5), save(1)]).await;
    agent.acknowledged(sequence).await;
    let urgent = create(&mut calls, search(1, 10)).await.id;
    let stop = stopped(&mut agent).await;
    let reason = format!("preempted by experiment {urgent} (priority 10; this one has 42)");
    assert_eq!((stop.attempt.unwrap(), stop.kind(), &stop.reason), (old, StopKind::Preempt, &reason));
    before.shutdown().await.unwrap();
    drop((agent, calls));

    // The journal says that it has to leave, so its agent is told again, and nobody else has to.
    let after = engine(directory.path()).await;
    let mut calls = client(&after).await;
    assert_eq!(trial(&mut calls, bulk, 1).await.state(), TrialState::Stopping);
    let mut agent = Agent::connect(&after, "a", "1", 1, vec![old]).await;
    let again = stopped(&mut agent).await;
    assert_eq!((again.attempt, &again.reason), (Some(old), &reason));
    agent
        .batch(2, vec![v1::AttemptEvent { attempt: Some(old), kind: Some(exit(ExitCause::Requested)) }])
        .await;
    let next = agent.start().await.attempt.unwrap();
    assert_eq!((next.experiment, next.attempt), (urgent, 1), "the slot is for whom it was freed");
    let found = trial(&mut calls, bulk, 1).await;
    let waits = format!("{reason}; goes on from its checkpoint at length 1; waits for 1 of 1 slots (0 free)");
    assert_eq!((found.state(), found.restarts, found.reason), (TrialState::Pending, 0, waits));
    after.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_drained_agent_stays_drained_over_restarts_of_engine_and_agent() {
    let directory = tempfile::tempdir().unwrap();
    let before = engine(directory.path()).await;
    let mut calls = client(&before).await;
    let id = create(&mut calls, random_search(1, 9)).await.id;
    let mut agent = Agent::connect(&before, "gpu-1", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    let unknown = v1::DrainAgentRequest { name: "gpu1".into(), reason: String::new() };
    let unknown = calls.drain_agent(unknown).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(unknown.message().contains("did you mean `gpu-1`?"), "{unknown}");

    let sequence = agent.tell(attempt, vec![started(), save(1)]).await;
    agent.acknowledged(sequence).await;
    let told = drain(&mut calls, "gpu-1", "new disks").await;
    assert_eq!((told.draining, told.drain_reason.as_str(), told.attempts), (true, "new disks", 1));
    assert_eq!(stopped(&mut agent).await.reason, "agent gpu-1 is drained: new disks");
    agent.tell(attempt, vec![exit(ExitCause::Requested)]).await;
    let why = "waiting: its checkpoint lies on agent gpu-1, which is drained (new disks); `toprung agents undrain \
               gpu-1` lets it go on there";
    until(&mut calls, id, "it says why it waits", |experiment| experiment.reason == why).await;
    assert!(trial(&mut calls, id, 1).await.reason.ends_with(why.strip_prefix("waiting: ").unwrap()));
    assert_eq!(agent_of(&mut calls, "gpu-1").await.attempts, 0);
    before.shutdown().await.unwrap();
    drop((agent, calls));

    let after = engine(directory.path()).await;
    let mut calls = client(&after).await;
    let away = agent_of(&mut calls, "gpu-1").await;
    assert_eq!((away.draining, away.connected, away.drain_reason.as_str()), (true, false, "new disks"));
    let mut agent = Agent::connect(&after, "gpu-1", "2", 1, Vec::new()).await;
    until(&mut calls, id, "it still waits", |experiment| experiment.reason == why).await;
    assert!(!undrain(&mut calls, "gpu-1").await.draining);
    assert_eq!(agent.start().await.attempt.unwrap(), v1::AttemptId { attempt: 2, ..attempt });
    after.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_a_drained_agent_ran_goes_on_elsewhere_if_its_storage_is_shared() {
    let (directory, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = engine(directory.path()).await;
    let mut calls = client(&engine).await;
    let storage =
        format!("checkpoint_storage: {{type: shared_fs, host_path: {}}}\n", shared.path().display());
    let id = create(&mut calls, random_search(1, 9) + &storage).await.id;
    let mut agent = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    let mut other = Agent::connect(&engine, "b", "1", 1, Vec::new()).await;
    let sequence = agent.tell(attempt, vec![started(), report(3, 0.5), save(3)]).await;
    agent.acknowledged(sequence).await;
    drain(&mut calls, "a", "").await;
    stopped(&mut agent).await;
    agent.tell(attempt, vec![exit(ExitCause::Requested)]).await;
    let start = other.start().await;
    assert_eq!((start.attempt.unwrap().attempt, start.checkpoint.unwrap().length), (2, 3));
    assert_eq!(trial(&mut calls, id, 1).await.restarts, 0);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_ending_is_drained_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut calls = client(&engine).await;
    let id = create(&mut calls, random_search(2, 9)).await.id;
    let mut agent = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    agent.tell(attempt, vec![started()]).await;
    agent.say(v1::agent_message::Kind::Heartbeat(v1::Heartbeat { draining: true })).await;
    assert_eq!(stopped(&mut agent).await.reason, "agent a shuts down");
    let shown = agent_of(&mut calls, "a").await;
    assert_eq!((shown.draining, shown.drain_reason.as_str()), (true, "it shuts down"));
    // Even a failure of its own is not charged any more.
    agent.tell(attempt, vec![exit(ExitCause::Failed)]).await;
    let waits = |experiment: &v1::Experiment| experiment.reason.contains("no agent takes work");
    until(&mut calls, id, "nobody takes work", waits).await;
    assert_eq!(trial(&mut calls, id, 1).await.restarts, 0);
    drop(agent);
    let back = tokio::time::timeout(DEADLINE, Agent::connect(&engine, "a", "2", 1, Vec::new()));
    let mut agent = back.await.unwrap();
    agent.start().await;
    assert!(!agent_of(&mut calls, "a").await.draining, "a new start is a new beginning");
    engine.shutdown().await.unwrap();
}
