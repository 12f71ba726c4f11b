//! One run: a seed chooses the experiments, the agents, the faults, and at each step which of the things that may happen
//! does. After a while faults stop, and everything has to end.

use toprung_engine::experiment::{Machine, Spec, State, snapshot};
use toprung_proto::v1::{self, agent_message, journal_record::Input};

use crate::agent::Agent;
use crate::bug::Bug;
use crate::engine::{Actor, Engine};
use crate::experiments::Message;
use crate::ledger::Violation;
use crate::outer::{Outer, Timer};

/// Steps after which a run that has not ended is wrong.
const MOST_STEPS: u64 = 400_000;
/// Virtual milliseconds after the last fault within which everything ends.
const PATIENCE: u64 = 1_800_000;

const SEARCHES: [&str; 5] = [
    "{name: adaptive_asha, metric: loss, max_trials: 7, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 4}",
    "{name: async_halving, metric: loss, num_rungs: 3, max_trials: 6, max_length: {epochs: 9}, divisor: 3, max_concurrent_trials: 3, stop_once: true}",
    "{name: async_halving, metric: loss, num_rungs: 2, max_trials: 6, max_length: {epochs: 4}, divisor: 2, max_concurrent_trials: 3}",
    "{name: random, metric: loss, max_trials: 5, max_length: {epochs: 4}, max_concurrent_trials: 4}",
    "{name: single, metric: loss, max_length: {epochs: 6}}",
];

/// What a run was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Messages handled, timers and faults.
    pub steps: u64,
    /// Faults.
    pub faults: u64,
    /// Reports that scripts were told are accepted.
    pub reports: u64,
    /// Agents that were excluded from an experiment.
    pub exclusions: u64,
}

/// The experiments that seeds choose from, checked once.
#[derive(Debug)]
pub struct Scenarios(Vec<(Spec, u64)>);

impl Default for Scenarios {
    fn default() -> Self {
        let extras = ["max_restarts: 2", "max_restarts: 9\nresources: {max_slots: 2}"];
        let of = |search: &'static str| extras.map(|extra| (spec(search, extra), limit(search)));
        Self(SEARCHES.into_iter().flat_map(of).collect())
    }
}

fn spec(search: &str, extra: &str) -> Spec {
    let yaml = format!(
        "name: test\nentrypoint: python train.py\nhyperparameters:\n  rate: {{type: log, minval: -4, maxval: -1}}\nsearcher: {search}\n{extra}"
    );
    let config = toprung_config::parse(&yaml).expect("the file is right").config;
    let created = v1::ExperimentCreated {
        id: 1,
        config_json: config.complete().to_string(),
        name: "test".into(),
        seed: 7,
        ..v1::ExperimentCreated::default()
    };
    Spec::new(&created, 1_700_000_000_000).expect("the configuration is complete")
}

fn limit(search: &str) -> u64 {
    let given = search.split("max_concurrent_trials: ").nth(1);
    let digits = given.and_then(|rest| rest.split([',', '}']).next());
    digits.map_or(1, |text| text.parse().expect("a number"))
}

/// Runs one seed.
///
/// # Errors
/// The first invariant that did not hold.
pub fn run(seed: u64, bug: Bug, scenarios: &Scenarios, verbose: bool) -> Result<Summary, Violation> {
    let mut world = World::new(seed, bug, scenarios, verbose);
    world.live();
    match world.outer.ledger.violation.take() {
        Some(violation) => Err(violation),
        None => Ok(world.summary),
    }
}

struct World {
    outer: Outer,
    engine: Option<Engine>,
    starts: u64,
    agents: Vec<Agent>,
    specs: Vec<(Spec, u64)>,
    faults_until: u64,
    /// One fault in so many steps.
    rarity: u64,
    summary: Summary,
}

#[derive(Clone, Copy)]
enum Choice {
    Actor(Actor),
    Up(u64),
    Down(u64),
    Disk,
}

impl World {
    fn new(seed: u64, bug: Bug, scenarios: &Scenarios, verbose: bool) -> Self {
        let mut outer = Outer::new(seed, bug, verbose);
        let chance = &mut outer.chance;
        let mut specs = Vec::new();
        for id in 1..=1 + u64::from(chance.one(1, 3)) {
            let (mut spec, limit) = scenarios.0[chance.below(scenarios.0.len() as u64) as usize].clone();
            spec.id = id;
            spec.seed = chance.below(1_000) as u32;
            specs.push((spec, limit));
        }
        let count = 1 + chance.below(3) as usize;
        let mut agents: Vec<Agent> =
            (0..count).map(|index| Agent::new(index, 1 + chance.below(3) as u32)).collect();
        let faults_until = chance.below(120_000);
        if chance.one(1, 6) {
            agents[0].bad_until = faults_until;
        }
        let rarity = [40, 150, 600, 4_000][chance.below(4) as usize];
        outer.after(0, Timer::EngineStarts);
        for index in 0..agents.len() {
            outer.within(5_000, Timer::AgentStarts(index));
        }
        let summary = Summary::default();
        Self { outer, engine: None, starts: 0, agents, specs, faults_until, rarity, summary }
    }

