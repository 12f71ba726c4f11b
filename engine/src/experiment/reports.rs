//! What agents say of attempts: starts, reports, checkpoints. Only the newest attempt of a trial has a say in the
//! search; reports of older ones are kept as data.

use prost::Message as _;
use toprung_config::StoragePlace;
use toprung_proto::v1::{self, attempt_event};
use toprung_searchers::{Event, TrialId};
use toprung_store::Key;

use super::collection::OfTrial;
use super::effect::Effect;
use super::machine::{Best, Machine, Turn};
use super::snapshot::Stored;
use super::trial::{Intent, Phase};

/// Reports of one trial that gather before they are written as a chunk.
const CHUNK: usize = 64;

impl Machine {
    pub(super) fn on_agent_events(&mut self, batch: &v1::AgentEvents, turn: &mut Turn) -> bool {
        if self.fold.state.is_end() {
            return false;
        }
        // By the spool that they come from: the agent may have another name since.
        let newest = self.fold.batches.get(&batch.instance).copied().unwrap_or(0);
        if batch.sequence <= newest {
            return false;
        }
        self.fold.batches.insert(batch.instance.clone(), batch.sequence);
        for event in &batch.events {
            if let (Some(attempt), Some(kind)) = (&event.attempt, &event.kind) {
                self.on_attempt_event(&batch.agent, attempt.trial, attempt.attempt, kind, turn);
                self.run_actions(turn);
            }
        }
        true
    }

    fn on_attempt_event(
        &mut self,
        agent: &str,
        id: u32,
        attempt: u32,
        kind: &attempt_event::Kind,
        turn: &mut Turn,
    ) {
        let Some(trial) = self.trial(id) else { return };
        let current = trial.attempt == attempt && trial.holds_slots();
        match kind {
            attempt_event::Kind::Report(report) => self.on_report(id, attempt, current, report, turn),
            attempt_event::Kind::Checkpoint(checkpoint) if current => {
                self.on_checkpoint(id, checkpoint, turn)
            }
            attempt_event::Kind::Started(_) if current && trial.phase == Phase::Starting => {
                self.set_phase(id, Phase::Running);
                self.fold.started = true;
                let trial = self.trial_mut(id);
                trial.reason = "".into();
                let agent =
                    trial.placement.as_ref().map(|placement| placement.agent.clone()).unwrap_or_default();
                turn.step.lines.push(format!("trial {id}: attempt {attempt} runs on {agent}"));
            }
            attempt_event::Kind::CannotPause(_) if current => self.on_cannot_pause(id, turn),
            attempt_event::Kind::Exit(exit) if current => self.on_exit(id, exit, turn),
            attempt_event::Kind::PolicyMatched(policy) if current => self.on_policy(id, policy, turn),
            attempt_event::Kind::Checkpoint(checkpoint) => self.discard(agent, id, checkpoint, turn),
            // Of an attempt that has no authority any more, or known already.
            attempt_event::Kind::Started(_)
            | attempt_event::Kind::Exit(_)
            | attempt_event::Kind::CannotPause(_)
            | attempt_event::Kind::PolicyMatched(_)
            | attempt_event::Kind::Preparing(_) => {}
        }
    }

    pub(super) fn on_report(
        &mut self,
        id: u32,
        attempt: u32,
        current: bool,
        report: &v1::Report,
        turn: &mut Turn,
    ) {
        let trial = self.trial_mut(id);
        trial.recent.push(Stored(v1::AttemptReport { attempt, report: Some(report.clone()) }));
        if trial.recent.len() >= CHUNK || !current {
            self.write_chunk(id, turn);
        }
        if !current {
            return;
        }
        self.note_progress(id, turn);
        let trial = self.trial_mut(id);
        let gained = report.length.saturating_sub(trial.length);
        trial.length += gained;
        self.fold.total_length = self.fold.total_length.saturating_add(gained);
        if report.group == i32::from(v1::MetricGroup::Validation) {
            let found = report.metrics.iter().find(|metric| metric.name == self.spec.config.searcher.metric);
            if let Some(metric) = found {
                let value = metric.value;
                self.keep_validated(id, report, value, turn);
                self.on_validation(id, report.length, value, turn);
            }
        }
    }

    fn on_validation(&mut self, id: u32, length: u64, reported: f64, turn: &mut Turn) {
        let metric = self.spec.normalise(reported);
        self.fold.validated = true;
        let trial = self.trial_mut(id);
        trial.validated = true;
        trial.latest = metric;
        // NaN compares false: it never becomes the best, and anything replaces a NaN best.
        if metric < trial.best || (trial.best.is_nan() && !metric.is_nan()) {
            trial.best = metric;
            trial.best_length = length;
            self.consider_best(id);
        }
        let trial = self.trial_mut(id);
        let phase = trial.phase;
        let waits = length >= trial.train_until;
        let searched = matches!(phase, Phase::Starting | Phase::Running | Phase::Stopping(Intent::Preempt));
        if !searched || self.fold.end.is_some() {
            return;
        }
        self.trial_mut(id).answered = length;
        let decided = turn.step.record.decisions.len();
        self.tell(Event::Validated { trial: TrialId(id), length, metric }, turn);
        self.run_actions(turn);
        let silent = !turn.step.record.decisions[decided..].iter().any(|decision| decision.trial == id);
        if waits && silent {
            // Known already (a retrained length): the trial must not wait for an answer that never comes.
            self.repeat_decision(id, length, turn);
        }
    }

