//! Whose failure it was, one rule each.

use toprung_proto::v1::{
    self, ExitCause, LogPolicyAction, TrialState, attempt_event::Kind, journal_record::Input,
};

use super::machine_world::World;
use super::{Machine, State, snapshot, view};

const RANDOM: &str =
    "{name: random, metric: loss, max_trials: 8, max_length: {epochs: 4}, max_concurrent_trials: 4}";
const SHARED: &str = "checkpoint_storage: {type: shared_fs, host_path: /shared}";

/// Agents `good` and `bad`; nothing runs yet.
fn two(extra: &str) -> World {
    let mut world = World::new(RANDOM, extra);
    world.agents = vec!["good", "bad"];
    world.capacity(4);
    world
}

/// Allocates on this agent, whatever the pool would do.
fn place_on(world: &mut World, trial: u32, agent: &str) {
    let attempt = world.requested.remove(&trial).unwrap();
    let allocated = v1::AttemptAllocated { trial, attempt, agent: agent.into(), slots: vec![0] };
    assert!(world.input(Input::Allocated(allocated)));
}

/// The same, and it starts.
fn run_on(world: &mut World, trial: u32, agent: &str) {
    place_on(world, trial, agent);
    world.start(trial);
}

fn fail(world: &mut World, trial: u32, cause: ExitCause) {
    let attempt = world.running[&trial].attempt;
    let exit = v1::Exit { cause: cause.into(), message: "no luck".into(), ..Default::default() };
    world.event(trial, attempt, Kind::Exit(exit));
}

fn reason(world: &World, trial: u32) -> String {
    world.machine.trial(trial).unwrap().reason.to_string()
}

fn restarts(world: &World, trial: u32) -> u32 {
    world.machine.trial(trial).unwrap().restarts
}

/// Trials 1 to 3 fail on `bad` while 4 does well on `good`.
fn bad_agent(extra: &str) -> World {
    let mut world = two(extra);
    run_on(&mut world, 4, "good");
    for trial in 1..=3 {
        run_on(&mut world, trial, "bad");
        fail(&mut world, trial, ExitCause::Failed);
    }
    assert!(world.excluded.is_empty(), "nothing has gone well elsewhere yet");
    world
}

#[test]
fn an_agent_on_which_different_trials_fail_is_excluded_and_the_failures_are_given_back() {
    let mut world = bad_agent("");
    assert_eq!((1..=3).map(|trial| restarts(&world, trial)).collect::<Vec<_>>(), [1; 3]);
    world.report(4, 1.0);
    assert!(world.excluded.contains("bad"));
    assert_eq!((1..=3).map(|trial| restarts(&world, trial)).collect::<Vec<_>>(), [0; 3]);
    assert!(reason(&world, 1).ends_with("; not charged: agent bad was excluded"), "{}", reason(&world, 1));
    let experiment = view::experiment(&world.machine, 0);
    let excluded = &experiment.excluded_agents[0];
    assert_eq!(excluded.agent, "bad");
    assert_eq!(
        excluded.reason,
        "3 different trials failed there in a row; on 1 other agent 1 attempt went well"
    );
    let ends = experiment.ends.unwrap();
    assert_eq!((ends.failed, ends.not_charged), (3, 3));
    // Told to the pool again after a restart.
    let exclude = world.machine.reconcile().into_iter().next().unwrap();
    assert!(matches!(exclude, super::Effect::Exclude { agent, .. } if agent == "bad"));
    world.run_to_the_end();
    world.check_end();
}

#[test]
fn the_exclusion_saves_a_trial_that_has_no_restart_left() {
    let mut world = two("max_restarts: 1");
    run_on(&mut world, 4, "good");
    run_on(&mut world, 1, "bad");
    fail(&mut world, 1, ExitCause::Signal);
    world.retry(0);
    run_on(&mut world, 2, "bad");
    fail(&mut world, 2, ExitCause::Signal);
    world.report(4, 1.0);
    run_on(&mut world, 1, "bad");
    fail(&mut world, 1, ExitCause::Signal);
    assert_eq!(world.machine.trial(1).unwrap().state(), TrialState::Error, "two trials are not three");
    run_on(&mut world, 3, "bad");
    fail(&mut world, 3, ExitCause::Signal);
    assert!(world.excluded.contains("bad"), "one that ended counts still");
    assert_eq!((restarts(&world, 2), restarts(&world, 3)), (0, 0), "also the failure that led to it");
}

