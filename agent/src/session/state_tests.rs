//! Tests of the session's decisions: messages in, messages and effects out.

use super::*;

struct NoSpool;

impl Source for NoSpool {
    fn batch(&mut self, _: u64) -> Option<Vec<AttemptEvent>> {
        None
    }
}

fn state() -> SessionState {
    SessionState::new(identity(), 1 << 20)
}

fn identity() -> Identity {
    Identity {
        agent: "node-1".to_owned(),
        instance: "abc".to_owned(),
        host: "host".to_owned(),
        slots: Vec::new(),
    }
}

fn key(trial: u32, attempt: u32) -> AttemptKey {
    AttemptKey { experiment: 1, trial, attempt }
}

fn engine(kind: engine_message::Kind) -> EngineMessage {
    EngineMessage { kind: Some(kind) }
}

fn registered(keep: &[AttemptKey]) -> EngineMessage {
    engine(engine_message::Kind::Registered(v1::Registered {
        lease_seconds: 30,
        heartbeat_seconds: 5,
        max_batches_in_flight: 2,
        keep: keep.iter().map(|key| key.to_wire()).collect(),
        engine: "store".to_owned(),
    }))
}

fn start(key: AttemptKey) -> EngineMessage {
    let attempt = Some(key.to_wire());
    engine(engine_message::Kind::Start(v1::StartAttempt { attempt, ..v1::StartAttempt::default() }))
}

fn stop(key: AttemptKey, kind: StopKind) -> EngineMessage {
    let attempt = Some(key.to_wire());
    engine(engine_message::Kind::Stop(v1::StopAttempt {
        attempt,
        kind: kind.into(),
        reason: "why".to_owned(),
    }))
}

fn sent_batches(messages: &[AgentMessage]) -> Vec<v1::Batch> {
    messages
        .iter()
        .filter_map(|message| match &message.kind {
            Some(agent_message::Kind::Batch(batch)) => Some(batch.clone()),
            _ => None,
        })
        .collect()
}

fn running(state: &SessionState) -> Vec<v1::AttemptId> {
    match state.register().kind {
        Some(agent_message::Kind::Register(register)) => register.running,
        other => panic!("not a Register: {other:?}"),
    }
}

#[test]
fn nothing_is_sent_before_registered() {
    let (mut state, now) = (state(), Instant::now());
    state.push_exit(key(1, 1), ExitCause::Success, String::new(), now);
    assert!(state.outgoing(now, &mut NoSpool).is_empty());
    let effects = state.on_engine(registered(&[]), now);
    assert_eq!(effects, [Effect::Opened { heartbeat: Duration::from_secs(5) }]);
    assert_eq!(sent_batches(&state.outgoing(now, &mut NoSpool)).len(), 1);
}

#[test]
fn starts_are_idempotent_and_fenced() {
    let (mut state, now) = (state(), Instant::now());
    state.on_engine(registered(&[]), now);
    assert!(matches!(state.on_engine(start(key(1, 2)), now).as_slice(), [Effect::Start(_)]));
    assert!(state.on_engine(start(key(1, 2)), now).is_empty());
    assert!(state.outgoing(now, &mut NoSpool).is_empty());
    assert!(state.on_engine(start(key(1, 1)), now).is_empty());
    let batches = sent_batches(&state.outgoing(now, &mut NoSpool));
    assert_eq!(batches[0].events[0].attempt, Some(key(1, 1).to_wire()));
    assert!(
        matches!(&batches[0].events[0].kind, Some(Kind::Exit(exit)) if exit.cause() == ExitCause::AgentLost)
    );
}

#[test]
fn a_stop_of_an_unknown_attempt_is_answered() {
    let (mut state, now) = (state(), Instant::now());
    state.on_engine(registered(&[]), now);
    assert!(state.on_engine(stop(key(9, 1), StopKind::Kill), now).is_empty());
    let batches = sent_batches(&state.outgoing(now, &mut NoSpool));
    assert!(matches!(&batches[0].events[0].kind, Some(Kind::Exit(exit)) if exit.message == "unknown here"));
}

#[test]
fn an_attempt_runs_until_its_exit_is_acknowledged() {
    let (mut state, now) = (state(), Instant::now());
    state.on_engine(registered(&[]), now);
    state.on_engine(start(key(1, 1)), now);
    let order = Effect::Order { key: key(1, 1), order: Order::Preempt, reason: "why".to_owned() };
    assert_eq!(state.on_engine(stop(key(1, 1), StopKind::Preempt), now), [order]);
    state.push_exit(key(1, 1), ExitCause::Requested, String::new(), now);
    let sequence = sent_batches(&state.outgoing(now, &mut NoSpool))[0].sequence;
    assert_eq!(running(&state), [key(1, 1).to_wire()]);
    state.on_engine(engine(engine_message::Kind::Ack(v1::Ack { sequence })), now);
    assert!(running(&state).is_empty());
    assert!(state.is_drained());
}

#[test]
fn attempts_that_the_engine_does_not_keep_are_killed() {
    let (mut state, now) = (state(), Instant::now());
    state.on_engine(registered(&[]), now);
    state.on_engine(start(key(1, 1)), now);
    state.on_engine(start(key(2, 1)), now);
    state.disconnected();
    let effects = state.on_engine(registered(&[key(2, 1)]), now);
    assert!(
        matches!(&effects[1..], [Effect::Order { key: killed, order: Order::Kill, .. }] if *killed == key(1, 1))
    );
}

