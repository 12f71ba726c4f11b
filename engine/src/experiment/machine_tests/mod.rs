//! The known traps of running trials, one test each.

mod checkpoints;
mod children;
mod models;
mod preemption;
mod restless;

use toprung_proto::v1::{self, ExitCause, TrialState, attempt_event::Kind};

use super::machine_world::World;
use super::trial::Phase;
use super::{State, view};

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
    assert!(view::experiment(&world.machine, i64::MAX).active_ms > i64::MAX as u64);
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
