//! Programs outside: what they ask and tell in any order, with lost answers, silence and crashes.

use proptest::prelude::*;
use std::collections::BTreeMap;
use toprung_proto::v1::{self, DecisionKind, MetricGroup, TellOutcome, TrialState, journal_record::Input};

use super::answers::Refused;
use super::external::Lane;
use super::{Effect, Machine, Spec, State, snapshot, view};

const RANDOM: &str =
    "{name: random, metric: loss, max_trials: 4, max_length: {epochs: 3}, max_concurrent_trials: 2}";
const PROMOTION: &str = "{name: async_halving, metric: loss, num_rungs: 2, max_trials: 4, max_length: {epochs: 4}, divisor: 2, max_concurrent_trials: 2}";

/// A machine, its journal, and what is derived from both.
struct World {
    machine: Machine,
    journal: Vec<v1::JournalRecord>,
    retries: Vec<(u32, u32)>,
    now_ms: i64,
}

fn new_machine(searcher: &str, extra: &str) -> Machine {
    let yaml = format!(
        "name: test\nentrypoint: external\nhyperparameters:\n  rate: {{type: log, minval: -4, maxval: -1}}\nsearcher: {searcher}\n{extra}"
    );
    let config = toprung_config::parse(&yaml).unwrap_or_else(|problems| panic!("{problems}")).config;
    let config_json = config.complete().to_string();
    let created =
        v1::ExperimentCreated { id: 1, config_json, name: "test".into(), seed: 7, ..Default::default() };
    Machine::new(Spec::new(&created, 0).unwrap()).unwrap()
}

impl World {
    fn new(searcher: &str, extra: &str) -> Self {
        let machine = new_machine(searcher, extra);
        let mut world = Self { machine, journal: Vec::new(), retries: Vec::new(), now_ms: 0 };
        world.input(Input::Created(v1::ExperimentCreated::default()));
        world
    }

    fn input(&mut self, input: Input) -> bool {
        self.now_ms += 1;
        let Some(step) = self.machine.step(input, self.now_ms) else { return false };
        self.journal.push(step.record);
        for effect in step.effects {
            match effect {
                Effect::RetryAfter { trial, attempt, .. } => self.retries.push((trial, attempt)),
                Effect::Ended => {}
                other => panic!("{other:?} is for agents"),
            }
        }
        self.check();
        true
    }

    fn check(&self) {
        let fold = &self.machine.fold;
        let limit = self.machine.spec.config.searcher.method.max_concurrent_trials();
        assert!(self.machine.holding() <= u64::from(limit), "more open than the searcher allows");
        let open = fold.askers.keys().filter_map(|lane| self.machine.open_trial(lane)).collect::<Vec<_>>();
        assert!(fold.state.is_end() || open.len() as u64 == self.machine.holding(), "a trial without a lane");
        assert_eq!(fold.capacity as usize, fold.askers.len());
        assert!(self.machine.held().is_empty());
    }

    /// The trial that a lane has after it asked.
    fn ask(&mut self, client: &str) -> Option<v1::Assignment> {
        let lane = Lane::new(client, 0);
        let before = self.machine.open_trial(&lane);
        self.input(Input::Asked(v1::TrialAsked { client: client.into(), lane: 0 }));
        let open = self.machine.open_trial(&lane)?;
        Some(self.machine.assignment(open, before == Some(open)))
    }

    fn tell(&mut self, told: &v1::TrialTold) -> v1::TellResponse {
        let counted = self.machine.fresh(told).len() as u32;
        self.input(Input::Told(told.clone()));
        self.machine.verdict(told, counted)
    }

    fn state(&self, trial: u32) -> TrialState {
        self.machine.trial(trial).unwrap().state()
    }

    fn replayed(&self) -> Machine {
        let spec = self.machine.spec.clone();
        let mut machine = Machine::new(spec).unwrap();
        self.journal.iter().for_each(|record| machine.replay(record.clone()).unwrap());
        machine
    }
}

fn about(client: &str, assignment: &v1::Assignment) -> v1::TrialTold {
    let (trial, attempt) = (assignment.trial, assignment.attempt);
    v1::TrialTold { trial, attempt, client: client.into(), ..Default::default() }
}

fn report(length: u64, value: f64) -> v1::Report {
    let metrics = vec![v1::Metric { name: "loss".into(), value }];
    v1::Report { group: MetricGroup::Validation.into(), length, metrics, time_unix_ms: 0 }
}

