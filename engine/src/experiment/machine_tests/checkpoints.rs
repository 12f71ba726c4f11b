//! What is kept, what a trial goes on from, and what happens to one that has saved nothing.

use toprung_proto::v1::{self, ExitCause, TrialState, attempt_event::Kind};

use super::{PROMOTION, RANDOM, fail, running, state};
use crate::experiment::machine_world::World;
use crate::experiment::{Effect, State};

#[test]
fn a_trial_goes_on_where_its_checkpoint_lies() {
    let mut world = running(RANDOM, "");
    world.report(1, 1.0);
    world.save(1);
    assert_eq!(world.machine.trial(1).unwrap().home.as_deref(), Some("agent"));
    let mut world = running(RANDOM, "checkpoint_storage: {type: shared_fs, host_path: /shared}");
    world.report(1, 1.0);
    world.save(1);
    assert_eq!(world.machine.trial(1).unwrap().home, None, "every agent reads a shared directory");
}

#[test]
fn nobody_continues_from_an_object_store_on_one_agent_only() {
    let mut world = running(RANDOM, "checkpoint_storage: {type: s3, bucket: b}");
    world.report(1, 1.0);
    world.save(1);
    assert_eq!(world.machine.trial(1).unwrap().home, None);
}

#[test]
fn a_late_checkpoint_of_an_older_attempt_is_only_recorded_to_be_removed() {
    let mut world = running(RANDOM, "");
    world.report(1, 5.0);
    world.save(1);
    let lost = v1::AttemptLost { trial: 1, attempt: 1, reason: "gone".into() };
    world.input(v1::journal_record::Input::Lost(lost));
    let late = v1::Checkpoint { uuid: "late".into(), length: 3, ..Default::default() };
    let attempt = Some(v1::AttemptId { experiment: 1, trial: 1, attempt: 1 });
    let events = vec![v1::AttemptEvent { attempt, kind: Some(Kind::Checkpoint(late)) }];
    let events = v1::AgentEvents { agent: "old".into(), instance: "x".into(), sequence: 1, events };
    let step = world.machine.step(v1::journal_record::Input::AgentEvents(events), 1).unwrap();
    let discarded = step.effects.iter().find_map(|effect| match effect {
        Effect::Discard { checkpoint } => Some(checkpoint),
        _ => None,
    });
    let discarded = discarded.unwrap();
    assert_eq!((discarded.agent.as_str(), discarded.state()), ("old", v1::CheckpointState::Deleting));
    assert_eq!(step.puts.len(), 1);
    let newest = world.machine.trial(1).unwrap().checkpoint.as_ref().unwrap();
    assert_eq!(newest.0.length, 1, "the trial goes on from what it had");
}

#[test]
fn a_quota_pauses_once_with_its_reason_and_a_person_may_go_on() {
    use v1::journal_record::Input;
    let mut world = running(RANDOM, "");
    let quota = || Input::Quota(v1::QuotaExceeded { reason: "too much".into() });
    world.report(1, 1.0);
    world.save(1);
    assert!(world.input(quota()));
    fail(&mut world, 1, ExitCause::Requested, "too much");
    assert_eq!((world.machine.fold.state, world.machine.fold.reason.as_str()), (State::Paused, "too much"));
    world.input(Input::Resume(v1::ResumeRequested {}));
    assert!(!world.input(quota()), "not again");
    world.run_to_the_end();
    world.check_end();
}

#[test]
fn without_checkpoints_promotion_becomes_the_stopping_rule() {
    let mut world = running(PROMOTION, "");
    world.report(1, 5.0);
    world.report(1, 5.0);
    world.exit(1, ExitCause::Requested);
    assert_eq!(state(&world, 1), TrialState::Stopped, "paused without a checkpoint");
    assert!(world.machine.fold.warned_of_no_checkpoint);
    for (trial, loss, goes_on) in [(2, 4.0, true), (3, 9.0, false)] {
        world.allocate(trial);
        world.start(trial);
        world.report(trial, loss);
        world.report(trial, loss);
        let running = &world.running[&trial];
        assert_eq!((running.told.is_none(), running.train_until), (goes_on, if goes_on { 4 } else { 2 }));
    }
}

#[test]
fn a_trial_paused_at_its_rung_without_a_checkpoint_ends() {
    let mut world = running(PROMOTION, "");
    world.report(1, 5.0);
    world.report(1, 5.0);
    assert_eq!(state(&world, 1), TrialState::Stopping);
    fail(&mut world, 1, ExitCause::Requested, "stopped");
    assert_eq!(state(&world, 1), TrialState::Stopped);
    world.run_to_the_end();
    world.check_end();
}

#[test]
fn a_trial_paused_at_its_rung_goes_on_from_its_checkpoint_when_it_is_promoted() {
    let mut world = World::new(PROMOTION, "");
    for (trial, loss) in [(1, 1.0), (2, 2.0)] {
        world.allocate(trial);
        world.start(trial);
        world.report(trial, loss);
        world.report(trial, loss);
        world.save(trial);
        world.exit_if_told(trial);
    }
    assert_eq!(state(&world, 1), TrialState::Pending, "1 of 2 goes on: the better one");
    assert_eq!(state(&world, 2), TrialState::Paused);
    world.allocate(1);
    assert_eq!((world.running[&1].length, world.running[&1].train_until), (2, 4));
}
