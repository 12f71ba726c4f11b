//! The protocol by which searchers are compared on recorded tables, the same for every engine.
//!
//! So many workers, one trial each. After every unit of length (an epoch) of a running trial its metric is reported; the
//! searcher answers at once, which costs no time. Epochs end in the order of (time, worker). A trial that goes on starts its
//! next epoch at once. A paused trial resumes after its last epoch, on any worker, for free. The budget is a multiple of
//! the mean cost of a full curve; only epochs that end at or before it count. The searcher sees raw metrics, the score
//! capped ones.
//!
//! A trial that is stopped or paused in the middle of an epoch loses that epoch. One that reached the length it was told to
//! train to, and hears nothing, keeps its worker and waits; one that should train beyond the end of its curve has
//! completed there.

use crate::player::Player;
use crate::run::{Run, Step};
use crate::task::{Curve, Point, Task};
use std::collections::{BTreeSet, VecDeque};
use toprung_searchers::{Action, Event, ExitReason, TrialId};

/// The parts of the budget at which incumbents are scored.
pub const CHECKPOINTS: [f64; 4] = [0.125, 0.25, 0.5, 1.0];

/// The numbers of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Protocol {
    /// How many trials run at once, at least 1.
    pub workers: u32,
    /// The budget in mean costs of a full curve.
    pub full_curves: f64,
}

impl Default for Protocol {
    fn default() -> Self {
        Self { workers: 8, full_curves: 4.0 }
    }
}

impl Protocol {
    /// The time at which a search on this task ends.
    pub fn budget(&self, task: &dyn Task) -> f64 {
        self.full_curves * task.scale().mean_full_cost
    }

    /// Plays one search. `searcher` and `seed` only name the result; the player has its seed already.
    pub fn play(&self, task: &dyn Task, player: &mut dyn Player, searcher: &str, seed: u32) -> Run {
        let mut game = Game::new(self, task, seed);
        game.tell(player, Event::Capacity(self.workers));
        while !game.over && game.step(player) {}
        game.run(searcher)
    }

    /// The normalised regret of a run's incumbent at `part` of the budget; before the first report it is that of the cap.
    pub fn norm_regret(&self, task: &dyn Task, run: &Run, part: f64) -> f64 {
        let (scale, until) = (task.scale(), part * self.budget(task));
        let step = run.steps.iter().rev().find(|step| step.time <= until);
        scale.norm_regret(step.map_or(scale.cap, |step| step.best))
    }
}

/// A trial as far as it was trained.
struct Trial {
    curve: Curve,
    length: u64,
    train_to: u64,
    worker: Option<usize>,
    /// Wants a worker and has none.
    queued: bool,
}

#[derive(Clone, Copy)]
struct Worker {
    trial: u32,
    /// When its epoch began.
    since: f64,
    /// When its epoch ends; infinite while the trial waits for an answer.
    until: f64,
    point: Point,
}

struct Game<'a> {
    task: &'a dyn Task,
    budget: f64,
    seed: u32,
    trials: Vec<Trial>,
    workers: Vec<Option<Worker>>,
    free: BTreeSet<usize>,
    queue: VecDeque<u32>,
    now: f64,
    busy: f64,
    over: bool,
    run: Run,
    events: VecDeque<Event>,
    actions: Vec<Action>,
}

impl<'a> Game<'a> {
    fn new(protocol: &Protocol, task: &'a dyn Task, seed: u32) -> Self {
        let workers = protocol.workers as usize;
        Self {
            task,
            budget: protocol.budget(task),
            seed,
            trials: Vec::new(),
            workers: vec![None; workers],
            free: (0..workers).collect(),
            queue: VecDeque::new(),
            now: 0.0,
            busy: 0.0,
            over: false,
            run: Run {
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
            },
            events: VecDeque::new(),
            actions: Vec::new(),
        }
    }

