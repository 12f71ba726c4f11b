//! What holds in the [`World`] of the machine's tests after every input, and at the end.

use super::State;
use super::machine_world::World;
use super::trial::Phase;

impl World {
    /// Whatever a trial would continue from, and what is shown, is out of a collection's reach.
    pub(super) fn check_spared(&self, id: u32) {
        let fold = &self.machine.fold;
        let asked = self.machine.collection_of(id);
        let shown = fold.best.as_ref().and_then(|best| best.checkpoint.as_ref());
        let needed = fold.trials.iter().filter_map(|trial| trial.checkpoint.as_deref()).chain(shown);
        for checkpoint in needed.filter(|checkpoint| checkpoint.0.trial == id) {
            assert!(asked.spared.contains(&checkpoint.0.uuid), "{checkpoint:?} of trial {id} is not spared");
        }
        let trial = self.machine.trial(id).unwrap();
        assert_eq!(asked.goes_on, !matches!(trial.phase, Phase::Ended(_)));
    }

    pub(super) fn check(&self) {
        let fold = &self.machine.fold;
        assert!(self.machine.holding() <= self.limit, "more than max_concurrent_trials hold slots");
        assert_eq!(self.machine.holding() as usize, self.running.len(), "slots and attempts differ");
        let max = self.machine.spec.config.max_restarts;
        assert!(fold.trials.iter().all(|trial| trial.restarts <= max), "charged more than max_restarts");
        assert_eq!(fold.counts.iter().sum::<u64>() as usize, fold.trials.len());
        for &id in &fold.active {
            let trial = self.machine.trial(id).unwrap();
            let asked = self.requested.contains_key(&id);
            let pending = trial.phase == Phase::Pending { backing_off: false };
            assert_eq!(
                asked,
                pending && fold.state == State::Active,
                "request of trial {id} in {:?}",
                trial.phase
            );
        }
    }

    pub(super) fn check_end(&self) {
        let fold = &self.machine.fold;
        assert!(fold.state.is_end() && fold.active.is_empty());
        assert!(fold.trials.iter().all(|trial| matches!(trial.phase, Phase::Ended(_))));
        assert!(self.requested.is_empty() && self.running.is_empty());
        assert_eq!(self.chunked, self.reported, "every report is in a chunk, once");
    }
}
