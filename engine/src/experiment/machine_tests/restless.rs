//! Trials that are told to pause and have saved nothing.

use toprung_proto::v1::{
    self, DecisionKind, ExitCause, TrialState, attempt_event::Kind, journal_record::Input,
};

use super::{PROMOTION, running, state};
use crate::experiment::machine_world::World;
use crate::experiment::trial::{Intent, Phase};
use crate::experiment::{Effect, Machine, State, snapshot};

/// A world in which trial 1 is told to pause at its rung.
fn pausing(searcher: &str) -> World {
    let mut world = running(searcher, "");
    world.report(1, 5.0);
    world.report(1, 5.0);
    assert_eq!(world.machine.trial(1).unwrap().phase, Phase::Stopping(Intent::Pause));
    world
}

fn warnings(world: &World) -> usize {
    world.lines.iter().filter(|line| line.starts_with("warning")).count()
}

/// All that is decided from: the state without what was heard of batches.
fn decided(machine: &Machine) -> Vec<u8> {
    let mut machine = machine.clone();
    machine.fold.sequence = 0;
    machine.fold.batches.clear();
    snapshot::encode(&machine).unwrap()
}

fn newest(world: &World) -> (DecisionKind, u64, bool) {
    let newest = world.decisions.last().unwrap();
    let decision = newest.decision.as_ref().unwrap();
    (decision.kind(), newest.at_length, newest.may_refuse)
}

#[test]
fn the_first_trial_goes_on_by_the_stopping_rule_and_the_warning_comes_once() {
    let mut world = pausing(PROMOTION);
    assert_eq!(newest(&world), (DecisionKind::Pause, 2, true));
    world.refuse(1);
    assert_eq!(newest(&world), (DecisionKind::Train, 2, false));
    let trial = world.machine.trial(1).unwrap();
    assert_eq!((trial.phase, trial.train_until, &*trial.reason), (Phase::Running, 4, ""));
    assert_eq!(warnings(&world), 1);
    world.allocate(2);
    world.start(2);
    world.report(2, 9.0);
    world.report(2, 9.0);
    assert_eq!(world.running[&2].told, Some(DecisionKind::Stop), "the next one is judged at once");
    world.exit(2, ExitCause::Requested);
    world.report(1, 5.0);
    world.report(1, 5.0);
    world.exit(1, ExitCause::Requested);
    assert_eq!((state(&world, 1), state(&world, 2)), (TrialState::Completed, TrialState::Stopped));
    assert_eq!(warnings(&world), 1);
    assert!(world.lines.iter().all(|line| !line.contains("it ends here")));
}

#[test]
fn those_under_way_at_the_same_time_are_judged_too() {
    let mut world = running(PROMOTION, "");
    world.allocate(2);
    world.start(2);
    for (trial, loss) in [(1, 9.0), (2, 5.0)] {
        world.report(trial, loss);
        world.report(trial, loss);
    }
    // 1 of 2 goes on, and that is known to the second alone.
    assert_eq!((world.running[&1].told, world.running[&2].train_until), (Some(DecisionKind::Pause), 4));
    world.refuse(1);
    assert_eq!(world.running[&1].told, Some(DecisionKind::Stop));
    world.exit(1, ExitCause::Requested);
    let ended = world.lines.iter().find(|line| line.starts_with("trial 1: stop")).unwrap();
    assert!(ended.contains("rank 2 of 2, best 1 goes on"), "{ended}");
}

#[test]
fn said_late_or_again_it_changes_nothing() {
    let mut world = pausing(PROMOTION);
    world.refuse(1);
    let before = decided(&world.machine);
    let told = world.decisions.len();
    world.refuse(1);
    assert_eq!(decided(&world.machine), before);
    assert_eq!(
        (world.decisions.len(), newest(&world)),
        (told + 1, (DecisionKind::Train, 2, false)),
        "but answered"
    );
    // The same batch, and what an older attempt said.
    let batch = world.journal.last().unwrap().input.clone().unwrap();
    assert!(!world.input(batch));
    world.input(Input::Lost(v1::AttemptLost { trial: 1, attempt: 1, reason: "lost".into() }));
    world.allocate(1);
    world.start(1);
    let (before, told) = (decided(&world.machine), world.decisions.len());
    world.event(1, 1, Kind::CannotPause(v1::CannotPause { length: 2 }));
    world.event(7, 1, Kind::CannotPause(v1::CannotPause { length: 2 }));
    assert_eq!((decided(&world.machine), world.decisions.len()), (before, told));
}

