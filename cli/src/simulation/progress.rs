//! How many runs are done: a bar on a terminal after a second, else a line every ten seconds. On standard error.

use crate::output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
const LINES: Duration = Duration::from_secs(10);

/// Counts runs, from any thread.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
    /// When a line was said; none: lines are not wanted.
    said: Option<Mutex<Instant>>,
    total: u64,
    quiet: bool,
}

impl Progress {
    /// Nothing is shown yet. `quiet`: nor will it be.
    pub(super) fn start(what: &str, total: u64, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos} of {len} runs, {eta} left") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        let started = Instant::now();
        let lines = !quiet && !std::io::stderr().is_terminal();
        Self { bar, started, said: lines.then(|| Mutex::new(started)), total, quiet }
    }

    /// One more is done.
    pub(super) fn done(&self) {
        self.bar.inc(1);
        if let Some(said) = &self.said {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.elapsed() >= LINES {
                *said = Instant::now();
                output::note(&format!("{} of {} runs are done", self.bar.position(), self.total));
            }
        } else if !self.quiet && self.bar.is_hidden() && self.started.elapsed() >= PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
