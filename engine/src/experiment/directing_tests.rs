//! A program decides: what is taken, what is refused, what it hears, and that nothing counts twice.

use toprung_proto::v1::{self, ExitCause, SearchEventKind as Kind, TrialState, wish};

use super::directing::RefusedDecision;
use super::machine_world::World;
use super::program::MOST_UNSEEN;
use super::program_world::{create, train, wished};
use super::{Machine, State, snapshot, view};

const CUSTOM: &str = "{name: custom, metric: loss, max_length: {epochs: 9}, max_concurrent_trials: 2}";

fn world() -> World {
    World::new(CUSTOM, "")
}

/// Trains a trial so many lengths, and saves.
fn run(world: &mut World, trial: u32, lengths: u32) {
    world.allocate(trial);
    world.start(trial);
    for _ in 0..lengths {
        world.report(trial, f64::from(trial));
        world.save(trial);
    }
    world.exit_if_told(trial);
}

/// What was heard after a number, in a few words.
fn heard(world: &mut World, after: u64) -> Vec<String> {
    world.listen();
    let word = |event: &v1::SearchEvent| {
        let what = match event.kind() {
            Kind::Validated => format!("@{} {}", event.length, event.metric.unwrap()),
            Kind::Ended => event.state().as_str_name().replace("TRIAL_STATE_", "").to_lowercase(),
            kind => kind.as_str_name().replace("SEARCH_EVENT_KIND_", "").to_lowercase(),
        };
        format!("{} {what}", event.trial)
    };
    world.program.heard.iter().filter(|event| event.number > after).map(word).collect()
}

