//! Checkpoints that nothing keeps are removed by their agent; it is told until it has confirmed.

use std::path::Path;
use std::time::Instant;
use toprung_proto::v1::{self, ExitCause, agent_message, attempt_event, engine_message};

use super::world::{
    Agent, Client, DEADLINE, client, create, engine, exit, random_search, report, started, until,
};

pub(crate) fn checkpoint(trial: u32, length: u64) -> attempt_event::Kind {
    let (uuid, path) = (format!("{trial}-{length}"), format!("/checkpoints/{trial}/{length}"));
    attempt_event::Kind::Checkpoint(v1::Checkpoint { uuid, path, trial, length, ..Default::default() })
}

async fn listed(client: &mut Client, experiment: u64) -> Vec<String> {
    let request = v1::ListCheckpointsRequest { experiment, trial: None };
    let found = client.list_checkpoints(request).await.unwrap().into_inner().checkpoints;
    found.into_iter().map(|checkpoint| checkpoint.uuid).collect()
}

async fn told(agent: &mut Agent) -> v1::DeleteCheckpoints {
    loop {
        if let engine_message::Kind::DeleteCheckpoints(order) = agent.next().await {
            return order;
        }
    }
}

async fn answer(agent: &mut Agent, order: &v1::DeleteCheckpoints, error: &str) {
    let deleted = |place: &v1::CheckpointPlace| v1::CheckpointDeleted {
        trial: place.trial,
        uuid: place.uuid.clone(),
        error: error.to_owned(),
    };
    let checkpoints = order.checkpoints.iter().map(deleted).collect();
    let answer = v1::CheckpointsDeleted { experiment: order.experiment, checkpoints };
    agent.say(agent_message::Kind::CheckpointsDeleted(answer)).await;
}

/// Returns when everything that was said before has arrived: when what is said now is acknowledged.
async fn heard(agent: &mut Agent, experiment: u64) {
    let attempt = v1::AttemptId { experiment, trial: 1, attempt: 1 };
    let said = agent.tell(attempt, vec![started()]).await;
    agent.acknowledged(said).await;
}

fn names(order: &v1::DeleteCheckpoints) -> Vec<&str> {
    order.checkpoints.iter().map(|place| place.uuid.as_str()).collect()
}

async fn collected(client: &mut Client, id: u64) {
    let since = Instant::now();
    loop {
        let found = client.get_experiment(v1::GetExperimentRequest { id }).await.unwrap().into_inner();
        if !found.experiment.unwrap().collecting {
            return;
        }
        assert!(since.elapsed() < DEADLINE, "still collecting");
        tokio::task::yield_now().await;
    }
}

/// One trial of three epochs, the second of them the best; a checkpoint after each.
pub(crate) async fn trained(directory: &Path) -> (toprung_engine::Engine, Client, Agent, u64) {
    let engine = engine(directory).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, random_search(1, 3)).await.id;
    let mut agent = Agent::connect(&engine, "a", "1", 1, Vec::new()).await;
    let attempt = agent.start().await.attempt.unwrap();
    let mut events = vec![started()];
    for (length, loss) in [(1, 0.5), (2, 0.2), (3, 0.4)] {
        events.extend([report(length, loss), checkpoint(1, length)]);
    }
    agent.tell(attempt, events).await;
    agent.tell(attempt, vec![exit(ExitCause::Requested)]).await;
    let ended = until(&mut client, id, "the end", |experiment| experiment.ended_unix_ms != 0).await;
    assert!(ended.collecting);
    (engine, client, agent, id)
}

#[tokio::test]
async fn an_agent_is_told_until_it_has_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let (before, mut calls, mut agent, id) = trained(directory.path()).await;
    let order = told(&mut agent).await;
    assert_eq!((order.experiment, names(&order)), (id, vec!["1-1"]));
    assert_eq!(order.checkpoints[0].path, "/checkpoints/1/1");
    assert_eq!(listed(&mut calls, id).await, ["1-2", "1-3"], "what is to go is not shown");
    before.shutdown().await.unwrap();
    drop((agent, calls));

    // Neither an engine nor an agent that starts again forgets it, and a failure is no confirmation.
    let after = engine(directory.path()).await;
    let mut calls = client(&after).await;
    let mut agent = Agent::connect(&after, "a", "2", 1, Vec::new()).await;
    let again = told(&mut agent).await;
    assert_eq!(again, order);
    answer(&mut agent, &again, "the disk is on fire").await;
    drop(agent);
    let mut agent = Agent::connect(&after, "a", "3", 1, Vec::new()).await;
    let again = told(&mut agent).await;
    assert_eq!(again, order);
    answer(&mut agent, &again, "").await;
    collected(&mut calls, id).await;
    assert_eq!(listed(&mut calls, id).await, ["1-2", "1-3"]);
    drop(agent);

    // Confirmed: the next thing that the agent hears is something else.
    let mut agent = Agent::connect(&after, "a", "4", 1, Vec::new()).await;
    create(&mut calls, random_search(1, 1)).await;
    assert!(matches!(agent.next().await, engine_message::Kind::Start(_)));
    after.shutdown().await.unwrap();
}

