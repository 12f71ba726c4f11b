//! Says what is waited for when it takes longer than a second. On standard error, only on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::future::Future;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(120);

/// Waits, with a spinner and `text` after a second.
pub(crate) async fn waiting<T>(text: &str, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut future).await {
        return done;
    }
    let spinner = ProgressBar::new_spinner().with_message(text.to_owned());
    spinner.enable_steady_tick(TICK);
    let done = future.await;
    spinner.finish_and_clear();
    done
}

/// A bar of bytes that appears after a second.
pub(crate) struct Bytes {
    bar: ProgressBar,
    started: Instant,
}

impl Bytes {
    /// Nothing is shown yet.
    pub(crate) fn start(text: &str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes}") {
            bar.set_style(style);
        }
        bar.set_message(text.to_owned());
        Self { bar, started: Instant::now() }
    }

    /// So many are done.
    pub(crate) fn done(&self, bytes: u64) {
        if self.bar.is_hidden() && self.started.elapsed() >= PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(bytes);
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