    /// Gives an event to the searcher and does what it asks, until nothing follows any more.
    fn tell(&mut self, player: &mut dyn Player, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let mut actions = std::mem::take(&mut self.actions);
            player.handle(&event, &mut actions);
            for action in actions.drain(..) {
                self.follow(action);
            }
            self.actions = actions;
        }
    }

    fn follow(&mut self, action: Action) {
        match action {
            Action::Create(create) => {
                let curve = self.task.curve(self.seed, create.trial.0, &create.hparams);
                let parent = create.clone_from.and_then(|parent| self.trials.get(parent.0 as usize - 1));
                let length = parent.map_or(0, |parent| parent.length);
                self.trials.push(Trial {
                    curve,
                    length,
                    train_to: create.train_to,
                    worker: None,
                    queued: false,
                });
                self.run.trials += 1;
                self.want_worker(create.trial.0);
            }
            Action::TrainTo { trial, length, .. } => {
                let Some(known) = self.trial(trial.0) else { return };
                known.train_to = length;
                match known.worker {
                    Some(worker) => {
                        if self.workers[worker].is_some_and(|worker| worker.until == f64::INFINITY) {
                            self.begin_epoch(worker, trial.0);
                        }
                    }
                    None => self.want_worker(trial.0),
                }
            }
            Action::Pause { trial, .. } => {
                if self.release(trial.0) {
                    self.events
                        .push_back(Event::Exited { trial, reason: ExitReason::Paused { resumable: true } });
                }
            }
            Action::Stop { trial, .. } => {
                if self.release(trial.0) {
                    self.events.push_back(Event::Exited { trial, reason: ExitReason::Stopped });
                }
            }
            Action::Shutdown { .. } => self.over = true,
        }
    }

    fn trial(&mut self, id: u32) -> Option<&mut Trial> {
        self.trials.get_mut((id as usize).checked_sub(1)?)
    }

    /// Takes a trial off its worker or out of the queue. Whether it was there.
    fn release(&mut self, id: u32) -> bool {
        let now = self.now;
        let Some(known) = self.trial(id) else { return false };
        let (worker, queued) = (known.worker.take(), std::mem::take(&mut known.queued));
        if let Some(index) = worker {
            if let Some(worker) = self.workers[index].take().filter(|worker| worker.until < f64::INFINITY) {
                // The part of an epoch that is lost.
                self.busy += now - worker.since;
            }
            self.free.insert(index);
            if let Some(next) = self.queue.pop_front() {
                self.want_worker(next);
            }
            return true;
        }
        if queued {
            self.queue.retain(|waiting| *waiting != id);
        }
        queued
    }

    fn want_worker(&mut self, id: u32) {
        let worker = self.free.pop_first();
        let Some(known) = self.trial(id) else { return };
        known.worker = worker;
        known.queued = worker.is_none();
        match worker {
            Some(worker) => self.begin_epoch(worker, id),
            None => self.queue.push_back(id),
        }
    }

    /// The trial on this worker trains its next epoch; at the length it was told it waits.
    fn begin_epoch(&mut self, index: usize, id: u32) {
        let (task, now) = (self.task, self.now);
        let Some(known) = self.trial(id) else { return };
        let waits = known.length >= known.train_to.min(task.max_length());
        let point = if waits {
            Point { metric: f64::NAN, cost: f64::INFINITY }
        } else {
            task.point(&known.curve, known.length + 1)
        };
        self.workers[index] = Some(Worker { trial: id, since: now, until: now + point.cost, point });
    }

    /// The next epoch ends. Whether one ended within the budget.
    fn step(&mut self, player: &mut dyn Player) -> bool {
        let ends = |(index, worker): (usize, &Option<Worker>)| worker.map(|worker| (worker.until, index));
        let first = self.workers.iter().enumerate().filter_map(ends).min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((time, index)) = first.filter(|(time, _)| *time <= self.budget) else { return false };
        let Some(worker) = self.workers[index] else { return false };
        self.now = time;
        self.busy += worker.point.cost;
        let Some(trial) = self.trial(worker.trial) else { return false };
        trial.length += 1;
        let length = trial.length;
        self.score(worker.point);
        // The next epoch begins before the answer: it is dropped if the answer is to pause or stop, at no cost.
        self.begin_epoch(index, worker.trial);
        self.tell(
            player,
            Event::Validated { trial: TrialId(worker.trial), length, metric: worker.point.metric },
        );
        self.end_of_curve(player, worker.trial);
        true
    }

    /// A trial that should train beyond the end of its curve has ended by itself.
    fn end_of_curve(&mut self, player: &mut dyn Player, id: u32) {
        let most = self.task.max_length();
        let Some(known) = self.trial(id) else { return };
        if known.worker.is_some() && known.length >= most && known.train_to > most && self.release(id) {
            self.tell(player, Event::Exited { trial: TrialId(id), reason: ExitReason::Completed });
        }
    }

    fn score(&mut self, point: Point) {
        self.run.reports += 1;
        self.run.total_length += 1;
        self.run.total_cost += point.cost;
        let best = self.task.scale().capped(point.metric);
        if self.run.steps.last().is_none_or(|last| best < last.best) {
            let (length, cost) = (self.run.total_length, self.run.total_cost);
            self.run.steps.push(Step { time: self.now, length, cost, best });
        }
    }

    fn run(mut self, searcher: &str) -> Run {
        searcher.clone_into(&mut self.run.searcher);
        self.run.end_time = if self.over { self.now } else { self.budget };
        let running = self.workers.iter().flatten().filter(|worker| worker.until < f64::INFINITY);
        let cut: f64 = running.map(|worker| self.run.end_time - worker.since).sum();
        self.busy += cut;
        self.run.utilisation = (self.busy / (self.workers.len() as f64 * self.run.end_time)).clamp(0.0, 1.0);
        self.run
    }
}
