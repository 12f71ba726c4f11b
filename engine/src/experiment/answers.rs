//! What programs outside are answered, as the state stands: reads only.

use toprung_proto::v1::{self, DecisionKind, MetricGroup};

use super::external::{Lane, MAX_LANES};
use super::machine::{Machine, State};
use super::trial::{Phase, Trial};

impl Machine {
    /// The trial that is open in a lane.
    pub fn open_trial(&self, lane: &Lane) -> Option<u32> {
        let open = self.fold.askers.get(lane).copied();
        open.filter(|&id| self.trial(id).is_some_and(Trial::holds_slots))
    }

    /// The lane in which a tell's attempt is open.
    pub fn lane_of(&self, told: &v1::TrialTold) -> Option<Lane> {
        let place = self.trial(told.trial)?.placement.as_ref()?;
        let number = place.slots.first().copied().unwrap_or(0);
        self.is_open(told.trial, told.attempt, &told.client).then(|| Lane::new(&told.client, number))
    }

    /// What a lane is answered that has an open trial. `id` must be open.
    pub fn assignment(&self, id: u32, again: bool) -> v1::Assignment {
        let Some(trial) = self.trial(id) else { return v1::Assignment::default() };
        let own = trial.checkpoint.as_ref().map(|checkpoint| &checkpoint.0);
        let from = own.or(self.spec.warm_start.as_ref()).cloned().unwrap_or_default();
        let searcher = &self.spec.config.searcher;
        v1::Assignment {
            trial: id,
            attempt: trial.attempt,
            hparams_json: trial.hparams_json.to_string(),
            train_until: trial.train_until,
            max_length: searcher.max_length,
            time_metric: searcher.time_metric.clone(),
            metric: searcher.metric.clone(),
            smaller_is_better: searcher.smaller_is_better,
            checkpoint: from.path,
            from_length: from.length,
            checkpoint_client: from.agent,
            trial_seed: toprung_searchers::trial_seed(self.spec.seed, toprung_searchers::TrialId(id)),
            lease_ms: self.spec.lease_ms(),
            again,
        }
    }

    /// Why a lane that asks gets nothing now.
    pub fn why_nothing(&self) -> String {
        let (open, waiting) = (self.holding(), self.fold.counts[v1::TrialState::Pending as usize]);
        if self.fold.state != State::Active {
            return format!(
                "the experiment is {}: {}",
                super::view::state_word(self.fold.state),
                self.fold.reason
            );
        }
        if self.fold.askers.len() >= MAX_LANES {
            return format!("{MAX_LANES} lanes ask for trials, no more are counted");
        }
        match (open, waiting) {
            (0, 0) => "no trial is to be trained now".to_owned(),
            (_, 0) => format!("the searcher wants no more than the trials under way now ({open})"),
            _ => format!("{open} trials are under way, and {waiting} wait to be tried again after a failure"),
        }
    }

    /// What a program has to do after it has told something. Of an ended trial the reason is in the store: then it is
    /// empty. The trial and the attempt must exist.
    pub fn verdict(&self, told: &v1::TrialTold, counted: u32) -> v1::TellResponse {
        let Some(trial) = self.trial(told.trial) else { return v1::TellResponse::default() };
        let open = self.is_open(told.trial, told.attempt, &told.client);
        let with = trial.placement.as_ref().map(|place| place.agent.to_string());
        let say = |kind: DecisionKind, length, reason: String| v1::Decision {
            kind: kind.into(),
            trial: told.trial,
            length,
            reason,
        };
        let reason = trial.reason.to_string();
        let superseded = trial.attempt > told.attempt || (trial.holds_slots() && !open);
        let decision = match trial.phase {
            _ if superseded => {
                let with = with.map(|with| format!(", with {with}")).unwrap_or_default();
                let reason = format!("attempt {} has taken its place{with}", trial.attempt);
                say(DecisionKind::Stop, trial.length, reason)
            }
            Phase::Starting | Phase::Running => {
                let known = format!("trains to length {}", trial.train_until);
                let reason = if reason.is_empty() { known } else { reason };
                say(DecisionKind::Train, trial.train_until, reason)
            }
            Phase::Ended(_) => say(DecisionKind::Stop, trial.length, reason),
            _ => say(DecisionKind::Pause, trial.length, reason),
        };
        v1::TellResponse { decision: Some(decision), counted, over: !open, superseded }
    }

    /// What is wrong with a tell; `None`: nothing.
    pub fn refuse(&self, told: &v1::TrialTold) -> Option<Refused> {
        let id = told.trial;
        let Some(trial) = self.trial(id) else {
            let made = self.fold.trials.len();
            return Some(Refused::NoTrial(format!("there is no trial {id}: the experiment has {made}")));
        };
        if told.attempt == 0 || told.attempt > trial.attempt {
            let newest = trial.attempt;
            let message =
                format!("there is no attempt {} of trial {id}: the newest is {newest}", told.attempt);
            return Some(Refused::NoTrial(message));
        }
        told.reports.iter().find_map(|report| self.refuse_report(id, report)).map(Refused::Wrong)
    }

    fn refuse_report(&self, id: u32, report: &v1::Report) -> Option<String> {
        let metric = &self.spec.config.searcher.metric;
        let names: Vec<&str> = report.metrics.iter().map(|metric| &*metric.name).collect();
        if report.group() == MetricGroup::Unspecified {
            return Some("a report is of the group `training` or `validation`".to_owned());
        }
        if report.group() == MetricGroup::Validation && !names.contains(&metric.as_str()) {
            let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Some(format!(
                "the validation of trial {id} at length {} lacks the searcher's metric `{metric}`; it has {found}",
                report.length
            ));
        }
        None
    }
}

/// Why a tell is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It names a trial or an attempt that does not exist.
    NoTrial(String),
    /// Its content makes no sense.
    Wrong(String),
}

/// Why nothing runs in an experiment of programs outside; `None`: something does, or agents run it.
pub(super) fn why_nothing_runs(machine: &Machine) -> Option<String> {
    let idle = machine.fold.state == State::Active && machine.holding() == 0 && machine.spec.is_external();
    let waiting = machine.fold.counts[v1::TrialState::Pending as usize];
    idle.then(|| match (machine.fold.askers.len(), waiting) {
        (0, 0) => "waiting: no program asks for its trials".to_owned(),
        (0, waiting) => format!("waiting: no program asks for its trials ({waiting} pending)"),
        (asking, _) => format!("waiting: {asking} lanes ask for trials, none is open"),
    })
}

/// The reason of a trial; of one that waits for a program, that.
pub(super) fn why_pending(machine: &Machine, trial: &Trial) -> String {
    let waits = trial.phase == Phase::Pending { backing_off: false } && machine.spec.is_external();
    match (waits, trial.reason.is_empty()) {
        (true, true) => "waits for a program to ask for it".to_owned(),
        (true, false) => format!("{}; waits for a program to ask for it", trial.reason),
        (false, _) => trial.reason.to_string(),
    }
}