fn validation(client: &str, assignment: &v1::Assignment, length: u64, value: f64) -> v1::TrialTold {
    v1::TrialTold { reports: vec![report(length, value)], ..about(client, assignment) }
}

fn saved(mut told: v1::TrialTold, length: u64) -> v1::TrialTold {
    told.checkpoint = Some(v1::ToldCheckpoint { label: format!("at-{length}"), length });
    told
}

fn kind(answer: &v1::TellResponse) -> DecisionKind {
    answer.decision.as_ref().unwrap().kind()
}

#[test]
fn lanes_are_the_room_and_the_searcher_is_the_limit() {
    let mut world = World::new(RANDOM, "");
    assert_eq!(world.machine.fold.trials.len(), 0, "nobody has asked");
    let reason = view::experiment(&world.machine, 0).reason;
    assert_eq!(reason, "waiting: no program asks for its trials");
    let first = world.ask("a").unwrap();
    assert_eq!((first.trial, first.attempt, first.train_until, first.again), (1, 1, 3, false));
    assert_eq!((first.metric.as_str(), first.time_metric.as_str(), first.max_length), ("loss", "epochs", 3));
    assert!(first.hparams_json.contains("rate") && first.from_length == 0 && first.lease_ms == 600_000);
    assert_eq!(world.machine.fold.trials.len(), 1, "one lane, one trial");
    assert_eq!(world.ask("b").unwrap().trial, 2);
    assert_eq!(world.ask("c"), None, "two at a time");
    let why = world.machine.why_nothing();
    assert_eq!(why, "the searcher wants no more than the trials under way now (2)");
    assert_eq!(world.state(1), TrialState::Running);
    assert_eq!(view::trial(&world.machine, 1).agent, "a");
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let mut world = World::new(RANDOM, "");
    let first = world.ask("a").unwrap();
    let records = world.journal.len();
    let again = world.ask("a").unwrap();
    assert_eq!(again, v1::Assignment { again: true, ..first.clone() });
    assert_eq!(world.journal.len(), records, "nothing happened");

    let told = validation("a", &first, 3, 0.5);
    let stop = world.tell(&told);
    assert_eq!((kind(&stop), stop.counted, stop.over), (DecisionKind::Stop, 1, true));
    let records = world.journal.len();
    let again = world.tell(&told);
    assert_eq!((kind(&again), again.counted, again.over), (DecisionKind::Stop, 0, true));
    assert_eq!(world.journal.len(), records);
    assert_eq!(world.state(1), TrialState::Completed);
}

#[test]
fn the_same_report_counts_once() {
    let mut world = World::new(RANDOM, "");
    let first = world.ask("a").unwrap();
    let told = validation("a", &first, 1, 0.5);
    assert_eq!(world.tell(&told).counted, 1);
    let again = world.tell(&told);
    assert_eq!((kind(&again), again.counted, again.over), (DecisionKind::Train, 0, false));
    assert_eq!(again.decision.unwrap().length, 3);
    // A later report with an earlier one: only the later one is new.
    let both = v1::TrialTold { reports: vec![report(1, 0.1), report(2, 0.4)], ..about("a", &first) };
    assert_eq!(world.tell(&both).counted, 1);
    assert_eq!(world.machine.fold.best.as_ref().unwrap().metric, 0.4);
    assert_eq!(world.machine.fold.total_length, 2);
    // Training and validation are told apart.
    let mut training = report(2, 0.0);
    training.set_group(MetricGroup::Training);
    let told = v1::TrialTold { reports: vec![training], ..about("a", &first) };
    assert_eq!(world.tell(&told).counted, 1);
    assert_eq!(world.machine.fold.best.as_ref().unwrap().metric, 0.4);
}

