//! Programs that run trials themselves, over the wire: ask and tell, silence, and a restart of the engine.

use std::time::Duration;
use tonic::Code;
use toprung_engine::{Engine, Options};
use toprung_proto::v1::{self, DecisionKind, TellOutcome, ask_response::Outcome};

use super::world::{Agent, Client, DEADLINE, client, create, engine, random_search, until};

fn external(trials: u32, lease: u32) -> String {
    format!(
        "entrypoint: {{external: {{lease: {lease}}}}}\nhyperparameters: {{rate: {{type: double, minval: 0, maxval: 1}}}}\n\
         searcher: {{name: random, metric: loss, max_trials: {trials}, max_length: {{epochs: 2}}, max_concurrent_trials: 2}}\n"
    )
}

async fn ask(client: &mut Client, experiment: u64, name: &str, max_wait_ms: u32) -> Outcome {
    let request = v1::AskRequest { experiment, client: name.into(), lane: 0, max_wait_ms };
    client.ask(request).await.unwrap().into_inner().outcome.unwrap()
}

async fn given(client: &mut Client, experiment: u64, name: &str) -> v1::Assignment {
    match ask(client, experiment, name, 20_000).await {
        Outcome::Assignment(assignment) => assignment,
        other => panic!("no trial: {other:?}"),
    }
}

fn validation(experiment: u64, name: &str, of: &v1::Assignment, length: u64, value: f64) -> v1::TellRequest {
    let metrics = vec![v1::Metric { name: "loss".into(), value }];
    let group = v1::MetricGroup::Validation.into();
    let reports = vec![v1::Report { group, length, metrics, time_unix_ms: 0 }];
    let (trial, attempt) = (of.trial, of.attempt);
    v1::TellRequest { experiment, trial, attempt, client: name.into(), reports, ..Default::default() }
}

async fn tell(client: &mut Client, request: v1::TellRequest) -> v1::TellResponse {
    client.tell(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_program_runs_the_trials_of_a_search_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, external(3, 60)).await.id;
    for number in 1..=3 {
        let trial = given(&mut client, id, "lab").await;
        assert_eq!((trial.trial, trial.attempt, trial.train_until, trial.lease_ms), (number, 1, 2, 60_000));
        let answer = tell(&mut client, validation(id, "lab", &trial, 1, f64::from(number))).await;
        let decision = answer.decision.unwrap();
        assert_eq!((decision.kind(), decision.length, answer.over), (DecisionKind::Train, 2, false));
        let last = validation(id, "lab", &trial, 2, f64::from(number));
        for _again in 0..2 {
            let answer = tell(&mut client, last.clone()).await;
            let decision = answer.decision.unwrap();
            assert_eq!((decision.kind(), answer.over), (DecisionKind::Stop, true));
            assert_eq!(decision.reason, "reached the greatest length (2)");
        }
    }
    let Outcome::Over(over) = ask(&mut client, id, "lab", 0).await else { panic!("goes on") };
    assert_eq!((over.state(), over.best.unwrap().metric), (v1::ExperimentState::Completed, 1.0));
    let ended = until_ended(&mut client, id).await;
    assert_eq!((ended.total_length, ended.trials.unwrap().completed), (6, 3));
    // Every report once, with the time at which it came.
    let request = v1::StreamReportsRequest { experiment: id, trial: None, follow: false };
    let mut stream = client.stream_reports(request).await.unwrap().into_inner();
    let mut reports = Vec::new();
    while let Some(page) = stream.message().await.unwrap() {
        reports.extend(page.reports);
    }
    assert_eq!(reports.len(), 6);
    assert!(reports.iter().all(|found| found.report.as_ref().unwrap().time_unix_ms > 0));
    engine.shutdown().await.unwrap();
}

