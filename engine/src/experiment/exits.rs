//! What follows from the end of an attempt: retry, requeue, completion or error.
//!
//! | what happened | result |
//! |---|---|
//! | the engine asked for it | what it was asked for: paused, stopped, requeued, killed |
//! | success | completed; an error if it never reported the searcher's metric |
//! | its own failure | retried from its last checkpoint with back-off, until `max_restarts` is used up |
//! | it was preempted, and ended however | requeued from its last checkpoint, not charged |
//! | a failure that was the node's | retried elsewhere, not charged: see [`failures`](super::failures) |
//! | the agent or node was lost | requeued from its last checkpoint, not charged |
//! | invalid hyperparameters | ended and replaced, not counted as one of `max_trials` |
//! | a broken contract | an error at once: a retry would do the same |

use toprung_proto::v1::{self, ExitCause};
use toprung_searchers::{Event, ExitReason, TrialId};

use super::effect::Effect;
use super::machine::{Machine, State, Turn};
use super::snapshot::Stored;
use super::trial::{End, Intent, Phase, Placement};

/// While no trial has ever reported the metric: so many trials that end without it end the experiment.
pub(super) const HOPELESS_TRIALS: u32 = 3;

impl Machine {
    pub(super) fn on_lost(&mut self, lost: &v1::AttemptLost, turn: &mut Turn) -> bool {
        let Some(trial) = self.trial(lost.trial) else { return false };
        if trial.attempt != lost.attempt || !trial.holds_slots() {
            return false;
        }
        let exit = v1::Exit {
            cause: ExitCause::AgentLost.into(),
            message: lost.reason.clone(),
            ..v1::Exit::default()
        };
        self.on_exit(lost.trial, &exit, turn);
        true
    }

    /// The newest attempt of a trial has ended; it held slots until now.
    pub(super) fn on_exit(&mut self, id: u32, exit: &v1::Exit, turn: &mut Turn) {
        let trial = self.trial_mut(id);
        let (phase, attempt) = (trial.phase, trial.attempt);
        let place = trial.placement.take();
        let external = self.spec.is_external();
        if let Some(place) = place.as_deref().filter(|_| external) {
            self.free_lane(place);
        }
        // A program outside is no node that could be to blame.
        let place = place.as_deref().filter(|_| !external);
        turn.step.effects.push(Effect::Release { trial: id, attempt });
        match phase {
            Phase::Stopping(Intent::Stop { full }) => {
                let reason = self.trial_mut(id).reason.clone();
                self.end_trial(id, if full { End::Completed } else { End::Stopped }, &reason, turn);
                self.tell(Event::Exited { trial: TrialId(id), reason: ExitReason::Stopped }, turn);
            }
            Phase::Stopping(Intent::Pause) => {
                if is_failure(exit) {
                    self.note_failure(id, exit, turn);
                }
                self.rest_at_rung(id, turn);
            }
            Phase::Stopping(Intent::Kill) => self.end_trial(id, End::Killed, &exit.message, turn),
            Phase::Stopping(Intent::Preempt) if exit.cause() != ExitCause::Success => {
                let exit = self.left_early(id, exit);
                self.requeue(id, &exit, turn);
            }
            _ => self.on_own_exit(id, exit, place, turn),
        }
    }

    /// The exit of an attempt that had to leave: the reason is why it had to, and what else went wrong on the way.
    fn left_early(&self, id: u32, exit: &v1::Exit) -> v1::Exit {
        let why = self.trial(id).map(|trial| trial.reason.to_string()).unwrap_or_default();
        let message = if exit.cause() == ExitCause::Requested || exit.message == why {
            why
        } else {
            format!("{why} ({})", exit.message)
        };
        v1::Exit { message, ..exit.clone() }
    }

