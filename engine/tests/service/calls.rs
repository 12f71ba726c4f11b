//! The search service: who may call, what mistakes answer, and a search from its creation to its deletion.

use prost::Message as _;
use tonic::Code;
use toprung_proto::v1::search_service_client::SearchServiceClient;
use toprung_proto::v1::{self, ExperimentState, TrialState};

use super::world::{Agent, channel, client, create, engine, random_search, until};

#[tokio::test]
async fn calls_need_the_token_and_health_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut without = SearchServiceClient::new(channel(&engine).await);
    let refused = without.list_experiments(v1::ListExperimentsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(!refused.message().contains(engine.token()));

    let mut health = tonic_health::pb::health_client::HealthClient::new(channel(&engine).await);
    let service = "toprung.v1.SearchService".to_owned();
    let answer = health.check(tonic_health::pb::HealthCheckRequest { service }).await.unwrap().into_inner();
    assert_eq!(answer.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn all_mistakes_of_a_file_come_back_at_once_and_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let config_yaml = "entrypiont: x\nsearcher: {name: randm, metric: loss}\n".to_owned();
    let request = v1::CreateExperimentRequest { config_yaml, ..Default::default() };
    let refused = client.create_experiment(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let problems = v1::ConfigProblems::decode(refused.details()).unwrap().problems;
    let lines: Vec<u32> = problems.iter().map(|problem| problem.line).collect();
    assert!(lines.contains(&1) && lines.contains(&2), "{problems:?}");
    let listed = client.list_experiments(v1::ListExperimentsRequest::default()).await.unwrap().into_inner();
    assert!(listed.experiments.is_empty());
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_request_id_creates_one_experiment() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let request = v1::CreateExperimentRequest {
        config_yaml: random_search(1, 1),
        request_id: "abc".into(),
        ..Default::default()
    };
    let first = client.create_experiment(request.clone()).await.unwrap().into_inner().experiment.unwrap();
    let again = client.create_experiment(request).await.unwrap().into_inner().experiment.unwrap();
    assert_eq!(first.id, again.id);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_search_from_creation_to_deletion() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, random_search(5, 3)).await.id;
    let agent = Agent::connect(&engine, "a", "1", 2, Vec::new()).await;
    tokio::spawn(agent.work());

    let ended = until(&mut client, id, "the end", |experiment| experiment.ended_unix_ms != 0).await;
    assert_eq!(ended.state(), ExperimentState::Completed, "{}", ended.reason);
    assert_eq!((ended.total_length, ended.trials.unwrap().completed), (15, 5));
    assert_eq!(ended.best.as_ref().unwrap().trial, 1);

    let request = v1::ListTrialsRequest { experiment: id, best_first: true, ..Default::default() };
    let trials = client.list_trials(request).await.unwrap().into_inner().trials;
    assert_eq!(trials.iter().map(|trial| trial.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(
        trials.iter().all(|trial| trial.state() == TrialState::Completed && !trial.hparams_json.is_empty())
    );

    let request = v1::StreamReportsRequest { experiment: id, trial: Some(2), follow: true };
    let mut stream = client.stream_reports(request).await.unwrap().into_inner();
    let reports = stream.message().await.unwrap().unwrap().reports;
    let lengths: Vec<u64> = reports.iter().map(|report| report.report.as_ref().unwrap().length).collect();
    assert_eq!(lengths, [1, 2, 3]);
    assert!(stream.message().await.unwrap().is_none());

    let refused = client.pause_experiment(v1::PauseExperimentRequest { id }).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    client.delete_experiment(v1::DeleteExperimentRequest { id, keep_checkpoints: false }).await.unwrap();
    let gone = client.get_experiment(v1::GetExperimentRequest { id }).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(create(&mut client, random_search(1, 1)).await.id, id + 1, "a number is never given twice");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn secrets_are_masked_in_answers() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let yaml = format!("{}data: {{secrets: {{key: hunter2}}, path: x}}\n", random_search(1, 1));
    let id = create(&mut client, yaml).await.id;
    let found = client.get_experiment(v1::GetExperimentRequest { id }).await.unwrap().into_inner();
    let config = found.experiment.unwrap().config_json;
    assert!(config.contains("\"path\"") && !config.contains("hunter2"), "{config}");
    engine.shutdown().await.unwrap();
}
