//! The contract that every method keeps, against a world that does anything it may do, in any order.
//!
//! Each number of a random list picks one event that is possible now; when the list is used up, everything is brought to its
//! end. After every event: ids in order, hyperparameters as the seed says, actions only for trials that can follow them, limits
//! kept, one end; and a searcher that was stored and restored does the same.

use crate::tpe::check_within;
use crate::wishes::some;
use crate::world::{EXITS, PAUSED, SEED, space};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use toprung_searchers::models::{GpConfig, TpeConfig};
use toprung_searchers::{
    Action, Assignment, Create, Directed, Event, ExitReason, Mode, ModelConfig, Population, Searcher,
    SearcherConfig, Space, TrialId, Value, Wish, plan,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running { until: u64 },
    Pausing,
    Stopping,
    Paused,
    Gone,
}

impl Phase {
    fn holds_slots(self) -> bool {
        matches!(self, Self::Running { .. } | Self::Pausing | Self::Stopping)
    }
}

struct World {
    searcher: Searcher,
    space: Space,
    limit: usize,
    trials_planned: usize,
    grid: bool,
    population: bool,
    placed: bool,
    /// The trial that is just said to be unable to pause.
    restless: Option<TrialId>,
    /// A program decides; what it wanted of the trials that are still to begin.
    custom: bool,
    wanted: VecDeque<Option<Assignment>>,
    finishing: bool,
    capacity: u32,
    trials: BTreeMap<TrialId, Phase>,
    over: bool,
    progress: f64,
    refused: bool,
}

const METRICS: [f64; 8] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, 2.0, 3.0];

impl World {
    fn new(config: &SearcherConfig) -> Self {
        let limit = config.max_concurrent_trials();
        Self {
            searcher: Searcher::new(config.clone(), space(), SEED).unwrap(),
            space: space(),
            limit: if limit == 0 { usize::MAX } else { limit as usize },
            trials_planned: plan(config, &space()).unwrap().trials as usize,
            grid: matches!(config.base(), SearcherConfig::Grid { .. }),
            population: matches!(config.base(), SearcherConfig::Pbt(_)),
            placed: placed(config),
            restless: None,
            custom: config.is_custom(),
            wanted: VecDeque::new(),
            finishing: false,
            capacity: 0,
            trials: BTreeMap::new(),
            over: false,
            progress: 0.0,
            refused: false,
        }
    }

    fn outstanding(&self) -> usize {
        self.trials.values().filter(|phase| phase.holds_slots()).count()
    }

    fn tell(&mut self, event: Event) {
        let stored = postcard::to_stdvec(&self.searcher).unwrap();
        let mut restored: Searcher = postcard::from_bytes(&stored).unwrap();
        let actions = self.searcher.handle(&event);
        assert_eq!(restored.handle(&event), actions, "restored before {event:?}");
        assert_eq!(postcard::to_stdvec(&restored).unwrap(), postcard::to_stdvec(&self.searcher).unwrap());
        match event {
            Event::Capacity(capacity) => self.capacity = capacity,
            Event::Validated { .. } => {}
            Event::Exited { trial, reason } => self.exit(trial, reason),
            Event::Directed(ref directed) if self.custom => self.wanted(directed),
            Event::Directed(_) => assert!(actions.is_empty() || !self.custom),
            Event::CannotPause { trial } if self.trials.get(&trial) == Some(&Phase::Pausing) => {
                self.restless = Some(trial);
            }
            Event::CannotPause { .. } => {
                assert!(actions.is_empty(), "{event:?} is late, and {actions:?}");
                assert_eq!(postcard::to_stdvec(&self.searcher).unwrap(), stored, "{event:?} is late");
            }
        }
        assert!(!self.over || actions.is_empty(), "{actions:?} after the end");
        for action in actions {
            assert!(!self.over, "{action:?} after the end");
            self.follow(&action);
        }
        self.restless = None;
        self.check_views();
    }

    fn wanted(&mut self, directed: &Directed) {
        for wish in &directed.wishes {
            match wish {
                _ if self.finishing => return,
                Wish::Create { hparams, .. } => self.wanted.push_back(hparams.clone()),
                Wish::Finish { .. } => {
                    self.finishing = true;
                    self.wanted.clear();
                }
                _ => {}
            }
        }
    }

    fn exit(&mut self, trial: TrialId, reason: ExitReason) {
        let Some(phase) = self.trials.get_mut(&trial) else {
            return;
        };
        let pauses = reason == ExitReason::Paused { resumable: true };
        *phase = match *phase {
            Phase::Stopping | Phase::Gone => Phase::Gone,
            _ if pauses => Phase::Paused,
            _ => Phase::Gone,
        };
        self.refused |= reason == ExitReason::InvalidHyperparameters;
    }

