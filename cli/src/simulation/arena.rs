//! Tasks, contestants and the simulated cluster, checked and ready to play.

use super::budget::{Allowance, Budget};
use super::refused;
use super::spec::Spec;
use super::tasks::SimulatedTask;
use crate::args::Cluster;
use crate::commands::source::Loaded;
use crate::errors::Error;
use toprung_searchers::{Searcher, SearcherConfig};
use toprung_simulations::{FirstThenBest, Player, Protocol, Rounds, Units, World};

/// Label of the baseline that trains all one length and continues the best.
pub(crate) const FIRST_THEN_BEST: &str = "one epoch, best k";
/// Label of random search.
pub(crate) const RANDOM: &str = "random";
/// Full trainings a slot, if nothing says how long to search.
const USUAL: f64 = 4.0;
/// Where a budget pays for more than this part of all recorded configurations in full, a search shows little.
const LARGE_PART: f64 = 0.2;
/// More trials than that no simulated search is given.
const MOST_TRIALS: f64 = 1e7;

/// How a contestant plays a task.
#[derive(Clone, Debug)]
enum Play {
    Searcher(SearcherConfig),
    Rounds(SearcherConfig),
    FirstThenBest { trials: u32, keep: u32 },
}

/// Who takes part.
pub(crate) struct Contestant {
    /// Its name in results.
    pub label: String,
    /// Its settings in a line.
    pub settings: String,
    /// It is there to be measured against.
    pub baseline: bool,
    /// As it was written, if it is a searcher of the experiment file.
    pub spec: Option<Spec>,
    /// One for each task.
    plays: Vec<Play>,
}

/// Where a task is played.
pub(crate) enum Ground {
    /// In the simulated cluster.
    World(World),
    /// By the comparison protocol.
    Protocol(Protocol),
}

/// A task with its ground.
pub(crate) struct Field {
    /// The task.
    pub task: SimulatedTask,
    /// Where it is played.
    pub ground: Ground,
    /// For how long.
    pub allowance: Allowance,
}

/// Everything that is played.
pub(crate) struct Arena {
    /// The tasks.
    pub fields: Vec<Field>,
    /// Who plays them, baselines last.
    pub contestants: Vec<Contestant>,
    /// With these seeds.
    pub seeds: Vec<u32>,
    /// What all runs share: name and value.
    pub shared: Vec<(String, String)>,
}

impl Arena {
    /// Checks everything that can be wrong before the first run. `protocol`: the comparison protocol, whatever the cluster
    /// says but its slots.
    pub(crate) fn new(
        tasks: Vec<SimulatedTask>,
        specs: Vec<Spec>,
        cluster: &Cluster,
        budget: Budget,
        protocol: bool,
    ) -> Result<Self, Error> {
        let first = cluster.first_seed.or_else(|| seed_of(&tasks)).unwrap_or(0);
        let shared = shared(cluster, budget, protocol);
        let fields: Result<Vec<Field>, Error> =
            tasks.into_iter().map(|task| field(task, cluster, budget, protocol)).collect();
        let mut arena = Self {
            fields: fields?,
            contestants: Vec::new(),
            seeds: (0..cluster.seeds).map(|seed| first.wrapping_add(seed)).collect(),
            shared,
        };
        for spec in specs {
            arena.enter(spec, false)?;
        }
        if !arena.contestants.iter().any(|contestant| contestant.label == RANDOM) {
            arena.enter(Spec::parse(RANDOM)?, true)?;
        }
        arena.enter_first_then_best();
        Ok(arena)
    }

