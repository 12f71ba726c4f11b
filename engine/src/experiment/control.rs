//! What people and the pool ask for: pause, resume, kill, preemption; and how the experiment comes to rest or to its end.

use toprung_proto::v1;

use super::effect::Effect;
use super::machine::{Machine, Quota, State, Turn};
use super::trial::{End, Intent, Phase};
use super::view;

impl Machine {
    pub(super) fn on_pause(&mut self, turn: &mut Turn) -> bool {
        self.pause("pause requested", turn)
    }

    /// Its checkpoints take more than they may, and all of them are needed.
    pub(super) fn on_quota(&mut self, reason: &str, turn: &mut Turn) -> bool {
        if self.fold.quota == Quota::Lifted || !self.pause(reason, turn) {
            return false;
        }
        turn.step.lines.push(format!("paused: {reason}"));
        self.fold.quota = Quota::Reached;
        true
    }

    fn pause(&mut self, reason: &str, turn: &mut Turn) -> bool {
        if self.fold.state != State::Active {
            return false;
        }
        self.set_state(State::Pausing, reason, turn);
        for id in self.active_ids() {
            match self.trial_mut(id).phase {
                Phase::Pending { backing_off: false } => {
                    turn.step.effects.push(Effect::Withdraw { trial: id })
                }
                Phase::Starting | Phase::Running => self.stop_attempt(id, Intent::Preempt, reason, turn),
                _ => {}
            }
        }
        true
    }

    /// The pool wants slots back. An attempt that is ending anyway gives them back without this.
    pub(super) fn on_preempted(&mut self, preempted: &v1::AttemptPreempted, turn: &mut Turn) -> bool {
        let id = preempted.trial;
        let Some(trial) = self.trial(id) else { return false };
        let goes_on = matches!(trial.phase, Phase::Starting | Phase::Running);
        if trial.attempt != preempted.attempt || !goes_on {
            return false;
        }
        self.stop_attempt(id, Intent::Preempt, &preempted.reason, turn);
        turn.step.lines.push(format!("trial {id}: asked to save and leave: {}", preempted.reason));
        true
    }

    pub(super) fn on_resume(&mut self, turn: &mut Turn) -> bool {
        if !matches!(self.fold.state, State::Paused | State::Pausing) {
            return false;
        }
        if self.fold.quota == Quota::Reached {
            self.fold.quota = Quota::Lifted;
        }
        self.set_state(State::Active, "resumed", turn);
        for id in self.active_ids() {
            if self.trial_mut(id).phase == (Phase::Pending { backing_off: false }) {
                self.request(id, turn);
            }
        }
        true
    }

    pub(super) fn on_kill(&mut self, reason: &str, end: State, turn: &mut Turn) -> bool {
        if self.fold.state.is_end() || self.fold.end.is_some() {
            return false;
        }
        self.fold.end = Some(end);
        self.set_state(State::Killing, reason, turn);
        for id in self.active_ids() {
            match self.trial_mut(id).phase {
                Phase::Pending { .. } => {
                    turn.step.effects.push(Effect::Withdraw { trial: id });
                    self.end_trial(id, End::Killed, reason, turn);
                }
                Phase::Stopping(Intent::Stop { .. }) => {}
                _ => self.stop_attempt(id, Intent::Kill, reason, turn),
            }
        }
        true
    }

    pub(super) fn on_retry(&mut self, id: u32, attempt: u32, turn: &mut Turn) -> bool {
        let Some(trial) = self.trial(id) else { return false };
        if trial.phase != (Phase::Pending { backing_off: true }) || trial.attempt != attempt {
            return false;
        }
        self.set_phase(id, Phase::Pending { backing_off: false });
        if self.fold.state == State::Active {
            self.request(id, turn);
        }
        true
    }

    /// Moves on to the state that everything has now come to.
    pub(super) fn settle(&mut self, turn: &mut Turn) {
        let holding = self.holding();
        match (self.fold.state, self.fold.end) {
            (State::Pausing, _) if holding == 0 && self.fold.quota == Quota::Reached => {
                let reason = self.fold.reason.clone();
                self.set_state(State::Paused, &reason, turn);
            }
            (State::Pausing, _) if holding == 0 => {
                self.set_state(State::Paused, "all slots are given back", turn)
            }
            (State::Killing, Some(end)) if holding == 0 => self.finish(end, turn),
            _ => {}
        }
    }

    /// Ends the experiment. Nothing holds slots.
    pub(super) fn finish(&mut self, end: State, turn: &mut Turn) {
        let reason = self.fold.reason.clone();
        for id in 1..=self.fold.trials.len() as u32 {
            if !matches!(self.trial_mut(id).phase, Phase::Ended(_)) {
                self.end_trial(id, End::Killed, &reason, turn);
            }
        }
        self.fold.ended_ms = turn.now_ms;
        self.set_state(end, &reason, turn);
        turn.step.effects.push(Effect::Ended);
    }

    pub(super) fn set_state(&mut self, state: State, reason: &str, turn: &mut Turn) {
        if self.fold.state == State::Active {
            let lasted = turn.now_ms.saturating_sub(self.fold.active_since_ms).max(0) as u64;
            self.fold.active_ms = self.fold.active_ms.saturating_add(lasted);
        }
        if state == State::Active {
            self.fold.active_since_ms = turn.now_ms;
        }
        self.fold.state = state;
        self.keep_experiment(state, turn);
        reason.clone_into(&mut self.fold.reason);
        turn.state_changed = true;
        let word = view::state_word(state);
        turn.step.lines.push(format!("experiment {}: {word}: {reason}", self.spec.id));
    }
}