#[test]
fn an_order_to_end_is_not_refused() {
    let mut world = pausing(PROMOTION);
    world.input(Input::Kill(v1::KillRequested { reason: "enough".into() }));
    let (before, told) = (decided(&world.machine), world.decisions.len());
    world.refuse(1);
    assert_eq!((decided(&world.machine), world.decisions.len()), (before, told));
    world.exit(1, ExitCause::Requested);
    assert_eq!(world.machine.fold.state, State::Killed);
}

#[test]
fn while_a_person_pauses_the_experiment_it_leaves_and_goes_on_later() {
    let mut world = pausing(PROMOTION);
    world.input(Input::Pause(v1::PauseRequested {}));
    world.refuse(1);
    assert_eq!(world.machine.trial(1).unwrap().phase, Phase::Stopping(Intent::Preempt));
    assert_eq!(world.running[&1].told, Some(DecisionKind::Stop), "by an order");
    world.exit(1, ExitCause::Requested);
    assert_eq!((state(&world, 1), world.machine.fold.state), (TrialState::Pending, State::Paused));
    world.input(Input::Resume(v1::ResumeRequested {}));
    world.allocate(1);
    assert_eq!((world.running[&1].length, world.running[&1].train_until), (0, 4), "as after any pause");
}

#[test]
fn whose_search_cannot_do_without_checkpoints_pauses_for_good() {
    let hyperband = "{name: hyperband, metric: loss, max_length: {epochs: 4}, divisor: 2}";
    let mut world = running(hyperband, "");
    let until = world.running[&1].train_until;
    for _ in 0..until {
        world.report(1, 5.0);
    }
    for _ in 0..2 {
        world.refuse(1);
        assert_eq!(newest(&world), (DecisionKind::Pause, until, false));
    }
    assert_eq!(world.machine.trial(1).unwrap().phase, Phase::Stopping(Intent::Pause));
    world.exit(1, ExitCause::Requested);
    assert_eq!((state(&world, 1), warnings(&world)), (TrialState::Stopped, 1));
}

#[test]
fn one_that_has_saved_pauses_for_good() {
    let mut world = pausing(PROMOTION);
    world.save(1);
    let before = decided(&world.machine);
    world.refuse(1);
    assert_eq!(newest(&world), (DecisionKind::Pause, 2, false));
    assert_eq!((decided(&world.machine), warnings(&world)), (before, 0));
}

#[test]
fn an_agent_that_comes_back_hears_the_pause_as_it_stands() {
    let mut world = pausing(PROMOTION);
    let repeated = world.machine.repeat_decisions("agent");
    let decision = repeated[0].decision.as_ref().unwrap();
    assert_eq!((repeated.len(), decision.kind(), repeated[0].may_refuse), (1, DecisionKind::Pause, true));
    assert!(world.machine.repeat_stops("agent").is_empty());
    world.refuse(1);
    let repeated = world.machine.repeat_decisions("agent");
    let decision = repeated[0].decision.as_ref().unwrap();
    assert_eq!((repeated.len(), decision.kind(), decision.length), (1, DecisionKind::Train, 4));
}

#[test]
fn the_pool_hears_that_the_slots_do_not_come_back() {
    let mut world = pausing(PROMOTION);
    assert!(world.machine.held()[0].leaving);
    let attempt = Some(v1::AttemptId { experiment: 1, trial: 1, attempt: 1 });
    let kind = Some(Kind::CannotPause(v1::CannotPause { length: 2 }));
    let events = vec![v1::AttemptEvent { attempt, kind }];
    let batch = v1::AgentEvents { agent: "agent".into(), instance: "one".into(), sequence: 99, events };
    let step = world.machine.step(Input::AgentEvents(batch), 9).unwrap();
    assert!(step.effects.contains(&Effect::Stays { trial: 1, attempt: 1 }), "{:?}", step.effects);
    assert!(!world.machine.held()[0].leaving);
}

#[test]
fn a_journal_with_refusals_folds_to_the_same_state() {
    let mut world = pausing(PROMOTION);
    world.refuse(1);
    world.refuse(1);
    world.run_to_the_end();
    let mut machine = Machine::new(world.machine.spec.clone()).unwrap();
    for record in &world.journal {
        machine.replay(record.clone()).unwrap();
    }
    assert_eq!(snapshot::encode(&machine).unwrap(), snapshot::encode(&world.machine).unwrap());
}
