//! All runs on all cores. Their order does not matter to their results, and results come in the order of the runs.

use super::arena::{Arena, Ground};
use super::progress::Progress;
use crate::errors::Error;
use crate::interrupt::Interrupts;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use toprung_searchers::{Action, Event, Reason};
use toprung_simulations::{Player, Run};

/// One run, and what of it was predicted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Played {
    /// The task's place.
    pub field: usize,
    /// The contestant's place.
    pub contestant: usize,
    /// What it did.
    pub run: Run,
    /// Reports of points beyond what was recorded; none: not counted.
    pub predicted: Option<u64>,
}

/// Plays every contestant of `who` on every task with every seed; after Ctrl-C only what is complete for all comes back, and
/// `interrupted` says so.
pub(crate) async fn play(
    arena: &Arc<Arena>,
    who: Vec<usize>,
    seeds: Vec<u32>,
    interrupts: &mut Interrupts,
    quiet: bool,
) -> Result<(Vec<Played>, bool), Error> {
    let (shared, cancel) = (Arc::clone(arena), Arc::new(AtomicBool::new(false)));
    let cancelled = Arc::clone(&cancel);
    let mut work = tokio::task::spawn_blocking(move || all(&shared, &who, &seeds, &cancelled, quiet));
    let mut interrupted = false;
    let finished = loop {
        tokio::select! {
            finished = &mut work => break finished,
            () = interrupts.next(), if !interrupted => {
                interrupted = true;
                cancel.store(true, Ordering::Relaxed);
            }
        }
    };
    let runs = finished.map_err(|error| Error::Engine(format!("a simulated search failed: {error}")))??;
    Ok((runs, interrupted))
}

/// On this many threads at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn all(
    arena: &Arena,
    who: &[usize],
    seeds: &[u32],
    cancel: &AtomicBool,
    quiet: bool,
) -> Result<Vec<Played>, Error> {
    // Seed by seed, so that what an interrupt leaves can be compared.
    let mut jobs = Vec::new();
    for &seed in seeds {
        for field in 0..arena.fields.len() {
            jobs.extend(who.iter().map(|&contestant| (seed, field, contestant)));
        }
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let progress = Progress::start("simulating", jobs.len() as u64, quiet);
    let work = || {
        while let Some(&(seed, field, contestant)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let played = one(arena, field, contestant, seed, cancel);
            if cancel.load(Ordering::Relaxed) {
                return;
            }
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert((seed, field, contestant), played);
            drop(found);
            progress.done();
        }
    };
    std::thread::scope(|scope| (0..threads().min(jobs.len())).for_each(|_| drop(scope.spawn(work))));
    drop(progress);
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    complete(found, who.len() * arena.fields.len())
}

/// The runs of the seeds that have all of them.
fn complete(
    found: BTreeMap<(u32, usize, usize), Result<Played, Error>>,
    a_seed: usize,
) -> Result<Vec<Played>, Error> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for (seed, _, _) in found.keys() {
        *counts.entry(*seed).or_default() += 1;
    }
    found.into_iter().filter(|((seed, _, _), _)| counts[seed] == a_seed).map(|(_, played)| played).collect()
}

fn one(
    arena: &Arena,
    field: usize,
    contestant: usize,
    seed: u32,
    cancel: &AtomicBool,
) -> Result<Played, Error> {
    let mut player = Cancellable { inner: arena.player(field, contestant, seed)?, cancel };
    let label = &arena.contestants[contestant].label;
    let place = &arena.fields[field];
    let task = place.task.task.as_ref();
    let (run, predicted) = match &place.ground {
        Ground::World(world) => {
            let outcome = world.play(task, &mut player, label, seed).map_err(super::refused)?;
            (outcome.run, Some(outcome.predicted))
        }
        Ground::Protocol(protocol) => (protocol.play(task, &mut player, label, seed), None),
    };
    Ok(Played { field, contestant, run, predicted })
}

/// A player whose search is over as soon as it is cancelled.
struct Cancellable<'a> {
    inner: Box<dyn Player>,
    cancel: &'a AtomicBool,
}

impl Player for Cancellable<'_> {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        if self.cancel.load(Ordering::Relaxed) {
            actions.push(Action::Shutdown { reason: Reason::SearchOver { trials: 0 } });
        } else {
            self.inner.handle(event, actions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::arena::tests::arena;

    fn played(cancelled: bool) -> Vec<Played> {
        let arena = arena(&["asha"], &["--seeds", "3"]).unwrap();
        all(&arena, &[0, 1, 2], &arena.seeds, &AtomicBool::new(cancelled), true).unwrap()
    }

    #[test]
    fn the_same_seeds_give_the_same_runs_in_order() {
        let runs = played(false);
        assert_eq!(runs.len(), 9);
        assert_eq!(runs, played(false));
        let order: Vec<_> = runs.iter().map(|played| (played.run.seed, played.contestant)).collect();
        assert!(order.is_sorted(), "{order:?}");
        assert!(runs.iter().all(|played| !played.run.steps.is_empty()));
    }

    #[test]
    fn what_is_cancelled_is_not_judged() {
        assert!(played(true).is_empty());
    }

    #[test]
    fn seeds_without_all_runs_are_left_out() {
        let mut all: BTreeMap<_, _> = played(false)
            .into_iter()
            .map(|run| ((run.run.seed, run.field, run.contestant), Ok(run)))
            .collect();
        all.remove(&(2, 0, 1));
        let left = complete(all, 3).unwrap();
        assert_eq!(left.iter().map(|played| played.run.seed).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1]);
    }
}