#[test]
fn a_promoted_trial_goes_on_from_the_checkpoint_of_its_program() {
    let mut world = World::new(PROMOTION, "");
    let first = world.ask("a").unwrap();
    let second = world.ask("b").unwrap();
    let paused = world.tell(&saved(validation("a", &first, 2, 0.5), 2));
    assert_eq!(
        (kind(&paused), paused.over),
        (DecisionKind::Pause, true),
        "all is saved: nothing to wait for"
    );
    assert!(paused.decision.unwrap().reason.contains("rung 0"));
    // Without a checkpoint the program has time to save, and gives the trial back then.
    let waits = world.tell(&validation("b", &second, 2, 0.9));
    assert_eq!((kind(&waits), waits.over), (DecisionKind::Pause, false));
    assert_eq!(world.state(2), TrialState::Stopping);
    let mut given_back = saved(about("b", &second), 2);
    given_back.set_outcome(TellOutcome::Released);
    assert!(world.tell(&given_back).over);
    assert_eq!(world.state(2), TrialState::Paused);
    // Trial 1 is the best of two: whoever asks first goes on with it, before a new one is begun.
    let promoted = world.ask("c").unwrap();
    assert_eq!((promoted.trial, promoted.attempt), (1, 2));
    assert_eq!((promoted.from_length, promoted.checkpoint.as_str()), (2, "at-2"));
    assert_eq!((promoted.checkpoint_client.as_str(), promoted.train_until), ("a", 4));
    assert!(world.tell(&saved(validation("c", &promoted, 4, 0.3), 4)).over);
    let best = view::experiment(&world.machine, 0).best.unwrap();
    assert_eq!((best.trial, best.checkpoint.unwrap().path.as_str()), (1, "at-4"));
}

#[test]
fn a_program_that_saves_nothing_and_asks_again_has_left() {
    let mut world = World::new(PROMOTION, "");
    let first = world.ask("a").unwrap();
    world.tell(&validation("a", &first, 2, 0.5));
    let next = world.ask("a").unwrap();
    assert_eq!(next.trial, 2);
    assert_eq!(world.state(1), TrialState::Stopped, "it cannot go on");
    assert!(world.machine.fold.warned_of_no_checkpoint);
}

#[test]
fn what_an_older_attempt_or_another_program_tells_is_dropped() {
    let mut world = World::new(RANDOM, "");
    let first = world.ask("a").unwrap();
    world.tell(&validation("a", &first, 1, 0.5));
    let reason = "a was not heard for more than 600 s".to_owned();
    assert!(world.input(Input::Silent(v1::AskerSilent { client: "a".into(), lane: 0, reason })));
    let trial = world.machine.trial(1).unwrap();
    assert_eq!((trial.state(), trial.restarts), (TrialState::Pending, 0), "not charged");
    assert_eq!(world.machine.fold.ends.view().unwrap().agent_lost, 1);
    let reason = view::trial(&world.machine, 1).reason;
    assert!(reason.starts_with("a was not heard for more than 600 s; starts again"), "{reason}");
    let second = world.ask("b").unwrap();
    assert_eq!((second.trial, second.attempt), (1, 2));
    for (client, of) in [("a", &first), ("a", &second)] {
        let answer = world.tell(&validation(client, of, 3, 0.0));
        assert!(answer.superseded && answer.over && answer.counted == 0, "{answer:?}");
        let reason = answer.decision.unwrap().reason;
        assert_eq!(reason, "attempt 2 has taken its place, with b");
    }
    assert_eq!(world.machine.fold.best.as_ref().unwrap().metric, 0.5);
    assert_eq!(world.state(1), TrialState::Running);
}

#[test]
fn silence_makes_less_room_and_asking_makes_it_again() {
    let mut world = World::new(RANDOM, "");
    world.ask("a");
    world.ask("b");
    world.input(Input::Silent(v1::AskerSilent { client: "a".into(), lane: 0, reason: "silent".into() }));
    assert_eq!(world.machine.fold.capacity, 1);
    let again = Input::Silent(v1::AskerSilent { client: "a".into(), lane: 0, reason: "silent".into() });
    assert!(!world.input(again), "known");
    assert_eq!(world.ask("a").unwrap().attempt, 2);
    assert_eq!(world.machine.fold.capacity, 2);
}

#[test]
fn failures_are_retried_and_invalid_hyperparameters_replaced() {
    let mut world = World::new(RANDOM, "max_restarts: 1");
    let first = world.ask("a").unwrap();
    let mut failed = about("a", &first);
    failed.set_outcome(TellOutcome::Failed);
    failed.message = "out of coffee".into();
    let answer = world.tell(&failed);
    assert_eq!((kind(&answer), answer.over), (DecisionKind::Pause, true));
    assert!(answer.decision.unwrap().reason.starts_with("out of coffee; retry 1 of 1"));
    assert_eq!(world.ask("a"), None, "it backs off, and there is one lane");
    assert!(world.machine.why_nothing().contains("1 wait to be tried again"));
    let (trial, attempt) = world.retries.pop().unwrap();
    assert!(world.input(Input::Retry(v1::RetryDue { trial, attempt })));
    assert!(world.machine.has_work());
    let again = world.ask("a").unwrap();
    assert_eq!((again.trial, again.attempt), (1, 2));
    failed.attempt = 2;
    assert_eq!(kind(&world.tell(&failed)), DecisionKind::Stop);
    assert_eq!(world.state(1), TrialState::Error);

    let second = world.ask("a").unwrap();
    let mut invalid = about("a", &second);
    invalid.set_outcome(TellOutcome::Invalid);
    assert!(world.tell(&invalid).over);
    assert_eq!(world.state(2), TrialState::InvalidHyperparameters);
    assert_eq!(world.ask("a").unwrap().trial, 3);
}

