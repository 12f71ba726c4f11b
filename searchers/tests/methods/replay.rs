//! A search that was killed, restored from a snapshot and brought up to date by its journal goes on as if nothing had happened.
//!
//! A search runs uninterrupted and keeps what a journal has: its events, and the hyperparameters of its trials. Another one
//! is restored from a snapshot at some event, replays some events, and takes the rest as they come: the same events must
//! have the same actions, and leave the same state, byte for byte.

use crate::world::{EXITS, PAUSED, asha, space};
use proptest::prelude::*;
use std::collections::BTreeMap;
use toprung_searchers::models::{EvolutionConfig, GpConfig, PortfolioConfig, PriorConfig, TpeConfig};
use toprung_searchers::{
    Action, Assignment, Dimension, Domain, Event, ExitReason, ModelConfig, Prior, Searcher, SearcherConfig,
    Space, TrialId, Value,
};

fn models() -> Vec<ModelConfig> {
    let few = GpConfig { startup_trials: 3, max_points: 16, random_fraction: 0.2 };
    vec![
        ModelConfig::Tpe(TpeConfig { startup_trials: 4, ..TpeConfig::default() }),
        // With so little room, rows are chosen anew again and again.
        ModelConfig::Gp(few),
        ModelConfig::Gp(GpConfig { max_points: 64, ..few }),
        ModelConfig::Prior(PriorConfig::default()),
        ModelConfig::Evolution(EvolutionConfig::default()),
        ModelConfig::Portfolio(PortfolioConfig::default()),
    ]
}

/// One that never gives a point twice, one with few points, and one with priors and a constraint.
fn spaces() -> Vec<Space> {
    let int = |max| Dimension::always(Domain::Int { min: 1, max, log: false, count: None });
    let finite = Space::new([("a".to_owned(), int(4)), ("b".to_owned(), int(8))].into());
    let mut guided = space();
    if let Some(rate) = guided.dimensions.get_mut("rate") {
        rate.prior = Some(Prior { center: Value::Double(1e-2), confidence: 0.5 });
    }
    guided.constraints.extend(toprung_searchers::Constraint::parse("rate < 0.5"));
    vec![space(), finite, guided]
}

/// Each model around random search and ASHA, and `auto`, in each space.
fn searches() -> Vec<(SearcherConfig, Space)> {
    let random = SearcherConfig::Random { max_trials: 60, max_length: 3, max_concurrent_trials: 0 };
    let mut configs: Vec<SearcherConfig> = [3, 9]
        .map(|max_length| SearcherConfig::Auto { max_trials: 60, max_length, max_concurrent_trials: 0 })
        .into();
    for inner in [random, asha(3, 60, 3.0, 9, false)] {
        let around = |model| SearcherConfig::ModelBased { inner: Box::new(inner.clone()), model };
        configs.extend(models().into_iter().map(around));
    }
    let all =
        configs.iter().flat_map(|config| spaces().into_iter().map(move |space| (config.clone(), space)));
    all.collect()
}

/// Something that depends on where a trial is, and is a good deal of noise beside.
fn metric(hparams: &Assignment, length: u64, choice: u32) -> f64 {
    let part = |value: &Value| match value {
        Value::Int(value) => (*value as f64 - 3.0).powi(2),
        Value::Double(value) => (value.log10() + 2.0).powi(2),
        _ => 0.5,
    };
    match choice % 23 {
        0 => f64::NAN,
        noise => hparams.values().map(part).sum::<f64>() + f64::from(noise) / (20.0 * length as f64),
    }
}

/// What the journal has, and the state after each event.
#[derive(Default)]
struct Journal {
    events: Vec<Event>,
    actions: Vec<Vec<Action>>,
    states: Vec<Vec<u8>>,
    recorded: BTreeMap<TrialId, Assignment>,
}

#[derive(Clone, Copy)]
enum Phase {
    Running(u64),
    Pausing,
    Stopping,
}

/// Runs a search: each number picks one event that is possible.
fn uninterrupted(mut searcher: Searcher, choices: &[u32]) -> Journal {
    let mut journal = Journal::default();
    let mut active: BTreeMap<TrialId, Phase> = BTreeMap::new();
    let mut event = Event::Capacity(4);
    for &choice in choices {
        let actions = searcher.handle(&event);
        if let Event::Exited { trial, .. } = event {
            active.remove(&trial);
        }
        for action in &actions {
            match *action {
                Action::Create(ref create) => {
                    journal.recorded.insert(create.trial, create.hparams.clone());
                    active.insert(create.trial, Phase::Running(create.train_to));
                }
                Action::TrainTo { trial, length, .. } => {
                    active.insert(trial, Phase::Running(length));
                }
                Action::Pause { trial, .. } => {
                    active.insert(trial, Phase::Pausing);
                }
                Action::Stop { trial, .. } => {
                    active.entry(trial).and_modify(|phase| *phase = Phase::Stopping);
                }
                Action::Shutdown { .. } => {}
            }
        }
        journal.events.push(event);
        journal.actions.push(actions);
        journal.states.push(postcard::to_stdvec(&searcher).unwrap());
        let Some((&trial, &phase)) = active.iter().nth(choice as usize / 64 % active.len().max(1)) else {
            break;
        };
        event = match (phase, choice % 64) {
            (_, 0) => Event::Capacity(1 + choice / 64 % 6),
            (Phase::Running(_), 1) => {
                Event::Exited { trial, reason: EXITS[choice as usize / 64 % EXITS.len()] }
            }
            (Phase::Running(length), _) => {
                let metric = metric(&journal.recorded[&trial], length, choice / 64);
                Event::Validated { trial, length, metric }
            }
            (Phase::Pausing, 2..=20) => Event::CannotPause { trial },
            (Phase::Pausing, _) => Event::Exited { trial, reason: PAUSED },
            (Phase::Stopping, _) => Event::Exited { trial, reason: ExitReason::Stopped },
        };
    }
    journal
}

/// Restores the state after event `from`, replays `replayed` events and goes on.
fn interrupted(journal: &Journal, from: usize, replayed: usize) {
    let mut searcher: Searcher = postcard::from_bytes(&journal.states[from]).unwrap();
    for (step, event) in journal.events.iter().enumerate().skip(from + 1) {
        let live = step > from + replayed;
        let actions = if live { searcher.handle(event) } else { searcher.replay(event, &journal.recorded) };
        assert_eq!(actions, journal.actions[step], "step {step}, live: {live}");
        let state = postcard::to_stdvec(&searcher).unwrap();
        assert!(state == journal.states[step], "another state after step {step}, live: {live}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_search_goes_on_as_if_it_had_never_been_interrupted(
        seed in 0..1000_u32,
        choices in prop::collection::vec(any::<u32>(), 100..160),
        (from, replayed) in (0..1000_usize, 0..60_usize),
    ) {
        for (config, space) in searches() {
            let searcher = Searcher::new(config, space, seed).unwrap();
            let journal = uninterrupted(searcher, &choices);
            interrupted(&journal, from % journal.events.len(), replayed);
        }
    }
}

#[test]
fn all_of_a_journal_replays_to_the_same_state() {
    let choices: Vec<u32> = (0..200_u32).map(|step| step.wrapping_mul(2_654_435_769) >> 3).collect();
    for (config, space) in searches() {
        let journal = uninterrupted(Searcher::new(config, space, 7).unwrap(), &choices);
        assert!(journal.recorded.len() > 20, "{} trials", journal.recorded.len());
        interrupted(&journal, 0, journal.events.len());
    }
}
