//! The live screen on a terminal: an inline viewport, so that what was printed before stays.
//!
//! [`screen`], [`ladder`] and [`curve`] decide what is drawn and are pure; here are the terminal and the keys. The
//! terminal is put back in order when [`Live`] is dropped, also by a panic.

pub(crate) mod curve;
pub(crate) mod ladder;
pub(crate) mod screen;

use crate::output;
use crate::repeats::Repeats;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyModifiers, poll, read};
use ratatui::crossterm::terminal::{Clear, ClearType, disable_raw_mode, enable_raw_mode, size};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use screen::Screen;
use std::io::{self, Stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use toprung_proto::v1;

/// The screen never takes more rows than this.
const TALLEST: u16 = 24;
const KEY_POLL: Duration = Duration::from_millis(100);

/// The screen while it is shown.
pub(crate) struct Live {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    screen: Screen,
    repeats: Repeats,
    area: Rect,
    keys: Option<Keys>,
    _raw: RawMode,
}

impl Live {
    /// Takes the terminal. `interrupts` gets one item per Ctrl-C, which is no signal while keys are read.
    pub(crate) fn start(interrupts: mpsc::Sender<()>) -> io::Result<Self> {
        let (_, rows) = size()?;
        let height = rows.saturating_sub(1).clamp(1, TALLEST);
        let raw = RawMode::enter()?;
        let options = TerminalOptions { viewport: Viewport::Inline(height) };
        let terminal = Terminal::with_options(CrosstermBackend::new(io::stdout()), options)?;
        let screen = Screen { colour: output::stdout_colour(), ..Screen::default() };
        let keys = Some(Keys::start(interrupts));
        Ok(Self { terminal, screen, repeats: Repeats::default(), area: Rect::default(), keys, _raw: raw })
    }

    /// Takes over a new view; it is drawn by the next [`Live::draw`].
    pub(crate) fn view(&mut self, view: v1::WatchExperimentResponse) {
        for event in &view.events {
            if let Some(event) = self.repeats.shown(event) {
                self.event(&event);
            }
        }
        self.screen.view = view;
    }

    /// Adds a line to the last events.
    pub(crate) fn event(&mut self, text: &str) {
        if self.screen.events.len() == screen::EVENTS {
            self.screen.events.remove(0);
        }
        self.screen.events.push(output::format::printable(text));
    }

    /// Changes the last row.
    pub(crate) fn footer(&mut self, text: &str) {
        text.clone_into(&mut self.screen.footer);
    }

    /// Draws what has changed.
    pub(crate) fn draw(&mut self) -> io::Result<()> {
        self.screen.now_ms = output::format::now_ms();
        let screen = &self.screen;
        let done = self.terminal.draw(|frame| {
            let area = frame.area();
            screen.draw(area, frame.buffer_mut());
        })?;
        self.area = done.area;
        Ok(())
    }
}

impl Drop for Live {
    /// Leaves the place of the screen empty, with the cursor at its beginning.
    fn drop(&mut self) {
        drop(self.keys.take());
        let place = cursor::MoveTo(self.area.x, self.area.y);
        // A terminal that is gone needs no order.
        let _ = execute!(io::stdout(), place, Clear(ClearType::FromCursorDown), cursor::Show);
    }
}

/// Keys come one by one and unseen while this lives.
struct RawMode;

impl RawMode {
    fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no order.
        let _ = disable_raw_mode();
    }
}

/// Reads keys in a thread of its own: the terminal has no other way to be read with an end.
struct Keys {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    fn start(interrupts: mpsc::Sender<()>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match poll(KEY_POLL).and_then(|ready| if ready { read().map(Some) } else { Ok(None) }) {
                    Ok(Some(event)) if is_interrupt(&event) => {
                        // A full channel already holds more interrupts than are told apart.
                        let _ = interrupts.try_send(());
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot read keys any more");
                        return;
                    }
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread that reads keys had panicked");
        }
    }
}

fn is_interrupt(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    key.is_press() && key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    #[test]
    fn only_control_c_interrupts() {
        let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        assert!(is_interrupt(&key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!is_interrupt(&key(KeyCode::Char('c'), KeyModifiers::NONE)));
        assert!(!is_interrupt(&Event::Resize(1, 1)));
    }
}