async fn until_ended(client: &mut Client, id: u64) -> v1::Experiment {
    let ended = async {
        loop {
            let found = client.get_experiment(v1::GetExperimentRequest { id }).await.unwrap().into_inner();
            if let Some(found) = found.experiment.filter(|found| found.ended_unix_ms != 0) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, ended).await.unwrap()
}

#[tokio::test]
async fn a_program_that_waits_is_answered_when_there_is_something() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, external(3, 60)).await.id;
    let first = given(&mut client, id, "a").await;
    given(&mut client, id, "b").await;
    let Outcome::Nothing(nothing) = ask(&mut client, id, "c", 0).await else { panic!("a third") };
    assert!(nothing.reason.contains("no more than the trials under way now (2)"), "{}", nothing.reason);
    let Outcome::Nothing(_) = ask(&mut client, id, "c", 5).await else { panic!("a third") };
    let (waiting, mut other) = (client.clone(), client.clone());
    let third = tokio::spawn(async move { given(&mut { waiting }, id, "c").await });
    tell(&mut other, validation(id, "a", &first, 2, 0.5)).await;
    assert_eq!(third.await.unwrap().trial, 3);
    // The end is an answer, too.
    let mut waiting = client.clone();
    let over = tokio::spawn(async move { ask(&mut waiting, id, "d", 20_000).await });
    client.kill_experiment(v1::KillExperimentRequest { id }).await.unwrap();
    let Outcome::Over(over) = over.await.unwrap() else { panic!("goes on") };
    assert_eq!(over.state(), v1::ExperimentState::Killed);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_silent_program_loses_its_trial_and_one_that_says_something_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, external(2, 3)).await.id;
    let lost = given(&mut client, id, "silent").await;
    let kept = given(&mut client, id, "heard").await;
    let alive = v1::TellRequest { reports: Vec::new(), ..validation(id, "heard", &kept, 0, 0.0) };
    let mut other = client.clone();
    let beats = tokio::spawn(async move {
        loop {
            assert!(!tell(&mut other, alive.clone()).await.over);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    // Whoever waits for a trial is not silent either.
    let again = given(&mut client, id, "waits").await;
    assert_eq!((again.trial, again.attempt), (lost.trial, 2));
    let late = tell(&mut client, validation(id, "silent", &lost, 2, 0.0)).await;
    assert!(late.superseded && late.over && late.counted == 0, "{late:?}");
    let request = v1::GetTrialRequest { experiment: id, trial: lost.trial };
    let trial = client.get_trial(request).await.unwrap().into_inner().trial.unwrap();
    assert_eq!((trial.restarts, trial.ends.unwrap().agent_lost, trial.agent.as_str()), (0, 1, "waits"));
    assert!(!beats.is_finished(), "it was heard all the time");
    beats.abort();
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restart_of_the_engine_changes_nothing_for_its_programs() {
    let directory = tempfile::tempdir().unwrap();
    let first = engine(directory.path()).await;
    let mut before = client(&first).await;
    let id = create(&mut before, external(2, 60)).await.id;
    let trial = given(&mut before, id, "lab").await;
    tell(&mut before, validation(id, "lab", &trial, 1, 0.5)).await;
    first.shutdown().await.unwrap();

    let second = engine(directory.path()).await;
    let mut after = client(&second).await;
    // An agent of the program's name is another thing.
    let _agent = Agent::connect(&second, "lab", "one", 2, Vec::new()).await;
    let again = given(&mut after, id, "lab").await;
    assert_eq!(again, v1::Assignment { again: true, ..trial.clone() });
    let repeated = tell(&mut after, validation(id, "lab", &trial, 1, 0.1)).await;
    assert_eq!((repeated.counted, repeated.over), (0, false));
    let mut told = validation(id, "lab", &trial, 2, 0.4);
    told.checkpoint = Some(v1::ToldCheckpoint { label: "notebook cell 7".into(), length: 2 });
    assert!(tell(&mut after, told).await.over);
    let shown = until(&mut after, id, "best", |seen| seen.best.is_some()).await.best.unwrap();
    assert_eq!((shown.metric, shown.checkpoint.unwrap().path.as_str()), (0.4, "notebook cell 7"));
    let last = given(&mut after, id, "lab").await;
    let mut failed = v1::TellRequest { reports: Vec::new(), ..validation(id, "lab", &last, 0, 0.0) };
    failed.set_outcome(TellOutcome::Released);
    assert!(tell(&mut after, failed).await.over);
    after.kill_experiment(v1::KillExperimentRequest { id }).await.unwrap();
    until_ended(&mut after, id).await;
    // Checkpoints of programs are theirs: nothing is left to be collected, and the experiment can go.
    after.delete_experiment(v1::DeleteExperimentRequest { id, keep_checkpoints: false }).await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_what_can() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path().to_owned());
    options.publish = false;
    let engine = Engine::start(options).await.unwrap();
    let mut client = client(&engine).await;
    let by_agents = create(&mut client, random_search(1, 1)).await.id;
    let id = create(&mut client, external(2, 60)).await.id;
    let request =
        |experiment, name: &str| v1::AskRequest { experiment, client: name.into(), lane: 0, max_wait_ms: 0 };
    let refused = client.ask(request(by_agents, "a")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("`entrypoint: external`"), "{}", refused.message());
    assert_eq!(client.ask(request(id, "")).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(client.ask(request(id, "a\n")).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(client.ask(request(99, "a")).await.unwrap_err().code(), Code::NotFound);

    let trial = given(&mut client, id, "a").await;
    let mut wrong = validation(id, "a", &trial, 1, 0.5);
    wrong.reports[0].metrics[0].name = "accuracy".into();
    let refused = client.tell(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let said = "lacks the searcher's metric `loss`; it has accuracy";
    assert!(refused.message().contains(said), "{}", refused.message());
    let unknown = v1::Assignment { trial: 7, ..trial.clone() };
    let refused = client.tell(validation(id, "a", &unknown, 1, 0.5)).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::NotFound, "there is no trial 7: the experiment has 1")
    );
    let none = v1::ToldCheckpoint { label: String::new(), length: 1 };
    let unnamed = v1::TellRequest { checkpoint: Some(none), ..validation(id, "a", &trial, 1, 0.5) };
    assert_eq!(client.tell(unnamed).await.unwrap_err().code(), Code::InvalidArgument);
    engine.shutdown().await.unwrap();
}
