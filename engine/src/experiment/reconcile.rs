//! What should be running, against what is: effects derived from the state, never replayed.

use toprung_proto::v1;

use super::effect::Effect;
use super::machine::{Machine, State};
use super::trial::{Intent, Phase};

/// Back-off of a retry that was waiting when the engine stopped.
const RETRY_AFTER_RESTART_MS: u64 = 1_000;

/// An attempt that holds slots, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The trial.
    pub trial: u32,
    /// Its newest attempt.
    pub attempt: u32,
    /// Where.
    pub agent: String,
    /// Slot indexes there.
    pub slots: Vec<u32>,
    /// It was told to end: its slots are on their way back.
    pub leaving: bool,
}

impl Machine {
    /// What has to be asked for again after a restart. Attempts that hold slots are left to their agents' return.
    pub fn reconcile(&self) -> Vec<Effect> {
        if self.fold.state.is_end() {
            return vec![Effect::Ended];
        }
        let excluded = self.fold.nodes.excluded();
        let exclude = |(agent, _, reason): (&str, i64, &str)| Effect::Exclude {
            agent: agent.to_owned(),
            reason: reason.to_owned(),
        };
        let mut effects: Vec<Effect> = excluded.map(exclude).collect();
        for &id in &self.fold.active {
            let Some(trial) = self.trial(id) else { continue };
            match trial.phase {
                Phase::Pending { backing_off: true } => effects.push(Effect::RetryAfter {
                    trial: id,
                    attempt: trial.attempt,
                    delay_ms: RETRY_AFTER_RESTART_MS,
                }),
                Phase::Pending { backing_off: false } if self.fold.state == State::Active => {
                    effects.extend(self.request_of(id));
                }
                _ => {}
            }
        }
        if self.spec.is_external() {
            effects.retain(Effect::without_agents);
        }
        effects
    }

    /// All attempts that hold slots of agents.
    pub fn held(&self) -> Vec<Held> {
        if self.spec.is_external() {
            return Vec::new();
        }
        let held = |&id: &u32| {
            let trial = self.trial(id)?;
            let placement = trial.placement.as_ref().filter(|_| trial.holds_slots())?;
            Some(Held {
                trial: id,
                attempt: trial.attempt,
                agent: placement.agent.to_string(),
                slots: placement.slots.clone(),
                leaving: matches!(trial.phase, Phase::Stopping(_)),
            })
        };
        self.fold.active.iter().filter_map(held).collect()
    }

    /// Decisions to repeat to an agent that came back: those made while it was away have not reached it. Decisions to
    /// stop are among [`repeat_stops`](Self::repeat_stops).
    pub fn repeat_decisions(&self, agent: &str) -> Vec<v1::AttemptDecision> {
        if self.spec.is_external() {
            return Vec::new();
        }
        let repeat = |&id: &u32| {
            let trial = self.trial(id)?;
            let trains = matches!(trial.phase, Phase::Starting | Phase::Running) && trial.answered > 0;
            let pauses = trial.phase == Phase::Stopping(Intent::Pause);
            let (kind, length, reason) = if pauses {
                (v1::DecisionKind::Pause, trial.length, trial.reason.to_string())
            } else {
                let reason = "said again: the agent was away".to_owned();
                (v1::DecisionKind::Train, trial.train_until, reason)
            };
            trial.placement.as_ref().filter(|placement| (trains || pauses) && &*placement.agent == agent)?;
            let decision = v1::Decision { kind: kind.into(), trial: id, length, reason };
            Some(v1::AttemptDecision {
                attempt: Some(v1::AttemptId { experiment: self.spec.id, trial: id, attempt: trial.attempt }),
                at_length: trial.answered,
                decision: Some(decision),
                may_refuse: pauses && !self.has_own_checkpoint(id),
            })
        };
        self.fold.active.iter().filter_map(repeat).collect()
    }

    /// Commands to repeat to an agent that came back: attempts that were told to end while it was away.
    pub fn repeat_stops(&self, agent: &str) -> Vec<v1::StopAttempt> {
        if self.spec.is_external() {
            return Vec::new();
        }
        let repeat = |&id: &u32| {
            let trial = self.trial(id)?;
            let Phase::Stopping(intent) = trial.phase else { return None };
            trial.placement.as_ref().filter(|placement| &*placement.agent == agent)?;
            let kind = match intent {
                // Repeated as the decision that it is.
                Intent::Pause => return None,
                Intent::Preempt => v1::StopKind::Preempt,
                Intent::Stop { .. } | Intent::Kill => v1::StopKind::Stop,
            };
            Some(v1::StopAttempt {
                attempt: Some(v1::AttemptId { experiment: self.spec.id, trial: id, attempt: trial.attempt }),
                kind: kind.into(),
                reason: trial.reason.to_string(),
            })
        };
        self.fold.active.iter().filter_map(repeat).collect()
    }
}
