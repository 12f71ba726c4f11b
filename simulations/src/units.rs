//! A player that counts in the unit of the source (batches), on a task whose lengths are multiples of it (reports).

use crate::player::Player;
use toprung_searchers::{Action, Create, Event};

/// Lengths that the player gives are rounded up to the next report, as where a trial that is told to train 62 batches and
/// reports every 100 is heard of at 100.
#[derive(Clone, Debug)]
pub struct Units<P> {
    inner: P,
    unit: u64,
}

impl<P> Units<P> {
    /// One length of the task is `unit` (at least 1) of the player's.
    pub fn new(inner: P, unit: u64) -> Self {
        Self { inner, unit: unit.max(1) }
    }
}

impl<P: Player> Player for Units<P> {
    fn handle(&mut self, event: &Event, actions: &mut Vec<Action>) {
        let before = actions.len();
        match *event {
            Event::Validated { trial, length, metric } => {
                let length = length.saturating_mul(self.unit);
                self.inner.handle(&Event::Validated { trial, length, metric }, actions);
            }
            Event::Capacity(_) | Event::Exited { .. } | Event::Directed(_) | Event::CannotPause { .. } => {
                self.inner.handle(event, actions)
            }
        }
        for action in &mut actions[before..] {
            match action {
                Action::Create(Create { train_to: length, .. }) | Action::TrainTo { length, .. } => {
                    *length = length.div_ceil(self.unit);
                }
                Action::Pause { .. } | Action::Stop { .. } | Action::Shutdown { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{PowerLaw, Shape};
    use crate::task::Task as _;
    use crate::world::World;
    use toprung_searchers::{Searcher, SearcherConfig};

    #[test]
    fn a_searcher_that_counts_otherwise_does_the_same() {
        let task = PowerLaw::new("p", 1, 2, 27, Shape::default()).unwrap();
        let searcher = |unit: u64| {
            let config = SearcherConfig::AsyncHalving {
                num_rungs: 4,
                max_trials: 30,
                divisor: 3.0,
                min_length: None,
                max_length: 27 * unit,
                max_concurrent_trials: 0,
                stop_once: false,
            };
            Searcher::new(config, task.space().clone(), 5).unwrap()
        };
        let plain = World::calm(4).play(&task, &mut searcher(1), "asha", 5).unwrap();
        let counted = World::calm(4).play(&task, &mut Units::new(searcher(100), 100), "asha", 5).unwrap();
        assert_eq!(plain, counted);
        assert!(plain.over && plain.run.trials == 30);
    }
}