    fn consider_best(&mut self, id: u32) {
        let trial = self.trial_mut(id);
        let (metric, length) = (trial.best, trial.best_length);
        let hparams_json = trial.hparams_json.clone();
        // That of its parent is not its own.
        let checkpoint = trial.checkpoint.as_deref().filter(|checkpoint| checkpoint.0.trial == id).cloned();
        match &mut self.fold.best {
            Some(best) if best.trial == id => {
                best.metric = metric;
                best.length = length;
            }
            Some(best) if metric >= best.metric => {}
            best => *best = Some(Best { trial: id, metric, length, hparams_json, checkpoint }),
        }
    }

    fn on_checkpoint(&mut self, id: u32, checkpoint: &v1::Checkpoint, turn: &mut Turn) {
        let local = self.spec.config.checkpoint_storage.place == StoragePlace::BesideStore;
        let trial = self.trial_mut(id);
        let agent = trial.placement.as_ref().map(|placement| placement.agent.to_string());
        let checkpoint = v1::Checkpoint {
            trial: id,
            agent: agent.unwrap_or_default(),
            state: v1::CheckpointState::Unspecified.into(),
            ..checkpoint.clone()
        };
        let newer = trial.checkpoint.as_ref().is_none_or(|known| checkpoint.length >= known.0.length);
        if newer {
            trial.checkpoint = Some(Box::new(Stored(checkpoint.clone())));
            trial.home = trial.placement.as_ref().filter(|_| local).map(|placement| placement.agent.clone());
        }
        if let Some(best) = &mut self.fold.best
            && best.trial == id
            && checkpoint.length <= best.length
        {
            best.checkpoint = Some(Stored(checkpoint.clone()));
        }
        let key = Key::Checkpoint(self.spec.id, id, checkpoint.uuid.clone());
        turn.step.puts.push((key, checkpoint.encode_to_vec()));
        if self.spec.config.checkpoint_storage.max_size.is_some() {
            turn.step.effects.push(Effect::Weigh { bytes: checkpoint.total_size });
        }
    }

    /// A checkpoint of an attempt that has no authority any more: it is recorded only to be removed.
    fn discard(&mut self, agent: &str, id: u32, checkpoint: &v1::Checkpoint, turn: &mut Turn) {
        let checkpoint = v1::Checkpoint {
            trial: id,
            agent: agent.to_owned(),
            state: v1::CheckpointState::Deleting.into(),
            ..checkpoint.clone()
        };
        let key = Key::Checkpoint(self.spec.id, id, checkpoint.uuid.clone());
        turn.step.puts.push((key, checkpoint.encode_to_vec()));
        turn.step.effects.push(Effect::Discard { checkpoint: Box::new(checkpoint) });
    }

    /// Writes the validations that decide which checkpoints are kept, of all trials that go on; those that have ended
    /// or rest were looked at then.
    pub(super) fn on_collection(&mut self, turn: &mut Turn) -> bool {
        if self.fold.state.is_end() {
            return false;
        }
        for id in self.active_ids() {
            self.write_chunk(id, turn);
        }
        turn.step.effects.push(Effect::Judge);
        true
    }

    pub(super) fn write_chunk(&mut self, id: u32, turn: &mut Turn) {
        let experiment = self.spec.id;
        let trial = self.trial_mut(id);
        if trial.recent.is_empty() {
            return;
        }
        let reports = std::mem::take(&mut trial.recent).into_iter().map(|report| report.0).collect();
        let key = Key::ReportChunk(experiment, id, u64::from(trial.chunks));
        trial.chunks += 1;
        turn.step.puts.push((key, v1::ReportChunk { reports }.encode_to_vec()));
        // Now the store has the validations by which checkpoints are kept.
        if trial.checkpoint.is_some() {
            turn.step.effects.push(Effect::Collect { trial: id });
        }
    }

    /// What may be collected of a trial now. `id` must exist.
    pub fn collection_of(&self, id: u32) -> OfTrial {
        let own = self.trial(id).and_then(|trial| trial.checkpoint.as_deref());
        // A trial that was cloned from another goes on from that one's checkpoint until it has its own.
        let clones = self.fold.active.iter().filter_map(|&other| self.trial(other)?.checkpoint.as_deref());
        let shown = self.fold.best.as_ref().and_then(|best| best.checkpoint.as_ref());
        let needed = own.into_iter().chain(clones).chain(shown).filter(|needed| needed.0.trial == id);
        let goes_on = self.trial(id).is_some_and(|trial| !matches!(trial.phase, Phase::Ended(_)));
        OfTrial {
            trial: id,
            goes_on,
            below: own.filter(|_| goes_on).map_or(u64::MAX, |own| own.0.length),
            spared: needed.map(|needed| needed.0.uuid.clone()).collect(),
        }
    }
}
