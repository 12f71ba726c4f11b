//! What is printed: words, tables, JSON. Pure, except [`print`] and the two questions about the terminal.

pub(crate) mod asking;
pub(crate) mod deciding;
pub(crate) mod experiment;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod plan;
pub(crate) mod simulation;
pub(crate) mod table;
pub(crate) mod trial;
pub(crate) mod tuning;

use crate::errors::Error;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

/// Writes to standard output. A reader that went away ends the command without noise.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Error::OutputClosed),
        Err(error) => Err(Error::io("cannot write to standard output")(error)),
    }
}

/// Writes one JSON document with a line end.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Error> {
    // `{:#}` of a Value is indented JSON and cannot fail.
    print(&format!("{value:#}\n"))
}

/// Says something beside the result, on standard error. There is nowhere to report a failure to.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// NO_COLOR (any value but the empty one) forbids colours.
pub(crate) fn colour_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Standard output takes colours.
pub(crate) fn stdout_colour() -> bool {
    colour_allowed() && std::io::stdout().is_terminal()
}

/// Standard error takes colours.
pub(crate) fn stderr_colour() -> bool {
    colour_allowed() && std::io::stderr().is_terminal()
}
