//! The known traps of running trials, one test each.

use toprung_proto::v1::{self, ExitCause, TrialState, attempt_event::Kind};

use super::State;
use super::machine_world::World;
use super::trial::Phase;

const RANDOM: &str =
    "{name: random, metric: loss, max_trials: 8, max_length: {epochs: 4}, max_concurrent_trials: 4}";
const PROMOTION: &str = "{name: async_halving, metric: loss, num_rungs: 2, max_trials: 6, max_length: {epochs: 4}, divisor: 2, max_concurrent_trials: 2}";

/// A world in which trial 1 runs.
fn running(searcher: &str, extra: &str) -> World {
    let mut world = World::new(searcher, extra);
    world.allocate(1);
    world.start(1);
    world
}

fn fail(world: &mut World, trial: u32, cause: ExitCause, message: &str) {
    let attempt = world.running[&trial].attempt;
    let exit = v1::Exit { cause: cause.into(), message: message.into(), ..Default::default() };
    world.event(trial, attempt, Kind::Exit(exit));
}

fn state(world: &World, trial: u32) -> TrialState {
    world.machine.trial(trial).unwrap().state()
}

#[test]
fn a_late_report_of_an_older_attempt_does_not_touch_the_search() {
    let mut world = running(RANDOM, "");
    world.report(1, 5.0);
    let lost = v1::AttemptLost { trial: 1, attempt: 1, reason: "gone".into() };
    world.input(v1::journal_record::Input::Lost(lost));
    world.allocate(1);
    world.start(1);
    let metrics = vec![v1::Metric { name: "loss".into(), value: 0.1 }];
    let late = v1::Report { group: 2, length: 4, metrics, time_unix_ms: 0 };
    world.event(1, 1, Kind::Report(late));
    assert_eq!(world.machine.fold.best.as_ref().unwrap().metric, 5.0);
    assert_eq!(world.machine.trial(1).unwrap().length, 1);
    assert_eq!(state(&world, 1), TrialState::Running, "length 4 of the old attempt ends nothing");
    assert_eq!(world.chunked, 2, "but both reports are kept as data");
}

#[test]
fn a_lost_agent_is_not_charged_and_the_trial_goes_on_from_its_checkpoint() {
    let mut world = running(RANDOM, "max_restarts: 0");
    world.report(1, 5.0);
    world.save(1);
    let lost = v1::AttemptLost { trial: 1, attempt: 1, reason: "agent a was lost".into() };
    world.input(v1::journal_record::Input::Lost(lost));
    let trial = world.machine.trial(1).unwrap();
    assert_eq!((trial.restarts, trial.state()), (0, TrialState::Pending));
    assert_eq!(&*trial.reason, "agent a was lost; goes on from its checkpoint at length 1");
    world.allocate(1);
    let running = &world.running[&1];
    assert_eq!((running.attempt, running.length), (2, 1));
}

const REASON: &str = "preempted by experiment 7 (priority 10; this one has 42)";

#[test]
fn a_preempted_trial_goes_on_from_its_checkpoint_and_is_not_charged() {
    let mut world = running(RANDOM, "max_restarts: 0");
    world.report(1, 5.0);
    world.save(1);
    world.preempt(1, REASON);
    assert_eq!(state(&world, 1), TrialState::Stopping);
    assert!(world.running[&1].told.is_some(), "its agent is told");
    // However it ends: what it does in its last minutes is not its failure.
    fail(&mut world, 1, ExitCause::Failed, "exit code 1");
    let trial = world.machine.trial(1).unwrap();
    assert_eq!((trial.restarts, trial.state()), (0, TrialState::Pending));
    let expected = format!("{REASON} (exit code 1); goes on from its checkpoint at length 1");
    assert_eq!(&*trial.reason, expected);
    assert_eq!(world.requested.get(&1), Some(&2));
}

