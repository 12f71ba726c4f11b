//! An experiment's actor, as `toprung_engine` has it around a [`Keeper`].

use std::collections::{BTreeSet, VecDeque};
use toprung_engine::cores::registry::allocation;
use toprung_engine::cores::{Keeper, Returned};
use toprung_engine::experiment::directing::{Checked, RefusedDecision};
use toprung_engine::experiment::{Effect, Machine, snapshot};
use toprung_proto::v1::{self, attempt_event, engine_message::Kind, journal_record::Input};

use crate::bug::Bug;
use crate::messages::{PoolMessage, SessionsMessage};
use crate::outer::{Outer, Timer};

/// Records after which a snapshot is due: few, so that many are written.
const SNAPSHOT_EVERY: u64 = 12;

/// What an experiment is told.
#[derive(Debug)]
pub enum Message {
    /// From the pool, a timer or a person.
    Input(Input),
    /// A part of a batch, and the session that waits for it.
    AgentEvents(v1::AgentEvents, u64),
    /// An agent came back; answered to a task.
    Returned(String, Vec<v1::AttemptId>, u64),
    /// An agent's lease ended.
    Lost(String),
    /// A program listens after an event.
    Listen(u64),
    /// A program decided.
    Decide(Box<v1::DecideRequest>),
    /// What was on its way is durable, or is not.
    Committed(bool),
    /// Nothing comes any more.
    Dismiss,
}

/// What waits until something is durable.
#[derive(Debug)]
pub enum Reply {
    /// An acknowledgement: session, sequence.
    Ack(u64, u64),
    /// An answer to a task.
    Returned(u64, Returned),
    /// To a program that listens.
    Heard(Box<v1::ListenResponse>),
    /// To a program that decided, by its request.
    Decided(String, Result<v1::DecideResponse, RefusedDecision>),
}

/// What leaves the actor.
#[derive(Default)]
pub struct Out {
    /// To the pool.
    pub pool: Vec<PoolMessage>,
    /// To the sessions.
    pub sessions: Vec<SessionsMessage>,
    /// Answers.
    pub replies: Vec<Reply>,
    /// It has failed.
    pub failed: bool,
    /// The experiment has ended; said once.
    pub ended: bool,
    /// The actor is done.
    pub dismissed: bool,
}

/// The actor.
pub struct Experiment {
    /// Its core.
    pub keeper: Keeper<Reply>,
    /// What it was told and has not handled.
    pub mailbox: VecDeque<Message>,
    /// Distinguishes it from former actors of the same experiment.
    pub generation: u64,
    start: u64,
    told_end: bool,
    /// The planted fault of a forgotten dedupe counts for itself.
    sequences: u64,
    /// Of the planted fault of charged preemption: (trial, attempt).
    asked: BTreeSet<(u32, u32)>,
}

impl Experiment {
    /// Around a machine; with what the pool is told first. `created`: not durable yet.
    pub fn new(
        machine: Machine,
        generation: u64,
        start: u64,
        created: bool,
        outer: &mut Outer,
    ) -> (Self, Out) {
        let keeper = Keeper::new(machine, SNAPSHOT_EVERY);
        let sequences = 1 << 40;
        let (mailbox, asked) = (VecDeque::new(), BTreeSet::new());
        let mut own = Self { keeper, mailbox, generation, start, told_end: false, sequences, asked };
        let mut out = Out::default();
        if created {
            let created = v1::ExperimentCreated { id: own.id(), ..v1::ExperimentCreated::default() };
            own.input(Input::Created(created), outer, &mut out);
        }
        let (limits, held, effects) = own.keeper.joins();
        let held = held.into_iter().filter(|_| outer.bug != Bug::ForgetsHeld);
        let held = held.map(|held| allocation(own.id(), held)).collect();
        out.pool.push(PoolMessage::Add(own.id(), limits, held));
        if outer.bug != Bug::ForgetsReconcile {
            let forgotten = |effect: &Effect| {
                outer.bug == Bug::ForgetsExclusion && matches!(effect, Effect::Exclude { .. })
            };
            let effects: Vec<Effect> = effects.into_iter().filter(|effect| !forgotten(effect)).collect();
            effects.into_iter().for_each(|effect| own.perform(effect, outer, &mut out));
        }
        (own, out)
    }

    fn id(&self) -> u64 {
        self.keeper.machine.spec.id
    }

