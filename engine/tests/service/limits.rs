//! What the API lets in, how the engine says it is, and a backup over the wire.

use tonic::Code;
use tonic_types::StatusExt as _;
use toprung_engine::{Engine, Options};
use toprung_proto::v1::{self, backup_store_response::Part};

use super::world::{channel, client, create, engine, random_search};

#[tokio::test]
async fn the_engine_says_how_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    create(&mut client, random_search(1, 1)).await;
    let status = client.get_engine_status(v1::GetEngineStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.degraded.as_str(), status.active_experiments, status.connected_agents), ("", 1, 0));
    assert!(status.free_bytes > 0 && status.data_dir == directory.path().display().to_string());
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel(&engine).await);
    let service = "toprung.store".to_owned();
    let answer = health.check(tonic_health::pb::HealthCheckRequest { service }).await.unwrap().into_inner();
    assert_eq!(answer.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn active_experiments_are_bounded_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path().to_owned());
    options.publish = false;
    options.max_active_experiments = 1;
    let engine = Engine::start(options).await.unwrap();
    let mut client = client(&engine).await;
    let request = v1::CreateExperimentRequest {
        config_yaml: random_search(1, 1),
        request_id: "one".into(),
        ..Default::default()
    };
    let first = client.create_experiment(request.clone()).await.unwrap().into_inner().experiment.unwrap();
    // A repeated request is no second experiment.
    let again = client.create_experiment(request.clone()).await.unwrap().into_inner().experiment.unwrap();
    assert_eq!(again.id, first.id);
    let other = v1::CreateExperimentRequest { request_id: "two".into(), ..request };
    let refused = client.create_experiment(other.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("1 are allowed"), "{}", refused.message());
    assert!(refused.get_details_retry_info().unwrap().retry_delay.is_some());
    client.kill_experiment(v1::KillExperimentRequest { id: first.id }).await.unwrap();
    super::world::until(&mut client, first.id, "killed", |seen| seen.ended_unix_ms != 0).await;
    let allowed = async {
        while client.create_experiment(other.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::world::DEADLINE, allowed).await.unwrap();
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_model_that_is_too_large_is_refused_and_large_ones_pass_one_after_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path().to_owned());
    options.publish = false;
    options.max_model_bytes = 1 << 20;
    let engine = Engine::start(options).await.unwrap();
    let request = |bytes: usize| v1::CreateExperimentRequest {
        config_yaml: random_search(1, 1),
        model_archive: vec![7; bytes],
        ..Default::default()
    };
    let mut client = client(&engine).await;
    let refused = client.create_experiment(request((1 << 20) + 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{}", refused.message());
    // There is room for three at a time: the others wait.
    let all: Vec<_> = (0..12)
        .map(|_| {
            let mut client = client.clone();
            let request = request(1 << 20);
            tokio::spawn(async move { client.create_experiment(request).await.map(drop) })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_backup_comes_whole_and_opens() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let experiment = create(&mut client, random_search(3, 1)).await;
    let mut stream = client.backup_store(v1::BackupStoreRequest {}).await.unwrap().into_inner();
    let copy = tempfile::tempdir().unwrap();
    let (mut path, mut done) = (copy.path().to_owned(), None);
    while let Some(message) = stream.message().await.unwrap() {
        match message.part.unwrap() {
            Part::File(file) => {
                path = copy.path().join(file.path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, b"").unwrap();
            }
            Part::Data(data) => {
                let mut content = std::fs::read(&path).unwrap();
                content.extend(data);
                std::fs::write(&path, content).unwrap();
            }
            Part::Done(found) => done = Some(found),
        }
    }
    assert!(done.unwrap().files > 1);
    engine.shutdown().await.unwrap();
    let store = toprung_store::Store::open(copy.path(), toprung_store::Options::default()).unwrap();
    assert!(toprung_store::check(&store).unwrap().is_sound());
    assert_eq!(store.last_sequence(experiment.id).unwrap(), 2);
}
