//! What follows from the searcher's actions.

use prost::Message as _;
use toprung_proto::v1::{self, DecisionKind, SearchEventKind};
use toprung_searchers::{Action, Create, Event, ExitReason, Reason, TrialId};
use toprung_store::Key;

use super::effect::Effect;
use super::machine::{Machine, State, Turn};
use super::trial::{End, Intent, Phase, Trial};
use super::view;

impl Machine {
    /// Carries out queued actions until none is left. An action may cause an event that causes more.
    pub(super) fn run_actions(&mut self, turn: &mut Turn) {
        while let Some(action) = turn.actions.pop_front() {
            if self.fold.end.is_some() {
                turn.actions.clear();
                return;
            }
            match action {
                Action::Create(create) => self.create(create, turn),
                Action::TrainTo { trial, length, reason } => self.train_to(trial.0, length, &reason, turn),
                Action::Pause { trial, reason } => self.pause_trial(trial.0, &reason, turn),
                Action::Stop { trial, reason } => self.stop_trial(trial.0, &reason, turn),
                Action::Shutdown { reason } => self.shut_down(&reason, turn),
            }
        }
    }

    fn create(&mut self, create: Create, turn: &mut Turn) {
        let id = create.trial.0;
        let reason = create.reason();
        let recorded = turn.recorded.as_ref().and_then(|recorded| recorded.get(&create.trial));
        let hparams_json = toprung_searchers::to_json_text(recorded.unwrap_or(&create.hparams));
        turn.step
            .record
            .trials_created
            .push(v1::TrialCreated { trial: id, hparams_json: hparams_json.clone() });
        let mut trial = Trial::new(hparams_json, create.bracket, create.train_to, turn.now_ms);
        if let Some(parent) = create.clone_from.and_then(|parent| self.trial(parent.0)) {
            trial.checkpoint.clone_from(&parent.checkpoint);
            trial.home.clone_from(&parent.home);
            // What the parent trained is not trained again: lengths go on from there.
            trial.length = parent.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.0.length);
        }
        if create.clone_from.is_some() || !create.why.is_empty() {
            trial.reason = reason.to_string().into();
            turn.step.lines.push(format!("trial {id}: {reason}"));
        }
        self.fold.trials.push(trial);
        self.fold.counts[v1::TrialState::Pending as usize] += 1;
        self.fold.active.insert(id);
        self.keep_trial(id, SearchEventKind::Created, &create.why, turn);
        if self.fold.state == State::Active {
            self.request(id, turn);
        }
    }

    fn train_to(&mut self, id: u32, length: u64, reason: &Reason, turn: &mut Turn) {
        let at_length = self.trial_mut(id).length;
        self.trial_mut(id).train_until = length;
        self.decide(id, DecisionKind::Train, length, at_length, reason, turn);
        let external = self.spec.is_external();
        if self.trial_mut(id).phase == Phase::Stopping(Intent::Pause) {
            self.stay(id, turn);
        }
        let trial = self.trial_mut(id);
        if trial.phase == Phase::Paused || external {
            trial.reason = reason.to_string().into();
        }
        if trial.phase == Phase::Paused {
            self.set_phase(id, Phase::Pending { backing_off: false });
            if self.fold.state == State::Active {
                self.request(id, turn);
            }
        }
    }

    fn pause_trial(&mut self, id: u32, reason: &Reason, turn: &mut Turn) {
        let at_length = self.trial_mut(id).length;
        self.decide(id, DecisionKind::Pause, at_length, at_length, reason, turn);
        let trial = self.trial_mut(id);
        trial.reason = reason.to_string().into();
        if trial.holds_slots() {
            self.leave(id, Intent::Pause, turn);
        } else {
            self.withdraw(id, turn);
            self.rest_at_rung(id, turn);
        }
    }

    /// A trial that gave its slots back after a pause waits for a promotion, or ends if it cannot resume.
    pub(super) fn rest_at_rung(&mut self, id: u32, turn: &mut Turn) {
        let resumable = self.has_own_checkpoint(id) || self.has_not_begun(id);
        if resumable {
            self.write_chunk(id, turn);
            self.set_phase(id, Phase::Paused);
            let reason = self.trial_mut(id).reason.clone();
            self.keep_trial(id, SearchEventKind::Paused, &reason, turn);
        } else {
            let reason = self.trial_mut(id).reason.clone();
            let reason = format!(
                "{reason}; it ends here, because it saved no checkpoint to continue from (save one each time it \
                 reports, or decide at once with `stop_once: true`)"
            );
            turn.step.lines.push(format!("trial {id}: {reason}"));
            self.warn_of_no_checkpoint(turn);
            self.end_trial(id, End::Stopped, &reason, turn);
        }
        self.tell(Event::Exited { trial: TrialId(id), reason: ExitReason::Paused { resumable } }, turn);
    }

    /// Whether a trial saved a checkpoint itself: that of its parent does not hold what it has trained.
    pub(super) fn has_own_checkpoint(&self, id: u32) -> bool {
        let checkpoint = self.trial(id).and_then(|trial| trial.checkpoint.as_deref());
        checkpoint.is_some_and(|checkpoint| checkpoint.0.trial == id)
    }

    /// Whether nothing is lost if a trial that only a program pauses so early begins again.
    fn has_not_begun(&self, id: u32) -> bool {
        self.trial(id).is_some_and(|trial| trial.length == 0 && trial.checkpoint.is_none())
    }

    fn stop_trial(&mut self, id: u32, reason: &Reason, turn: &mut Turn) {
        let full = matches!(reason, Reason::MaxLength { .. });
        let at_length = self.trial_mut(id).length;
        self.decide(id, DecisionKind::Stop, at_length, at_length, reason, turn);
        let trial = self.trial_mut(id);
        trial.reason = reason.to_string().into();
        let end = if full { End::Completed } else { End::Stopped };
        match trial.phase {
            Phase::Starting | Phase::Running | Phase::Stopping(_) => {
                self.leave(id, Intent::Stop { full }, turn);
            }
            Phase::Pending { .. } => {
                self.withdraw(id, turn);
                self.end_trial(id, end, &reason.to_string(), turn);
                self.tell(Event::Exited { trial: TrialId(id), reason: ExitReason::Stopped }, turn);
            }
            Phase::Paused => self.end_trial(id, end, &reason.to_string(), turn),
            Phase::Ended(_) => {}
        }
    }

    fn shut_down(&mut self, reason: &Reason, turn: &mut Turn) {
        let metric = &self.spec.config.searcher.metric;
        let (end, why) = match (self.fold.validated, &self.fold.best) {
            (true, Some(_)) => (State::Completed, reason.to_string()),
            (true, None) => (State::Completed, format!("{reason}; every `{metric}` was NaN")),
            (false, _) => {
                (State::Error, format!("{reason}, and no trial ever reported a validation with `{metric}`"))
            }
        };
        self.fold.reason = why;
        self.finish(end, turn);
    }

    /// Records a decision, and tells the agent if the trial runs.
    fn decide(
        &mut self,
        id: u32,
        kind: DecisionKind,
        length: u64,
        at_length: u64,
        reason: &Reason,
        turn: &mut Turn,
    ) {
        let decision = v1::Decision { kind: kind.into(), trial: id, length, reason: reason.to_string() };
        turn.step.lines.push(view::decision_line(&decision));
        turn.step.record.decisions.push(decision.clone());
        let may_refuse = kind == DecisionKind::Pause && !self.has_own_checkpoint(id);
        self.send_decision(id, at_length, decision, may_refuse, turn);
    }

    /// Answers a validation that the searcher had nothing to say on: the trial goes on as it was told before.
    pub(super) fn repeat_decision(&mut self, id: u32, at_length: u64, turn: &mut Turn) {
        let length = self.trial_mut(id).train_until;
        let reason = "this length is known already".to_owned();
        let decision = v1::Decision { kind: DecisionKind::Train.into(), trial: id, length, reason };
        self.send_decision(id, at_length, decision, false, turn);
    }

    pub(super) fn send_decision(
        &mut self,
        id: u32,
        at_length: u64,
        decision: v1::Decision,
        may_refuse: bool,
        turn: &mut Turn,
    ) {
        let experiment = self.spec.id;
        let trial = self.trial_mut(id);
        let attempt = Some(v1::AttemptId { experiment, trial: id, attempt: trial.attempt });
        if let Some(placement) = &trial.placement {
            let agent = placement.agent.to_string();
            let decision = v1::AttemptDecision { attempt, at_length, decision: Some(decision), may_refuse };
            turn.step.effects.push(Effect::Decide { agent, decision });
        }
    }

    /// Tells the agent to end the trial's attempt, which holds slots.
    pub(super) fn stop_attempt(&mut self, id: u32, intent: Intent, reason: &str, turn: &mut Turn) {
        let experiment = self.spec.id;
        self.leave(id, intent, turn);
        let trial = self.trial_mut(id);
        trial.reason = reason.into();
        let kind = match intent {
            Intent::Preempt | Intent::Pause => v1::StopKind::Preempt,
            Intent::Stop { .. } | Intent::Kill => v1::StopKind::Stop,
        };
        let attempt = Some(v1::AttemptId { experiment, trial: id, attempt: trial.attempt });
        if let Some(placement) = &trial.placement {
            let agent = placement.agent.to_string();
            let stop = v1::StopAttempt { attempt, kind: kind.into(), reason: reason.to_owned() };
            turn.step.effects.push(Effect::Stop { agent, stop });
        }
    }

    /// From here on the slots of the trial's attempt are on their way back.
    fn leave(&mut self, id: u32, intent: Intent, turn: &mut Turn) {
        let trial = self.trial_mut(id);
        let (known, attempt) = (matches!(trial.phase, Phase::Stopping(_)), trial.attempt);
        self.set_phase(id, Phase::Stopping(intent));
        if self.spec.is_external() && matches!(intent, Intent::Stop { .. } | Intent::Kill) {
            turn.stopped.push_back(id);
        }
        if !known {
            turn.step.effects.push(Effect::Leaves { trial: id, attempt });
        }
    }

    fn withdraw(&mut self, id: u32, turn: &mut Turn) {
        turn.step.effects.push(Effect::Withdraw { trial: id });
    }

    /// Ends a trial that holds no slots (any more) and writes its record; the bulk of it leaves memory.
    pub(super) fn end_trial(&mut self, id: u32, end: End, reason: &str, turn: &mut Turn) {
        self.write_chunk(id, turn);
        self.set_phase(id, Phase::Ended(end));
        let now_ms = turn.now_ms;
        let trial = self.trial_mut(id);
        trial.reason = reason.into();
        trial.ended_ms = now_ms;
        trial.placement = None;
        self.keep_trial(id, SearchEventKind::Ended, reason, turn);
        let record = view::trial(self, id).encode_to_vec();
        turn.step.puts.push((Key::Trial(self.spec.id, id), record));
        if self.trial_mut(id).trouble.take().is_some() {
            self.fold.nodes.ended(id);
        }
        let trial = self.trial_mut(id);
        trial.hparams_json = "".into();
        trial.reason = "".into();
        trial.checkpoint = None;
        trial.home = None;
        trial.failure = None;
        trial.recent = Vec::new();
    }
}
