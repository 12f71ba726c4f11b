//! ASHA by promotion against its rule, written down naively.
//!
//! The model keeps every rung as a plain list and checks each action when it comes: who goes on is among the best floor(n/d), a
//! free place goes to the highest rung that has somebody, nobody is created before. Whoever the searcher closes stays in
//! the model as a ghost: if a ghost ever came among the best floor(n/d), it was closed too early.

use crate::world::{PAUSED, asha, start};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toprung_searchers::{Action, Event, ExitReason, Reason, Searcher, TrialId};

struct Model {
    searcher: Searcher,
    divisor: usize,
    max_trials: usize,
    places: usize,
    lengths: Vec<u64>,
    /// Metrics and trials of each rung, best first.
    rungs: Vec<Vec<(i32, u32)>>,
    /// Rungs from which somebody went on though floor(n/d) was 0: nobody may come to them any more.
    sealed: BTreeSet<usize>,
    running: BTreeMap<u32, usize>,
    leaving: BTreeMap<u32, ExitReason>,
    waiting: BTreeMap<u32, usize>,
    ghosts: BTreeMap<u32, usize>,
    created: usize,
    over: bool,
}

impl Model {
    fn new(rungs: u32, divisor: u64, max_trials: u64) -> Self {
        let top = divisor.pow(rungs - 1);
        Self {
            searcher: start(asha(rungs, max_trials, divisor as f64, top, false)),
            divisor: divisor as usize,
            max_trials: max_trials as usize,
            places: 0,
            lengths: (0..rungs).map(|rung| divisor.pow(rung)).collect(),
            rungs: vec![Vec::new(); rungs as usize],
            sealed: BTreeSet::new(),
            running: BTreeMap::new(),
            leaving: BTreeMap::new(),
            waiting: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            created: 0,
            over: false,
        }
    }

    fn rank(&self, rung: usize, trial: u32) -> usize {
        self.rungs[rung].iter().position(|entry| entry.1 == trial).unwrap()
    }

    fn goes_on(&self, rung: usize, trial: u32) -> bool {
        self.rank(rung, trial) < self.rungs[rung].len() / self.divisor
    }

    /// Who a free place belongs to.
    fn next(&self) -> Option<(usize, u32)> {
        let best =
            |rung: usize| self.rungs[rung].iter().find(|entry| self.waiting.get(&entry.1) == Some(&rung));
        (0..self.rungs.len() - 1)
            .rev()
            .filter_map(|rung| best(rung).map(|entry| (rung, entry.1)))
            .find(|&(rung, trial)| self.goes_on(rung, trial))
    }

    fn check_goes_on(&mut self, rung: usize, trial: u32) {
        if !self.goes_on(rung, trial) {
            let counts = (self.rungs[rung].len() / self.divisor, self.rank(rung, trial));
            assert_eq!(counts, (0, 0), "trial {trial} goes on from rung {rung}");
            self.sealed.insert(rung);
        }
    }

    fn validate(&mut self, trial: u32, metric: i32) {
        let rung = self.running[&trial];
        assert!(!self.sealed.contains(&rung), "trial {trial} comes to rung {rung}");
        let place = self.rungs[rung].partition_point(|entry| entry.0 <= metric);
        self.rungs[rung].insert(place, (metric, trial));
        let event =
            Event::Validated { trial: TrialId(trial), length: self.lengths[rung], metric: f64::from(metric) };
        let actions = self.searcher.handle(&event);
        let Some(first) = actions.first() else { panic!("no decision about trial {trial}") };
        match *first {
            Action::TrainTo { trial: named, length, .. } if named.0 == trial => {
                assert_eq!(length, self.lengths[rung + 1]);
                self.check_goes_on(rung, trial);
                self.running.insert(trial, rung + 1);
            }
            Action::Pause { trial: named, reason: Reason::Waits(why) } if named.0 == trial => {
                assert!(!self.goes_on(rung, trial));
                assert_eq!(why.rank as usize, self.rank(rung, trial) + 1);
                assert_eq!(why.of as usize, self.rungs[rung].len());
                self.leave(trial, PAUSED);
            }
            Action::Stop { trial: named, reason: Reason::MaxLength { .. } } if named.0 == trial => {
                assert_eq!(rung + 1, self.rungs.len());
                self.leave(trial, ExitReason::Stopped);
            }
            Action::Stop { trial: named, reason: Reason::Outranked(_) } if named.0 == trial => {
                assert!(!self.goes_on(rung, trial));
                self.ghosts.insert(trial, rung);
                self.leave(trial, ExitReason::Stopped);
            }
            ref other => panic!("{other:?} about trial {trial}"),
        }
        self.follow(&actions[1..]);
    }

