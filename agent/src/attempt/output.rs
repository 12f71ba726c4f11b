//! Output of a process, line by line, with bounded memory.

use super::last_error::LastError;
use crate::flag::raised;
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::watch,
    time::timeout,
};

/// A longer line is cut into pieces.
const LONGEST_LINE: usize = 16 << 10;
/// How long a pipe may be silent after the process has ended: something that escaped its group may hold it open.
const SILENCE: Duration = Duration::from_secs(1);
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4 << 10;
/// So many lines of standard error stay, whatever is printed after them: the pipes are read independently, and a
/// traceback may come before output that is older.
const ERROR_LINES: usize = 12;

/// Reads lines; a line feed, a carriage return (progress bars) or both end one.
pub(crate) struct LineReader<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Up to here the buffer is given out.
    start: usize,
    after_return: bool,
    closing: watch::Receiver<bool>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// `closing` becomes true when the process has ended.
    pub(crate) fn new(reader: R, closing: watch::Receiver<bool>) -> Self {
        Self { reader, buffer: Vec::new(), start: 0, after_return: false, closing }
    }

    /// The next line without its end; `None` at the end of the output.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.fill().await? == 0 {
                let rest = self.text(self.buffer.len());
                return Ok((!rest.is_empty()).then_some(rest));
            }
        }
    }

    fn take_line(&mut self) -> Option<String> {
        if let Some(first) = self.buffer.get(self.start)
            && std::mem::take(&mut self.after_return)
            && *first == b'\n'
        {
            self.start += 1;
        }
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        match end {
            Some(end) if end <= LONGEST_LINE => {
                self.after_return = rest.get(end) == Some(&b'\r');
                let line = self.text(self.start + end);
                self.start += 1;
                Some(line)
            }
            _ if rest.len() > LONGEST_LINE => Some(self.text(self.start + LONGEST_LINE)),
            _ => None,
        }
    }

    /// Gives out what lies before `end`.
    fn text(&mut self, end: usize) -> String {
        let text = String::from_utf8_lossy(self.buffer.get(self.start..end).unwrap_or_default()).into_owned();
        self.start = end;
        text
    }

    /// Reads more; 0 at the end.
    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(8 << 10);
        let mut closing = self.closing.clone();
        let count = tokio::select! {
            biased;
            count = self.reader.read_buf(&mut self.buffer) => count?,
            () = raised(&mut closing) => {
                timeout(SILENCE, self.reader.read_buf(&mut self.buffer)).await.unwrap_or(Ok(0))?
            }
        };
        Ok(count)
    }
}

/// The last lines of an output, for the exit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Arc<Mutex<Ending>>);

#[derive(Debug, Default)]
struct Ending {
    lines: VecDeque<TailLine>,
    /// Of standard output and of standard error.
    errors: [LastError; 2],
}

#[derive(Clone, Debug)]
struct TailLine {
    text: String,
    /// From standard error.
    error: bool,
}

impl Tail {
    pub(crate) fn push(&self, line: &str) {
        self.keep(line, false);
    }

    /// A line of standard error.
    pub(crate) fn push_error(&self, line: &str) {
        self.keep(line, true);
    }

    fn keep(&self, line: &str, error: bool) {
        let mut ending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ending { lines, errors } = &mut *ending;
        if let Some(own) = errors.get_mut(usize::from(error)) {
            own.feed(line);
        }
        if lines.len() == TAIL_LINES {
            let errors = lines.iter().filter(|line| line.error).count();
            // Twelve of twenty are reserved at most, so another line goes if those are protected.
            let goes = lines.iter().position(|line| !line.error || errors > ERROR_LINES);
            lines.remove(goes.unwrap_or(0));
        }
        let end = line.floor_char_boundary(TAIL_BYTES / 4);
        lines.push_back(TailLine { text: line.get(..end).unwrap_or_default().to_owned(), error });
    }