#[test]
fn a_preempted_trial_without_a_checkpoint_starts_again_and_says_so() {
    let mut world = running(RANDOM, "");
    world.report(1, 5.0);
    world.preempt(1, REASON);
    fail(&mut world, 1, ExitCause::Requested, REASON);
    let expected = format!("{REASON}; starts again: it has no checkpoint");
    assert_eq!(&*world.machine.trial(1).unwrap().reason, expected);
}

#[test]
fn preemption_of_an_attempt_that_is_older_or_ends_anyway_changes_nothing() {
    let mut world = running(RANDOM, "");
    let preempted = |attempt| v1::AttemptPreempted { trial: 1, attempt, reason: REASON.into() };
    assert!(!world.input(v1::journal_record::Input::Preempted(preempted(2))));
    assert!(world.input(v1::journal_record::Input::Preempted(preempted(1))));
    assert!(!world.input(v1::journal_record::Input::Preempted(preempted(1))));
    fail(&mut world, 1, ExitCause::Requested, REASON);
    assert!(!world.input(v1::journal_record::Input::Preempted(preempted(1))));
}

#[test]
fn after_a_crash_a_preempted_attempt_is_told_again() {
    let mut world = running(RANDOM, "");
    world.preempt(1, REASON);
    let mut machine = super::Machine::new(world.machine.spec.clone()).unwrap();
    for record in &world.journal {
        machine.replay(record.clone()).unwrap();
    }
    assert!(machine.held()[0].leaving, "the pool counts its slots as on their way");
    let stops = machine.repeat_stops("agent");
    assert_eq!((stops.len(), stops[0].kind(), stops[0].reason.as_str()), (1, v1::StopKind::Preempt, REASON));
}

#[test]
fn a_failing_trial_is_retried_with_back_off_until_its_restarts_are_used_up() {
    let mut world = running(RANDOM, "max_restarts: 2");
    world.report(1, 5.0);
    for attempt in 1..=3 {
        fail(&mut world, 1, ExitCause::Failed, "exit code 3");
        if attempt < 3 {
            assert_eq!(world.machine.trial(1).unwrap().phase, Phase::Pending { backing_off: true });
            let delay = 500 << (attempt - 1);
            let expected = format!("exit code 3; retry {attempt} of 2 after {delay} ms");
            assert_eq!(&*world.machine.trial(1).unwrap().reason, expected);
            world.retry(0);
            world.allocate(1);
            world.start(1);
        }
    }
    assert_eq!(state(&world, 1), TrialState::Error);
    assert_eq!(world.machine.fold.state, State::Active, "others succeed: the search goes on");
    assert!(world.requested.len() + world.running.len() == 4, "and the trial is replaced");
}

#[test]
fn a_script_that_always_dies_ends_the_experiment() {
    let mut world = World::new(RANDOM, "max_restarts: 5");
    for _ in 0..6 {
        world.allocate(1);
        world.start(1);
        fail(&mut world, 1, ExitCause::Failed, "exit code 1: SyntaxError");
        world.retry(0);
    }
    world.check_end();
    let fold = &world.machine.fold;
    assert_eq!(fold.state, State::Error);
    assert_eq!(
        fold.reason,
        "6 attempts failed and no trial ever reported `loss`; the last (trial 1): exit code 1: SyntaxError"
    );
}

#[test]
fn a_missing_entrypoint_ends_the_experiment_at_once() {
    let mut world = World::new(RANDOM, "");
    world.allocate(1);
    fail(&mut world, 1, ExitCause::Entrypoint, "there is no train.py");
    assert_eq!(world.machine.fold.state, State::Error);
    assert_eq!(world.machine.fold.reason, "no trial can start: there is no train.py");
    world.check_end();
}

