//! Where log lines go: to standard error, or to a file while the live screen owns the terminal.

use crate::errors::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The file while the screen is shown.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// A log that has grown beyond this begins anew.
const LARGEST_FILE: u64 = 16 << 20;

/// Sets up logging for the process. `verbose`: number of `-v`. TOPRUNG_LOG overrides it.
pub(crate) fn start(verbose: u8) -> Result<(), Error> {
    let filter = match std::env::var("TOPRUNG_LOG") {
        Ok(directives) if !directives.is_empty() => {
            directives.parse::<EnvFilter>().map_err(|error| Error::Usage {
                message: format!("TOPRUNG_LOG={directives} is not a filter: {error}"),
                help: "write it like TOPRUNG_LOG=info or TOPRUNG_LOG=warn,toprung_engine=debug".to_owned(),
            })?
        }
        _ => EnvFilter::new(directives(verbose)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Switch)
        .with_ansi(crate::output::stderr_colour())
        .with_target(verbose > 1)
        .init();
    Ok(())
}

/// Libraries below us talk much: they are shown only from the third `-v` on.
fn directives(verbose: u8) -> &'static str {
    match verbose {
        0 => "warn",
        1 => "warn,toprung=info,toprung_engine=info,toprung_agent=info,toprung_store=info",
        2 => "info,toprung=debug,toprung_engine=debug,toprung_agent=debug,toprung_store=debug,h2=info",
        _ => "trace,h2=info,hyper=info,sled=info",
    }
}

/// Sends log lines to `<data_dir>/engine.log` until the guard is dropped.
pub(crate) fn to_file(data_dir: &Path) -> io::Result<ToFile> {
    let path = data_dir.join("engine.log");
    let grown = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LARGEST_FILE);
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    if grown {
        options.truncate(true)
    } else {
        options.append(true)
    };
    *file() = Some(options.open(path)?);
    Ok(ToFile)
}

/// Back to standard error when dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct ToFile;

impl Drop for ToFile {
    fn drop(&mut self) {
        *file() = None;
    }
}

fn file() -> MutexGuard<'static, Option<File>> {
    FILE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Switch;

impl<'a> MakeWriter<'a> for Switch {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line
    }
}

struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match file().as_mut() {
            Some(open) => open.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match file().as_mut() {
            Some(open) => open.flush(),
            None => io::stderr().flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_the_file_only_while_the_guard_lives() {
        let dir = tempfile::tempdir().unwrap();
        let guard = to_file(dir.path()).unwrap();
        Line.write_all(b"kept\n").unwrap();
        drop(guard);
        Line.flush().unwrap();
        let written = std::fs::read_to_string(dir.path().join("engine.log")).unwrap();
        assert_eq!(written, "kept\n");
        assert!(file().is_none());
    }

    #[test]
    fn every_level_is_a_valid_filter() {
        for verbose in 0..4 {
            assert!(directives(verbose).parse::<EnvFilter>().is_ok(), "{verbose}");
        }
    }
}
