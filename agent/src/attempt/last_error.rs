//! The last error that a process printed, found line by line with bounded memory. Pure.
//!
//! An error is a Python traceback with its exception, or what C++ says of an exception that nobody caught. It counts only
//! as long as little was printed after it: a script may print an error that it has handled, and go on. A traceback that
//! is "the direct cause" of the next, or a worker's before that of its launcher, goes with that one.

/// So many lines may follow an error (hints of frameworks, trackers that say goodbye) before it counts as handled.
const AFTERWARDS: usize = 10;
/// Of each error, at most so many lines and bytes are kept.
const LINES: usize = 6;
const BYTES: usize = 2 << 10;

/// Feed it every line of one output.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastError {
    place: Place,
    error: Vec<String>,
    /// Errors that this one was raised from.
    causes: Vec<String>,
    /// Lines since the error.
    after: usize,
    /// The next traceback belongs to the error before it.
    chained: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// No error yet.
    #[default]
    Outside,
    /// In the frames of a traceback.
    Frames,
    /// At or behind the error.
    Said,
}

impl LastError {
    /// Takes the next line in.
    pub(crate) fn feed(&mut self, line: &str) {
        let line = without_rank(line);
        if line.trim().is_empty() {
            return;
        }
        if line.starts_with("Traceback (most recent call last)") {
            self.begin(Place::Frames);
        } else if line.starts_with("terminate called after throwing") {
            self.begin(Place::Said);
            self.keep(line);
        } else if self.place == Place::Frames && !line.starts_with([' ', '\t']) {
            self.place = Place::Said;
            self.launched(line);
            self.keep(line);
        } else if self.place == Place::Said {
            self.after += 1;
            self.chained |= line.starts_with("The above exception was the direct cause");
            if self.after < LINES {
                self.keep(line);
            }
        }
    }

    fn begin(&mut self, place: Place) {
        let former = std::mem::take(&mut self.error);
        let goes_along = std::mem::take(&mut self.chained);
        if !goes_along {
            self.causes.clear();
        }
        if self.causes.len() >= LINES {
            self.causes.remove(0);
        }
        // Kept until the new error says whether it is only a launcher's.
        self.causes
            .extend(former.into_iter().next().map(|line| if goes_along { line } else { format!("?{line}") }));
        self.place = place;
        self.after = 0;
    }

    /// A launcher of several processes says only that one of them failed: the error before it is the one that counts.
    fn launched(&mut self, line: &str) {
        let launcher = ["ChildFailedError", "ProcessRaisedException", "ProcessExitedException"]
            .iter()
            .any(|name| line.contains(name));
        let causes = std::mem::take(&mut self.causes).into_iter();
        self.causes = causes
            .filter_map(|cause| match cause.strip_prefix('?') {
                Some(cause) => launcher.then(|| cause.to_owned()),
                None => Some(cause),
            })
            .collect();
    }

    fn keep(&mut self, line: &str) {
        let kept: usize = self.error.iter().map(String::len).sum();
        let end = line.floor_char_boundary(BYTES.saturating_sub(kept));
        self.error.push(line.get(..end).unwrap_or_default().trim_end().to_owned());
    }

    /// The error and what it was raised from, the error itself first; empty: none that still counts.
    pub(crate) fn lines(&self) -> Vec<&str> {
        if self.place != Place::Said || self.after > AFTERWARDS {
            return Vec::new();
        }
        let causes = self.causes.iter().rev().filter(|cause| !cause.starts_with('?'));
        self.error.iter().chain(causes).map(String::as_str).collect()
    }
}

/// PyTorch begins each line of a worker's traceback with `[rank0]:`.
fn without_rank(line: &str) -> &str {
    let rest = line.strip_prefix("[rank").and_then(|rest| rest.split_once("]:"));
    match rest {
        Some((rank, rest)) if rank.bytes().all(|byte| byte.is_ascii_digit()) => {
            rest.strip_prefix(' ').unwrap_or(rest)
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Vec<String> {
        let mut last = LastError::default();
        text.lines().for_each(|line| last.feed(line));
        last.lines().into_iter().map(str::to_owned).collect()
    }

    const HANDLED: &str =
        "Traceback (most recent call last):\n  File \"t.py\", line 1\n    go()\nMemoryError\n";

    #[test]
    fn the_exception_of_a_traceback_is_found_behind_any_number_of_frames() {
        let frames = "  File \"t.py\", line 1, in f\n    f()\n".repeat(500);
        let text = format!("hello\nTraceback (most recent call last):\n{frames}ValueError: no\n");
        assert_eq!(after(&text), ["ValueError: no"]);
        assert_eq!(
            after("[rank1]: Traceback (most recent call last):\n[rank1]:   f()\n[rank1]: KeyError: 3"),
            ["KeyError: 3"]
        );
        assert!(after("INFO: all is well\nno data").is_empty());
    }

    #[test]
    fn an_error_that_was_printed_and_handled_is_forgotten() {
        assert_eq!(after(HANDLED), ["MemoryError"]);
        let on = "epoch 3\n".repeat(11);
        assert!(after(&format!("{HANDLED}{on}")).is_empty());
        let other = "Traceback (most recent call last):\n  go()\nValueError: no\n";
        assert_eq!(after(&format!("{HANDLED}{other}")), ["ValueError: no"]);
        let during = "\nDuring handling of the above exception, another exception occurred:\n\n";
        assert_eq!(after(&format!("{HANDLED}{during}{other}")), ["ValueError: no"]);
    }

    #[test]
    fn causes_and_the_errors_of_workers_count() {
        let cause = "\nThe above exception was the direct cause of the following exception:\n\n";
        let other = "Traceback (most recent call last):\n  go()\nRuntimeError: epoch 3 failed\n";
        let lines = after(&format!("{HANDLED}{cause}{other}"));
        assert_eq!(
            (lines[0].as_str(), lines.last().unwrap().as_str()),
            ("RuntimeError: epoch 3 failed", "MemoryError")
        );
        let launcher = "Traceback (most recent call last):\n  run()\ntorch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n";
        assert!(after(&format!("{HANDLED}{launcher}")).contains(&"MemoryError".to_owned()));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = format!(
            "Traceback (most recent call last):\n  f()\nValueError: {}\n{}",
            "é".repeat(9000),
            "x\n".repeat(9)
        );
        let lines = after(&long);
        assert!(
            lines.len() <= LINES && lines.iter().map(String::len).sum::<usize>() <= BYTES,
            "{}",
            lines.len()
        );
    }
}
