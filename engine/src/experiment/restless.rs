//! Trials that are told to pause and have nothing to continue from.
//!
//! A decision to pause may be refused as long as the trial has no checkpoint: the agent, which knows it first, says so when
//! the script asks and before it is told. The searcher then decides anew, or the pause stands. Each refusal of an attempt that
//! is at work is answered, since its script waits: what was decided meanwhile is said again.

use toprung_proto::v1::{self, DecisionKind};
use toprung_searchers::{Event, TrialId};

use super::effect::Effect;
use super::machine::{Machine, State, Turn};
use super::trial::{Intent, Phase};

/// Said once in an experiment.
const NO_CHECKPOINT: &str = "warning: a trial was to pause and has saved no checkpoint, so it cannot wait for a promotion. As long as \
                             no trial saves one, searchers with promotion decide at once at each rung, as with `stop_once: true`";

impl Machine {
    /// The newest attempt of a trial holds slots, and cannot pause.
    pub(super) fn on_cannot_pause(&mut self, id: u32, turn: &mut Turn) {
        let trial = self.trial_mut(id);
        match trial.phase {
            Phase::Stopping(Intent::Pause) => {
                self.refused(id, turn);
                if self.trial_mut(id).phase == Phase::Stopping(Intent::Pause) {
                    self.pause_for_good(id, turn);
                }
            }
            // It was answered, and has not heard of it.
            Phase::Starting | Phase::Running => {
                let answered = trial.answered;
                self.repeat_decision(id, answered, turn);
            }
            // It has an order to end, which nobody can refuse, or has no process.
            Phase::Stopping(_) | Phase::Pending { .. } | Phase::Paused | Phase::Ended(_) => {}
        }
    }

    fn refused(&mut self, id: u32, turn: &mut Turn) {
        if self.has_own_checkpoint(id) {
            return;
        }
        self.tell(Event::CannotPause { trial: TrialId(id) }, turn);
        self.run_actions(turn);
        if self.trial_mut(id).phase != Phase::Stopping(Intent::Pause) {
            self.warn_of_no_checkpoint(turn);
        }
    }

    pub(super) fn warn_of_no_checkpoint(&mut self, turn: &mut Turn) {
        if !self.fold.warned_of_no_checkpoint {
            self.fold.warned_of_no_checkpoint = true;
            turn.step.lines.push(NO_CHECKPOINT.to_owned());
        }
    }

    fn pause_for_good(&mut self, id: u32, turn: &mut Turn) {
        let trial = self.trial_mut(id);
        let (length, reason) = (trial.length, trial.reason.to_string());
        let decision = v1::Decision { kind: DecisionKind::Pause.into(), trial: id, length, reason };
        self.send_decision(id, length, decision, false, turn);
    }

    /// A trial that was to pause trains on after all; unless others have to leave now.
    pub(super) fn stay(&mut self, id: u32, turn: &mut Turn) {
        if self.fold.state != State::Active {
            let reason = self.fold.reason.clone();
            return self.stop_attempt(id, Intent::Preempt, &reason, turn);
        }
        self.set_phase(id, Phase::Running);
        let trial = self.trial_mut(id);
        trial.reason = "".into();
        let attempt = trial.attempt;
        turn.step.effects.push(Effect::Stays { trial: id, attempt });
    }
}