#[test]
fn a_trial_that_is_done_without_the_metric_is_an_error() {
    let mut world = World::new(RANDOM, "");
    let first = world.ask("a").unwrap();
    let mut done = about("a", &first);
    done.set_outcome(TellOutcome::Done);
    world.tell(&done);
    assert_eq!(world.state(1), TrialState::Error);
    let second = world.ask("a").unwrap();
    let mut done = validation("a", &second, 2, 0.5);
    done.set_outcome(TellOutcome::Done);
    world.tell(&done);
    assert_eq!(world.state(2), TrialState::Completed);
}

#[test]
fn a_pause_waits_for_the_programs_and_a_kill_does_not() {
    let mut world = World::new(RANDOM, "");
    let first = world.ask("a").unwrap();
    world.ask("b").unwrap();
    world.tell(&validation("a", &first, 1, 0.5));
    world.input(Input::Pause(v1::PauseRequested {}));
    assert_eq!(world.machine.fold.state, State::Pausing);
    let answer = world.tell(&about("a", &first));
    assert_eq!((kind(&answer), answer.over), (DecisionKind::Pause, false), "nothing is saved yet");
    assert_eq!(answer.decision.unwrap().reason, "pause requested");
    assert!(world.tell(&saved(about("a", &first), 1)).over);
    assert_eq!(world.state(1), TrialState::Pending);
    assert_eq!(world.ask("b"), None, "asking gives the trial back");
    assert_eq!(world.machine.fold.state, State::Paused);
    assert!(world.machine.why_nothing().starts_with("the experiment is paused"));
    world.input(Input::Resume(v1::ResumeRequested {}));
    let again = world.ask("a").unwrap();
    assert_eq!((again.trial, again.attempt, again.from_length), (1, 2, 1));
    world.input(Input::Kill(v1::KillRequested { reason: "killed".into() }));
    assert_eq!(world.machine.fold.state, State::Killed);
    assert!(world.tell(&validation("a", &again, 2, 0.1)).over);
}