    /// At most 20 lines and 4 KiB in the order of arrival; what standard error said last is there before other output.
    pub(crate) fn lines(&self) -> Vec<String> {
        let ending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = &ending.lines;
        let newest_first =
            |error| lines.iter().enumerate().rev().filter(move |(_, line)| line.error == error);
        let errors = newest_first(true).take(ERROR_LINES);
        let others = newest_first(false).chain(newest_first(true).skip(ERROR_LINES));
        let mut bytes = 0;
        let kept = errors.chain(others).take_while(|(_, line)| {
            bytes += line.text.len();
            bytes <= TAIL_BYTES
        });
        let mut kept: Vec<_> = kept.collect();
        kept.sort_by_key(|(index, _)| *index);
        kept.into_iter().map(|(_, line)| line.text.clone()).collect()
    }

    /// The last line of standard error that says something. Standard output may be read after it, although it was
    /// printed before.
    pub(crate) fn last_error(&self) -> Option<String> {
        let ending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = &ending.lines;
        let said = |line: &&TailLine| line.error && !line.text.trim().is_empty();
        lines.iter().rev().find(said).map(|line| line.text.trim().to_owned())
    }

    /// The lines of the error that the process ended with, the error itself first: a traceback's on standard error, else
    /// on standard output, else the last line that says something. Empty: nothing was printed.
    pub(crate) fn final_error(&self) -> Vec<String> {
        let ending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = ending.errors.iter().rev().map(LastError::lines).find(|lines| !lines.is_empty());
        if let Some(lines) = found {
            return lines.into_iter().map(str::to_owned).collect();
        }
        let said = |error: bool| {
            let says = move |line: &&TailLine| line.error == error && !line.text.trim().is_empty();
            ending.lines.iter().rev().find(says).map(|line| line.text.trim().to_owned())
        };
        said(true).or_else(|| said(false)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<String> {
        let mut reader = LineReader::new(text, watch::Sender::new(false).subscribe());
        let mut lines = Vec::new();
        while let Some(line) = reader.next().await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn line_feeds_and_returns_end_lines() {
        assert_eq!(lines(b"a\n\nb\r\nc\rd").await, ["a", "", "b", "c", "d"]);
        assert!(lines(b"").await.is_empty());
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
    }

    #[tokio::test]
    async fn long_lines_are_cut_and_nothing_is_lost() {
        let text = "x".repeat(LONGEST_LINE * 2 + 5);
        let found = lines(text.as_bytes()).await;
        assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), [LONGEST_LINE, LONGEST_LINE, 5]);
    }

    #[test]
    fn the_last_error_is_found_behind_other_output() {
        let tail = Tail::default();
        assert_eq!(tail.last_error(), None);
        tail.push_error("ValueError: no");
        tail.push_error(" ");
        tail.push("epoch 3");
        assert_eq!(tail.last_error().as_deref(), Some("ValueError: no"));
        assert_eq!(tail.lines(), ["ValueError: no", " ", "epoch 3"]);
    }

    #[test]
    fn a_traceback_stays_behind_much_output() {
        let tail = Tail::default();
        tail.push("hello");
        ["Traceback", "  raise", "RuntimeError: boom"].iter().for_each(|line| tail.push_error(line));
        (0..50).for_each(|index| tail.push(&format!("{index}{}", "x".repeat(500))));
        assert_eq!(tail.last_error().as_deref(), Some("RuntimeError: boom"));
        let lines = tail.lines();
        assert_eq!(lines[..3], ["Traceback", "  raise", "RuntimeError: boom"]);
        assert!(lines.len() > 3 && lines[lines.len() - 1].starts_with("49"), "{lines:?}");
        // Much of standard error alone takes all the room there is.
        (0..50).for_each(|index| tail.push_error(&index.to_string()));
        assert_eq!(tail.lines().len(), 20);
    }

    #[test]
    fn the_tail_is_bounded() {
        let tail = Tail::default();
        (0..50).for_each(|index| tail.push(&index.to_string()));
        let kept = tail.lines();
        assert_eq!((kept.len(), kept[0].as_str(), kept[19].as_str()), (20, "30", "49"));
        (0..50).for_each(|_| tail.push(&"é".repeat(3000)));
        assert!(tail.lines().iter().map(String::len).sum::<usize>() <= TAIL_BYTES);
    }
}