#[tokio::test]
async fn only_what_is_marked_can_be_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, mut calls, mut agent, id) = trained(directory.path()).await;
    let mut order = told(&mut agent).await;
    order.checkpoints[0].uuid = "1-2".into();
    answer(&mut agent, &order, "").await;
    order.checkpoints[0].uuid = "1-1".into();
    answer(&mut agent, &order, "").await;
    collected(&mut calls, id).await;
    assert_eq!(listed(&mut calls, id).await, ["1-2", "1-3"]);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_trial_of_which_nothing_is_kept_shows_no_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut calls = client(&engine).await;
    let policy = "checkpoint_storage: {save_trial_best: 0, save_trial_latest: 0}\n";
    let id = create(&mut calls, random_search(2, 2) + policy).await.id;
    let mut agent = Agent::connect(&engine, "a", "1", 2, Vec::new()).await;
    for _ in 0..2 {
        let attempt = agent.start().await.attempt.unwrap();
        let (trial, loss) = (attempt.trial, f64::from(attempt.trial));
        let events = vec![started(), report(1, loss), checkpoint(trial, 1), report(2, loss + 1.0)];
        agent.tell(attempt, events).await;
        agent.tell(attempt, vec![exit(ExitCause::Requested)]).await;
    }
    until(&mut calls, id, "the end", |experiment| experiment.ended_unix_ms != 0).await;
    let order = told(&mut agent).await;
    assert_eq!(names(&order), ["2-1"], "the best that is shown stays");
    let request = v1::ListTrialsRequest { experiment: id, ..Default::default() };
    let trials = calls.list_trials(request).await.unwrap().into_inner().trials;
    assert!(trials[0].checkpoint.is_some() && trials[1].checkpoint.is_none());
    engine.shutdown().await.unwrap();
}

async fn delete(
    client: &mut Client,
    id: u64,
    keep_checkpoints: bool,
) -> Result<v1::DeleteExperimentResponse, tonic::Status> {
    let request = v1::DeleteExperimentRequest { id, keep_checkpoints };
    client.delete_experiment(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn the_checkpoints_of_a_deleted_experiment_are_removed_when_their_agent_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let (before, mut calls, agent, id) = trained(directory.path()).await;
    drop(agent);
    // The engine may not have noticed yet that the agent is gone: then it is told, and told again.
    let deleted = delete(&mut calls, id, false).await.unwrap();
    assert_eq!(deleted.checkpoints, 3);
    assert!(deleted.waiting_for.iter().all(|agent| agent == "a"), "{deleted:?}");
    assert!(calls.get_experiment(v1::GetExperimentRequest { id }).await.is_err());
    before.shutdown().await.unwrap();
    drop(calls);

    let after = engine(directory.path()).await;
    let mut agent = Agent::connect(&after, "a", "2", 1, Vec::new()).await;
    let order = told(&mut agent).await;
    assert_eq!((order.experiment, names(&order)), (id, vec!["1-1", "1-2", "1-3"]));
    let mut partly = order.clone();
    partly.checkpoints.truncate(2);
    answer(&mut agent, &partly, "").await;
    answer(&mut agent, &order, "not now").await;
    heard(&mut agent, id).await;
    drop(agent);
    let mut agent = Agent::connect(&after, "a", "3", 1, Vec::new()).await;
    let order = told(&mut agent).await;
    assert_eq!(names(&order), ["1-3"], "what is gone is not asked for again");
    answer(&mut agent, &order, "").await;
    heard(&mut agent, id).await;
    drop(agent);
    let mut agent = Agent::connect(&after, "a", "4", 1, Vec::new()).await;
    let mut calls = client(&after).await;
    create(&mut calls, random_search(1, 1)).await;
    assert!(matches!(agent.next().await, engine_message::Kind::Start(_)), "nothing is left to remove");
    after.shutdown().await.unwrap();
}

#[tokio::test]
async fn checkpoints_stay_if_they_are_to_be_kept_or_another_experiment_starts_from_them() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, mut calls, mut agent, id) = trained(directory.path()).await;
    let order = told(&mut agent).await;
    answer(&mut agent, &order, "").await;
    collected(&mut calls, id).await;
    let file = random_search(1, 1).replace("metric: loss", &format!("metric: loss, source_trial_id: {id}/1"));
    let next = create(&mut calls, file).await.id;
    let refused = delete(&mut calls, id, false).await.unwrap_err();
    assert!(refused.message().contains(&format!("experiment {next} starts from")), "{refused}");
    let kept = delete(&mut calls, id, true).await.unwrap();
    assert_eq!(kept, v1::DeleteExperimentResponse::default());
    assert!(matches!(agent.next().await, engine_message::Kind::Start(_)), "no order to remove anything");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_comes_after_the_end_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, mut calls, mut agent, id) = trained(directory.path()).await;
    let order = told(&mut agent).await;
    answer(&mut agent, &order, "").await;
    collected(&mut calls, id).await;
    let attempt = v1::AttemptId { experiment: id, trial: 1, attempt: 1 };
    agent.tell(attempt, vec![checkpoint(1, 9)]).await;
    let order = told(&mut agent).await;
    assert_eq!(names(&order), ["1-9"]);
    assert_eq!(listed(&mut calls, id).await, ["1-2", "1-3"], "nobody is shown it");
    answer(&mut agent, &order, "").await;
    collected(&mut calls, id).await;
    engine.shutdown().await.unwrap();
}