    fn leave(&mut self, trial: u32, reason: ExitReason) {
        self.leaving.insert(trial, reason);
    }

    fn exit(&mut self, trial: u32) {
        let reason = self.leaving.remove(&trial).unwrap();
        let rung = self.running.remove(&trial).unwrap();
        if reason == PAUSED {
            self.waiting.insert(trial, rung);
        }
        let actions = self.searcher.handle(&Event::Exited { trial: TrialId(trial), reason });
        self.follow(&actions);
    }

    fn follow(&mut self, actions: &[Action]) {
        for action in actions {
            match *action {
                Action::Create(ref create) => {
                    assert_eq!(self.next(), None, "before trial {} was created", create.trial);
                    self.created += 1;
                    self.running.insert(create.trial.0, 0);
                }
                Action::TrainTo { trial: TrialId(trial), length, .. } => {
                    let rung = self.waiting.remove(&trial).unwrap();
                    if self.goes_on(rung, trial) {
                        self.waiting.insert(trial, rung);
                        assert_eq!(self.next(), Some((rung, trial)));
                        self.waiting.remove(&trial);
                    }
                    self.check_goes_on(rung, trial);
                    assert_eq!(length, self.lengths[rung + 1]);
                    self.running.insert(trial, rung + 1);
                }
                Action::Stop { trial: TrialId(trial), reason: Reason::Outranked(_) } => {
                    let rung = self.waiting.remove(&trial).unwrap();
                    self.ghosts.insert(trial, rung);
                }
                Action::Shutdown { .. } => self.over = true,
                ref other => panic!("{other:?}"),
            }
        }
        for (&trial, &rung) in &self.ghosts {
            assert!(!self.goes_on(rung, trial), "trial {trial} was closed too early in rung {rung}");
        }
        if self.running.len() < self.places {
            assert_eq!((self.next(), self.created), (None, self.max_trials), "a place is left free");
        }
    }

    fn places(&mut self, places: u32) {
        self.places = places as usize;
        let actions = self.searcher.handle(&Event::Capacity(places));
        self.follow(&actions);
    }

    fn happen(&mut self, choice: u32, metric: i32) {
        if choice.is_multiple_of(11) {
            return self.places(1 + choice / 11 % 9);
        }
        let Some(&trial) = self.running.keys().nth(choice as usize / 11 % self.running.len().max(1)) else {
            return;
        };
        if self.leaving.contains_key(&trial) { self.exit(trial) } else { self.validate(trial, metric) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn promotion_follows_its_rule(
        rungs in 1..5_u32,
        divisor in 2..5_u64,
        max_trials in 1..60_u64,
        choices in prop::collection::vec((any::<u32>(), -20..20_i32), 0..400),
    ) {
        let mut model = Model::new(rungs, divisor, max_trials);
        model.places(4);
        for (choice, metric) in choices {
            model.happen(choice, metric);
        }
        for choice in 0..4000 {
            model.happen(choice * 11 + 1, choice as i32 % 17);
        }
        prop_assert!(model.over);
        prop_assert!(!model.rungs[rungs as usize - 1].is_empty(), "nobody reached the top");
        prop_assert_eq!(model.rungs[0].len(), max_trials as usize);
    }
}
