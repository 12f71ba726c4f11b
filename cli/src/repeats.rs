//! A failure that repeats: its output is shown once, later ones are only counted. Pure.
//!
//! Relies on the events of the engine: `trial 3: attempt 2 failed: MESSAGE`, followed by `trial 3 | LINE` for each last
//! line of its output.

use std::collections::HashMap;

/// A search with more kinds of failures shows the rest in full.
const KINDS: usize = 100;

/// Shortens events as they come.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// How often each message came.
    seen: HashMap<String, u64>,
    /// The start of the lines that are left out, until another event comes.
    muted: Option<String>,
}

impl Repeats {
    /// The event as it is to be shown; `None`: it was shown before.
    pub(crate) fn shown(&mut self, event: &str) -> Option<String> {
        if self.muted.as_ref().is_some_and(|start| event.starts_with(start)) {
            return None;
        }
        self.muted = None;
        let Some((trial, message)) = failure(event) else {
            return Some(event.to_owned());
        };
        if let Some(count) = self.seen.get_mut(message) {
            *count += 1;
            self.muted = Some(format!("{trial} | "));
            return Some(format!("{event} ({count} times so far)"));
        }
        if self.seen.len() < KINDS {
            self.seen.insert(message.to_owned(), 1);
        }
        Some(event.to_owned())
    }
}

/// The trial ("trial 3") and the message of an event that tells of a failed attempt.
fn failure(event: &str) -> Option<(&str, &str)> {
    let (trial, rest) = event.split_once(": attempt ")?;
    let (attempt, message) = rest.split_once(" failed: ")?;
    let is_failure = trial.starts_with("trial ") && attempt.parse::<u32>().is_ok();
    is_failure.then_some((trial, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceback_is_shown_once_and_counted() {
        let mut repeats = Repeats::default();
        let events = [
            "trial 2: attempt 1 failed: exit code 1: boom",
            "trial 2 | Traceback",
            "trial 2 | boom",
            "trial 1: attempt 1 failed: exit code 1: boom",
            "trial 1 | Traceback",
            "trial 1: attempt 2 runs on vm",
            "trial 1 | not after a failure",
            "trial 3: attempt 1 failed: exit code 1: other",
            "trial 3 | other",
        ];
        let shown: Vec<String> = events.iter().filter_map(|event| repeats.shown(event)).collect();
        let expected = [
            events[0],
            events[1],
            events[2],
            "trial 1: attempt 1 failed: exit code 1: boom (2 times so far)",
            events[5],
            events[6],
            events[7],
            events[8],
        ];
        assert_eq!(shown, expected);
    }
}
