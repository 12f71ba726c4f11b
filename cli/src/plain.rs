//! Progress as plain lines, for logs and pipes: one per event, and a summary at most every ten seconds. Pure.

use crate::output::{experiment, format};
use crate::repeats::Repeats;
use std::time::{Duration, Instant};
use toprung_proto::v1;

/// A summary comes at most so often.
pub(crate) const SUMMARY: Duration = Duration::from_secs(10);

/// Turns views into lines.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    summarised: Option<(Instant, String)>,
    repeats: Repeats,
}

impl Plain {
    /// The lines for a view that came at `now`.
    pub(crate) fn lines(&mut self, view: &v1::WatchExperimentResponse, now: Instant) -> Vec<String> {
        let events = view.events.iter().filter_map(|event| self.repeats.shown(event));
        let mut lines: Vec<_> = events.map(|event| format::printable(&event)).collect();
        lines.extend(self.summary(view, now));
        lines
    }

    /// A summary, if it is time for one and it says something new.
    fn summary(&mut self, view: &v1::WatchExperimentResponse, now: Instant) -> Option<String> {
        let experiment = view.experiment.as_ref()?;
        let due = self.summarised.as_ref().is_none_or(|(last, _)| now.duration_since(*last) >= SUMMARY);
        if !due {
            return None;
        }
        let line = summary(view, experiment);
        if self.summarised.as_ref().is_some_and(|(_, last)| *last == line) {
            return None;
        }
        self.summarised = Some((now, line.clone()));
        Some(line)
    }
}

fn summary(view: &v1::WatchExperimentResponse, shown: &v1::Experiment) -> String {
    let trials = shown.trials.unwrap_or_default();
    let best = shown.best.as_ref().map_or_else(String::new, |best| {
        format!(", best {} {} (trial {})", shown.metric, format::metric(best.metric), best.trial)
    });
    let left = match view.expected_seconds_left {
        0 => String::new(),
        seconds => format!(", about {} left", format::coarse_ms(seconds * 1000)),
    };
    // Not known while the engine only reads.
    let of = if view.slots_total == 0 { String::new() } else { format!(" of {}", view.slots_total) };
    format!(
        "experiment {} {} {:.0} %: {} ({}), slots {}{of}{best}{left}",
        shown.id,
        format::experiment_state(shown.state),
        shown.progress * 100.0,
        format::counted(trials.total, "trial", "trials"),
        experiment::counts(&trials),
        shown.slots_in_use
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(total: u64, events: &[&str]) -> v1::WatchExperimentResponse {
        let mut experiment = v1::Experiment {
            id: 1,
            progress: 0.5,
            trials: Some(v1::TrialCounts { total, running: total, ..Default::default() }),
            ..Default::default()
        };
        experiment.set_state(v1::ExperimentState::Active);
        v1::WatchExperimentResponse {
            experiment: Some(experiment),
            events: events.iter().map(|&event| event.to_owned()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn events_come_at_once_and_summaries_seldom() {
        let mut plain = Plain::default();
        let start = Instant::now();
        let first = plain.lines(&view(1, &["trial 1 created"]), start);
        assert_eq!(first.len(), 2);
        assert_eq!(first[0], "trial 1 created");
        assert!(first[1].contains("active 50 %: 1 trial (1 running), slots 0"), "{first:?}");
        let soon = plain.lines(&view(2, &["trial 2 created"]), start + Duration::from_secs(9));
        assert_eq!(soon, ["trial 2 created"]);
        let later = plain.lines(&view(2, &[]), start + Duration::from_secs(10));
        assert_eq!(later.len(), 1);
    }

    #[test]
    fn a_failure_that_repeats_is_counted() {
        let (mut plain, start) = (Plain::default(), Instant::now());
        let failed = ["trial 1: attempt 1 failed: exit code 1: boom", "trial 1 | Traceback"];
        assert_eq!(plain.lines(&view(1, &failed), start)[..2], failed);
        let again = plain.lines(&view(1, &failed), start);
        assert_eq!(again, ["trial 1: attempt 1 failed: exit code 1: boom (2 times so far)"]);
    }

    #[test]
    fn a_summary_that_says_nothing_new_is_left_out() {
        let mut plain = Plain::default();
        let start = Instant::now();
        plain.lines(&view(1, &[]), start);
        assert!(plain.lines(&view(1, &[]), start + Duration::from_mins(1)).is_empty());
    }
}