    fn follow(&mut self, action: &Action) {
        match *action {
            Action::Create(ref create) => {
                assert_eq!(create.trial.0 as usize, self.trials.len() + 1);
                assert!(create.train_to > 0);
                self.check_hparams(create);
                self.wanted.pop_front();
                self.trials.insert(create.trial, Phase::Running { until: create.train_to });
                self.check_new_work();
            }
            Action::TrainTo { trial, length, .. } => {
                let before = self.trials.insert(trial, Phase::Running { until: length }).unwrap();
                match before {
                    Phase::Running { until } => assert!(length >= until),
                    Phase::Paused => self.check_new_work(),
                    Phase::Pausing if self.restless == Some(trial) => {}
                    other => panic!("{trial} trains to {length} but is {other:?}"),
                }
                assert!(length <= self.searcher.max_length());
            }
            Action::Pause { trial, .. } => {
                let before = self.trials.insert(trial, Phase::Pausing).unwrap();
                assert!(matches!(before, Phase::Running { .. }), "{trial} pauses but is {before:?}");
            }
            Action::Stop { trial, .. } => {
                let phase = self.trials.get_mut(&trial).unwrap();
                *phase = match *phase {
                    Phase::Running { .. } => Phase::Stopping,
                    Phase::Pausing if self.restless == Some(trial) => Phase::Stopping,
                    Phase::Paused | Phase::Gone => Phase::Gone,
                    other => panic!("{trial} stops but is {other:?}"),
                };
            }
            Action::Shutdown { .. } => {
                self.over = true;
                let open: Vec<_> = self.trials.iter().filter(|(_, phase)| **phase != Phase::Gone).collect();
                assert!(open.is_empty(), "left at the end: {open:?}");
                let all = self.trials.len() == self.trials_planned;
                assert!(self.refused || self.population || self.custom || all, "ended early");
            }
        }
    }

    fn check_hparams(&self, create: &Create) {
        if let Some(parent) = create.clone_from.filter(|_| self.custom) {
            let phase = self.trials[&parent];
            return assert!(!matches!(phase, Phase::Gone | Phase::Stopping), "{parent} is {phase:?}");
        }
        let Some(parent) = create.clone_from else {
            if self.placed {
                return check_within(&self.space, &create.hparams);
            }
            let wanted = self.wanted.front().cloned().flatten();
            let expected = if let Some(wanted) = wanted {
                wanted
            } else if self.grid {
                self.space.grid_point(u64::from(create.trial.0) - 1).unwrap()
            } else {
                self.space.draw(SEED, create.trial)
            };
            return assert_eq!(create.hparams, expected);
        };
        assert!(
            self.population && self.trials[&parent] == Phase::Paused,
            "{parent} has no checkpoint to give"
        );
        let Some(Value::Double(rate)) = create.hparams.get("rate") else { panic!("{create:?}") };
        assert!((1e-4..=1.0).contains(rate) && create.hparams.len() == 2, "{create:?}");
    }

    /// What a model placed lies in the domains.
    fn check_new_work(&self) {
        assert!(self.outstanding() <= self.limit, "{} outstanding, limit {}", self.outstanding(), self.limit);
        assert!(self.outstanding() <= self.capacity as usize, "new work above the capacity");
    }

    fn check_views(&mut self) {
        let idle = self.outstanding() == 0 && self.capacity > 0;
        let nothing_wanted = self.custom && self.wanted.is_empty();
        assert!(
            !idle || self.over || nothing_wanted,
            "nothing runs and nothing is started: {:?}",
            self.trials
        );
        assert!(self.outstanding() <= self.limit);
        assert!(!self.over || self.searcher.is_over());
        let progress = self.searcher.progress();
        assert!((0.0..=1.0).contains(&progress), "{progress}");
        assert!(self.refused || progress >= self.progress, "{progress} after {}", self.progress);
        assert!(!self.over || progress == 1.0);
        self.progress = progress;
        for rung in self.searcher.rungs() {
            assert!(rung.promoted <= rung.trials, "{rung:?}");
            assert!(rung.best.is_none_or(|best| !best.is_nan()));
        }
    }

