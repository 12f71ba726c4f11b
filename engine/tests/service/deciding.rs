//! A program that decides a search, over the wire: it listens, decides, is wrong, comes twice, and outlives the engine.

use std::time::Duration;
use tonic::Code;
use toprung_proto::v1::{self, SearchEventKind as Kind, wish};

use super::world::{Agent, Client, client, create, engine, exit, random_search, report, started, until};

const CUSTOM: &str = "entrypoint: python train.py\nhyperparameters: {rate: {type: double, minval: 0, maxval: 1}}\n\
                      searcher: {name: custom, metric: loss, max_length: {epochs: 4}, max_concurrent_trials: 2}\n";

fn wished(kind: wish::Kind) -> v1::Wish {
    v1::Wish { kind: Some(kind), reason: "because".into() }
}

fn wanted(hparams_json: &str, length: u64) -> v1::Wish {
    let hparams_json = hparams_json.to_owned();
    wished(wish::Kind::Create(v1::WishedTrial { hparams_json, length, clone_from: 0 }))
}

fn decision(experiment: u64, request_id: &str, seen: u64, wishes: Vec<v1::Wish>) -> v1::DecideRequest {
    v1::DecideRequest {
        experiment,
        request_id: request_id.into(),
        seen,
        wishes,
        client: "evolution".into(),
        ..Default::default()
    }
}

async fn listen(client: &mut Client, experiment: u64, after: u64, max_wait_ms: u32) -> v1::ListenResponse {
    let request = v1::ListenRequest { experiment, after, max_wait_ms, with_state: true };
    client.listen(request).await.unwrap().into_inner()
}

async fn decide(client: &mut Client, request: v1::DecideRequest) -> v1::DecideResponse {
    client.decide(request).await.unwrap().into_inner()
}

/// Listens until an event of this kind comes; the last one that came.
async fn until_event(client: &mut Client, experiment: u64, after: u64, kind: Kind) -> v1::SearchEvent {
    let mut after = after;
    loop {
        let heard = listen(client, experiment, after, 20_000).await;
        let found = heard.events.iter().find(|event| event.kind() == kind);
        if let Some(found) = found {
            return found.clone();
        }
        after = heard.events.last().expect("something in time").number;
    }
}

