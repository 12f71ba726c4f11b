//! Where the progress of a followed experiment goes: the live screen, plain lines, or nowhere.

use crate::args::Showing;
use crate::errors::Error;
use crate::live::Live;
use crate::logging::{self, Aside};
use crate::output;
use crate::plain::Plain;
use crate::waiting::Waiting;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Instant;
use tokio::sync::mpsc;
use toprung_proto::v1;

/// Shows views as they come.
pub(crate) enum Display {
    /// On a terminal. Log lines are put aside meanwhile.
    Live {
        /// The screen.
        live: Box<Live>,
        /// Sends log lines back to standard error when it is dropped, after the screen.
        _log: Aside,
    },
    /// Line by line.
    Lines {
        /// Makes them.
        plain: Plain,
        /// Says what it waits for.
        waiting: Waiting,
        /// Standard output is kept for the JSON document.
        to_stderr: bool,
    },
    /// Not at all, but for one line on standard error if it waits: silence would look like a hang.
    Quiet(Option<Waiting>),
}

impl Display {
    /// What fits the options and the terminal. `interrupts`: for the keys of the screen.
    pub(crate) fn choose(showing: Showing, interrupts: mpsc::Sender<()>, data_dir: &Path) -> Self {
        let lines =
            |to_stderr| Self::Lines { plain: Plain::default(), waiting: Waiting::default(), to_stderr };
        if showing.quiet {
            return Self::Quiet(Some(Waiting::default()));
        }
        if showing.json {
            return lines(true);
        }
        let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        if !terminal || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
            return lines(false);
        }
        let log = logging::aside(data_dir);
        match Live::start(interrupts) {
            Ok(live) => Self::Live { live: Box::new(live), _log: log },
            Err(error) => {
                drop(log);
                tracing::info!(%error, "no live screen on this terminal");
                lines(false)
            }
        }
    }

    /// Takes over a view.
    pub(crate) fn view(&mut self, view: v1::WatchExperimentResponse) -> Result<(), Error> {
        match self {
            Self::Live { live, .. } => {
                live.view(view);
                Ok(())
            }
            Self::Lines { plain, waiting, to_stderr } => {
                waiting.view(&view, Instant::now());
                let lines = plain.lines(&view, Instant::now());
                lines.iter().try_for_each(|line| say(line, *to_stderr))
            }
            Self::Quiet(waiting) => {
                if let Some(waiting) = waiting {
                    waiting.view(&view, Instant::now());
                }
                Ok(())
            }
        }
    }

    /// Says something beside the views.
    pub(crate) fn note(&mut self, text: &str) -> Result<(), Error> {
        match self {
            Self::Live { live, .. } => {
                live.event(text);
                Ok(())
            }
            Self::Lines { to_stderr, .. } => say(text, *to_stderr),
            Self::Quiet(_) => {
                output::note(text);
                Ok(())
            }
        }
    }

    /// What Ctrl-C does from now on; only the live screen shows it all the time.
    pub(crate) fn footer(&mut self, text: &str) {
        if let Self::Live { live, .. } = self {
            live.footer(text);
        }
    }

    /// Draws what has changed, and says what has become due.
    pub(crate) fn draw(&mut self) -> Result<(), Error> {
        match self {
            Self::Live { live, .. } => live.draw().map_err(Error::io("cannot draw on the terminal")),
            Self::Lines { waiting, to_stderr, .. } => match waiting.due(Instant::now()) {
                Some(line) => say(&line, *to_stderr),
                None => Ok(()),
            },
            Self::Quiet(waiting) => {
                if let Some(line) = waiting.as_mut().and_then(|waiting| waiting.due(Instant::now())) {
                    output::note(&line);
                    *waiting = None;
                }
                Ok(())
            }
        }
    }
}

fn say(line: &str, to_stderr: bool) -> Result<(), Error> {
    if to_stderr {
        output::note(line);
        return Ok(());
    }
    output::print(&format!("{line}\n"))
}
