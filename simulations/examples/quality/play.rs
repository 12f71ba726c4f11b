//! Plays every searcher on every task with every seed, on all processors.

use crate::contestants::Contestant;
use crate::tasks::Ground;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use toprung_simulations::judge::scores::Board;
use toprung_simulations::protocol::CHECKPOINTS;
use toprung_simulations::{Error, Protocol, Run};

/// All runs, by task, searcher and seed.
pub struct Played {
    /// How many seeds, from 0.
    pub seeds: usize,
    searchers: usize,
    runs: Vec<Run>,
    /// One for each of [`CHECKPOINTS`].
    boards: Vec<Board>,
}

impl Played {
    /// A run by the places of task and searcher.
    pub fn run(&self, task: usize, searcher: usize, seed: usize) -> &Run {
        &self.runs[(task * self.searchers + searcher) * self.seeds + seed]
    }

    /// Normalised regrets at a checkpoint, by its place, on some of the tasks.
    pub fn board(&self, checkpoint: usize, tasks: &[usize]) -> Board {
        Board::from_fn(tasks.len(), self.searchers, self.seeds, |task, searcher, seed| {
            self.boards[checkpoint].get(tasks[task], searcher, seed)
        })
    }

    /// Normalised regrets of one searcher on one task, by seed.
    pub fn regrets(&self, checkpoint: usize, task: usize, searcher: usize) -> &[f64] {
        self.boards[checkpoint].row(task, searcher)
    }
}

/// Plays everything. What comes out does not depend on the number of threads.
pub fn play(grounds: &[Ground], contestants: &[Contestant], seeds: u32) -> Result<Played, Error> {
    let jobs = grounds.len() * contestants.len() * seeds as usize;
    let one = |job: usize| {
        let (seed, rest) = (job % seeds as usize, job / seeds as usize);
        let (contestant, task) =
            (&contestants[rest % contestants.len()], &*grounds[rest / contestants.len()].task);
        let mut player = contestant.player(task.space(), task.max_length(), seed as u32)?;
        let run = Protocol::default().play(task, player.as_mut(), contestant.label, seed as u32);
        Ok::<_, Error>(run)
    };
    let (next, found) = (AtomicUsize::new(0), Mutex::new((0..jobs).map(|_| None).collect::<Vec<_>>()));
    let work = || {
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                break;
            }
            let run = one(job);
            found.lock().unwrap_or_else(PoisonError::into_inner)[job] = Some(run);
            if (job + 1) * 20 / jobs > job * 20 / jobs {
                eprintln!("{} of {jobs} runs", job + 1);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    // Each job was taken once, so none is missing.
    let runs = found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten();
    let runs = runs.collect::<Result<Vec<Run>, Error>>()?;
    Ok(scored(grounds, contestants.len(), seeds as usize, runs))
}

fn scored(grounds: &[Ground], searchers: usize, seeds: usize, runs: Vec<Run>) -> Played {
    let regret = |part: f64| {
        Board::from_fn(grounds.len(), searchers, seeds, |task, searcher, seed| {
            let run = &runs[(task * searchers + searcher) * seeds + seed];
            Protocol::default().norm_regret(&*grounds[task].task, run, part)
        })
    };
    let boards = CHECKPOINTS.into_iter().map(regret).collect();
    Played { seeds, searchers, runs, boards }
}
