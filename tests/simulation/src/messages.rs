//! What the engine's actors say to each other.

use toprung_engine::cores::Returned;
use toprung_engine::scheduler::{Allocation, Limits, Wish};
use toprung_proto::v1::{self, engine_message::Kind};

/// What the pool is told.
#[derive(Debug)]
pub enum PoolMessage {
    /// An experiment joins.
    Add(u64, Limits, Vec<Allocation>),
    /// An experiment has failed.
    Remove(u64),
    /// An experiment has ended.
    Ended(u64),
    /// An attempt wants slots.
    Request(v1::AttemptId, Wish),
    /// An experiment does without an agent.
    Exclude(u64, String, String),
    /// A trial wants none any more.
    Withdraw(u64, u32),
    /// An attempt was told to end.
    Leaves(v1::AttemptId),
    /// An attempt that was told to end goes on after all.
    Stays(v1::AttemptId),
    /// An agent is drained by a person, for this reason.
    Drain(String, String),
    /// It is not drained any more.
    Undrain(String),
    /// An attempt gives its slots back.
    Release(v1::AttemptId),
    /// An agent is there.
    Joined(String, Vec<v1::Slot>, Vec<Allocation>),
    /// An agent is away; the sessions wait for the answer.
    Away(String),
    /// An agent is lost; the sessions wait for the answer.
    Lost(String),
}

/// What the sessions are told.
#[derive(Debug)]
pub enum SessionsMessage {
    /// An agent has connected.
    Register(v1::Register, u64),
    /// It is known what it may keep, or why not.
    Reconciled(u64, Option<Vec<(u64, Returned)>>),
    /// Something came.
    Heard(String, u64),
    /// A stream has ended.
    StreamEnded(String, u64),
    /// An agent holds attempts and has not come.
    Expect(String),
    /// To an agent.
    Tell(String, Kind),
    /// A person drains an agent, or undoes it.
    Drain(String, Option<String>),
    /// The record of an agent has reached the disk, or has not.
    Recorded(bool),
    /// All sessions are to end.
    EndAll,
    /// Time passes.
    Tick,
}

/// What a session is told.
#[derive(Debug)]
pub enum SessionMessage {
    /// From the agent.
    Batch(v1::Batch),
    /// A part is durable.
    PartDone(u64),
    /// To the agent.
    Tell(Kind),
    /// It is over.
    End(bool),
}

/// What the supervisor of the experiments is told.
#[derive(Debug)]
pub enum ExperimentsMessage {
    /// A part of a batch: experiment, serial, events, session.
    Route(u64, u64, v1::AgentEvents, u64),
    /// An agent came back: with its serial, its attempts, and the task that waits.
    Returned(String, u64, Vec<v1::AttemptId>, u64),
    /// An agent is lost.
    Lost(String),
    /// An experiment's actor has failed.
    Failed(u64),
    /// An experiment is to be started again.
    Restart(u64),
    /// An experiment is over.
    Ended(u64),
}

/// One mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The pool's.
    Pool,
    /// The sessions'.
    Sessions,
    /// The experiments' supervisor's.
    Experiments,
    /// A session's.
    Session(u64),
    /// An experiment's.
    Experiment(u64),
}
