//! Faults that can be planted in the wiring of the simulation. None of them is in the engine or the agent.

/// One planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Nothing is wrong.
    None,
    /// A batch is acknowledged when it comes, not when it is durable.
    AcknowledgesEarly,
    /// Effects are done when a step is taken, not when it is durable.
    ActsEarly,
    /// A repeated batch is taken for a new one.
    ForgetsBatches,
    /// A report of an older attempt is taken for one of the newest.
    DropsFence,
    /// Slots of attempts that ended are not given back.
    ForgetsRelease,
    /// After a start nothing is asked for again.
    ForgetsReconcile,
    /// An agent may keep a trial although it runs another attempt of it.
    KeepsByTrial,
    /// What was sent and not acknowledged is forgotten with the connection.
    DropsSpool,
    /// A script's exit is said twice.
    ExitsTwice,
    /// An agent that comes back is not told what was decided while it was away.
    ForgetsOrders,
    /// Parts of batches pass whichever session they come from.
    RoutesAnySession,
    /// A snapshot is written before its records are durable, and believed.
    BelievesSnapshot,
    /// An agent registers while the pool still gives its slots away.
    RegistersWithoutPool,
    /// A start from before a registration is sent after it.
    KeepsStarts,
    /// An experiment that is started again waits for nobody to register anew.
    RestartsQuietly,
    /// Slots given to an experiment that had just ended stay given.
    KeepsGifts,
    /// A script is told that its report is accepted before it is in the spool.
    AnswersEarly,
    /// A restarted daemon has another name for its spool, and the old numbers.
    RenamesSpool,
    /// A restarted daemon begins with an empty spool.
    ForgetsSpool,
    /// A restarted daemon does not say that the attempts of the former one have ended.
    ForgetsDead,
    /// The end of an agent's lease is not told to the experiments.
    ForgetsLost,
    /// An experiment that is loaded does not tell the pool what it holds.
    ForgetsHeld,
    /// Slots freed for an urgent experiment are offered to all others first.
    GivesFreedAway,
    /// A preempted attempt counts as one that failed.
    ChargesPreemption,
    /// After a start nobody knows which agents are drained.
    ForgetsDrains,
    /// After a start the pool is not told which agents an experiment does without.
    ForgetsExclusion,
    /// A program hears and is answered before that is durable.
    TellsProgramsEarly,
    /// A decision that comes again is taken for a new one.
    ForgetsDecisions,
    /// The script of a trial that cannot pause waits, and its agent says nothing of it.
    SwallowsRefusals,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::AcknowledgesEarly,
        Self::ActsEarly,
        Self::ForgetsBatches,
        Self::DropsFence,
        Self::ForgetsRelease,
        Self::ForgetsReconcile,
        Self::KeepsByTrial,
        Self::DropsSpool,
        Self::ExitsTwice,
        Self::ForgetsOrders,
        Self::RoutesAnySession,
        Self::BelievesSnapshot,
        Self::RegistersWithoutPool,
        Self::KeepsStarts,
        Self::RestartsQuietly,
        Self::KeepsGifts,
        Self::AnswersEarly,
        Self::RenamesSpool,
        Self::ForgetsSpool,
        Self::ForgetsDead,
        Self::ForgetsLost,
        Self::ForgetsHeld,
        Self::GivesFreedAway,
        Self::ChargesPreemption,
        Self::ForgetsDrains,
        Self::ForgetsExclusion,
        Self::TellsProgramsEarly,
        Self::ForgetsDecisions,
        Self::SwallowsRefusals,
    ];
}
