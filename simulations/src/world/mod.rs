//! Searches in a simulated cluster: slots, overheads, stragglers, crashes, preemptions, lost nodes; in virtual time.
//!
//! Trials are treated as the engine treats them. A trial trains to its target, reports, and keeps its slot until the searcher
//! answers, which it does at once. One that is told to pause saves a checkpoint and gives its slot back; then the searcher
//! hears of it. One that is told to stop gives it back at once. An attempt that crashes is retried from the last checkpoint,
//! up to `max_restarts`; then the trial has failed for good. One that was preempted or lost with its node goes on from
//! its last checkpoint on another slot, and no one is charged. Lengths after the last checkpoint are wasted, trained and
//! reported again. Only whole units of length count.
//!
//! The order of everything is (time, sequence); the same seed gives the same run. Randomness is by counters
//! ([`crate::noise`]), so that compared searchers meet the same luck.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what the cluster is like |
//! | `clock` | what is due |
//! | `state` | trials and slots |
//! | `training` | stretches of training, and what they add up to |
//! | `actions` | what follows from the searcher's actions |
//! | `faults` | crashes, preemptions, lost nodes |

mod actions;
mod clock;
mod faults;
mod settings;
mod state;
mod training;

use crate::error::Error;
use crate::player::Player;
use crate::run::{Run, Step};
use crate::task::{Scale, Task};
use clock::{Clock, Due};
pub use settings::{Limits, Reports, World};
use state::{Milestone, Slot, Trial, Use};
use std::collections::VecDeque;
use toprung_searchers::{Action, Event, TrialId};

/// What a simulated search did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// As far as it is judged.
    pub run: Run,
    /// The length that counts: what all trials reached, less what they were cloned with. With `run.wasted_length` it
    /// adds up to `run.total_length`.
    pub useful_length: u64,
    /// Attempts that failed by themselves.
    pub crashes: u64,
    /// Attempts that were preempted.
    pub preemptions: u64,
    /// Nodes that were lost, each time.
    pub node_losses: u64,
    /// Attempts begun.
    pub attempts: u64,
    /// Trials that failed for good.
    pub errored: u64,
    /// Reports of points that were never measured but predicted ([`Task::is_predicted`]).
    pub predicted: u64,
    /// The most slots that trials held at once.
    pub most_slots: u32,
    /// Whether the searcher ended the search (else a limit did, or nothing was left to happen).
    pub over: bool,
    /// Slots that trials still held at the end.
    pub held: u32,
}

impl World {
    /// Plays one search. `searcher` names the result; `seed` is that of the world (curves' noise and faults). The player
    /// has its own seed already.
    pub fn play<T, P>(&self, task: &T, player: &mut P, searcher: &str, seed: u32) -> Result<Outcome, Error>
    where
        T: Task + ?Sized,
        P: Player + ?Sized,
    {
        self.check()?;
        let mut game = Game::new(*self, task, player, seed);
        game.begin();
        while game.step() {}
        Ok(game.finish(searcher))
    }
}

/// A search under way.
struct Game<'a, T: ?Sized, P: ?Sized> {
    world: World,
    task: &'a T,
    player: &'a mut P,
    seed: u32,
    scale: Scale,
    /// The end of every curve.
    max_length: u32,
    now: f64,
    clock: Clock,
    trials: Vec<Trial>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    queue: VecDeque<u32>,
    /// Slots that train or save.
    working: u32,
    /// Slots that trials hold.
    holding: u32,
    /// Slots whose nodes are there.
    there: u32,
    busy: f64,
    /// The length that cloned trials began with.
    inherited: u64,
    out: Outcome,
    events: VecDeque<Event>,
    actions: Vec<Action>,
}

impl<'a, T: Task + ?Sized, P: Player + ?Sized> Game<'a, T, P> {
    fn new(world: World, task: &'a T, player: &'a mut P, seed: u32) -> Self {
        let run = Run {
            task: task.name().to_owned(),
            searcher: String::new(),
            seed,
            steps: Vec::new(),
            end_time: 0.0,
            total_length: 0,
            total_cost: 0.0,
            wasted_length: 0,
            utilisation: 0.0,
            trials: 0,
            reports: 0,
        };
        let out = Outcome {
            run,
            useful_length: 0,
            crashes: 0,
            preemptions: 0,
            node_losses: 0,
            attempts: 0,
            errored: 0,
            predicted: 0,
            most_slots: 0,
            over: false,
            held: 0,
        };
        Self {
            world,
            task,
            player,
            seed,
            scale: task.scale(),
            max_length: u32::try_from(task.max_length()).unwrap_or(u32::MAX),
            now: 0.0,
            clock: Clock::default(),
            trials: Vec::new(),
            slots: vec![Slot::FREE; world.slots as usize],
            free: (0..world.slots).rev().collect(),
            queue: VecDeque::new(),
            working: 0,
            holding: 0,
            there: world.slots,
            busy: 0.0,
            inherited: 0,
            out,
            events: VecDeque::new(),
            actions: Vec::new(),
        }
    }

