//! Trials that begin from another trial's checkpoint.

use toprung_proto::v1::{self, TrialState};

use super::state;
use crate::experiment::machine_world::World;

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