fn said(refused: Result<v1::DecideResponse, RefusedDecision>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn a_search_as_its_program_wants_it() {
    let mut world = world();
    assert_eq!(view::experiment(&world.machine, 0).reason, "waiting: its program has not seen 1 event");
    let answer = world.want(vec![create("{\"rate\": 0.01}", 3, 0), create("", 0, 0), create("", 3, 0)]);
    assert_eq!((answer.trials, answer.decided, answer.again), (vec![1, 2, 3], 1, false));
    assert_eq!(world.machine.trial(1).unwrap().hparams_json.as_ref(), "{\"rate\":0.01}");
    assert_eq!(world.machine.trial(2).unwrap().train_until, 9, "in full, if no length is given");
    run(&mut world, 1, 3);
    assert_eq!(
        heard(&mut world, 0),
        ["0 begun", "1 created", "2 created", "1 @1 1", "1 @2 1", "1 @3 1", "1 paused", "3 created"]
    );
    assert_eq!(world.machine.trial(1).unwrap().state(), TrialState::Paused);
    let newest = world.program.heard.last().unwrap().number;
    world.want(vec![train(1, 9), wished(wish::Kind::Stop(3))]);
    run(&mut world, 1, 6);
    let heard = heard(&mut world, newest);
    assert_eq!(heard[0], "3 stopped");
    assert_eq!(heard.last().unwrap(), "1 completed");
    let stopped =
        world.program.heard.iter().find(|event| event.trial == 3 && event.kind() == Kind::Ended).unwrap();
    assert_eq!(stopped.reason, "because");
    world.want(vec![wished(wish::Kind::Finish(true))]);
    world.exit_if_told(2);
    assert!(world.ended);
    let shown = view::experiment(&world.machine, 0);
    assert_eq!((world.machine.fold.state, shown.reason.as_str()), (State::Completed, "because"));
}

#[test]
fn the_same_request_counts_once() {
    let mut world = world();
    let mut requests = Vec::new();
    for _ in 0..20 {
        world.listen();
        let request = world.request(vec![create("", 3, 0)]);
        let answer = world.decide(&request).unwrap();
        requests.push((request, answer));
    }
    let before = snapshot::encode(&world.machine).unwrap();
    for (request, answer) in &requests[4..] {
        let again = world.decide(request).unwrap();
        assert_eq!(again, v1::DecideResponse { again: true, ..answer.clone() });
    }
    assert_eq!(snapshot::encode(&world.machine).unwrap(), before);
    // What is not known any more follows another decision, and is refused all the same.
    let old = world.decide(&requests[0].0);
    assert!(matches!(old, Err(RefusedDecision::Conflict(_))), "{old:?}");
}

#[test]
fn two_programs_do_not_decide_over_each_other() {
    let mut world = world();
    world.listen();
    let mine = world.request(vec![create("", 3, 0)]);
    let other = world.request(vec![create("", 3, 0)]);
    world.decide(&mine).unwrap();
    let refused = said(world.decide(&other));
    assert!(refused.contains("follows 0 others, but 1 were taken: another program"), "{refused}");
    let unguarded = v1::DecideRequest { after: None, ..other };
    assert_eq!(world.decide(&unguarded).unwrap().trials, [2]);
}

#[test]
fn what_it_saved_comes_back_and_what_it_saw_does_not() {
    let mut world = world();
    world.listen();
    let mut request = world.request(vec![create("", 3, 0)]);
    request.state = Some("{\"round\":1}".into());
    world.decide(&request).unwrap();
    run(&mut world, 1, 1);
    let heard = |world: &World| {
        let heard = world.machine.heard(0, true).unwrap();
        (heard.state, heard.seen, heard.decided, heard.next_trial, heard.events.len())
    };
    assert_eq!(heard(&world), (Some("{\"round\":1}".into()), 1, 1, 2, 2));
    world.want(Vec::new());
    assert_eq!(heard(&world), (Some("{\"round\":1}".into()), 3, 2, 2, 0), "seen, and the state stays");
    assert_eq!(world.machine.heard(0, false).unwrap().state, None);
    let shown = view::experiment(&world.machine, 0).program.unwrap();
    assert_eq!((shown.client.as_str(), shown.decided, shown.unseen), ("test", 2, 0));
}

#[test]
fn a_mistake_is_named_and_nothing_of_its_request_happens() {
    let mut world = world();
    world.want(vec![create("", 3, 0)]);
    let before = snapshot::encode(&world.machine).unwrap();
    let long = v1::Wish { reason: "x".repeat(201), ..create("", 1, 0) };
    let none = v1::Wish { kind: None, reason: String::new() };
    let finish = || wished(wish::Kind::Finish(true));
    for (wishes, expected) in [
        (
            vec![create("{\"rate\": 1}", 1, 0)],
            "wish 1 of 1 (create): hyperparameter rate: found 1, allowed is a number from 0.0001 to 0.1",
        ),
        (vec![create("{\"rate\": 1e-5, \"x\": 1}", 1, 0)], "hyperparameter rate: found"),
        (vec![create("[]", 1, 0)], "no JSON object"),
        (vec![create("", 10, 0)], "its length is 10, allowed is 1 to 9 epochs"),
        (
            vec![create("", 3, 7)],
            "there is no trial 7: 1 were wanted so far; only a trial that has not ended",
        ),
        (vec![create("", 3, 1)], "trial 1 has saved no checkpoint to begin from"),
        (vec![create("", 1, 0), create("", 3, 2)], "wish 2 of 2 (create): trial 2 has not begun"),
        (vec![train(1, 2)], "trial 1 trains to 3 already"),
        (vec![train(1, 0)], "its length is 0"),
        (vec![train(5, 3)], "there is no trial 5: 1 were wanted so far"),
        (
            vec![create("", 1, 0), wished(wish::Kind::Pause(2))],
            "trial 2 has not begun: there is nothing to pause",
        ),
        (vec![wished(wish::Kind::Stop(0))], "there is no trial 0"),
        (vec![finish(), create("", 1, 0)], "wish 1 of 2 (finish): nothing can follow it"),
        (vec![wished(wish::Kind::Finish(false))], "`finish` is true, or is left out"),
        (vec![none], "wish 1 of 1 (empty): it is one of create"),
        (vec![long], "its reason has 201 characters, at most 200"),
        (vec![create("", 1, 0); 1_001], "1001 wishes in one decision, at most 1000"),
        (vec![create("{\"rate\": 1}", 1, 0); 20], "; and 10 more"),
    ] {
        let with_a_good_one = [vec![create("", 1, 0)], wishes.clone()].concat();
        let request = world.request(wishes);
        let refused = world.decide(&request).unwrap_err();
        assert!(matches!(refused, RefusedDecision::Wrong(_)), "{refused:?}");
        assert!(refused.to_string().contains(expected), "{refused}");
        let request = world.request(with_a_good_one);
        assert!(matches!(world.decide(&request), Err(RefusedDecision::Wrong(_))));
    }
    assert_eq!(snapshot::encode(&world.machine).unwrap(), before);
    let request = world.request(Vec::new());
    for (wrong, expected) in [
        (v1::DecideRequest { request_id: String::new(), ..request.clone() }, "`request_id` has 1 to 128"),
        (v1::DecideRequest { request_id: "a\n".into(), ..request.clone() }, "`request_id` has 1 to 128"),
        (v1::DecideRequest { client: "x".repeat(129), ..request.clone() }, "`client` is the program's name"),
        (
            v1::DecideRequest { state: Some("x".repeat(262_145)), ..request.clone() },
            "262145 bytes, at most 262144",
        ),
        (
            v1::DecideRequest { progress: Some(1.5), ..request.clone() },
            "`progress` is 1.5, allowed is 0 to 1",
        ),
        (v1::DecideRequest { progress: Some(f64::NAN), ..request.clone() }, "`progress` is NaN"),
        (v1::DecideRequest { seen: 99, ..request }, "`seen` is 99, but the newest event is 2"),
    ] {
        let refused = said(world.decide(&wrong));
        assert!(refused.contains(expected), "{refused}");
    }
    assert_eq!(snapshot::encode(&world.machine).unwrap(), before);
}

#[test]
fn exact_words_of_single_mistakes() {
    let mut world = world();
    world.want(vec![create("", 3, 0)]);
    let mut refused = |wish: v1::Wish| {
        let request = world.request(vec![wish]);
        said(world.decide(&request))
    };
    assert_eq!(
        refused(create("{\"rate\": 1}", 1, 0)),
        "wish 1 of 1 (create): hyperparameter rate: found 1, allowed is a number from 0.0001 to 0.1"
    );
    assert_eq!(
        refused(train(1, 12)),
        "wish 1 of 1 (train): its length is 12, allowed is 1 to 9 epochs (the searcher's max_length)"
    );
    assert_eq!(
        refused(train(1, 2)),
        "wish 1 of 1 (train): trial 1 trains to 3 already: ask for more than that, or pause it or stop it"
    );
}

#[test]
fn what_comes_too_late_is_left_out_and_what_was_seen_is_a_mistake() {
    let mut world = world();
    world.want(vec![create("", 9, 0), create("", 3, 0)]);
    world.listen();
    // The program has not heard that both are over.
    let late = world.request(vec![train(1, 9), wished(wish::Kind::Pause(1)), create("", 9, 1), train(2, 3)]);
    run(&mut world, 1, 9);
    run(&mut world, 2, 3);
    let answer = world.decide(&late).unwrap();
    let ignored: Vec<_> = answer.ignored.iter().map(|one| (one.index, one.reason.as_str())).collect();
    assert_eq!(
        ignored,
        [(0, "trial 1 has ended"), (1, "trial 1 has ended"), (3, "trial 2 has trained to 3 already")]
    );
    // A child whose parent has ended by then is stopped before it trains: its id is the one that was told.
    assert_eq!(answer.trials, [3]);
    let newest = world.program.heard.last().unwrap().number;
    assert!(heard(&mut world, newest).ends_with(&["3 created".into(), "3 stopped".into()]));
    let last = world.program.heard.last().unwrap();
    assert_eq!(last.reason, "trial 1, from which it was to begin, has ended before");
    let known = world.request(vec![train(1, 9)]);
    let refused = said(world.decide(&known));
    assert!(refused.contains("trial 1 has ended, as an event up to"), "{refused}");
    world.want(vec![wished(wish::Kind::Stop(1))]);
}

#[test]
fn a_clone_begins_where_its_parent_rests() {
    let mut world = world();
    world.want(vec![create("{\"rate\": 0.01}", 3, 0)]);
    run(&mut world, 1, 3);
    let answer = world.want(vec![create("", 6, 1), create("{\"rate\": 0.02}", 6, 1)]);
    assert_eq!(answer.trials, [2, 3]);
    let child = |id| world.machine.trial(id).unwrap();
    assert_eq!((child(2).length, child(2).hparams_json.as_ref()), (3, "{\"rate\":0.01}"));
    assert_eq!((child(3).length, child(3).hparams_json.as_ref()), (3, "{\"rate\":0.02}"));
    world.listen();
    let created = world.program.heard.iter().rev().find(|event| event.kind() == Kind::Created).unwrap();
    assert_eq!((created.trial, created.length, created.train_until), (3, 3, 6));
    let short = world.request(vec![create("", 3, 1)]);
    let refused = said(world.decide(&short));
    assert!(
        refused.contains("trial 1 has a checkpoint at 3: a length greater than that, instead of 3"),
        "{refused}"
    );
}

#[test]
fn a_trial_that_has_not_trained_rests_without_a_checkpoint() {
    let mut world = world();
    world.want(vec![create("", 3, 0)]);
    world.want(vec![wished(wish::Kind::Pause(1))]);
    assert_eq!(world.machine.trial(1).unwrap().state(), TrialState::Paused);
    world.want(vec![train(1, 3)]);
    run(&mut world, 1, 3);
    assert_eq!(heard(&mut world, 0).last().unwrap(), "1 paused");
}

#[test]
fn a_length_that_is_trained_again_is_told_once() {
    let mut world = world();
    world.want(vec![create("", 9, 0)]);
    world.allocate(1);
    world.start(1);
    world.report(1, 0.5);
    world.report(1, 0.4);
    world.exit(1, ExitCause::Failed);
    world.retry(0);
    run(&mut world, 1, 3);
    assert_eq!(heard(&mut world, 2), ["1 @1 0.5", "1 @2 0.4", "1 @3 1"]);
}

#[test]
fn larger_is_better_is_told_as_it_was_reported() {
    let mut world = World::new(&CUSTOM.replace("metric: loss", "metric: loss, smaller_is_better: false"), "");
    world.want(vec![create("", 1, 0)]);
    run(&mut world, 1, 1);
    world.listen();
    let metrics: Vec<_> = world.program.heard.iter().filter_map(|event| event.metric).collect();
    assert_eq!(metrics, [1.0, 1.0]);
    let validated = world.program.heard.iter().find(|event| event.kind() == Kind::Validated).unwrap();
    assert_eq!(validated.metrics, [v1::Metric { name: "loss".into(), value: 1.0 }]);
}

#[test]
fn pauses_of_the_experiment_are_told_and_only_the_newest_is_kept() {
    let mut world = world();
    for _ in 0..3 {
        world.input(v1::journal_record::Input::Pause(v1::PauseRequested {}));
        world.input(v1::journal_record::Input::Resume(v1::ResumeRequested {}));
    }
    assert_eq!(heard(&mut world, 0), ["0 begun", "0 experiment"]);
    assert_eq!(world.program.heard[1].reason, "resumed");
}

#[test]
fn whoever_wants_more_without_looking_is_refused() {
    let mut world = world();
    world.listen();
    let mut all = 0;
    // Each begins and is stopped at once: two events.
    let refused = loop {
        let mut request = world.request(Vec::new());
        let first = world.machine.fold.program.as_ref().unwrap().wanted + 1;
        for trial in first..first + 500 {
            request.wishes.extend([create("", 1, 0), wished(wish::Kind::Stop(trial))]);
        }
        all += 1;
        assert!(all < 100, "never refused");
        match world.decide(&request) {
            Ok(_) => {}
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, RefusedDecision::TooMuch(_)), "{refused:?}");
    assert!(refused.to_string().contains("events wait to be seen"), "{refused}");
    let (unseen, _) = world.machine.fold.program.as_ref().unwrap().unseen();
    assert!((MOST_UNSEEN..MOST_UNSEEN + 2_001).contains(&unseen), "{unseen}");
    world.want(vec![create("", 1, 0)]);
}

#[test]
fn only_so_many_trials_wait_for_room() {
    let mut world = world();
    world.capacity(1);
    for _ in 0..10 {
        world.want(vec![create("", 1, 0); 1_000]);
    }
    world.listen();
    let more = world.request(vec![create("", 1, 0); 2]);
    let refused = said(world.decide(&more));
    assert!(refused.starts_with("9999 wanted trials wait for room already, and 2 more"), "{refused}");
    assert_eq!(view::experiment(&world.machine, 0).program.unwrap().waiting, 9_999);
}

#[test]
fn no_program_decides_elsewhere() {
    let mut world = World::new("{name: random, metric: loss, max_trials: 3, max_length: {epochs: 3}}", "");
    assert_eq!(world.machine.heard(0, true), None);
    let request = v1::DecideRequest { request_id: "a".into(), ..Default::default() };
    let refused = said(world.decide(&request));
    assert!(refused.starts_with("the searcher of experiment 1 is `random`"), "{refused}");
    assert_eq!(view::experiment(&world.machine, 0).program, None);
}

#[test]
fn a_search_that_was_killed_goes_on_as_if_nothing_had_happened() {
    let mut world = world();
    world.want(vec![create("", 3, 0), create("", 6, 0), create("", 3, 0)]);
    run(&mut world, 1, 3);
    world.want(vec![train(1, 6), wished(wish::Kind::Stop(3))]);
    run(&mut world, 2, 6);
    let spec = world.machine.spec.clone();
    let mut replayed = Machine::new(spec.clone()).unwrap();
    for record in &world.journal {
        replayed.replay(record.clone()).unwrap();
    }
    let state = snapshot::encode(&world.machine).unwrap();
    assert_eq!(snapshot::encode(&replayed).unwrap(), state);
    let restored = snapshot::decode(spec, &state).unwrap();
    assert_eq!(restored.heard(0, true), world.machine.heard(0, true));
}