#[test]
fn a_reconnect_repeats_the_batch_with_its_sequence() {
    let (mut state, now) = (state(), Instant::now());
    state.on_engine(registered(&[]), now);
    state.push_exit(key(1, 1), ExitCause::Success, String::new(), now);
    let first = sent_batches(&state.outgoing(now, &mut NoSpool));
    state.disconnected();
    assert!(state.outgoing(now, &mut NoSpool).is_empty());
    state.on_engine(registered(&[]), now);
    assert_eq!(sent_batches(&state.outgoing(now, &mut NoSpool)), first);
}

#[test]
fn log_lines_of_one_attempt_are_sent_together() {
    let (mut state, now) = (state(), Instant::now());
    for (trial, text) in [(1, "a"), (1, "b"), (2, "c")] {
        let line = v1::LogLine { text: text.to_owned(), ..v1::LogLine::default() };
        state.push_line(Credited::own((key(trial, 1), line), 1), now);
    }
    state.on_engine(registered(&[]), now);
    let messages = state.outgoing(now, &mut NoSpool);
    let Some(agent_message::Kind::Logs(logs)) = &messages[0].kind else { panic!("no logs") };
    assert_eq!(logs.lines.iter().map(|lines| lines.lines.len()).collect::<Vec<_>>(), [2, 1]);
    state.on_engine(engine(engine_message::Kind::LogAck(v1::LogAck { sequence: 1 })), now);
    assert!(state.is_drained());
}

#[test]
fn goodbye_says_whether_to_come_back() {
    let mut state = state();
    let goodbye = v1::Goodbye { reason: "bye".to_owned(), reconnect: false };
    let effects = state.on_engine(engine(engine_message::Kind::Goodbye(goodbye)), Instant::now());
    assert_eq!(effects, [Effect::Close { reconnect: false, reason: "bye".to_owned() }]);
}

#[test]
fn after_a_restart_the_dead_are_told_after_what_they_said() {
    let now = Instant::now();
    let will = v1::Exit { cause: ExitCause::InvalidHyperparameters.into(), ..v1::Exit::default() };
    let report = event(key(1, 1), Kind::Report(v1::Report::default()));
    let recovered = Recovered {
        engine: "store".to_owned(),
        last_sequence: 4,
        events: vec![report.clone()],
        open: vec![(key(1, 1), None), (key(2, 1), Some(will))],
        exiting: vec![key(3, 1)],
        ..Recovered::default()
    };
    let mut state = SessionState::resume(identity(), 1 << 20, recovered, now);
    assert_eq!(running(&state), [key(1, 1), key(2, 1), key(3, 1)].map(AttemptKey::to_wire));
    assert!(!state.unwritten().is_empty(), "the exits are written before they are sent");
    state.written();
    state.on_engine(registered(&[]), now);
    let batches = sent_batches(&state.outgoing(now, &mut NoSpool));
    assert_eq!(batches[0].sequence, 5);
    let events: Vec<_> = batches.into_iter().flat_map(|batch| batch.events).collect();
    assert_eq!(events[0], report);
    let causes: Vec<_> = events[1..]
        .iter()
        .map(|event| match &event.kind {
            Some(Kind::Exit(exit)) => exit.cause(),
            other => panic!("not an exit: {other:?}"),
        })
        .collect();
    assert_eq!(causes, [ExitCause::AgentLost, ExitCause::InvalidHyperparameters]);
}

#[test]
fn another_engine_is_sent_nothing() {
    let now = Instant::now();
    let recovered = Recovered { engine: "former".to_owned(), ..Recovered::default() };
    let mut state = SessionState::resume(identity(), 1 << 20, recovered, now);
    state.push_exit(key(1, 1), ExitCause::Success, String::new(), now);
    assert_eq!(state.on_engine(registered(&[]), now), [Effect::OtherEngine]);
    assert!(state.outgoing(now, &mut NoSpool).is_empty());
}

#[test]
fn trials_are_answered_when_their_events_are_written() {
    let (mut state, now) = (state(), Instant::now());
    let (waiting, mut kept) = oneshot::channel();
    let mut credited = Credited::own(event(key(1, 1), Kind::Report(v1::Report::default())), 10);
    credited.waiting = Some(waiting);
    state.push_event(credited, now);
    assert!(!state.unwritten().is_empty());
    assert!(kept.try_recv().is_err());
    state.written();
    assert!(kept.try_recv().is_ok());
    assert!(state.unwritten().is_empty());
}

#[test]
fn a_report_that_is_decided_on_waits_for_no_company() {
    let (mut state, now) = (state(), Instant::now());
    state.on_engine(registered(&[]), now);
    let report = |trial: u32, awaited: bool| {
        let item = event(key(trial, 1), Kind::Report(v1::Report::default()));
        Credited { awaited, ..Credited::own(item, 10) }
    };
    let trials = |messages: &[AgentMessage]| -> Vec<Vec<u32>> {
        let of = |batch: &v1::Batch| batch.events.iter().map(|event| event.attempt.unwrap().trial).collect();
        sent_batches(messages).iter().map(of).collect()
    };
    state.push_event(report(1, false), now);
    assert_eq!(trials(&state.outgoing(now, &mut NoSpool)), [vec![1]]);
    state.push_event(report(1, false), now);
    assert!(state.outgoing(now, &mut NoSpool).is_empty(), "it waits for company");
    state.push_event(report(2, true), now);
    assert_eq!(trials(&state.outgoing(now, &mut NoSpool)), [vec![1, 2]]);
}