#[tokio::test]
async fn a_program_decides_a_search_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let id = create(&mut client, CUSTOM.into()).await.id;
    let begun = listen(&mut client, id, 0, 20_000).await;
    assert_eq!((begun.events[0].kind(), begun.events.len(), begun.next_trial), (Kind::Begun, 1, 1));
    // Nothing more comes in time: the answer is that nothing has.
    assert_eq!(listen(&mut client, id, 1, 5).await.events, []);

    let agent = Agent::connect(&engine, "one", "a", 2, Vec::new()).await;
    let working = tokio::spawn(agent.work());
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { listen(&mut client, id, 1, 20_000).await }
    });
    let shown =
        until(&mut client, id, "a listener", |seen| seen.program.as_ref().is_some_and(|it| it.listening))
            .await;
    assert_eq!(shown.program.unwrap().unseen, 1);
    let mut request = decision(id, "first", 1, vec![wanted("{\"rate\":0.5}", 4)]);
    request.state = Some("one was wanted".into());
    let answer = decide(&mut client, request.clone()).await;
    assert_eq!((answer.decided, answer.trials.as_slice(), answer.again), (1, [1].as_slice(), false));
    let woken = waiting.await.unwrap();
    assert_eq!(
        (woken.events[0].kind(), woken.events[0].hparams_json.as_str()),
        (Kind::Created, "{\"rate\":0.5}")
    );
    assert_eq!(woken.state.as_deref(), Some("one was wanted"));

    let again = decide(&mut client, request).await;
    assert_eq!(again, v1::DecideResponse { again: true, ..answer });
    let ended = until_event(&mut client, id, 2, Kind::Ended).await;
    // Its hyperparameters are in the store by now.
    assert_eq!((ended.state(), ended.hparams_json.as_str()), (v1::TrialState::Completed, "{\"rate\":0.5}"));
    assert_eq!((ended.length, ended.metric), (4, Some(1.0)));

    decide(&mut client, decision(id, "last", ended.number, vec![wished(wish::Kind::Finish(true))])).await;
    let over = listen(&mut client, id, ended.number, 20_000).await.over.unwrap();
    assert_eq!((over.state(), over.reason.as_str()), (v1::ExperimentState::Completed, "because"));
    // Who comes later finds how it ended, and what the program saved.
    let later = listen(&mut client, id, 0, 0).await;
    assert_eq!((later.over, later.state.as_deref()), (Some(over), Some("one was wanted")));
    let late = client.decide(decision(id, "late", 0, Vec::new())).await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    assert!(late.message().contains("has ended: because"), "{}", late.message());
    working.abort();
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restart_of_the_engine_loses_nothing_of_its_program() {
    let directory = tempfile::tempdir().unwrap();
    let first = engine(directory.path()).await;
    let mut before = client(&first).await;
    let id = create(&mut before, CUSTOM.into()).await.id;
    let mut agent = Agent::connect(&first, "one", "a", 1, Vec::new()).await;
    let mut request = decision(id, "first", 1, vec![wanted("", 2), wanted("", 2)]);
    request.state = Some("kept".into());
    decide(&mut before, request.clone()).await;
    let start = agent.start().await;
    let attempt = start.attempt.unwrap();
    let sent = agent.tell(attempt, vec![started(), report(1, 0.5), report(2, 0.4)]).await;
    agent.acknowledged(sent).await;
    let heard = listen(&mut before, id, 0, 0).await;
    first.shutdown().await.unwrap();

    let second = engine(directory.path()).await;
    let mut after = client(&second).await;
    assert_eq!(listen(&mut after, id, 0, 0).await, heard, "events, counts and what was saved");
    assert_eq!(heard.state.as_deref(), Some("kept"));
    let again = decide(&mut after, request).await;
    assert!(again.again && again.trials == [1, 2], "{again:?}");
    let mut agent = Agent::connect(&second, "one", "a", 1, vec![attempt]).await;
    let left = v1::AttemptEvent { attempt: Some(attempt), kind: Some(exit(v1::ExitCause::Requested)) };
    agent.batch(sent + 1, vec![left]).await;
    // Without a checkpoint it cannot rest.
    let ended = until_event(&mut after, id, heard.events.last().unwrap().number, Kind::Ended).await;
    assert_eq!((ended.trial, ended.state()), (1, v1::TrialState::Stopped));
    assert!(ended.reason.contains("saved no checkpoint"), "{}", ended.reason);
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_is_refused_whole_and_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let by_itself = create(&mut client, random_search(1, 1)).await.id;
    let id = create(&mut client, CUSTOM.into()).await.id;
    for (experiment, code) in [(by_itself, Code::FailedPrecondition), (99, Code::NotFound)] {
        let request = v1::ListenRequest { experiment, ..Default::default() };
        assert_eq!(client.listen(request).await.unwrap_err().code(), code);
        let refused = client.decide(decision(experiment, "a", 0, Vec::new())).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused:?}");
    }
    let wishes = vec![wanted("{\"rate\":0.5}", 4), wanted("{\"rate\":2}", 9), wanted("{\"rat\":1}", 1)];
    let refused = client.decide(decision(id, "a", 0, wishes)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let words = refused.message();
    assert!(words.starts_with("wish 2 of 3 (create): its length is 9, allowed is 1 to 4 epochs"), "{words}");
    assert!(
        words
            .contains("wish 3 of 3 (create): hyperparameter rat: there is none of this name; there are rate"),
        "{words}"
    );
    let heard = listen(&mut client, id, 0, 0).await;
    assert_eq!((heard.decided, heard.next_trial, heard.events.len()), (0, 1, 1), "nothing of it happened");

    let first = v1::DecideRequest { after: Some(0), ..decision(id, "a", 1, vec![wanted("", 1)]) };
    decide(&mut client, first.clone()).await;
    let other = v1::DecideRequest { request_id: "b".into(), ..first };
    let refused = client.decide(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("another program decides this search"), "{}", refused.message());
    let large = v1::DecideRequest { state: Some("x".repeat(300_000)), ..decision(id, "c", 0, Vec::new()) };
    assert_eq!(client.decide(large).await.unwrap_err().code(), Code::InvalidArgument);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn programs_outside_may_train_what_a_program_decides() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path()).await;
    let mut client = client(&engine).await;
    let external = CUSTOM.replace("python train.py", "external");
    let id = create(&mut client, external).await.id;
    decide(&mut client, decision(id, "a", 1, vec![wanted("{\"rate\":0.5}", 2)])).await;
    let ask = v1::AskRequest { experiment: id, client: "lab".into(), lane: 0, max_wait_ms: 20_000 };
    let answer = client.ask(ask).await.unwrap().into_inner();
    let Some(v1::ask_response::Outcome::Assignment(given)) = answer.outcome else { panic!("{answer:?}") };
    assert_eq!((given.trial, given.train_until, given.hparams_json.as_str()), (1, 2, "{\"rate\":0.5}"));
    let metrics = vec![v1::Metric { name: "loss".into(), value: 0.3 }];
    let group = v1::MetricGroup::Validation.into();
    let told = v1::TellRequest {
        experiment: id,
        trial: 1,
        attempt: given.attempt,
        client: "lab".into(),
        reports: vec![v1::Report { group, length: 2, metrics, time_unix_ms: 0 }],
        checkpoint: Some(v1::ToldCheckpoint { label: "m2".into(), length: 2 }),
        ..Default::default()
    };
    let answer = client.tell(told).await.unwrap().into_inner();
    assert_eq!(answer.decision.unwrap().reason, "reached length 2, and waits for what its program wants");
    let paused = until_event(&mut client, id, 1, Kind::Paused).await;
    assert_eq!((paused.metric, paused.length), (Some(0.3), 2));
    let train = wished(wish::Kind::Train(v1::WishedLength { trial: 1, length: 4 }));
    decide(&mut client, decision(id, "b", paused.number, vec![train])).await;
    let ask = v1::AskRequest { experiment: id, client: "lab".into(), lane: 0, max_wait_ms: 20_000 };
    let answer = client.ask(ask).await.unwrap().into_inner();
    let Some(v1::ask_response::Outcome::Assignment(given)) = answer.outcome else { panic!("{answer:?}") };
    assert_eq!((given.checkpoint.as_str(), given.from_length, given.train_until), ("m2", 2, 4));
    tokio::time::timeout(Duration::from_secs(20), engine.shutdown()).await.unwrap().unwrap();
}