    /// A searcher takes part, unless one of this name does already.
    fn enter(&mut self, spec: Spec, baseline: bool) -> Result<(), Error> {
        if self.contestants.iter().any(|contestant| contestant.label == spec.label) {
            return Ok(());
        }
        let mut plays = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let method = spec.method(&field.task, field.most_trials())?;
            let play =
                if method.rounds { Play::Rounds(method.config) } else { Play::Searcher(method.config) };
            field.player(&play, 0)?;
            plays.push(play);
        }
        let baseline = baseline || spec.label == RANDOM;
        let (label, settings) = (spec.label.clone(), spec.settings());
        self.contestants.push(Contestant { label, settings, baseline, spec: Some(spec), plays });
        Ok(())
    }

    fn enter_first_then_best(&mut self) {
        let plays = self.fields.iter().map(Field::first_then_best).collect();
        self.contestants.push(Contestant {
            label: FIRST_THEN_BEST.to_owned(),
            settings: "half of the budget for first lengths, the best of them in full with the other half"
                .to_owned(),
            baseline: true,
            spec: None,
            plays,
        });
    }

    /// A contestant before its first event on a task. What is wrong with it was found before.
    pub(crate) fn player(
        &self,
        field: usize,
        contestant: usize,
        seed: u32,
    ) -> Result<Box<dyn Player>, Error> {
        self.fields[field].player(&self.contestants[contestant].plays[field], seed)
    }

    /// Without the searchers that are not at the places `kept`; baselines stay.
    pub(crate) fn keep(self, kept: &[usize]) -> Self {
        let stays = |(place, contestant): &(usize, Contestant)| contestant.baseline || kept.contains(place);
        let contestants = self.contestants.into_iter().enumerate().filter(stays);
        Self { contestants: contestants.map(|(_, contestant)| contestant).collect(), ..self }
    }

    /// Whether two contestants are the same in everything but their names.
    pub(crate) fn are_same(&self, one: usize, other: usize) -> bool {
        let play = |place: usize| format!("{:?}", self.contestants[place].plays);
        play(one) == play(other)
    }

    /// The method of a contestant on a task, if it is a searcher.
    pub(crate) fn method(&self, field: usize, contestant: usize) -> Option<&SearcherConfig> {
        match &self.contestants[contestant].plays[field] {
            Play::Searcher(config) | Play::Rounds(config) => Some(config),
            Play::FirstThenBest { .. } => None,
        }
    }

    /// What makes the results say less than they seem to.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.fields.iter().flat_map(|field| [field.too_short(), field.too_small()]).flatten().collect()
    }
}

impl Field {
    /// A search is over before anything can be trained in full.
    fn too_short(&self) -> Option<String> {
        let short = self.allowance.time.is_some_and(|time| time < self.task.task.scale().mean_full_cost);
        short.then(|| {
            format!(
                "{}: the budget ends before one trial can be trained in full; raise --budget, or lower --slots",
                self.task.task.name()
            )
        })
    }

    /// Whoever trains a good part of all configurations in full finds the best of them.
    fn too_small(&self) -> Option<String> {
        let rows = f64::from(self.task.rows?);
        let trainings = self.allowance.trainings;
        (trainings > rows * LARGE_PART).then(|| {
            format!(
                "{}: the budget pays for {trainings:.0} full trainings, and only {rows:.0} configurations are recorded: without \
                 any skill a good part of them is tried; lower --budget, or record more",
                self.task.task.name()
            )
        })
    }

    /// No search of the budget creates more.
    fn most_trials(&self) -> u64 {
        let each_one_length = self.allowance.trainings * self.task.task.max_length() as f64;
        // Costs are uneven: short trainings can be cheaper than they are long.
        (each_one_length * 10.0).clamp(1_000.0, MOST_TRIALS) as u64
    }

    fn first_then_best(&self) -> Play {
        let half = self.allowance.trainings / 2.0;
        let keep = half.round().max(1.0);
        let trials = (half * self.task.task.max_length() as f64).round().clamp(keep, MOST_TRIALS);
        Play::FirstThenBest { trials: trials as u32, keep: keep as u32 }
    }