    /// Does what `choice` picks among what can happen.
    fn happen(&mut self, choice: u32) {
        let (kind, pick) = (choice % 16, choice as usize / 16);
        let running: Vec<TrialId> = self.trials.keys().copied().collect();
        if self.custom && (running.is_empty() || kind > 12) {
            let directed = some(choice, (self.trials.len() + self.wanted.len()) as u32, &self.space);
            return self.tell(Event::Directed(directed));
        }
        if running.is_empty() || kind == 0 {
            return self.tell(Event::Capacity(choice / 16 % 8));
        }
        let trial = running[pick % running.len()];
        match (self.trials[&trial], kind) {
            (Phase::Running { until }, 1..=11) => {
                let length = match pick % 7 {
                    0 => until.saturating_sub(1),
                    1 => until.saturating_mul(4),
                    _ => until,
                };
                self.tell(Event::Validated { trial, length, metric: METRICS[pick / 7 % METRICS.len()] });
            }
            // At any time, also for trials that were not told to pause.
            (_, 13) | (Phase::Pausing, 7..=9) => self.tell(Event::CannotPause { trial }),
            (Phase::Pausing, 1..=6) => self.tell(Event::Exited { trial, reason: PAUSED }),
            (Phase::Stopping, 1..=9) => self.tell(Event::Exited { trial, reason: ExitReason::Stopped }),
            (Phase::Paused, 1..=14) => {}
            // What must change nothing: a late report.
            (_, 10..=12) => {
                let quiet = !matches!(self.trials[&trial], Phase::Running { .. });
                let before = self.trials.clone();
                self.tell(Event::Validated { trial, length: self.searcher.max_length(), metric: -1.0 });
                assert!(!quiet || before == self.trials, "a late report of {trial} changed something");
            }
            _ => self.tell(Event::Exited { trial, reason: EXITS[pick / 3 % EXITS.len()] }),
        }
    }

    /// Brings everything to its end.
    fn finish(&mut self) {
        self.tell(Event::Capacity(3));
        let finish = Directed { wishes: vec![Wish::Finish { why: "enough".into() }], progress: None };
        self.tell(Event::Directed(finish));
        for _ in 0..2000 {
            let Some((&trial, &phase)) = self.trials.iter().find(|(_, phase)| phase.holds_slots()) else {
                break;
            };
            self.tell(match phase {
                Phase::Running { until } => {
                    Event::Validated { trial, length: until, metric: f64::from(trial.0) }
                }
                Phase::Pausing => Event::Exited { trial, reason: PAUSED },
                _ => Event::Exited { trial, reason: ExitReason::Stopped },
            });
        }
        assert!(self.over, "never ended: {:?}", self.trials);
        assert_eq!(self.searcher.progress(), 1.0);
        self.tell(Event::Capacity(9));
    }
}

/// Whether a model places the trials.
fn placed(config: &SearcherConfig) -> bool {
    match config {
        SearcherConfig::ModelBased { .. } | SearcherConfig::Auto { .. } => true,
        SearcherConfig::MedianStopping { inner, .. } => placed(inner),
        _ => false,
    }
}

/// Around random search and ASHA, with few trials, since models cost more than methods.
fn any_model_based() -> impl Strategy<Value = SearcherConfig> {
    let model = Just(ModelConfig::Gp(GpConfig { startup_trials: 2, ..GpConfig::default() }));
    let inner = prop_oneof![
        (1..10_u64, 1..40_u64, 0..6_u32).prop_map(|(max_trials, max_length, max_concurrent_trials)| {
            SearcherConfig::Random { max_trials, max_length, max_concurrent_trials }
        }),
        any_halving().prop_map(
            |(max_trials, divisor, num_rungs, max_length, max_concurrent_trials, stop_once)| {
                SearcherConfig::AsyncHalving {
                    num_rungs,
                    max_trials: max_trials.min(12),
                    divisor,
                    min_length: None,
                    max_length,
                    max_concurrent_trials,
                    stop_once,
                }
            }
        ),
    ];
    (inner, model).prop_map(|(inner, model)| SearcherConfig::ModelBased { inner: Box::new(inner), model })
}

fn any_halving() -> impl Strategy<Value = (u64, f64, u32, u64, u32, bool)> {
    let divisor = prop::sample::select(vec![2.0, 3.0, 4.0, 1.5, 2.5]);
    (1..40_u64, divisor, 1..6_u32, 1..40_u64, 0..6_u32, any::<bool>())
}

fn any_population() -> impl Strategy<Value = Population> {
    let fraction = prop::sample::select(vec![0.0, 0.2, 0.34, 0.5]);
    let explore = prop::sample::select(vec![(0.0, 0.2), (0.25, 0.0), (1.0, 1.0)]);
    (1..8_u32, 1..6_u32, 1..10_u64, fraction, explore).prop_map(
        |(population_size, num_rounds, length_per_round, truncate_fraction, explore)| Population {
            population_size,
            num_rounds,
            length_per_round,
            truncate_fraction,
            resample_probability: explore.0,
            perturb_factor: explore.1,
        },
    )
}