    /// Handles one message, and sends what has gathered.
    pub fn handle(&mut self, message: Message, outer: &mut Outer) -> Out {
        let mut out = Out::default();
        let now = outer.calendar_ms();
        match message {
            Message::Input(input) => self.input(input, outer, &mut out),
            Message::AgentEvents(events, session) => self.events(events, session, outer, &mut out),
            Message::Returned(agent, mut running, task) => {
                if outer.bug == Bug::KeepsByTrial {
                    for held in self.keeper.machine.held() {
                        let same = running.iter_mut().filter(|attempt| attempt.trial == held.trial);
                        same.for_each(|attempt| attempt.attempt = held.attempt);
                    }
                }
                let (mut returned, _) = self.keeper.agent_returned(&agent, &running, now);
                if outer.bug == Bug::ForgetsOrders {
                    returned.orders.clear();
                }
                out.replies.extend(self.keeper.when_durable(Reply::Returned(task, returned)));
            }
            Message::Lost(agent) => drop(self.keeper.agent_lost(&agent, "silent", now)),
            Message::Listen(after) => {
                let heard = self.keeper.machine.heard(after, true).unwrap_or_default();
                self.reply(Reply::Heard(Box::new(heard)), outer, &mut out);
            }
            Message::Decide(request) => {
                let answer = self.decide(&request, outer, &mut out);
                self.reply(Reply::Decided(request.request_id, answer), outer, &mut out);
            }
            Message::Committed(false) => {
                out.failed = true;
                return out;
            }
            Message::Committed(true) => self.committed(outer, &mut out),
            Message::Dismiss => out.dismissed = true,
        }
        self.pump(outer, &mut out);
        let end = self.keeper.machine.fold.state.is_end() && self.keeper.is_at_rest();
        out.ended = end && !self.told_end;
        self.told_end |= end;
        out
    }

    fn input(&mut self, input: Input, outer: &mut Outer, out: &mut Out) {
        if let Input::Preempted(preempted) = &input
            && outer.bug == Bug::ChargesPreemption
        {
            self.ask_to_leave(preempted, out);
            return;
        }
        let taken = self.keeper.input(input, outer.calendar_ms());
        for line in taken.lines {
            outer.log(|| format!("engine: {line}"));
        }
        out.pool.extend(taken.refused.map(PoolMessage::Release));
    }

    /// Answers a program.
    fn reply(&mut self, reply: Reply, outer: &Outer, out: &mut Out) {
        if outer.bug == Bug::TellsProgramsEarly {
            out.replies.push(reply);
        } else {
            out.replies.extend(self.keeper.when_durable(reply));
        }
    }

    fn decide(
        &mut self,
        request: &v1::DecideRequest,
        outer: &mut Outer,
        out: &mut Out,
    ) -> Result<v1::DecideResponse, RefusedDecision> {
        let mut request = request.clone();
        if outer.bug == Bug::ForgetsDecisions {
            self.sequences += 1;
            request.request_id = format!("{}, {}", request.request_id, self.sequences);
            request.after = None;
        }
        match self.keeper.machine.check_decision(&request)? {
            Checked::Again(answer) => Ok(answer),
            Checked::New(directed) => {
                self.input(Input::Directed(directed), outer, out);
                let program = self.keeper.machine.fold.program.as_deref();
                Ok(program.and_then(|it| it.answer(&request.request_id)).cloned().unwrap_or_default())
            }
        }
    }

    /// The planted fault: the agent is told, and the journal is not.
    fn ask_to_leave(&mut self, preempted: &v1::AttemptPreempted, out: &mut Out) {
        let experiment = self.id();
        let trial = self.keeper.machine.trial(preempted.trial);
        let found = trial.filter(|trial| trial.attempt == preempted.attempt);
        if let Some(placement) = found.and_then(|trial| trial.placement.as_ref()) {
            let attempt = v1::AttemptId { experiment, trial: preempted.trial, attempt: preempted.attempt };
            self.asked.insert((attempt.trial, attempt.attempt));
            let (kind, reason) = (v1::StopKind::Preempt.into(), preempted.reason.clone());
            let stop = v1::StopAttempt { attempt: Some(attempt), kind, reason };
            out.sessions.push(SessionsMessage::Tell(placement.agent.to_string(), Kind::Stop(stop)));
        }
    }

    /// The planted fault: whoever had to leave has failed.
    fn blame(&self, events: &mut v1::AgentEvents) {
        for event in &mut events.events {
            if let (Some(attempt), Some(attempt_event::Kind::Exit(exit))) = (&event.attempt, &mut event.kind)
                && self.asked.contains(&(attempt.trial, attempt.attempt))
            {
                exit.set_cause(v1::ExitCause::Failed);
            }
        }
    }