#[test]
fn a_metric_that_is_never_reported_is_named_with_what_was() {
    let mut world = World::new(RANDOM, "");
    for trial in 1..=3 {
        world.allocate(trial);
        world.start(trial);
        let metrics = vec![v1::Metric { name: "los".into(), value: 1.0 }];
        let report = v1::Report { group: 2, length: 4, metrics, time_unix_ms: 0 };
        world.reported += 1;
        world.event(trial, 1, Kind::Report(report));
        fail(&mut world, trial, ExitCause::Success, "exit code 0");
        assert_eq!(state(&world, trial), TrialState::Error);
    }
    let fold = &world.machine.fold;
    assert_eq!(fold.state, State::Error);
    let expected = "3 trials failed and none succeeded; the last (trial 3): ended without a validation that contains \
                    `loss`; it reported: los";
    assert_eq!(fold.reason, expected);
    world.check_end();
}

#[test]
fn invalid_hyperparameters_do_not_count_as_one_of_max_trials() {
    let mut world = running(RANDOM, "");
    fail(&mut world, 1, ExitCause::InvalidHyperparameters, "hidden1 < hidden2");
    assert_eq!(state(&world, 1), TrialState::InvalidHyperparameters);
    world.run_to_the_end();
    world.check_end();
    assert_eq!(world.machine.fold.trials.len(), 9, "8 trials and the invalid one");
    assert_eq!(world.machine.fold.state, State::Completed);
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

#[test]
fn a_length_that_is_trained_again_is_answered() {
    let mut world = running(PROMOTION, "");
    world.report(1, 1.0);
    world.report(1, 1.0);
    // Told to pause; it dies before it has saved anything newer, and is promoted later from length 1.
    assert!(world.running[&1].told.is_some());
    let decisions = world.journal.iter().flat_map(|record| &record.decisions).count();
    world.report(1, 1.0);
    let after = world.journal.iter().flat_map(|record| &record.decisions).count();
    assert_eq!(decisions, after, "a report of a trial that is stopping changes nothing");
}

#[test]
fn pause_gives_all_slots_back_and_resume_asks_for_them_again() {
    let mut world = running(RANDOM, "");
    world.report(1, 1.0);
    world.save(1);
    world.input(v1::journal_record::Input::Pause(v1::PauseRequested {}));
    assert_eq!(world.machine.fold.state, State::Pausing);
    assert!(world.requested.is_empty());
    fail(&mut world, 1, ExitCause::Requested, "pause requested");
    assert_eq!(world.machine.fold.state, State::Paused);
    world.input(v1::journal_record::Input::Resume(v1::ResumeRequested {}));
    assert_eq!(world.requested.get(&1), Some(&2));
    assert_eq!(world.machine.trial(1).unwrap().restarts, 0);
    world.run_to_the_end();
    world.check_end();
}

#[test]
fn nan_is_never_the_best_and_fails_nothing() {
    let mut world = running(RANDOM, "");
    world.report(1, f64::NAN);
    assert!(world.machine.fold.best.is_none());
    world.report(1, 3.0);
    assert_eq!(world.machine.fold.best.as_ref().unwrap().metric, 3.0);
}

#[test]
fn the_greatest_lengths_and_times_overflow_nothing() {
    let mut world = running(RANDOM, "");
    for trial in [1, 2, 3] {
        world.allocate(trial);
        world.start(trial);
        let report = v1::Report { group: 1, length: u64::MAX, metrics: Vec::new(), time_unix_ms: 0 };
        world.event(trial, 1, Kind::Report(report));
    }
    assert_eq!(world.machine.fold.total_length, u64::MAX);
    // The calendar jumps forward, and back, and forward.
    for now_ms in [i64::MAX - 10, 0, i64::MAX - 10, 0, i64::MAX - 10] {
        world.now_ms = now_ms;
        world.input(v1::journal_record::Input::Pause(v1::PauseRequested {}));
        for trial in [1, 2, 3] {
            fail(&mut world, trial, ExitCause::Requested, "paused");
        }
        world.now_ms = 0;
        world.input(v1::journal_record::Input::Resume(v1::ResumeRequested {}));
        for trial in [1, 2, 3] {
            world.allocate(trial);
        }
    }
    assert!(super::view::experiment(&world.machine, i64::MAX).active_ms > i64::MAX as u64);
}

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
        super::Effect::Discard { checkpoint } => Some(checkpoint),
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

const POPULATION: &str = "{name: pbt, metric: loss, population_size: 2, num_rounds: 3, length_per_round: {epochs: 2}, replace_function: {truncate_fraction: 0.5}}";

/// The first round of a population of two is over; trial 1 was better and has saved at length 2.
fn second_round() -> World {
    let mut world = World::new(POPULATION, "");
    for trial in [1, 2] {
        world.allocate(trial);
        world.start(trial);
        world.report(trial, f64::from(trial));
        world.report(trial, f64::from(trial));
        world.save(trial);
        world.exit_if_told(trial);
    }
    assert_eq!(state(&world, 2), TrialState::Stopped);
    world
}

#[test]
fn a_child_begins_at_its_parents_length_from_its_parents_checkpoint() {
    let mut world = second_round();
    let child = world.machine.trial(3).unwrap();
    assert_eq!((child.length, child.train_until), (2, 4));
    assert_eq!(child.checkpoint.as_ref().unwrap().0.uuid, "1-1-2");
    assert_eq!(child.home.as_deref(), Some("agent"));
    assert_eq!(&*child.reason, "begins from the newest checkpoint of trial 1, trains to length 4");
    world.allocate(3);
    assert_eq!((world.running[&3].length, world.running[&3].train_until), (2, 4));
    world.run_to_the_end();
    world.check_end();
    assert_eq!(world.machine.fold.trials.len(), 4);
    assert_eq!(world.machine.fold.total_length, 12, "what a parent trained is not counted again");
}

#[test]
fn a_parents_checkpoint_is_kept_as_long_as_a_child_needs_it() {
    let mut world = second_round();
    for trial in [1, 3] {
        world.allocate(trial);
        world.start(trial);
    }
    world.report(1, 1.0);
    world.save(1);
    assert!(world.machine.collection_of(1).spared.contains("1-1-2"), "the parent has a newer one");
    // The child is lost before it has saved anything, and begins again where it began.
    let lost = v1::AttemptLost { trial: 3, attempt: 1, reason: "gone".into() };
    world.input(v1::journal_record::Input::Lost(lost));
    assert!(world.machine.collection_of(1).spared.contains("1-1-2"));
    world.allocate(3);
    assert_eq!((world.running[&3].attempt, world.running[&3].length), (2, 2));
    world.start(3);
    world.report(3, 1.0);
    world.save(3);
    assert!(!world.machine.collection_of(1).spared.contains("1-1-2"), "the child has its own");
}

#[test]
fn a_child_that_saved_nothing_itself_does_not_wait_for_the_next_round() {
    let mut world = second_round();
    world.allocate(3);
    world.start(3);
    world.report(3, 0.5);
    assert!(world.machine.fold.best.as_ref().unwrap().checkpoint.is_none(), "its parent's is not its own");
    world.report(3, 0.5);
    world.exit_if_told(3);
    assert_eq!(state(&world, 3), TrialState::Stopped, "it would train its round again");
    world.run_to_the_end();
    world.check_end();
}

#[test]
fn median_stopping_sees_every_validation() {
    let mut world = World::new(
        "{name: random, metric: loss, max_trials: 4, max_length: {epochs: 9}, max_concurrent_trials: 3, median_stopping: {min_trials: 2}}",
        "",
    );
    for (trial, loss) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
        world.allocate(trial);
        world.start(trial);
        world.report(trial, loss);
    }
    let told: Vec<_> = [1, 2, 3].map(|trial| world.running[&trial].told.is_some()).into();
    assert_eq!(told, [false, false, true], "at length 1 of 9");
    world.exit_if_told(3);
    assert_eq!(state(&world, 3), TrialState::Stopped);
    let reason = "at length 1, 2 of 2 others are better on average than it is at its best";
    assert_eq!(world.journal.iter().flat_map(|record| &record.decisions).next().unwrap().reason, reason);
    assert!(world.requested.contains_key(&4), "its place is free");
}