#[test]
fn what_still_ran_on_an_excluded_agent_is_not_charged_but_what_is_placed_there_anew_is() {
    let mut world = two("max_restarts: 1");
    run_on(&mut world, 4, "good");
    run_on(&mut world, 1, "bad");
    fail(&mut world, 1, ExitCause::OutOfMemory);
    world.report(4, 1.0);
    world.retry(0);
    run_on(&mut world, 1, "bad");
    for trial in [2, 3] {
        run_on(&mut world, trial, "bad");
        fail(&mut world, trial, ExitCause::OutOfMemory);
    }
    assert!(world.excluded.contains("bad"));
    let expected = "no luck; not charged: agent bad was excluded, after 500 ms";
    assert_eq!(reason(&world, 3), expected, "the failure that led to it");
    fail(&mut world, 1, ExitCause::OutOfMemory);
    assert_eq!(restarts(&world, 1), 0);
    assert!(reason(&world, 1).contains("not charged: agent bad is excluded"), "{}", reason(&world, 1));
    while !world.retries.is_empty() {
        world.retry(0);
    }
    place_on(&mut world, 1, "bad");
    assert_eq!(reason(&world, 1), "preparing on bad, which it keeps away from, but no other agent is there");
    fail(&mut world, 1, ExitCause::OutOfMemory);
    assert_eq!(restarts(&world, 1), 1);
}

#[test]
fn the_only_agent_is_never_excluded_and_the_search_ends_with_its_real_error() {
    let mut world = World::new(RANDOM, "max_restarts: 2");
    for trial in 1..=3 {
        world.allocate(trial);
        world.start(trial);
        fail(&mut world, trial, ExitCause::Failed);
    }
    assert!(world.machine.fold.state == State::Error && world.excluded.is_empty());
    assert!(world.machine.fold.reason.starts_with("3 attempts failed and no trial ever reported `loss`"));
    world.check_end();
}

#[test]
fn failures_on_one_agent_do_not_end_a_search_that_has_begun_on_another() {
    let mut world = two("max_restarts: 0");
    run_on(&mut world, 4, "good");
    for trial in 1..=3 {
        run_on(&mut world, trial, "bad");
        fail(&mut world, trial, ExitCause::Failed);
    }
    assert_eq!(world.machine.fold.state, State::Active, "trial 4 has not had its say");
    fail(&mut world, 4, ExitCause::Failed);
    assert_eq!(world.machine.fold.state, State::Error);
}

#[test]
fn an_environment_that_fails_is_tried_on_another_agent_without_charge() {
    let mut world = two("");
    place_on(&mut world, 1, "bad");
    fail(&mut world, 1, ExitCause::Environment);
    assert_eq!(world.machine.fold.state, State::Active, "it may be the agent's");
    assert_eq!(
        (restarts(&world, 1), reason(&world, 1).as_str()),
        (0, "no luck; not charged: it is tried on another agent, after 500 ms")
    );
    world.retry(0);
    assert!(world.wishes[&1].without.contains("bad"));
    // It fails there, too: then it is the environment itself.
    place_on(&mut world, 1, "good");
    fail(&mut world, 1, ExitCause::Environment);
    assert_eq!(world.machine.fold.reason, "no trial can start: no luck");
    world.check_end();
}

#[test]
fn environments_are_tried_elsewhere_only_so_often() {
    let mut world = two("max_restarts: 1");
    run_on(&mut world, 4, "good");
    for _ in 1..=5 {
        place_on(&mut world, 1, "bad");
        fail(&mut world, 1, ExitCause::Environment);
        world.retry(0);
    }
    assert_eq!(world.machine.trial(1).unwrap().state(), TrialState::Error);
    assert_eq!(view::trial(&world.machine, 1).restarts, 1, "three of five were not charged");
}

#[test]
fn a_retry_rather_runs_elsewhere_and_after_two_failures_in_a_row_only_elsewhere() {
    let mut world = two("");
    run_on(&mut world, 4, "good");
    run_on(&mut world, 1, "bad");
    fail(&mut world, 1, ExitCause::Failed);
    world.retry(0);
    assert!(world.wishes[&1].avoid.contains("bad") && world.wishes[&1].without.is_empty());
    run_on(&mut world, 1, "bad");
    fail(&mut world, 1, ExitCause::Failed);
    world.retry(0);
    assert!(world.wishes[&1].without.contains("bad"));
    run_on(&mut world, 1, "good");
    world.report(1, 1.0);
    fail(&mut world, 1, ExitCause::Failed);
    world.retry(0);
    assert!(!world.wishes[&1].avoid.contains("bad"), "it got further");
}

