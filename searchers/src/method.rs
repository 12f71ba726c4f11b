//! The contract between a search method and whoever runs it.
//!
//! A trial is *outstanding* from the `Create` or `TrainTo` that gave it work until its `Exited`. A method keeps these
//! invariants, whatever events come in whatever order:
//!
//! * never more outstanding trials than its `max_concurrent_trials`, and never new work above the capacity it was told;
//! * ids are 1, 2, 3, …; actions name only trials that exist; events about others change nothing;
//! * exactly one `Shutdown`, as the last action, when nothing is outstanding and nothing can be started any more;
//! * the same events give the same actions, also across serialisation.

use crate::reason::Reason;
use crate::space::{Assignment, Space};
use crate::wish::Directed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Names a trial of one search: 1, 2, 3, … in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrialId(pub u32);

impl fmt::Display for TrialId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What a searcher is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// So many trials may want or hold slots at once from now on (beside `max_concurrent_trials`). The first event of a
    /// search. A smaller number ends nothing: it only holds new work back.
    Capacity(u32),
    /// A validation of a trial. `metric` is normalised: smaller is better; NaN and infinities are allowed.
    /// The trial keeps its slots until an action says otherwise.
    Validated {
        /// The trial.
        trial: TrialId,
        /// How long it has trained.
        length: u64,
        /// What it reported.
        metric: f64,
    },
    /// A trial holds no slots any more. Ends what `Create` or `TrainTo` began. Of a paused trial it says that the trial
    /// is gone (killed by a person, say).
    Exited {
        /// The trial.
        trial: TrialId,
        /// Why.
        reason: ExitReason,
    },
    /// What the program of a `custom` search wants. Other methods take no notice.
    Directed(Directed),
    /// A trial that was told to pause has no checkpoint to continue from, and has not left yet: it may still be told to
    /// train on or to stop. If nothing is said of it, the pause stands, and `Exited` follows as after any other.
    CannotPause {
        /// The trial.
        trial: TrialId,
    },
}

/// Why a trial gave its slots back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// It ended by itself with success: it will not train further.
    Completed,
    /// It follows a `Pause`. Not `resumable`: it has no checkpoint, so it can never go on.
    Paused {
        /// Whether a checkpoint exists.
        resumable: bool,
    },
    /// It follows a `Stop`.
    Stopped,
    /// It failed for good (retries used up).
    Errored,
    /// It said that its hyperparameters make no sense.
    InvalidHyperparameters,
    /// A person ended it.
    Killed,
}

/// What a searcher wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// A new trial.
    Create(Create),
    /// The trial trains until `length`: a running one goes on, a paused one resumes from its checkpoint.
    TrainTo {
        /// The trial.
        trial: TrialId,
        /// Train until this length, validate, and wait for the decision.
        length: u64,
        /// Why.
        reason: Reason,
    },
    /// The trial saves a checkpoint and gives its slots back; `Exited` with `Paused` follows.
    Pause {
        /// The trial.
        trial: TrialId,
        /// Why.
        reason: Reason,
    },
    /// The trial ends. If it holds slots, `Exited` with `Stopped` follows. A paused one is only closed: nothing follows.
    Stop {
        /// The trial.
        trial: TrialId,
        /// Why.
        reason: Reason,
    },
    /// The search is over: no trial holds slots and none will be created.
    Shutdown {
        /// Why.
        reason: Reason,
    },
}

/// A new trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// Its id: one more than the last created.
    pub trial: TrialId,
    /// Its hyperparameters.
    pub hparams: Assignment,
    /// Start from the newest checkpoint of this trial.
    pub clone_from: Option<TrialId>,
    /// Train until this length, validate, and wait for the decision.
    pub train_to: u64,
    /// Which bracket it belongs to, from 0.
    pub bracket: u32,
    /// What the program of a `custom` search says of it; empty: nothing.
    pub why: Box<str>,
}

impl Create {
    /// Why the trial began.
    pub fn reason(&self) -> Reason {
        match self.clone_from {
            _ if !self.why.is_empty() => Reason::Wanted(self.why.clone()),
            Some(from) => Reason::Cloned { from: from.0, length: self.train_to },
            None => Reason::Created { bracket: self.bracket, length: self.train_to },
        }
    }
}

/// What a person sees of one rung.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungView {
    /// Its bracket, from 0.
    pub bracket: u32,
    /// Its place in the bracket, 0 is the shortest.
    pub index: u32,
    /// Trials train to this length for it.
    pub length: u64,
    /// Trials that have a place in it: those that validated, and those that failed on the way.
    pub trials: u64,
    /// Those of them that went on to the next rung.
    pub promoted: u64,
    /// The best metric in it, normalised (smaller is better); none if nothing but NaN was reported.
    pub best: Option<f64>,
}

/// What a method may look at beside its own state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The hyperparameters to draw from.
    pub space: &'a Space,
    /// The seed of all its random numbers.
    pub seed: u32,
    /// In a replay: the hyperparameters that the journal has for trials, which models must not choose again.
    pub recorded: Option<&'a BTreeMap<TrialId, Assignment>>,
}

/// A search method: a deterministic state machine, see the [module](self) for what it must keep.
pub trait Method {
    /// Takes one event and appends what is to be done.
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>);

    /// How far the search is, in `0.0 ..= 1.0`.
    fn progress(&self) -> f64;

    /// Its rungs, brackets in order, shortest first. Methods without rungs have none.
    fn rungs(&self) -> Vec<RungView>;

    /// The length at which a trial has trained in full.
    fn max_length(&self) -> u64;

    /// What a person should know of what it chose by itself, a sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
