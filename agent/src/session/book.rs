//! Which attempts this agent knows: so that commands can be repeated and old ones are refused.

use crate::identity::AttemptKey;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Trials whose newest attempt is remembered after its end.
const REMEMBERED: usize = 65_536;

/// What to do with a `StartAttempt`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    New,
    /// Known already: the command was repeated.
    Repeated,
    /// A newer attempt of the trial was here.
    Outdated {
        newest: u32,
    },
}

/// Attempts that run or whose exit is not acknowledged, and the newest attempt of each trial.
#[derive(Debug, Default)]
pub(crate) struct AttemptBook {
    active: BTreeSet<AttemptKey>,
    newest: HashMap<(u64, u32), u32>,
    order: VecDeque<(u64, u32)>,
}

impl AttemptBook {
    /// Enters an attempt unless it is known or outdated.
    pub(crate) fn admit(&mut self, key: AttemptKey) -> Admission {
        let trial = (key.experiment, key.trial);
        match self.newest.get(&trial) {
            Some(&newest) if newest == key.attempt => return Admission::Repeated,
            Some(&newest) if newest > key.attempt => return Admission::Outdated { newest },
            Some(_) => {}
            None => self.order.push_back(trial),
        }
        self.newest.insert(trial, key.attempt);
        self.active.insert(key);
        self.forget_oldest();
        Admission::New
    }

    pub(crate) fn is_active(&self, key: AttemptKey) -> bool {
        self.active.contains(&key)
    }

    pub(crate) fn active(&self) -> impl Iterator<Item = AttemptKey> {
        self.active.iter().copied()
    }

    /// The exit of the attempt is acknowledged.
    pub(crate) fn close(&mut self, key: AttemptKey) {
        self.active.remove(&key);
    }

    fn forget_oldest(&mut self) {
        while self.order.len() > REMEMBERED {
            if let Some(trial) = self.order.pop_front() {
                self.newest.remove(&trial);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(trial: u32, attempt: u32) -> AttemptKey {
        AttemptKey { experiment: 1, trial, attempt }
    }

    #[test]
    fn newer_attempts_are_admitted_older_refused_and_repeats_known() {
        let mut book = AttemptBook::default();
        assert_eq!(book.admit(key(1, 2)), Admission::New);
        assert_eq!(book.admit(key(1, 2)), Admission::Repeated);
        assert_eq!(book.admit(key(1, 1)), Admission::Outdated { newest: 2 });
        book.close(key(1, 2));
        assert_eq!(book.admit(key(1, 2)), Admission::Repeated, "also after its end");
        assert_eq!(book.admit(key(1, 3)), Admission::New);
        assert_eq!(book.active().collect::<Vec<_>>(), [key(1, 3)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut book = AttemptBook::default();
        for trial in 0..=REMEMBERED as u32 {
            book.admit(key(trial, 1));
            book.close(key(trial, 1));
        }
        assert_eq!(book.newest.len(), REMEMBERED);
        assert_eq!(book.admit(key(0, 1)), Admission::New);
    }
}