    fn events(&mut self, mut events: v1::AgentEvents, session: u64, outer: &mut Outer, out: &mut Out) {
        let sequence = events.sequence;
        if outer.bug == Bug::ForgetsBatches {
            self.sequences += 1;
            events.sequence = self.sequences;
        }
        if outer.bug == Bug::ChargesPreemption {
            self.blame(&mut events);
        }
        if outer.bug == Bug::DropsFence {
            for attempt in events.events.iter_mut().filter_map(|event| event.attempt.as_mut()) {
                let newest = self.keeper.machine.trial(attempt.trial).map_or(0, |trial| trial.attempt);
                attempt.attempt = newest.max(1);
            }
        }
        self.input(Input::AgentEvents(events), outer, out);
        if outer.bug == Bug::AcknowledgesEarly {
            out.replies.push(Reply::Ack(session, sequence));
        } else {
            out.replies.extend(self.keeper.when_durable(Reply::Ack(session, sequence)));
        }
    }

    fn pump(&mut self, outer: &mut Outer, out: &mut Out) {
        let Some(batch) = self.keeper.to_write() else { return };
        outer.pending.push_back((self.id(), self.generation, batch));
        let fold = &self.keeper.machine.fold;
        if outer.bug == Bug::BelievesSnapshot && fold.sequence % SNAPSHOT_EVERY < 3 {
            self.write_snapshot(fold.sequence, outer);
        }
        if outer.bug == Bug::ActsEarly {
            self.committed(outer, out);
        }
    }

    fn write_snapshot(&self, sequence: u64, outer: &Outer) {
        let bytes = snapshot::encode(&self.keeper.machine).expect("a machine can be encoded");
        let written = outer.store.write_snapshot(self.id(), sequence, snapshot::VERSION, bytes);
        written.expect("memory takes a snapshot");
    }

    fn committed(&mut self, outer: &mut Outer, out: &mut Out) {
        let Some(durable) = self.keeper.committed() else { return };
        for effect in durable.effects {
            self.perform(effect, outer, out);
        }
        out.replies.extend(durable.replies);
        // A snapshot may be lost: it only saves time.
        if let Some((sequence, bytes)) = durable.snapshot.filter(|_| outer.chance.one(3, 4)) {
            let written = outer.store.write_snapshot(self.id(), sequence, snapshot::VERSION, bytes);
            written.expect("memory takes a snapshot");
        }
    }

    fn perform(&mut self, effect: Effect, outer: &mut Outer, out: &mut Out) {
        let id = self.id();
        let attempt = |trial, attempt| v1::AttemptId { experiment: id, trial, attempt };
        match effect {
            Effect::Request { trial, attempt: number, wish } => {
                out.pool.push(PoolMessage::Request(attempt(trial, number), wish));
            }
            Effect::Exclude { agent, reason } => out.pool.push(PoolMessage::Exclude(id, agent, reason)),
            Effect::Withdraw { trial } => out.pool.push(PoolMessage::Withdraw(id, trial)),
            Effect::Leaves { trial, attempt: number } => {
                out.pool.push(PoolMessage::Leaves(attempt(trial, number)));
            }
            Effect::Stays { trial, attempt: number } => {
                out.pool.push(PoolMessage::Stays(attempt(trial, number)));
            }
            Effect::Release { .. } if outer.bug == Bug::ForgetsRelease => {}
            Effect::Release { trial, attempt: number } => {
                out.pool.push(PoolMessage::Release(attempt(trial, number)));
            }
            Effect::Start { agent, start } => {
                out.sessions.push(SessionsMessage::Tell(agent, Kind::Start(*start)))
            }
            Effect::Stop { agent, stop } => out.sessions.push(SessionsMessage::Tell(agent, Kind::Stop(stop))),
            Effect::Decide { agent, decision } => {
                out.sessions.push(SessionsMessage::Tell(agent, Kind::Decision(decision)));
            }
            Effect::RetryAfter { trial, attempt, delay_ms } => {
                outer.after(delay_ms, Timer::Retry(self.start, self.generation, id, trial, attempt));
            }
            // Checkpoints are no files here.
            Effect::Collect { .. } | Effect::Discard { .. } | Effect::Weigh { .. } | Effect::Judge => {}
            Effect::Ended => out.pool.push(PoolMessage::Ended(id)),
        }
    }
}
