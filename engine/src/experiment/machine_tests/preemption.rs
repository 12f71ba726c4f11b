//! Trials whose slots another experiment needs.

use toprung_proto::v1::{self, ExitCause, TrialState};

use super::{RANDOM, fail, running, state};
use crate::experiment::Machine;

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
    let mut machine = Machine::new(world.machine.spec.clone()).unwrap();
    for record in &world.journal {
        machine.replay(record.clone()).unwrap();
    }
    assert!(machine.held()[0].leaving, "the pool counts its slots as on their way");
    let stops = machine.repeat_stops("agent");
    assert_eq!((stops.len(), stops[0].kind(), stops[0].reason.as_str()), (1, v1::StopKind::Preempt, REASON));
}