fn any_config() -> impl Strategy<Value = SearcherConfig> {
    let anchor = prop::option::of(0..40_u64);
    let wrapped = (any_method(), prop::option::of((0..6_u64, 1..4_u64)), anchor);
    let wrapped = wrapped.prop_map(|(mut method, median, anchor)| {
        // A program stops trials itself.
        let median = median.filter(|_| !method.is_custom());
        let most = method.max_length();
        if let SearcherConfig::AsyncHalving { min_length, .. }
        | SearcherConfig::AdaptiveAsha { min_length, .. }
        | SearcherConfig::SyncHalving { min_length, .. }
        | SearcherConfig::Hyperband { min_length, .. }
        | SearcherConfig::Pasha { min_length, .. } = &mut method
        {
            *min_length = anchor.map(|number| 1 + number % most);
        }
        match median {
            Some((min_length, min_trials)) => {
                SearcherConfig::MedianStopping { inner: Box::new(method), min_length, min_trials }
            }
            None => method,
        }
    });
    prop_oneof![4 => wrapped, 1 => any_modelled()]
}

/// A model around whatever draws its trials at random.
fn any_modelled() -> impl Strategy<Value = SearcherConfig> {
    let settings = (1..12_u32, 1..20_u32, prop::sample::select(vec![0.0, 0.2, 1.0]));
    let model = settings.prop_map(|(startup_trials, candidates, random_fraction)| {
        ModelConfig::Tpe(TpeConfig { startup_trials, candidates, random_fraction, ..TpeConfig::default() })
    });
    let modelled = (any_method(), model)
        .prop_map(|(method, model)| SearcherConfig::ModelBased { inner: Box::new(method), model });
    modelled.prop_filter("draws its trials", |config| config.check().is_ok())
}

fn any_method() -> impl Strategy<Value = SearcherConfig> {
    let mode = prop::sample::select(vec![Mode::Conservative, Mode::Standard, Mode::Aggressive]);
    prop_oneof![
        1 => (1..40_u64).prop_map(|max_length| SearcherConfig::Single { max_length }),
        2 => (1..20_u64, 1..40_u64, 0..6_u32).prop_map(|(max_trials, max_length, max_concurrent_trials)| {
            SearcherConfig::Random { max_trials, max_length, max_concurrent_trials }
        }),
        2 => (1..40_u64, 0..6_u32).prop_map(|(max_length, max_concurrent_trials)| {
            SearcherConfig::Grid { max_length, max_concurrent_trials }
        }),
        8 => any_halving().prop_map(|(max_trials, divisor, num_rungs, max_length, max_concurrent_trials, stop_once)| {
            SearcherConfig::AsyncHalving { num_rungs, max_trials, divisor, min_length: None, max_length, max_concurrent_trials, stop_once }
        }),
        8 => (any_halving(), mode, prop::collection::vec(1..5_u32, 0..4)).prop_map(|(halving, mode, bracket_rungs)| {
            let (max_trials, divisor, max_rungs, max_length, max_concurrent_trials, stop_once) = halving;
            SearcherConfig::AdaptiveAsha {
                max_trials: max_trials.max(bracket_rungs.len() as u64),
                mode,
                divisor,
                max_rungs,
                bracket_rungs,
                min_length: None, max_length,
                max_concurrent_trials,
                stop_once,
            }
        }),
        6 => (any_halving(), any::<bool>()).prop_map(|(halving, hyperband)| {
            let (max_trials, divisor, _, max_length, max_concurrent_trials, _) = halving;
            if hyperband {
                SearcherConfig::Hyperband { max_trials, divisor, min_length: None, max_length, max_concurrent_trials }
            } else {
                SearcherConfig::SyncHalving { max_trials, divisor, min_length: None, max_length, max_concurrent_trials }
            }
        }),
        4 => any_halving().prop_map(|(max_trials, divisor, max_rungs, max_length, max_concurrent_trials, _)| {
            SearcherConfig::Pasha { max_trials, divisor, max_rungs, min_length: None, max_length, max_concurrent_trials }
        }),
        5 => any_population().prop_map(SearcherConfig::Pbt),
        3 => any_model_based(),
        8 => (1..40_u64, 0..6_u32).prop_map(|(max_length, max_concurrent_trials)| {
            SearcherConfig::Custom { max_length, max_concurrent_trials }
        }),
        5 => (1..40_u64, 1..400_u64, 0..6_u32).prop_map(|(max_trials, max_length, max_concurrent_trials)| {
            SearcherConfig::Auto { max_trials, max_length, max_concurrent_trials }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_method_keeps_the_contract(config in any_config(), choices in prop::collection::vec(any::<u32>(), 0..250)) {
        let mut world = World::new(&config);
        world.tell(Event::Capacity(3));
        for choice in choices {
            world.happen(choice);
        }
        world.finish();
    }
}