    fn player(&self, play: &Play, seed: u32) -> Result<Box<dyn Player>, Error> {
        let (space, unit) = (self.task.task.space().clone(), self.task.unit);
        let refused = |error| refused(toprung_simulations::Error::Searcher(error));
        Ok(match play {
            Play::Searcher(config) => {
                Box::new(Units::new(Searcher::new(config.clone(), space, seed).map_err(refused)?, unit))
            }
            Play::Rounds(config) => {
                Box::new(Units::new(Rounds::new(config.clone(), space, seed).map_err(refused)?, unit))
            }
            Play::FirstThenBest { trials, keep } => {
                Box::new(FirstThenBest::new(space, seed, *trials, *keep, 1, self.task.task.max_length()))
            }
        })
    }
}

fn field(task: SimulatedTask, cluster: &Cluster, budget: Budget, protocol: bool) -> Result<Field, Error> {
    let scale = task.task.scale();
    if !(scale.mean_full_cost > 0.0 && scale.mean_full_cost.is_finite()) {
        return Err(Error::Usage {
            message: format!("{}: a full training costs {}", task.task.name(), scale.mean_full_cost),
            help: "costs must add up to more than 0; leave the column out, and each length costs 1"
                .to_owned(),
        });
    }
    if scale.median_final <= scale.best_any {
        return Err(Error::Usage {
            message: format!("{}: no configuration is better than the median one", task.task.name()),
            help: "curves of at least two configurations that differ are needed".to_owned(),
        });
    }
    if protocol {
        let by = Protocol { workers: cluster.slots, ..Protocol::default() };
        let trainings = by.full_curves * f64::from(cluster.slots);
        let allowance = Budget::Trainings(trainings).on(&scale, task.full_length(), task.unit, cluster.slots);
        return Ok(Field { task, ground: Ground::Protocol(by), allowance });
    }
    let allowance = budget.on(&scale, task.full_length(), task.unit, cluster.slots);
    let world = world(cluster, scale.mean_full_cost, &allowance);
    world.check().map_err(refused)?;
    Ok(Field { task, ground: Ground::World(world), allowance })
}

fn world(cluster: &Cluster, training: f64, allowance: &Allowance) -> World {
    let every = |amount: Option<super::amount::Amount>| {
        amount.map_or(f64::INFINITY, |amount| amount.seconds(training))
    };
    let node_loss_every = every(cluster.node_loss);
    World {
        slots_per_node: cluster.slots_per_node,
        start_time: cluster.startup.seconds(training),
        resume_time: cluster.resume_time.seconds(training),
        checkpoint_time: cluster.checkpoint_time.seconds(training),
        straggler: cluster.stragglers,
        crash_every: every(cluster.crashes),
        preempt_every: every(cluster.preemptions),
        node_loss_every,
        node_lost_for: if node_loss_every.is_finite() { node_loss_every / 10.0 } else { 0.0 },
        limits: allowance.limits,
        ..World::calm(cluster.slots)
    }
}

/// What a search may use up if nothing says it: what the search of the file trains by its plan, or what the experiment that
/// ran has trained, or four full trainings a slot.
pub(crate) fn usual_budget(cluster: &Cluster, loaded: Option<&Loaded>, tasks: &[SimulatedTask]) -> Budget {
    if let Some(budget) = cluster.budget {
        return budget;
    }
    if let [SimulatedTask { recorded: Some(ran), .. }] = tasks {
        return Budget::Length(ran.total_length.max(1));
    }
    let planned = loaded.and_then(|loaded| {
        let plan = toprung_searchers::plan(&loaded.config.searcher.method, &loaded.config.space).ok()?;
        Some(Budget::Work(plan.total_length as f64 / plan.max_length.max(1) as f64))
    });
    planned.unwrap_or_else(|| Budget::Trainings(USUAL * f64::from(cluster.slots)))
}

/// Of the experiment that ran, so that its own search meets its trials again.
fn seed_of(tasks: &[SimulatedTask]) -> Option<u32> {
    match tasks {
        [task] => task.recorded.as_ref().map(|ran| ran.seed),
        _ => None,
    }
}