#[test]
fn a_program_goes_on_with_its_own_checkpoint_rather_than_another() {
    let mut world = World::new(RANDOM, "");
    let (a, b) = (world.ask("a").unwrap(), world.ask("b").unwrap());
    for (client, of) in [("a", &a), ("b", &b)] {
        let mut back = saved(validation(client, of, 1, 0.5), 1);
        back.set_outcome(TellOutcome::Released);
        assert!(world.tell(&back).over);
    }
    assert_eq!(world.ask("b").unwrap().trial, b.trial);
    assert_eq!(world.ask("c").unwrap().trial, a.trial);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_was_told() {
    let mut world = World::new(RANDOM, "");
    let first = world.ask("a").unwrap();
    let refused = |told: &v1::TrialTold| match world.machine.refuse(told) {
        Some(Refused::NoTrial(message) | Refused::Wrong(message)) => message,
        None => panic!("taken in"),
    };
    assert_eq!(
        refused(&v1::TrialTold { trial: 9, ..about("a", &first) }),
        "there is no trial 9: the experiment has 1"
    );
    let newer = v1::TrialTold { attempt: 2, ..about("a", &first) };
    assert_eq!(refused(&newer), "there is no attempt 2 of trial 1: the newest is 1");
    let mut other = report(1, 0.5);
    other.metrics[0].name = "accuracy".into();
    let told = v1::TrialTold { reports: vec![other], ..about("a", &first) };
    let said = refused(&told);
    assert_eq!(
        said,
        "the validation of trial 1 at length 1 lacks the searcher's metric `loss`; it has accuracy"
    );
    assert_eq!(world.machine.refuse(&validation("a", &first, 1, f64::NAN)), None);
}

#[test]
fn agents_have_no_say() {
    let mut world = World::new(RANDOM, "");
    world.ask("a").unwrap();
    let lost = v1::AttemptLost { trial: 1, attempt: 1, reason: "an agent of the same name".into() };
    assert!(!world.input(Input::Lost(lost)));
    assert!(!world.input(Input::Capacity(v1::CapacityChanged { trials: 9, agents: 9 })));
    assert_eq!(world.state(1), TrialState::Running);
}

const SEARCHES: [&str; 4] = [
    RANDOM,
    PROMOTION,
    "{name: async_halving, metric: loss, num_rungs: 3, max_trials: 9, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 3, stop_once: true}",
    "{name: hyperband, metric: loss, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 4}",
];
const CLIENTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Programs in one thread: what each of them believes.
#[derive(Default)]
struct Programs {
    open: BTreeMap<&'static str, v1::Assignment>,
    length: BTreeMap<&'static str, u64>,
}

impl Programs {
    fn step(&mut self, world: &mut World, what: u8, which: u8, value: u8) {
        let client = CLIENTS[usize::from(which) % CLIENTS.len()];
        let open = self.open.get(client).cloned();
        let length = self.length.get(client).copied().unwrap_or(0);
        match (what, open) {
            (0..=59, _) => {
                if let Some(given) = world.ask(client) {
                    self.length.insert(client, given.from_length);
                    self.open.insert(client, given);
                }
            }
            (60..=199, Some(open)) => {
                let metric = if value == 0 { f64::NAN } else { f64::from(value % 40) };
                let told = validation(client, &open, length + 1, metric);
                let told = if value.is_multiple_of(3) { told } else { saved(told, length + 1) };
                let answer = world.tell(&told);
                if value.is_multiple_of(5) {
                    // Its answer was lost.
                    let again = world.tell(&told);
                    assert_eq!((again.counted, kind(&again), again.over), (0, kind(&answer), answer.over));
                }
                self.length.insert(client, length + 1);
                if answer.over {
                    self.open.remove(client);
                }
            }
            (200..=219, Some(open)) => {
                let mut told = about(client, &open);
                let outcomes =
                    [TellOutcome::Failed, TellOutcome::Invalid, TellOutcome::Released, TellOutcome::Done];
                told.set_outcome(outcomes[usize::from(value) % 4]);
                world.tell(&told);
                self.open.remove(client);
            }
            (220..=229, _) => {
                let silent = v1::AskerSilent { client: client.into(), lane: 0, reason: "silent".into() };
                world.input(Input::Silent(silent));
            }
            (230..=237, _) => drop(world.input(Input::Pause(v1::PauseRequested {}))),
            (238..=249, _) => drop(world.input(Input::Resume(v1::ResumeRequested {}))),
            _ => world.retry(),
        }
    }
}

impl World {
    fn retry(&mut self) {
        for (trial, attempt) in std::mem::take(&mut self.retries) {
            self.input(Input::Retry(v1::RetryDue { trial, attempt }));
        }
    }

    /// From here on everything goes well: the experiment must end.
    fn run_to_the_end(&mut self) {
        for _ in 0..3_000 {
            self.input(Input::Resume(v1::ResumeRequested {}));
            self.retry();
            for client in CLIENTS {
                let Some(given) = self.ask(client) else { continue };
                // One that trained on while it was to leave may have been that far already.
                for length in given.from_length + 1..=given.train_until.max(given.from_length + 1) {
                    let told = saved(validation(client, &given, length, f64::from(given.trial % 7)), length);
                    if self.tell(&told).over {
                        break;
                    }
                }
            }
            if self.machine.fold.state.is_end() {
                return;
            }
        }
        panic!("did not end: {:?}", self.machine.fold);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_programs_do_everything_ends_and_the_journal_folds_to_the_same(
        search in 0..SEARCHES.len(),
        choices in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(SEARCHES[search], "max_restarts: 2");
        let mut programs = Programs::default();
        for (what, which, value) in choices {
            programs.step(&mut world, what, which, value);
        }
        let bytes = |machine: &Machine| snapshot::encode(machine).unwrap();
        prop_assert_eq!(bytes(&world.replayed()), bytes(&world.machine));
        // A crash anywhere: snapshot there, then the rest.
        let cut = cut.index(world.journal.len() + 1);
        let mut machine = new_machine(SEARCHES[search], "max_restarts: 2");
        for (number, record) in world.journal.iter().enumerate() {
            if number == cut {
                machine = snapshot::decode(machine.spec.clone(), &bytes(&machine)).unwrap();
            }
            machine.replay(record.clone()).unwrap();
        }
        prop_assert_eq!(bytes(&machine), bytes(&world.machine));
        if !world.machine.fold.state.is_end() {
            world.run_to_the_end();
        }
    }
}
