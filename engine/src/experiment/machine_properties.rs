//! Any order of events: the invariants of [`super`] hold, everything ends, and the journal folds to the same state.
//!
//! The world below stands for pool and agents; random choices decide what happens next. A failing case prints its
//! choices; proptest keeps them in `proptest-regressions` and runs them first the next time.

use proptest::prelude::*;
use std::collections::VecDeque;
use toprung_proto::v1::{self, journal_record::Input};

use super::machine_world::World;
use super::{Machine, snapshot};

const SEARCHES: [&str; 10] = [
    "{name: adaptive_asha, metric: loss, max_trials: 24, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 6}",
    "{name: async_halving, metric: loss, num_rungs: 3, max_trials: 14, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 4, stop_once: true}",
    "{name: async_halving, metric: loss, num_rungs: 2, max_trials: 10, max_length: {epochs: 4}, divisor: 2, max_concurrent_trials: 3}",
    "{name: random, metric: loss, max_trials: 9, max_length: {epochs: 3}, max_concurrent_trials: 4}",
    "{name: single, metric: loss, max_length: {epochs: 5}, smaller_is_better: false}",
    "{name: pbt, metric: loss, population_size: 4, num_rounds: 4, length_per_round: {epochs: 2}, replace_function: {truncate_fraction: 0.5}}",
    "{name: hyperband, metric: loss, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 4}",
    "{name: pasha, metric: loss, max_trials: 14, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 4}",
    "{name: random, metric: loss, max_trials: 9, max_length: {epochs: 4}, max_concurrent_trials: 4, median_stopping: {min_trials: 1}}",
    "{name: custom, metric: loss, max_length: {epochs: 6}, max_concurrent_trials: 3}",
];

/// A world with several agents, or with one.
fn world(search: usize) -> World {
    let mut world = World::new(SEARCHES[search], "max_restarts: 2");
    if search.is_multiple_of(2) {
        world.agents.extend(["second", "third"]);
        world.capacity(4);
    }
    world
}

fn replayed(from: Machine, records: &[v1::JournalRecord]) -> Machine {
    let mut machine = from;
    for record in records {
        machine.replay(record.clone()).unwrap();
    }
    machine
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_everything_ends(
        search in 0..SEARCHES.len(),
        choices in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..600),
    ) {
        let mut world = world(search);
        for (what, which, value) in choices {
            world.happen(what, which, value);
        }
        world.run_to_the_end();
        world.check_end();
    }

    #[test]
    fn the_journal_folds_to_the_same_state(
        search in 0..SEARCHES.len(),
        choices in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = world(search);
        for (what, which, value) in choices {
            world.happen(what, which, value);
        }
        let state = snapshot::encode(&world.machine).unwrap();
        let fresh = Machine::new(world.machine.spec.clone()).unwrap();
        let folded = replayed(fresh.clone(), &world.journal);
        prop_assert_eq!(&snapshot::encode(&folded).unwrap(), &state);

        let cut = cut.index(world.journal.len());
        let half = replayed(fresh, &world.journal[..cut]);
        let bytes = snapshot::encode(&half).unwrap();
        let restored = snapshot::decode(world.machine.spec.clone(), &bytes).unwrap();
        let folded = replayed(restored, &world.journal[cut..]);
        prop_assert_eq!(&snapshot::encode(&folded).unwrap(), &state);
    }

    #[test]
    fn a_repeated_batch_changes_nothing(
        choices in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..200),
    ) {
        let mut world = world(0);
        for (what, which, value) in choices {
            world.happen(what, which, value);
        }
        let batches: VecDeque<Input> = world.journal.iter().filter_map(|record| record.input.clone()).collect();
        let state = snapshot::encode(&world.machine).unwrap();
        for input in batches {
            if let Input::AgentEvents(_) = input {
                prop_assert!(world.machine.step(input, 0).is_none());
            }
        }
        prop_assert_eq!(snapshot::encode(&world.machine).unwrap(), state);
    }
}