fn shared(cluster: &Cluster, budget: Budget, protocol: bool) -> Vec<(String, String)> {
    let mut shared = vec![("slots".to_owned(), cluster.slots.to_string())];
    if protocol {
        shared.push(("rules".to_owned(), "the comparison protocol".to_owned()));
        return shared;
    }
    shared.push(("budget".to_owned(), budget.to_string()));
    let some = |amount: super::amount::Amount| (amount.seconds(1.0) > 0.0).then(|| amount.to_string());
    let every = |amount: Option<super::amount::Amount>| amount.map(|amount| format!("every {amount}"));
    let all = [
        ("start-up", some(cluster.startup)),
        ("checkpoint", some(cluster.checkpoint_time)),
        ("resume", some(cluster.resume_time)),
        ("stragglers", (cluster.stragglers > 0.0).then(|| cluster.stragglers.to_string())),
        ("crashes", every(cluster.crashes)),
        ("preemptions", every(cluster.preemptions)),
        ("node loss", every(cluster.node_loss)),
    ];
    shared.extend(all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    shared
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::args::{Arguments, Command};
    use clap::Parser as _;

    /// The cluster of a command line.
    pub(crate) fn cluster(words: &[&str]) -> Cluster {
        let line = ["toprung", "simulate", "--synthetic", "power"].iter().chain(words);
        let Command::Simulate(args) = Arguments::parse_from(line).command else { panic!("another command") };
        args.cluster
    }

    /// An arena of one easy task.
    pub(crate) fn arena(searchers: &[&str], words: &[&str]) -> Result<Arena, Error> {
        let specs = searchers.iter().map(|text| Spec::parse(text)).collect::<Result<_, _>>()?;
        let (cluster, tasks) = (cluster(words), vec![crate::simulation::tasks::of_tests()]);
        let budget = usual_budget(&cluster, None, &tasks);
        Arena::new(tasks, specs, &cluster, budget, false)
    }

    #[test]
    fn baselines_always_take_part_once() {
        let labels = |searchers: &[&str]| -> Vec<String> {
            let arena = arena(searchers, &[]).unwrap();
            arena.contestants.into_iter().map(|contestant| contestant.label).collect()
        };
        assert_eq!(labels(&["hyperband"]), ["hyperband", RANDOM, FIRST_THEN_BEST]);
        assert_eq!(labels(&["random", "random", "asha"]), [RANDOM, "asha", FIRST_THEN_BEST]);
    }

    #[test]
    fn the_budget_of_half_goes_to_first_lengths() {
        let arena = arena(&[], &["--slots", "4"]).unwrap();
        assert_eq!(arena.fields[0].allowance.trainings, 16.0);
        let Play::FirstThenBest { trials, keep } = arena.fields[0].first_then_best() else {
            panic!("a baseline")
        };
        assert_eq!((trials, keep), (8 * 27, 8));
        assert!(arena.warnings().is_empty());
    }

    #[test]
    fn a_budget_that_is_too_short_is_warned_about() {
        let arena = arena(&[], &["--slots", "8", "--budget", "4"]).unwrap();
        assert!(arena.warnings()[0].contains("before one trial can be trained in full"));
    }

    #[test]
    fn faults_are_those_of_the_command_line() {
        let words = ["--preemptions", "50%", "--startup", "2", "--node-loss", "540"];
        let arena = arena(&[], &words).unwrap();
        let Ground::World(world) = arena.fields[0].ground else { panic!("the protocol") };
        assert_eq!((world.preempt_every, world.start_time), (13.5, 2.0));
        assert_eq!((world.node_loss_every, world.node_lost_for), (540.0, 54.0));
        assert!(
            arena.shared.contains(&("preemptions".to_owned(), "every 50 % of a full training".to_owned()))
        );
    }
}
