//! The contract between a search method and whoever runs it.

use crate::space::Assignment;
use serde::{Deserialize, Serialize};

/// Names a trial of one search: 1, 2, 3, … in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrialId(pub u32);

/// What a searcher is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// So many trials may want or hold slots at once from now on (beside `max_concurrent_trials`). The first event of a
    /// search. A smaller number ends nothing: it only holds new work back.
    Capacity(u32),
    /// A validation of a trial. `metric` is normalised: smaller is better; NaN and infinities are allowed.
    /// The trial keeps its slots until an action says otherwise.
    Validated { trial: TrialId, length: u64, metric: f64 },
    /// A trial holds no slots any more. Ends what `Create` or `TrainTo` began.
    Exited { trial: TrialId, reason: ExitReason },
}

/// Why a trial gave its slots back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// It ended by itself with success: it will not train further.
    Completed,
    /// It follows a `Pause`. Not `resumable`: it has no checkpoint, so it can never go on.
    Paused { resumable: bool },
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
    TrainTo { trial: TrialId, length: u64, reason: Reason },
    /// The trial saves a checkpoint and gives its slots back; `Exited` with `Paused` follows.
    Pause { trial: TrialId, reason: Reason },
    /// The trial ends. If it holds slots, `Exited` with `Stopped` follows. A paused one is only closed: nothing follows.
    Stop { trial: TrialId, reason: Reason },
    /// The search is over: no trial holds slots and none will be created.
    Shutdown { reason: Reason },
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
}
