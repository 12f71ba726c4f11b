//! Why a followed experiment does not go on: nothing of it runs. Pure; time comes in as a parameter.

use crate::output::format;
use std::time::{Duration, Instant};
use toprung_proto::v1;
use v1::{ExperimentState as State, TrialState};

/// A shorter wait needs no words: an agent that is just connecting, a slot that changes hands.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the experiment waits for, if none of its trials is at work.
pub(crate) fn reason(view: &v1::WatchExperimentResponse) -> Option<String> {
    let experiment = view.experiment.as_ref()?;
    let at_work = |trial: &v1::Trial| trial.state() != TrialState::Pending;
    if experiment.state() != State::Active || experiment.slots_in_use > 0 || view.active.iter().any(at_work) {
        return None;
    }
    let of_trials =
        || view.active.iter().map(|trial| trial.reason.as_str()).find(|reason| !reason.is_empty());
    experiment.reason.strip_prefix("waiting: ").or_else(of_trials).map(format::printable)
}

/// What a person is told: that the engine takes in nothing, or what the experiment waits for.
pub(crate) fn line(view: &v1::WatchExperimentResponse) -> Option<String> {
    if !view.degraded.is_empty() {
        return Some(format::printable(&view.degraded));
    }
    reason(view).map(|reason| format!("waiting: {reason}"))
}

/// Says each reason once, when it has lasted a moment.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    current: Option<(String, Instant)>,
    said: Option<String>,
}

impl Waiting {
    /// Takes over a view that came at `now`.
    pub(crate) fn view(&mut self, view: &v1::WatchExperimentResponse, now: Instant) {
        let Some(reason) = line(view) else {
            *self = Self::default();
            return;
        };
        if self.current.as_ref().is_none_or(|(known, _)| *known != reason) {
            self.current = Some((reason, now));
        }
    }

    /// The line to say now, if there is one. To be asked several times a second.
    pub(crate) fn due(&mut self, now: Instant) -> Option<String> {
        let (reason, since) = self.current.as_ref()?;
        if now.duration_since(*since) < PATIENCE || self.said.as_ref() == Some(reason) {
            return None;
        }
        self.said = Some(reason.clone());
        Some(reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(reason: &str, trials: &[(TrialState, &str)]) -> v1::WatchExperimentResponse {
        let mut experiment = v1::Experiment { reason: reason.into(), ..Default::default() };
        experiment.set_state(State::Active);
        let trial = |(state, reason): &(TrialState, &str)| {
            let mut trial = v1::Trial { reason: (*reason).into(), ..Default::default() };
            trial.set_state(*state);
            trial
        };
        let active = trials.iter().map(trial).collect();
        v1::WatchExperimentResponse { experiment: Some(experiment), active, ..Default::default() }
    }

    const NOBODY: &str = "no agent is connected";

    #[test]
    fn it_waits_only_while_nothing_runs() {
        let pending = (TrialState::Pending, NOBODY);
        assert_eq!(reason(&view("", &[pending])).as_deref(), Some(NOBODY));
        assert_eq!(reason(&view("waiting: for 9 slots", &[pending])).as_deref(), Some("for 9 slots"));
        assert_eq!(reason(&view("", &[(TrialState::Starting, ""), pending])), None);
        assert_eq!(reason(&view("", &[])), None);
        let mut used = view("", &[pending]);
        used.experiment.as_mut().unwrap().slots_in_use = 1;
        assert_eq!(reason(&used), None);
        used.experiment.as_mut().unwrap().slots_in_use = 0;
        used.experiment.as_mut().unwrap().set_state(State::Pausing);
        assert_eq!(reason(&used), None);
    }

    #[test]
    fn a_store_that_cannot_write_comes_first() {
        let mut view = view("", &[(TrialState::Running, "")]);
        assert_eq!(line(&view), None);
        view.degraded = "degraded: store cannot write (x)".to_owned();
        assert_eq!(line(&view).as_deref(), Some("degraded: store cannot write (x)"));
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        waiting.view(&view, start);
        assert_eq!(waiting.due(start + PATIENCE).as_deref(), Some("degraded: store cannot write (x)"));
    }

    #[test]
    fn each_reason_is_said_once_when_it_has_lasted() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        waiting.view(&view("", &[(TrialState::Pending, NOBODY)]), start);
        assert_eq!(waiting.due(at(900)), None);
        waiting.view(&view("", &[(TrialState::Pending, NOBODY)]), at(950));
        assert_eq!(waiting.due(at(1000)).as_deref(), Some("waiting: no agent is connected"));
        assert_eq!(waiting.due(at(9000)), None);
        waiting.view(&view("", &[(TrialState::Pending, "all slots are in use")]), at(9000));
        assert_eq!(waiting.due(at(9500)), None);
        assert_eq!(waiting.due(at(10_000)).as_deref(), Some("waiting: all slots are in use"));
        // After it has run the same reason is news.
        waiting.view(&view("", &[(TrialState::Running, "")]), at(10_500));
        assert_eq!(waiting.due(at(12_000)), None);
        waiting.view(&view("", &[(TrialState::Pending, "all slots are in use")]), at(12_000));
        assert!(waiting.due(at(13_000)).is_some());
    }
}
