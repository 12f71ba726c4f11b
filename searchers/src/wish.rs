//! What the program of a `custom` search may want.
//!
//! Trials are named by the ids that they will have: creates begin in the order in which they were wanted, so the next one
//! wanted gets one more than the last one wanted.

use crate::method::TrialId;
use crate::space::Assignment;
use serde::{Deserialize, Serialize};

/// So many wanted trials wait for room at most; more are not taken.
pub const MAX_WAITING: usize = 10_000;

/// What a program wants at a time: all of it, in this order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Directed {
    /// One after another.
    pub wishes: Vec<Wish>,
    /// How far the program says that the search is, `0.0 ..= 1.0`; it never goes back.
    pub progress: Option<f64>,
}

/// One thing that a program wants. `why`: its own words, for people; may be empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Wish {
    /// A new trial.
    Create {
        /// Its hyperparameters; none: drawn from the space.
        hparams: Option<Assignment>,
        /// Train to this length first.
        train_to: u64,
        /// Begin from the newest checkpoint that this trial has then.
        clone_from: Option<TrialId>,
        /// Why.
        why: Box<str>,
    },
    /// A trial trains to a greater length: a running one without a pause, one that rests from its checkpoint.
    Train {
        /// The trial.
        trial: TrialId,
        /// The length.
        length: u64,
        /// Why.
        why: Box<str>,
    },
    /// A trial saves and gives its slots back, and may go on later.
    Pause {
        /// The trial.
        trial: TrialId,
        /// Why.
        why: Box<str>,
    },
    /// A trial ends.
    Stop {
        /// The trial.
        trial: TrialId,
        /// Why.
        why: Box<str>,
    },
    /// The search ends: what runs is stopped, what waits is dropped. Nothing counts after it.
    Finish {
        /// Why.
        why: Box<str>,
    },
}