    fn live(&mut self) {
        while self.outer.ledger.violation.is_none() {
            self.summary.steps += 1;
            if self.outer.faults {
                if self.outer.now >= self.faults_until {
                    self.heal();
                } else if self.outer.chance.one(1, self.rarity) {
                    self.fault();
                }
            } else if self.is_over() {
                self.check_end();
                return;
            } else if self.summary.steps > MOST_STEPS || self.outer.now > self.faults_until + PATIENCE {
                let agents: Vec<String> = self.agents.iter().map(Agent::rest).collect();
                let state = |experiment: &crate::experiments::Experiment| {
                    let fold = &experiment.keeper.machine.fold;
                    let trials = fold.trials.iter().map(|trial| trial.phase);
                    format!("{:?} {:?}", fold.state, trials.collect::<Vec<_>>())
                };
                let engine = self.engine.as_ref().map(|engine| engine.experiments.values().map(state));
                let engine: Vec<String> = engine.into_iter().flatten().collect();
                self.outer.ledger.fail("INV-7", format!("not over: {engine:?}; {agents:?}"));
                return;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let choices = self.choices();
        if choices.is_empty() || self.outer.chance.one(1, 60) {
            self.pass_time();
            return;
        }
        let choice = choices[self.outer.chance.below(choices.len() as u64) as usize];
        let outer = &mut self.outer;
        match (choice, &mut self.engine) {
            (Choice::Actor(actor), Some(engine)) => {
                engine.handle(actor, outer);
                self.check_holding(actor);
                self.check_failures(actor);
            }
            (Choice::Up(id), engine) => {
                let Some(connection) = outer.connections.get_mut(&id) else { return };
                let Some(message) = connection.up.pop_front() else { return };
                match engine {
                    Some(engine) => engine.arrived(id, message),
                    None => connection.cut(&mut outer.chance),
                }
            }
            (Choice::Down(id), _) => {
                let Some(connection) = outer.connections.get_mut(&id) else { return };
                let agent = connection.agent;
                if let Some(message) = connection.down.pop_front() {
                    self.agents[agent].arrived(id, message, outer);
                }
            }
            (Choice::Disk, _) => self.write(),
            (Choice::Actor(_), None) => {}
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        if let Some(engine) = &self.engine {
            choices.extend(engine.ready().into_iter().map(Choice::Actor));
            if !self.outer.pending.is_empty() {
                choices.push(Choice::Disk);
            }
        }
        for (id, connection) in &self.outer.connections {
            if connection.down_until <= self.outer.now && !connection.down.is_empty() {
                choices.push(Choice::Down(*id));
            }
            let registers = matches!(
                connection.up.front(),
                Some(Some(v1::AgentMessage { kind: Some(agent_message::Kind::Register(_)) }))
            );
            let read = registers || self.engine.as_ref().is_none_or(|engine| engine.reads(*id));
            if connection.up_until <= self.outer.now && read && !connection.up.is_empty() {
                choices.push(Choice::Up(*id));
            }
        }
        choices
    }

    fn pass_time(&mut self) {
        let outer = &mut self.outer;
        let Some((&(at, order), _)) = outer.timers.first_key_value() else { return };
        let stalls = outer.connections.values().flat_map(|found| [found.up_until, found.down_until]);
        if let Some(stall) = stalls.filter(|until| *until > outer.now && *until < at).min() {
            outer.now = stall;
            return;
        }
        outer.now = outer.now.max(at);
        let Some(timer) = outer.timers.remove(&(at, order)) else { return };
        self.on_timer(timer);
    }

    fn on_timer(&mut self, timer: Timer) {
        let outer = &mut self.outer;
        let engine = self.engine.as_mut();
        match timer {
            Timer::EngineStarts => {
                if engine.is_none() {
                    self.starts += 1;
                    outer.log(|| "engine starts".to_owned());
                    let specs = self.specs.iter().map(|(spec, _)| spec.clone()).collect();
                    self.engine = Some(Engine::start(self.starts, specs, outer));
                }
            }
            Timer::Tick(start) => {
                if let Some(engine) = engine.filter(|engine| engine.start == start) {
                    engine.tick();
                    self.resume();
                }
            }
            Timer::Restart(start, id) => {
                engine
                    .filter(|engine| engine.start == start)
                    .into_iter()
                    .for_each(|engine| engine.restart(id));
            }
            Timer::Unanswered(start, task) => {
                let engine = engine.filter(|engine| engine.start == start);
                engine.into_iter().for_each(|engine| engine.unanswered(task));
            }
            Timer::Retry(start, generation, id, trial, attempt) => {
                let engine = engine.filter(|engine| engine.start == start);
                if let Some(experiment) = engine.and_then(|engine| engine.experiments.get_mut(&id))
                    && experiment.generation == generation
                {
                    let due = Input::Retry(v1::RetryDue { trial, attempt });
                    experiment.mailbox.push_back(Message::Input(due));
                }
            }
            Timer::AgentStarts(agent) => self.agents[agent].start(outer),
            Timer::Connect(agent, starts) => self.agents[agent].connect(starts, outer),
            Timer::Late(agent, connection) => self.agents[agent].late(connection, outer),
            Timer::Beat(agent, connection) => self.agents[agent].beat(connection, outer),
            Timer::Due(agent, starts) => {
                if self.agents[agent].starts == starts {
                    self.agents[agent].send(outer);
                }
            }
            Timer::Script(agent, starts, attempt) => self.agents[agent].step(starts, &attempt, outer),
        }
    }

    /// The disk takes what is next; it may be full, or fail after it has written.
    fn write(&mut self) {
        let outer = &mut self.outer;
        let Some((id, generation, batch)) = outer.pending.pop_front() else { return };
        let full = outer.full_until > outer.now;
        let written = !full || outer.chance.one(1, 4);
        let result = if written { outer.write(batch) } else { Ok(()) };
        // A batch after one that failed is out of sequence and fails too; its actor is gone by then.
        let durable = result.is_ok() && written && !full;
        let engine = self.engine.as_mut().and_then(|engine| engine.experiments.get_mut(&id));
        if let Some(experiment) = engine.filter(|experiment| experiment.generation == generation) {
            experiment.mailbox.push_back(Message::Committed(durable));
        }
    }

    fn fault(&mut self) {
        self.summary.faults += 1;
        let outer = &mut self.outer;
        let kind = outer.chance.below(21);
        match kind {
            0..=1 => self.crash_engine(),
            2..=3 => {
                let agent = outer.chance.below(self.agents.len() as u64) as usize;
                self.agents[agent].crash(outer);
            }
            4..=13 => self.disturb(kind),
            14..=15 => {
                outer.full_until = outer.now + outer.chance.below(20_000);
                outer.log(|| "the disk is full".to_owned());
            }
            16 => {
                let jump = outer.chance.below(7_200_000) as i64 - 3_600_000;
                outer.calendar += jump;
                outer.log(|| format!("the calendar jumps by {jump} ms"));
            }
            17..=19 => self.control(),
            _ => {
                let agent = outer.chance.below(self.agents.len() as u64) as usize;
                self.agents[agent].bad_until = outer.now + outer.chance.below(120_000);
                outer.log(|| format!("agent-{agent} is broken for a while"));
            }
        }
    }

    fn disturb(&mut self, kind: u64) {
        let outer = &mut self.outer;
        let count = outer.connections.len() as u64;
        // Mostly the newest: the others are cut already.
        let place = if outer.chance.one(1, 4) { outer.chance.below(count) } else { count.saturating_sub(1) };
        let Some(connection) = outer.connections.values_mut().nth(place as usize) else { return };
        let (now, long) = (outer.now, if outer.chance.one(1, 4) { 90_000 } else { 2_000 });
        match kind {
            4..=7 => connection.cut(&mut outer.chance),
            8..=9 => connection.up_until = now + outer.chance.below(long),
            10..=11 => connection.down_until = now + outer.chance.below(long),
            // The agent knows at once, the engine late.
            _ => {
                connection.cut(&mut outer.chance);
                connection.up_until = now + outer.chance.below(long);
            }
        }
        outer.log(|| format!("connection {place} is disturbed ({kind})"));
    }

    fn control(&mut self) {
        let chance = &mut self.outer.chance;
        let input = match chance.below(40) {
            0 => Input::Kill(v1::KillRequested { reason: "killed".into() }),
            1..=19 => Input::Pause(v1::PauseRequested {}),
            _ => Input::Resume(v1::ResumeRequested {}),
        };
        let id = 1 + chance.below(self.specs.len() as u64);
        if let Some(experiment) = self.engine.as_mut().and_then(|engine| engine.experiments.get_mut(&id)) {
            experiment.mailbox.push_back(Message::Input(input));
        }
    }

    /// The engine dies. What was on its way to the disk may be written, up to a random point.
    fn crash_engine(&mut self) {
        if self.engine.take().is_none() {
            return;
        }
        let outer = &mut self.outer;
        outer.log(|| "engine dies".to_owned());
        let written = outer.chance.below(outer.pending.len() as u64 + 1);
        for (_, _, batch) in std::mem::take(&mut outer.pending).into_iter().take(written as usize) {
            // One that follows a failed one is refused, as it should be.
            drop(outer.write(batch));
        }
        for connection in outer.connections.values_mut() {
            connection.cut(&mut outer.chance);
            connection.up.clear();
        }
        let longest = if outer.chance.one(1, 5) { 90_000 } else { 3_000 };
        outer.within(longest, Timer::EngineStarts);
    }

    fn heal(&mut self) {
        let outer = &mut self.outer;
        outer.log(|| "faults stop".to_owned());
        outer.faults = false;
        outer.full_until = 0;
        self.agents.iter_mut().for_each(|agent| agent.bad_until = 0);
        for connection in outer.connections.values_mut() {
            (connection.up_until, connection.down_until) = (0, 0);
        }
    }

    /// After the last fault whoever paused an experiment lets it go on.
    fn resume(&mut self) {
        if self.outer.faults {
            return;
        }
        for experiment in self.engine.iter_mut().flat_map(|engine| engine.experiments.values_mut()) {
            let state = experiment.keeper.machine.fold.state;
            if matches!(state, State::Paused | State::Pausing) {
                experiment.mailbox.push_back(Message::Input(Input::Resume(v1::ResumeRequested {})));
            }
        }
    }

    fn check_holding(&mut self, actor: Actor) {
        let Actor::Experiment(id) = actor else { return };
        let found = self.engine.as_ref().and_then(|engine| engine.experiments.get(&id));
        let limit = self.specs.iter().find(|(spec, _)| spec.id == id).map_or(0, |(_, limit)| *limit);
        if let Some(holding) = found.map(|found| found.keeper.machine.holding()).filter(|held| *held > limit)
        {
            self.outer
                .ledger
                .fail("INV-5", format!("{holding} trials of experiment {id} hold slots of {limit}"));
        }
    }

    fn check_failures(&mut self, actor: Actor) {
        let Actor::Experiment(id) = actor else { return };
        let found = self.engine.as_ref().and_then(|engine| engine.experiments.get(&id));
        let Some(machine) = found.map(|found| &found.keeper.machine) else { return };
        let max = machine.spec.config.max_restarts;
        let most = machine.fold.trials.iter().map(|trial| trial.restarts).max().unwrap_or(0);
        if most > max {
            self.outer.ledger.fail("INV-10", format!("a trial of {id} is charged {most} failures of {max}"));
        }
        if machine.fold.nodes.excluded().count() >= self.agents.len() {
            self.outer.ledger.fail("INV-9", format!("experiment {id} excludes all agents"));
        }
    }

    fn is_over(&self) -> bool {
        let Some(engine) = &self.engine else { return false };
        let idle = self.agents.iter().all(|agent| agent.is_up() && agent.is_idle());
        let (all, free) = engine.slots();
        let ended = self.specs.iter().all(|(spec, _)| self.outer.ledger.has_ended(spec.id));
        ended && engine.experiments.is_empty() && idle && self.choices().is_empty() && all > 0 && all == free
    }

    fn check_end(&mut self) {
        let alive: Vec<String> = self.agents.iter().map(Agent::instance).collect();
        self.outer.ledger.check_end(&alive);
        self.summary.reports = self.outer.ledger.counts().0 as u64;
        self.summary.exclusions = self.outer.ledger.exclusions() as u64;
        for (spec, _) in self.specs.clone() {
            if let Err(what) = self.check_fold(&spec) {
                self.outer.ledger.fail("INV-6", what);
            }
        }
    }

    /// The whole journal folds without a fault to what snapshot and journal give, and to the same decisions.
    fn check_fold(&mut self, spec: &Spec) -> Result<(), String> {
        let mut folded = Machine::new(spec.clone()).map_err(|error| error.to_string())?;
        for record in self.outer.store.journal(spec.id, 1).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            folded.replay(record).map_err(|error| error.to_string())?;
        }
        if !folded.fold.state.is_end() {
            return Err(format!("experiment {} has not ended in its journal", spec.id));
        }
        let loaded = self.outer.load(spec).ok_or("it cannot be loaded")?;
        let bytes = |machine: &Machine| snapshot::encode(machine).map_err(|error| error.to_string());
        if bytes(&loaded)? == bytes(&folded)? {
            Ok(())
        } else {
            Err("a snapshot gives another state".to_owned())
        }
    }
}