    fn on_own_exit(&mut self, id: u32, exit: &v1::Exit, place: Option<&Placement>, turn: &mut Turn) {
        match exit.cause() {
            ExitCause::Success => self.on_success(id, exit, turn),
            ExitCause::InvalidHyperparameters => {
                self.count(id, ExitCause::InvalidHyperparameters);
                self.end_trial(id, End::Invalid, &exit.message, turn);
                self.tell(
                    Event::Exited { trial: TrialId(id), reason: ExitReason::InvalidHyperparameters },
                    turn,
                );
            }
            ExitCause::Requested | ExitCause::AgentLost => self.requeue(id, exit, turn),
            ExitCause::Contract => {
                self.note_failure(id, exit, turn);
                self.give_up(id, &exit.message, turn);
            }
            _ => self.on_failure(id, exit, place, turn),
        }
    }

    fn on_success(&mut self, id: u32, exit: &v1::Exit, turn: &mut Turn) {
        if self.trial_mut(id).validated {
            let length = self.trial_mut(id).length;
            self.end_trial(id, End::Completed, &format!("ended by itself at length {length}"), turn);
            self.tell(Event::Exited { trial: TrialId(id), reason: ExitReason::Completed }, turn);
            return;
        }
        let reported = self.reported_names(id);
        let metric = &self.spec.config.searcher.metric;
        let message = format!("ended without a validation that contains `{metric}`; {reported}");
        let exit = v1::Exit { cause: ExitCause::Contract.into(), message: message.clone(), ..exit.clone() };
        self.note_failure(id, &exit, turn);
        self.give_up(id, &message, turn);
    }

    /// What a trial reported, for the message that says what was missing.
    fn reported_names(&mut self, id: u32) -> String {
        let mut names: Vec<String> = Vec::new();
        for report in &self.trial_mut(id).recent {
            for metric in report.0.report.iter().flat_map(|report| &report.metrics) {
                if !names.contains(&metric.name) && names.len() < 20 {
                    names.push(metric.name.clone());
                }
            }
        }
        if names.is_empty() {
            "it reported nothing".into()
        } else {
            format!("it reported: {}", names.join(", "))
        }
    }

    pub(super) fn note_failure(&mut self, id: u32, exit: &v1::Exit, turn: &mut Turn) {
        self.fold.failures += 1;
        self.count(id, exit.cause());
        let trial = self.trial_mut(id);
        trial.failure = Some(Box::new(Stored(exit.clone())));
        let attempt = trial.attempt;
        turn.step.lines.push(format!("trial {id}: attempt {attempt} failed: {}", exit.message));
        turn.step.lines.extend(exit.last_lines.iter().map(|line| format!("trial {id} | {line}")));
    }

    /// A trial has failed for good.
    pub(super) fn give_up(&mut self, id: u32, reason: &str, turn: &mut Turn) {
        self.fold.errored += 1;
        self.end_trial(id, End::Errored, reason, turn);
        self.tell(Event::Exited { trial: TrialId(id), reason: ExitReason::Errored }, turn);
        let hopeless = self.fold.errored >= HOPELESS_TRIALS && self.may_be_hopeless();
        if hopeless && self.fold.end.is_none() {
            let reason = format!(
                "{} trials failed and none succeeded; the last (trial {id}): {reason}",
                self.fold.errored
            );
            turn.actions.clear();
            self.on_kill(&reason, State::Error, turn);
        }
    }

    /// Back to the queue, from its last checkpoint; not charged.
    fn requeue(&mut self, id: u32, exit: &v1::Exit, turn: &mut Turn) {
        self.write_chunk(id, turn);
        match exit.cause() {
            ExitCause::AgentLost => self.count(id, ExitCause::AgentLost),
            _ => self.count_preemption(id),
        }
        let trial = self.trial_mut(id);
        let from = match &trial.checkpoint {
            Some(checkpoint) => format!("goes on from its checkpoint at length {}", checkpoint.0.length),
            None if trial.length > 0 => "starts again: it has no checkpoint".to_owned(),
            None => "starts again".to_owned(),
        };
        trial.reason = format!("{}; {from}", exit.message).into();
        turn.step.lines.push(format!("trial {id}: requeued: {}", trial.reason));
        self.set_phase(id, Phase::Pending { backing_off: false });
        if self.fold.state == State::Active {
            self.request(id, turn);
        }
    }
}

fn is_failure(exit: &v1::Exit) -> bool {
    !matches!(exit.cause(), ExitCause::Success | ExitCause::Requested | ExitCause::AgentLost)
}
