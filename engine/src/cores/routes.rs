//! Which experiment gets a part of a batch, and which parts are left to be sent again.
//!
//! An experiment drops repeated batches by their sequence. So between two failures it must see an agent's batches
//! without a hole: after a part was left out, no later batch of the same session may pass. Invariants:
//! * only an agent's newest session passes: an older one may hold batches that the newer has sent again, or those of
//!   an agent that is gone;
//! * an experiment that was started again hears only sessions that have registered since: they send again everything
//!   that was not acknowledged.

use std::collections::BTreeMap;

/// Failures in a row after which an experiment is given up.
const MAX_FAILURES: u32 = 5;

/// Where a part of a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the experiment.
    There,
    /// Nowhere now: it stays unacknowledged, so it is sent again.
    Later,
    /// The experiment has ended: nothing that comes now matters to it.
    Over,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Start it again after so many seconds.
    Again {
        /// How long to wait.
        seconds: u64,
    },
    /// It failed too often.
    GiveUp,
}

/// All active experiments, as far as routing goes.
#[derive(Debug, Default)]
pub struct Routes {
    newest: BTreeMap<String, u64>,
    last_serial: u64,
    /// Experiment → sessions up to this serial are not heard.
    active: BTreeMap<u64, u64>,
    failures: BTreeMap<u64, u32>,
}

impl Routes {
    /// A new experiment: it hears everybody.
    pub fn created(&mut self, experiment: u64) {
        self.active.insert(experiment, 0);
    }

    /// An experiment was loaded: it hears sessions that register from now on.
    pub fn loaded(&mut self, experiment: u64) {
        self.active.insert(experiment, self.last_serial);
    }

    /// An experiment has failed. `of_store`: the store could not write, which is no failure of the experiment; it is
    /// tried for as long as it takes.
    pub fn failed(&mut self, experiment: u64, of_store: bool) -> Failed {
        self.active.remove(&experiment);
        let failures = self.failures.entry(experiment).or_insert(0);
        *failures = if of_store { (*failures + 1).min(MAX_FAILURES - 1) } else { *failures + 1 };
        if *failures < MAX_FAILURES {
            return Failed::Again { seconds: 1 << (*failures - 1).min(6) };
        }
        self.failures.remove(&experiment);
        Failed::GiveUp
    }

    /// An experiment has ended.
    pub fn ended(&mut self, experiment: u64) {
        self.active.remove(&experiment);
        self.failures.remove(&experiment);
    }

    /// Whether it is active.
    pub fn is_active(&self, experiment: u64) -> bool {
        self.active.contains_key(&experiment)
    }

    /// An agent has come back with this session. `Err`: this experiment waits for its start, so nobody knows what the
    /// agent may keep of it; the agent has to come again.
    pub fn returned(&mut self, agent: &str, serial: u64) -> Result<(), u64> {
        self.last_serial = self.last_serial.max(serial);
        let newest = self.newest.entry(agent.to_owned()).or_insert(0);
        *newest = serial.max(*newest);
        match self.failures.keys().find(|experiment| !self.active.contains_key(experiment)) {
            Some(experiment) => Err(*experiment),
            None => Ok(()),
        }
    }

    /// Where a part of a batch of this session goes.
    pub fn route(&self, experiment: u64, agent: &str, serial: u64) -> Route {
        if self.newest.get(agent) != Some(&serial) {
            return Route::Later;
        }
        match self.active.get(&experiment) {
            Some(floor) if serial > *floor => Route::There,
            Some(_) => Route::Later,
            None if self.failures.contains_key(&experiment) => Route::Later,
            None => Route::Over,
        }
    }
}