#[test]
fn cancel_retries_ends_a_trial_that_fails() {
    let mut world = two("");
    run_on(&mut world, 1, "good");
    world.policy(1, LogPolicyAction::CancelRetries);
    assert_eq!(world.machine.trial(1).unwrap().state(), TrialState::Running, "only if it fails");
    assert_eq!(view::trial(&world.machine, 1).log_policies[0].name, "ECC Error");
    let step_before = world.journal.len();
    fail(&mut world, 1, ExitCause::Failed);
    assert_eq!(world.machine.trial(1).unwrap().state(), TrialState::Error);
    assert_eq!(world.journal.len(), step_before + 1);
    // The next attempt of another trial is not concerned.
    run_on(&mut world, 2, "good");
    fail(&mut world, 2, ExitCause::Failed);
    assert_eq!(world.machine.trial(2).unwrap().state(), TrialState::Pending);
}

#[test]
fn exclude_node_keeps_the_trial_away_and_counts_against_the_agent() {
    let mut world = two(SHARED);
    run_on(&mut world, 4, "good");
    for trial in 1..=3 {
        run_on(&mut world, trial, "bad");
        world.report(trial, 1.0);
        world.policy(trial, LogPolicyAction::ExcludeNode);
        assert_eq!(view::trial(&world.machine, trial).excluded_agents, ["bad"]);
        fail(&mut world, trial, ExitCause::Failed);
    }
    world.retry(0);
    assert!(world.wishes[&1].without.contains("bad"));
    assert!(world.excluded.is_empty());
    world.report(4, 1.0);
    assert!(world.excluded.contains("bad"), "although they had reported there");
}

#[test]
fn a_checkpoint_on_an_excluded_agent_is_left_behind() {
    let mut world = two("");
    run_on(&mut world, 4, "good");
    run_on(&mut world, 1, "bad");
    world.report(1, 1.0);
    world.save(1);
    world.policy(1, LogPolicyAction::ExcludeNode);
    fail(&mut world, 1, ExitCause::Failed);
    world.retry(0);
    assert_eq!(world.wishes[&1].only_on, None);
    run_on(&mut world, 1, "good");
    assert_eq!(world.running[&1].length, 0, "from the start");
    assert!(world.machine.trial(1).unwrap().checkpoint.is_none());
    // On the agent itself it could go on, if that is the only one left.
    let mut world = two("");
    run_on(&mut world, 1, "bad");
    world.report(1, 1.0);
    world.save(1);
    world.policy(1, LogPolicyAction::ExcludeNode);
    fail(&mut world, 1, ExitCause::Failed);
    world.retry(0);
    run_on(&mut world, 1, "bad");
    assert_eq!(world.running[&1].length, 1);
}

#[test]
fn ends_are_counted_by_cause() {
    let mut world = two(SHARED);
    run_on(&mut world, 1, "good");
    fail(&mut world, 1, ExitCause::DeviceOutOfMemory);
    world.retry(0);
    run_on(&mut world, 1, "good");
    let lost = v1::AttemptLost { trial: 1, attempt: 2, reason: "gone".into() };
    world.input(Input::Lost(lost));
    run_on(&mut world, 1, "good");
    fail(&mut world, 1, ExitCause::Requested);
    // Whoever has to leave is preempted, however it ends; but not if its agent is lost meanwhile.
    run_on(&mut world, 1, "good");
    world.preempt(1, "preempted by experiment 7");
    fail(&mut world, 1, ExitCause::Failed);
    run_on(&mut world, 1, "good");
    world.preempt(1, "preempted by experiment 7");
    world.input(Input::Lost(v1::AttemptLost { trial: 1, attempt: 5, reason: "gone".into() }));
    let trial = view::trial(&world.machine, 1);
    let expected =
        v1::AttemptEnds { device_out_of_memory: 1, agent_lost: 2, preempted: 2, ..Default::default() };
    assert_eq!((trial.ends, trial.restarts), (Some(expected), 1));
    assert_eq!(view::experiment(&world.machine, 0).ends, Some(expected));
    assert_eq!(view::trial(&world.machine, 2).ends, None);
}

#[test]
fn the_journal_folds_to_the_same_exclusion() {
    let mut world = bad_agent("");
    world.report(4, 1.0);
    let mut again = Machine::new(world.machine.spec.clone()).unwrap();
    for record in &world.journal {
        again.replay(record.clone()).unwrap();
    }
    assert!(again.fold.nodes.is_excluded("bad"));
    let bytes = snapshot::encode(&again).unwrap();
    assert_eq!(bytes, snapshot::encode(&world.machine).unwrap());
    let restored = snapshot::decode(world.machine.spec.clone(), &bytes).unwrap();
    assert!(restored.fold.nodes.is_excluded("bad"));
}
