//! What the shell has to do once a step is durable.

use toprung_proto::v1;
use toprung_store::Key;

use crate::scheduler::Wish;

/// Something to do outside the machine. Effects are not replayed after a crash: they are derived anew
/// (see [`super::Machine::reconcile`]).
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the pool for slots for this attempt.
    Request {
        /// The trial.
        trial: u32,
        /// Its next attempt.
        attempt: u32,
        /// Where.
        wish: Wish,
    },
    /// Give this experiment no slots of an agent any more, while another could do.
    Exclude {
        /// The agent.
        agent: String,
        /// Why.
        reason: String,
    },
    /// Take a request back.
    Withdraw {
        /// The trial.
        trial: u32,
    },
    /// Give the slots of this attempt back to the pool.
    Release {
        /// The trial.
        trial: u32,
        /// The attempt that ended.
        attempt: u32,
    },
    /// Tell the pool that this attempt was told to end: its slots are on their way back.
    Leaves {
        /// The trial.
        trial: u32,
        /// The attempt that ends.
        attempt: u32,
    },
    /// Tell the pool that this attempt goes on after all: its slots are not on their way back.
    Stays {
        /// The trial.
        trial: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Tell the agent to start this attempt.
    Start {
        /// Where.
        agent: String,
        /// The command.
        start: Box<v1::StartAttempt>,
    },
    /// Tell the agent to end this attempt.
    Stop {
        /// Where.
        agent: String,
        /// The command.
        stop: v1::StopAttempt,
    },
    /// Tell the agent what was decided on a validation.
    Decide {
        /// Where.
        agent: String,
        /// The decision.
        decision: v1::AttemptDecision,
    },
    /// Bring `RetryDue { trial, attempt }` back after this many milliseconds.
    RetryAfter {
        /// The trial.
        trial: u32,
        /// The attempt that failed.
        attempt: u32,
        /// How long.
        delay_ms: u64,
    },
    /// Have the checkpoints removed that nothing keeps of this trial. Left out after a crash: the end does it.
    Collect {
        /// The trial.
        trial: u32,
    },
    /// A checkpoint was saved that nobody may continue from; its record is marked already. Have it removed.
    Discard {
        /// It, with the agent that saved it.
        checkpoint: Box<v1::Checkpoint>,
    },
    /// A checkpoint of so many bytes was saved in an experiment with a limit.
    Weigh {
        /// Its size.
        bytes: u64,
    },
    /// What nothing keeps was marked just now; if the rest is still too much, the experiment has to pause.
    Judge,
    /// The experiment has ended: nothing will follow.
    Ended,
}

impl Effect {
    /// Whether it is done where no agent runs the trials: there is nothing to ask the pool and the agents for.
    pub fn without_agents(&self) -> bool {
        matches!(self, Self::RetryAfter { .. } | Self::Ended)
    }
}

/// The outcome of one input.
#[derive(Debug, Default)]
pub struct Step {
    /// To be made durable before any effect. Its input is set by the machine.
    pub record: v1::JournalRecord,
    /// Records that go into the store in the same atomic batch.
    pub puts: Vec<(Key, Vec<u8>)>,
    /// To be done once durable, in this order.
    pub effects: Vec<Effect>,
    /// One line for people on each thing worth telling.
    pub lines: Vec<String>,
}
