//! What has to hold at the end of a round.

use crate::book::{Attempt, Book, Entry};
use crate::cluster::Cluster;
use crate::curve;
use crate::driver::Search;
use crate::journal::{Decided, Export, export};
use crate::workplace::Workplace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Failures of trials that the driver has caused.
#[derive(Debug, Default)]
pub struct Charges {
    certain: BTreeMap<u64, usize>,
    possible: BTreeMap<u64, usize>,
}

impl Charges {
    /// The engine must count this one.
    pub fn certain(&mut self, trial: u64) {
        *self.certain.entry(trial).or_default() += 1;
    }

    /// It may count this one: the trial was about to be paused or stopped, or its agent may have died before telling.
    pub fn possible(&mut self, trial: u64) {
        *self.possible.entry(trial).or_default() += 1;
    }

    /// All of them.
    pub fn of(&self, trial: u64) -> usize {
        let number = |of: &BTreeMap<u64, usize>| of.get(&trial).copied().unwrap_or(0);
        number(&self.certain) + number(&self.possible)
    }
}

/// All that is known of a round.
pub struct Books<'a> {
    pub place: &'a Workplace,
    pub book: &'a Book,
    pub charges: &'a Charges,
}

impl Books<'_> {
    /// Ends the cluster, checks everything, and answers how many reports are stored. `same_as`: the search whose
    /// undisturbed run decides the same.
    pub fn settle(&self, cluster: Cluster<'_>, same_as: Option<(Search, u64)>) -> usize {
        self.slots_are_free(&cluster);
        let said = cluster.stop();
        assert!(!said.contains("panicked"), "{said}");
        self.place.wait_for_silence();
        self.place.ask(&["store", "check", "--decisions", "--data-dir", "server"]).expect(0);
        let export = export(self.place, "server");
        self.one_attempt_at_a_time();
        self.restarts_are_the_kills(&export);
        self.nothing_was_invented(&export);
        if let Some((search, seed)) = same_as {
            let undisturbed = undisturbed(search, seed);
            assert_eq!(export.decided.hparams, undisturbed.hparams);
            for (index, (found, wanted)) in
                export.decided.decisions.iter().zip(&undisturbed.decisions).enumerate()
            {
                assert_eq!(found, wanted, "decision {index}");
            }
            assert_eq!(export.decided, undisturbed);
        }
        self.nothing_was_lost(&export);
        export.reports.len()
    }

    fn slots_are_free(&self, cluster: &Cluster<'_>) {
        self.place.wait_for(&["agents", "--server", &cluster.url()], |found| {
            let agents = found["agents"].as_array()?;
            let free = |agent: &serde_json::Value| {
                agent["connected"] == true
                    && agent["slots"]
                        .as_array()
                        .is_some_and(|slots| slots.iter().all(|slot| slot["attempt"].is_null()))
            };
            (agents.len() == cluster.agents() && agents.iter().all(free)).then_some(())
        });
    }

    /// An attempt says nothing any more once a later one of its trial has begun.
    fn one_attempt_at_a_time(&self) {
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        for ((trial, attempt), entry) in &self.book.lines {
            let newest = newest.entry(*trial).or_default();
            *newest = (*newest).max(*attempt);
            assert_eq!(
                attempt, newest,
                "trial {trial}: {entry:?} of attempt {attempt} after {newest} had begun"
            );
        }
    }

    /// Nothing but a trial's own death is charged to it.
    fn restarts_are_the_kills(&self, export: &Export) {
        for (trial, restarts) in &export.restarts {
            let (certain, all) =
                (self.charges.certain.get(trial).copied().unwrap_or(0), self.charges.of(*trial));
            let restarts = *restarts as usize;
            assert!(
                (certain..=all).contains(&restarts),
                "trial {trial}: {restarts} restarts, {certain} to {all} kills"
            );
        }
    }

    /// Each report in the store was sent, is there once, is right, and is in the journal.
    fn nothing_was_invented(&self, export: &Export) {
        let sent: BTreeSet<(u64, u64, u64)> = self.lengths(|entry| match entry {
            Entry::Sent(length) => Some(*length),
            _ => None,
        });
        let mut stored = BTreeSet::new();
        for report in &export.reports {
            let key = (report.trial, report.attempt, report.length);
            assert!(stored.insert(key), "stored twice: {report:?}");
            assert!(sent.contains(&key), "never sent: {report:?}");
            let curve = export.curves[&report.trial];
            // Sums travel as text that has every bit: a wrong one has gone on from a wrong checkpoint.
            let right =
                [("error", curve::error(curve, report.length)), ("sum", curve::total(curve, report.length))];
            assert_eq!(report.metrics, right.map(|(name, value)| (name.to_owned(), value)).into());
        }
        let mut journalled = export.journalled.clone();
        journalled.sort_unstable();
        assert_eq!(journalled, stored.into_iter().collect::<Vec<_>>(), "the journal has each report once");
    }

    /// Each report that was accepted is in the store, whoever was killed after that.
    fn nothing_was_lost(&self, export: &Export) {
        let stored: BTreeSet<(u64, u64, u64)> =
            export.reports.iter().map(|report| (report.trial, report.attempt, report.length)).collect();
        let accepted = self.lengths(|entry| match entry {
            Entry::Accepted(length) => Some(*length),
            _ => None,
        });
        let lost: Vec<_> = accepted.difference(&stored).collect();
        assert!(lost.is_empty(), "accepted and lost (trial, attempt, length): {lost:?}");
    }

    fn lengths(&self, of: impl Fn(&Entry) -> Option<u64>) -> BTreeSet<(u64, u64, u64)> {
        let found = |(attempt, entry): &(Attempt, Entry)| Some((attempt.0, attempt.1, of(entry)?));
        self.book.lines.iter().filter_map(found).collect()
    }
}

/// What the same search decides when nothing is killed; run once.
fn undisturbed(search: Search, seed: u64) -> Decided {
    static KNOWN: OnceLock<Mutex<BTreeMap<(Search, u64), Decided>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        let place = Workplace::new();
        std::fs::create_dir(place.work().join("model")).unwrap();
        let book = place.work().join("book");
        let file = search.file(seed, &book.display().to_string()).replace("sleep_ms: 4", "sleep_ms: 0");
        place.write("model/search.yaml", &file);
        place.ask(&["run", "model/search.yaml", "--quiet", "--slots", "1"]).expect(0);
        export(&place, ".toprung").decided
    };
    let decided = known.entry((search, seed)).or_insert_with(run);
    Decided {
        decisions: decided.decisions.clone(),
        hparams: decided.hparams.clone(),
        ends: decided.ends.clone(),
    }
}
