//! Experiments made from earlier ones: their file, their model, their checkpoints.

use tonic::Code;
use toprung_proto::v1::{self, ExitCause};

use super::collection::{checkpoint, trained};
use super::world::{Agent, Client, create, exit, random_search, report, started, until};

async fn refused(client: &mut Client, request: v1::CreateExperimentRequest) -> (Code, String) {
    let status = client.create_experiment(request).await.unwrap_err();
    (status.code(), status.message().to_owned())
}

fn starting_from(source: &str) -> String {
    random_search(1, 3).replace("name: random", &format!("name: random, {source}"))
}

fn file(config_yaml: String) -> v1::CreateExperimentRequest {
    v1::CreateExperimentRequest { config_yaml, ..Default::default() }
}

#[tokio::test]
async fn the_first_attempt_starts_from_the_source_and_later_ones_from_the_own_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, mut client, mut agent, source) = trained(directory.path()).await;
    // Another agent cannot read what lies on the first one.
    let _other = Agent::connect(&engine, "b", "1", 4, Vec::new()).await;
    let id = create(&mut client, starting_from(&format!("source_trial_id: {source}/1"))).await.id;
    let first = agent.start().await;
    let from = first.checkpoint.unwrap();
    assert_eq!((from.uuid.as_str(), from.path.as_str(), from.length), ("1-3", "/checkpoints/1/3", 0));
    let attempt = first.attempt.unwrap();
    let events = vec![started(), report(1, 0.5), checkpoint(1, 1), exit(ExitCause::AgentLost)];
    agent.tell(attempt, events).await;
    let second = agent.start().await;
    assert_eq!(second.attempt.unwrap().attempt, 2);
    assert_eq!(second.checkpoint.map(|own| (own.uuid, own.length)), Some(("1-1".to_owned(), 1)));
    tokio::spawn(agent.work());
    client.kill_experiment(v1::KillExperimentRequest { id }).await.unwrap();
    until(&mut client, id, "the end", |experiment| experiment.ended_unix_ms != 0).await;
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_is_named_by_itself_and_only_what_is_there_can_be_named() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, mut client, mut agent, source) = trained(directory.path()).await;
    create(&mut client, starting_from("source_checkpoint_uuid: 1-2")).await;
    let from = agent.start().await.checkpoint.unwrap();
    assert_eq!((from.uuid.as_str(), from.length), ("1-2", 0));

    for (named, code, message) in [
        ("source_checkpoint_uuid: 1-1", Code::NotFound, "there is no checkpoint 1-1"),
        ("source_checkpoint_uuid: xyz", Code::NotFound, "there is no checkpoint xyz"),
        ("source_trial_id: 77/1", Code::NotFound, "there is no experiment 77"),
        ("source_trial_id: 1/7", Code::NotFound, "experiment 1 has no trial 7"),
        ("source_trial_id: 2/1", Code::FailedPrecondition, "experiment 2 has not ended"),
    ] {
        let (found, text) = refused(&mut client, file(starting_from(named))).await;
        assert!(found == code && text.contains(message), "{named}: {found:?} {text}");
    }
    assert_eq!(source, 1);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_fork_has_the_file_and_the_model_of_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, mut client, mut agent, source) = trained(directory.path()).await;
    let model = agent.started.values().next().unwrap().model_sha256.clone();
    let request = v1::CreateExperimentRequest {
        source_experiment: source,
        overrides: vec!["searcher.max_length.epochs=7".into(), "name=forked".into()],
        ..Default::default()
    };
    let forked = client.create_experiment(request.clone()).await.unwrap().into_inner().experiment.unwrap();
    assert_eq!((forked.source_experiment, forked.max_length, forked.name.as_str()), (source, 7, "forked"));
    let start = agent.start().await;
    assert_eq!((start.model_sha256, start.checkpoint), (model, None));

    let wrong =
        v1::CreateExperimentRequest { overrides: vec!["searcher.name=randm".into()], ..request.clone() };
    assert_eq!(refused(&mut client, wrong).await.0, Code::InvalidArgument);
    let continued = v1::CreateExperimentRequest { continue_source: true, ..request.clone() };
    let (code, text) = refused(&mut client, continued).await;
    assert!(code == Code::FailedPrecondition && text.contains("only one with `single`"), "{text}");
    let nowhere = v1::CreateExperimentRequest { source_experiment: 77, ..request };
    assert_eq!(refused(&mut client, nowhere).await.0, Code::NotFound);
    engine.shutdown().await.unwrap();
}
