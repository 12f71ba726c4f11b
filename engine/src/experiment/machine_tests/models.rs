//! Trials that a model placed: the journal says where, and no model is asked again.

use super::super::machine_world::World;
use super::super::{Machine, snapshot};
use toprung_proto::v1;

const SEARCHERS: [&str; 3] = [
    "{name: tpe, metric: loss, max_trials: 8, max_length: {epochs: 4}, max_concurrent_trials: 2}",
    "{name: async_halving, model: tpe, metric: loss, num_rungs: 2, max_trials: 6, max_length: {epochs: 4}, divisor: 2, \
     max_concurrent_trials: 2}",
    "{name: gp, startup_trials: 2, random_fraction: 0, metric: loss, max_trials: 8, max_length: {epochs: 4}, \
     max_concurrent_trials: 2}",
];

/// What the journal folds to.
fn folded(world: &World, journal: &[v1::JournalRecord]) -> Machine {
    let mut machine = Machine::new(world.machine.spec.clone()).unwrap();
    for record in journal {
        machine.replay(record.clone()).unwrap();
    }
    machine
}

/// The same journal of trials that lie elsewhere than any model of this version would say.
fn elsewhere(journal: &[v1::JournalRecord]) -> Vec<v1::JournalRecord> {
    let mut journal = journal.to_vec();
    for created in journal.iter_mut().flat_map(|record| &mut record.trials_created) {
        created.hparams_json = format!("{{\"rate\":{:?}}}", 0.001 * f64::from(created.trial));
    }
    journal
}

#[test]
fn a_search_folds_from_its_journal() {
    for searcher in SEARCHERS {
        let mut world = World::new(searcher, "");
        world.run_to_the_end();
        let twin = folded(&world, &world.journal);
        assert_eq!(snapshot::encode(&twin).unwrap(), snapshot::encode(&world.machine).unwrap(), "{searcher}");
    }
}

#[test]
fn a_journal_folds_to_what_it_says_whatever_the_model_would_say() {
    for searcher in SEARCHERS {
        let mut world = World::new(searcher, "");
        world.run_to_the_end();
        let journal = elsewhere(&world.journal);
        let rate = |trial: u32| format!("{{\"rate\":{:?}}}", 0.001 * f64::from(trial));
        // Later they are known by their chunks alone.
        let begun = folded(&world, &journal[..2]);
        for (number, trial) in (1..).zip(&begun.fold.trials) {
            assert_eq!(*trial.hparams_json, rate(number));
        }
        let twin = folded(&world, &journal);
        let best = twin.fold.best.as_ref().unwrap();
        assert_eq!(*best.hparams_json, rate(best.trial));
        // What the searcher remembers of the trials is what was recorded too, so its state is not that of the search
        // whose trials lay where the model placed them; and it is the same every time.
        assert_ne!(twin.fold.searcher, world.machine.fold.searcher, "{searcher}");
        assert_eq!(twin.fold.searcher, folded(&world, &journal).fold.searcher);
        let bytes = snapshot::encode(&twin).unwrap();
        let restored = snapshot::decode(world.machine.spec.clone(), &bytes).unwrap();
        assert_eq!(restored.fold.searcher, twin.fold.searcher);
    }
}

#[test]
fn a_model_that_has_changed_since_is_noticed() {
    let mut world = World::new(SEARCHERS[0], "");
    world.run_to_the_end();
    let asked = |journal: &[v1::JournalRecord]| {
        let mut machine = Machine::new(world.machine.spec.clone()).unwrap();
        let mut answers = Vec::new();
        for record in journal {
            answers.extend(machine.places_again(record));
            machine.replay(record.clone()).unwrap();
        }
        answers
    };
    let answers = asked(&world.journal);
    assert!(!answers.is_empty() && answers.iter().all(|again| *again), "{answers:?}");
    let otherwise = asked(&elsewhere(&world.journal));
    assert!(otherwise.len() == answers.len() && otherwise.iter().all(|again| !*again), "{otherwise:?}");
}

#[test]
fn trials_drawn_at_random_are_not_asked_for_again() {
    let mut world = World::new(super::RANDOM, "");
    world.run_to_the_end();
    let mut machine = Machine::new(world.machine.spec.clone()).unwrap();
    for record in &world.journal {
        assert_eq!(machine.places_again(record), None);
        machine.replay(record.clone()).unwrap();
    }
}

#[test]
fn hyperparameters_that_are_no_object_stop_a_replay() {
    let world = World::new(SEARCHERS[0], "");
    let mut machine = Machine::new(world.machine.spec.clone()).unwrap();
    let mut journal = world.journal.clone();
    journal[1].trials_created[0].hparams_json = "[".to_owned();
    machine.replay(journal[0].clone()).unwrap();
    let error = machine.replay(journal[1].clone()).unwrap_err();
    assert!(error.to_string().contains("no JSON object"), "{error}");
}
