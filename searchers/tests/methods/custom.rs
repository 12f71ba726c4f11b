//! A program decides: what it wants happens as places have it, and its ids are those that it expects.

use crate::world::{PAUSED, brief, capacity, exited, start, validated};
use toprung_searchers::{
    Action, Assignment, Directed, Event, ExitReason, Reason, Searcher, SearcherConfig, TrialId, Value, Wish,
};

fn search(places: u32) -> Searcher {
    let mut search = start(SearcherConfig::Custom { max_length: 9, max_concurrent_trials: 2 });
    assert_eq!(capacity(&mut search, places), []);
    search
}

fn create(train_to: u64) -> Wish {
    Wish::Create { hparams: None, train_to, clone_from: None, why: "".into() }
}

fn child(of: u32) -> Wish {
    Wish::Create { hparams: None, train_to: 9, clone_from: Some(TrialId(of)), why: "a child".into() }
}

fn train(trial: u32, length: u64) -> Wish {
    Wish::Train { trial: TrialId(trial), length, why: "good".into() }
}

fn pause(trial: u32) -> Wish {
    Wish::Pause { trial: TrialId(trial), why: "later".into() }
}

fn stop(trial: u32) -> Wish {
    Wish::Stop { trial: TrialId(trial), why: "bad".into() }
}

fn direct(search: &mut Searcher, wishes: &[Wish]) -> Vec<Action> {
    search.handle(&Event::Directed(Directed { wishes: wishes.to_vec(), progress: None }))
}

fn wanted(search: &mut Searcher, wishes: &[Wish]) -> Vec<String> {
    brief(&direct(search, wishes))
}

#[test]
fn what_waits_takes_places_in_its_order() {
    let mut search = search(5);
    assert_eq!(wanted(&mut search, &[create(3), create(3), create(3), create(3)]), ["+1", "+2"]);
    assert_eq!(brief(&validated(&mut search, 1, 3, 0.5)), ["1 pause"]);
    // It waits behind those that were wanted before.
    assert_eq!(wanted(&mut search, &[train(1, 9)]), [""; 0]);
    assert_eq!(brief(&exited(&mut search, 1, PAUSED)), ["+3"]);
    assert_eq!(brief(&exited(&mut search, 2, ExitReason::Errored)), ["+4"]);
    let goes_on = exited(&mut search, 3, ExitReason::Completed);
    assert_eq!(brief(&goes_on), ["1>9"]);
    let Action::TrainTo { reason, .. } = &goes_on[0] else { panic!("{goes_on:?}") };
    assert_eq!(reason.to_string(), "good");
    let full = validated(&mut search, 1, 9, 0.1);
    assert_eq!(full, [Action::Stop { trial: TrialId(1), reason: Reason::MaxLength { length: 9 } }]);
}

#[test]
fn one_that_is_wanted_further_in_time_does_not_pause() {
    let mut search = search(2);
    wanted(&mut search, &[create(3)]);
    assert_eq!(validated(&mut search, 1, 2, 0.5), []);
    assert_eq!(wanted(&mut search, &[train(1, 6), train(1, 5), train(1, 1)]), ["1>6"]);
    assert_eq!(validated(&mut search, 1, 3, 0.5), []);
    let paused = validated(&mut search, 1, 6, 0.5);
    let Action::Pause { reason, .. } = &paused[0] else { panic!("{paused:?}") };
    assert_eq!(reason.to_string(), "reached length 6, and waits for what its program wants");
    assert_eq!(wanted(&mut search, &[train(1, 6)]), [""; 0], "it has trained so far");
    assert_eq!(wanted(&mut search, &[train(1, 100)]), [""; 0], "it pauses first");
    assert_eq!(brief(&exited(&mut search, 1, PAUSED)), ["1>9"], "no further than the greatest length");
}

