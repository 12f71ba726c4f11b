//! One trial's state inside the machine. Small on purpose: an experiment may hold a million of them.

use serde::{Deserialize, Serialize};
use toprung_proto::v1::{self, TrialState};

use super::snapshot::Stored;
use super::trouble::Trouble;

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Wants slots. `backing_off`: only after its retry is due.
    Pending {
        /// Its retry is not due yet.
        backing_off: bool,
    },
    /// Has slots; its process does not run yet.
    Starting,
    /// Its process runs.
    Running,
    /// Was told to end, and still holds its slots.
    Stopping(Intent),
    /// Waits at a rung without slots.
    Paused,
    /// Over.
    Ended(End),
}

impl Phase {
    /// Whether it holds slots, and was told to save and go on later.
    pub fn is_leaving(self) -> bool {
        matches!(self, Self::Stopping(Intent::Pause | Intent::Preempt))
    }
}

/// Why an attempt was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// The searcher paused it at a rung.
    Pause,
    /// The searcher is done with it. `full`: it reached its full length.
    Stop {
        /// It trained to the full length.
        full: bool,
    },
    /// The experiment is being paused, or the pool needs the slots: it goes on later.
    Preempt,
    /// The experiment is being ended.
    Kill,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It trained as long as it should, or ended by itself with success.
    Completed,
    /// The searcher ended it early.
    Stopped,
    /// It failed for good.
    Errored,
    /// Its hyperparameters make no sense.
    Invalid,
    /// It was killed with its experiment.
    Killed,
}

/// Where an attempt holds slots. Of a program outside `agent` is its name and the one slot its lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Name of the agent.
    pub agent: Box<str>,
    /// Slot indexes there.
    pub slots: Vec<u32>,
    /// Whether the attempt has reported anything.
    pub reported: bool,
    /// Whether the agent was excluded already.
    pub excluded: bool,
    /// Of a program outside: the newest lengths that it told, of training and of validation.
    pub told: [Option<u64>; 2],
}

/// One assignment of hyperparameters, trained for some length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Where it stands.
    pub phase: Phase,
    /// Why, for people.
    pub reason: Box<str>,
    /// JSON object. Empty once the trial has ended: then its record in the store has it.
    pub hparams_json: Box<str>,
    /// Bracket it belongs to.
    pub bracket: u32,
    /// Longest length reported.
    pub length: u64,
    /// Length to train until before the next decision.
    pub train_until: u64,
    /// Best validation, normalised (smaller is better), and its length; NaN: none.
    pub best: f64,
    /// Where `best` was measured.
    pub best_length: u64,
    /// Newest validation, normalised; NaN: none.
    pub latest: f64,
    /// Whether any validation of the searcher's metric came in.
    pub validated: bool,
    /// Length of the newest validation of its newest attempt that has been answered; 0: none.
    pub answered: u64,
    /// Number of the newest attempt; 0: none yet.
    pub attempt: u32,
    /// Failures of its own.
    pub restarts: u32,
    /// Slots it holds.
    pub placement: Option<Box<Placement>>,
    /// Newest checkpoint (of the longest length). Kept after the end only in the store.
    pub checkpoint: Option<Box<Stored<v1::Checkpoint>>>,
    /// The agent on which that checkpoint lies, if others cannot read it.
    pub home: Option<Box<str>>,
    /// When it was created.
    pub created_ms: i64,
    /// 0: not ended.
    pub ended_ms: i64,
    /// Newest failure.
    pub failure: Option<Box<Stored<v1::Exit>>>,
    /// Reports not yet written as a chunk.
    pub recent: Vec<Stored<v1::AttemptReport>>,
    /// Chunks written so far.
    pub chunks: u32,
    /// What it has gone through; `None`: nothing.
    pub trouble: Option<Box<Trouble>>,
}

impl Trial {
    /// A trial that wants its first slots.
    pub fn new(hparams_json: String, bracket: u32, train_until: u64, now_ms: i64) -> Self {
        Self {
            phase: Phase::Pending { backing_off: false },
            reason: "".into(),
            hparams_json: hparams_json.into(),
            bracket,
            length: 0,
            train_until,
            best: f64::NAN,
            best_length: 0,
            latest: f64::NAN,
            validated: false,
            answered: 0,
            attempt: 0,
            restarts: 0,
            placement: None,
            checkpoint: None,
            home: None,
            created_ms: now_ms,
            ended_ms: 0,
            failure: None,
            recent: Vec::new(),
            chunks: 0,
            trouble: None,
        }
    }

    /// Whether its newest attempt holds slots.
    pub fn holds_slots(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running | Phase::Stopping(_))
    }

    /// What it has gone through, to be added to.
    pub fn trouble_mut(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Whether it is neither ended nor paused at a rung.
    pub fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Paused | Phase::Ended(_))
    }

    /// Its state in the words of the API.
    pub fn state(&self) -> TrialState {
        match self.phase {
            Phase::Pending { .. } => TrialState::Pending,
            Phase::Starting => TrialState::Starting,
            Phase::Running => TrialState::Running,
            Phase::Stopping(_) => TrialState::Stopping,
            Phase::Paused => TrialState::Paused,
            Phase::Ended(End::Completed) => TrialState::Completed,
            Phase::Ended(End::Stopped) => TrialState::Stopped,
            Phase::Ended(End::Errored) => TrialState::Error,
            Phase::Ended(End::Invalid) => TrialState::InvalidHyperparameters,
            Phase::Ended(End::Killed) => TrialState::Killed,
        }
    }
}