    fn begin(&mut self) {
        if self.world.node_loss_every.is_finite() {
            for node in 0..self.world.slots.div_ceil(self.world.slots_per_node) {
                self.lose_node_later(node, 0);
            }
        }
        self.tell(Event::Capacity(self.world.slots));
        self.place_trials();
    }

    /// The next thing happens. Whether the search goes on.
    fn step(&mut self) -> bool {
        let idle = self.working == 0 && self.queue.is_empty();
        if self.out.over || idle || self.is_used_up() {
            return false;
        }
        let Some((time, due)) = self.clock.next() else { return false };
        if time > self.world.limits.time {
            self.now = self.world.limits.time;
            return false;
        }
        self.now = time;
        match due {
            Due::Slot { slot, generation } => {
                if self.slots[slot as usize].generation == generation {
                    self.slot_due(slot);
                }
            }
            Due::NodeLost { node, times } => self.node_lost(node, times),
            Due::NodeBack { node, times } => self.node_back(node, times),
        }
        self.place_trials();
        true
    }

    fn is_used_up(&self) -> bool {
        self.out.run.total_length >= self.world.limits.length
            || self.out.run.total_cost >= self.world.limits.cost
    }

    fn slot_due(&mut self, index: u32) {
        let slot = self.slots[index as usize];
        match (slot.used, slot.milestone) {
            (Use::Training, Milestone::Report) => self.report(index),
            (Use::Training, Milestone::Crash) => self.crash(index),
            (Use::Training, Milestone::Preemption) => self.preempt(index),
            (Use::Saving, _) => self.saved(index),
            (Use::Away, _) => {
                self.slots[index as usize].used = Use::Free;
                self.free.push(index);
            }
            (Use::Free | Use::Waiting | Use::Down, _) => {}
        }
    }

    /// A trial has reached a length at which it reports.
    fn report(&mut self, index: u32) {
        self.advance(index, None);
        self.set_use(index, Use::Waiting);
        let id = self.slots[index as usize].trial;
        let trial = self.trials[id as usize - 1];
        let metric = self.task.point(&trial.curve, u64::from(trial.length)).metric;
        self.out.predicted += u64::from(self.task.is_predicted(&trial.curve, u64::from(trial.length)));
        self.score(metric);
        self.tell(Event::Validated { trial: TrialId(id), length: u64::from(trial.length), metric });
        self.go_on(id);
        self.tell_exits();
    }

    /// A trial that heard nothing trains on to its target; at its target it waits, and at the end of its curve it ends.
    fn go_on(&mut self, id: u32) {
        let trial = self.trials[id as usize - 1];
        if !self.waits(id) {
            return;
        }
        if trial.length < trial.train_to.min(self.max_length) {
            self.train(trial.slot);
        } else if trial.train_to > self.max_length {
            self.complete(id);
        }
    }

    fn score(&mut self, metric: f64) {
        let run = &mut self.out.run;
        run.reports += 1;
        let best = self.scale.capped(metric);
        if run.steps.last().is_none_or(|last| best < last.best) {
            run.steps.push(Step { time: self.now, length: run.total_length, cost: run.total_cost, best });
        }
    }

    fn finish(mut self, searcher: &str) -> Outcome {
        for index in 0..self.world.slots {
            let used = self.slots[index as usize].used;
            if used == Use::Training {
                self.advance(index, Some(self.now));
            }
            self.out.held += u32::from(matches!(used, Use::Training | Use::Waiting | Use::Saving));
        }
        let slot_seconds = f64::from(self.world.slots) * self.now;
        let out = &mut self.out;
        searcher.clone_into(&mut out.run.searcher);
        out.run.end_time = self.now;
        out.run.utilisation =
            if slot_seconds > 0.0 { (self.busy / slot_seconds).clamp(0.0, 1.0) } else { 0.0 };
        // Counted apart from what was wasted, so that the two can be held against each other.
        let reached: u64 = self.trials.iter().map(|trial| u64::from(trial.length)).sum();
        out.useful_length = reached - self.inherited;
        self.out
    }
}