#[test]
fn a_trial_may_be_paused_and_stopped_at_any_time() {
    let mut search = search(1);
    assert_eq!(wanted(&mut search, &[create(3), create(3), pause(1), stop(1)]), ["+1", "1 stop"]);
    // It had not begun: there was nothing to pause.
    let mut search = self::search(1);
    wanted(&mut search, &[create(3), create(3)]);
    assert_eq!(wanted(&mut search, &[pause(1), train(1, 5), pause(1), stop(1), stop(1)]), ["1 pause"]);
    // The second one takes the place as soon as it is free.
    assert_eq!(brief(&exited(&mut search, 1, PAUSED)), ["1 stop", "+2"]);
    assert_eq!(wanted(&mut search, &[stop(1), train(1, 9), stop(2), stop(7)]), ["2 stop"]);
    assert_eq!(brief(&exited(&mut search, 2, ExitReason::Stopped)), [""; 0]);
    assert_eq!(wanted(&mut search, &[create(1)]), ["+3"]);
    wanted(&mut search, &[pause(3)]);
    exited(&mut search, 3, PAUSED);
    assert_eq!(wanted(&mut search, &[stop(3)]), ["3 stop"], "one that rests is closed");
}

#[test]
fn ids_are_those_that_the_program_expects() {
    let mut search = search(1);
    // The second is stopped before it begins, and the parent of the third is gone by then.
    assert_eq!(wanted(&mut search, &[create(1), create(1), child(1), create(1), stop(2)]), ["+1"]);
    assert_eq!(brief(&exited(&mut search, 1, ExitReason::Completed)), ["+2", "2 stop"]);
    let third = exited(&mut search, 2, ExitReason::Stopped);
    assert_eq!(brief(&third), ["+3", "3 stop"]);
    let (Action::Create(create), Action::Stop { reason, .. }) = (&third[0], &third[1]) else { panic!() };
    assert_eq!((create.clone_from, create.reason().to_string().as_str()), (None, "a child"));
    assert_eq!(reason.to_string(), "trial 1, from which it was to begin, has ended before");
    assert_eq!(brief(&exited(&mut search, 3, ExitReason::Stopped)), ["+4"]);
}

#[test]
fn hyperparameters_are_those_given_or_drawn() {
    let mut search = search(2);
    let given: Assignment = [("rate".to_owned(), Value::Double(0.5))].into();
    let mut one = create(3);
    if let Wish::Create { hparams, .. } = &mut one {
        *hparams = Some(given.clone());
    }
    let actions = direct(&mut search, &[one, create(3)]);
    let hparams = |action: &Action| match action {
        Action::Create(create) => create.hparams.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(hparams(&actions[0]), given);
    assert_eq!(hparams(&actions[1]), search.space().draw(search.seed(), TrialId(2)));
}

#[test]
fn the_end_waits_for_what_runs_and_comes_once() {
    let mut search = search(2);
    wanted(&mut search, &[create(3), create(3), create(3)]);
    wanted(&mut search, &[pause(2)]);
    let finish = Wish::Finish { why: "no progress for 20 trials".into() };
    assert_eq!(wanted(&mut search, &[finish.clone(), create(3)]), ["1 stop"]);
    assert_eq!(wanted(&mut search, &[finish, create(3)]), [""; 0]);
    assert_eq!(brief(&exited(&mut search, 2, PAUSED)), ["2 stop"]);
    let end = exited(&mut search, 1, ExitReason::Stopped);
    let [Action::Shutdown { reason }] = end.as_slice() else { panic!("{end:?}") };
    assert_eq!(reason.to_string(), "no progress for 20 trials");
    assert!(search.is_over());
    assert_eq!(search.progress(), 1.0);
}

#[test]
fn progress_is_as_the_program_says_and_never_goes_back() {
    let mut search = search(2);
    for (said, shown) in [(0.3, 0.3), (0.2, 0.3), (f64::NAN, 0.3), (5.0, 0.99)] {
        search.handle(&Event::Directed(Directed { wishes: Vec::new(), progress: Some(said) }));
        assert_eq!(search.progress(), shown);
    }
}
