//! Where log lines go: to standard error, or aside while the live screen owns the terminal. Aside is a file in the data
//! directory; where there is none they are kept, up to a limit, and written to standard error afterwards.

use crate::errors::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Where lines go now.
static TARGET: Mutex<Target> = Mutex::new(Target::Stderr);

/// A place for log lines.
enum Target {
    Stderr,
    File(File),
    Kept(Vec<u8>),
}

/// No more than this is kept; what comes later is dropped, and that is said.
const KEPT: usize = 64 << 10;

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

/// Says something to the person where log lines go: not into the live screen.
pub(crate) fn say(text: &str) {
    // There is nowhere left to say that it failed.
    let _ = writeln!(Switch.make_writer(), "{text}");
}

/// Puts log lines aside until the guard is dropped: into `<data_dir>/engine.log` where the directory exists.
pub(crate) fn aside(data_dir: &Path) -> Aside {
    *target() = match open(&data_dir.join("engine.log")) {
        Ok(file) => Target::File(file),
        Err(_) => Target::Kept(Vec::new()),
    };
    Aside
}

fn open(path: &Path) -> io::Result<File> {
    let grown = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LARGEST_FILE);
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(grown).append(!grown);
    options.open(path)
}

/// Back to standard error when dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Aside;

impl Drop for Aside {
    fn drop(&mut self) {
        let was = std::mem::replace(&mut *target(), Target::Stderr);
        if let Target::Kept(lines) = was {
            // There is nowhere to say that standard error is closed.
            let _ = io::stderr().write_all(&lines);
            if lines.len() >= KEPT {
                tracing::warn!("more log lines were dropped while the screen was shown");
            }
        }
    }
}

fn target() -> MutexGuard<'static, Target> {
    TARGET.lock().unwrap_or_else(PoisonError::into_inner)
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
        match &mut *target() {
            Target::Stderr => io::stderr().write(bytes),
            Target::File(file) => file.write(bytes),
            Target::Kept(lines) => {
                let room = KEPT.saturating_sub(lines.len()).min(bytes.len());
                lines.extend_from_slice(&bytes[..room]);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut *target() {
            Target::Stderr => io::stderr().flush(),
            Target::File(file) => file.flush(),
            Target::Kept(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: where lines go is one thing of the process.
    #[test]
    fn lines_go_aside_only_while_the_guard_lives() {
        let dir = tempfile::tempdir().unwrap();
        let guard = aside(dir.path());
        Line.write_all(b"kept\n").unwrap();
        drop(guard);
        assert!(matches!(*target(), Target::Stderr));
        let written = std::fs::read_to_string(dir.path().join("engine.log")).unwrap();
        assert_eq!(written, "kept\n");

        let guard = aside(&dir.path().join("missing"));
        Line.write_all(&vec![b'\n'; KEPT + 1]).unwrap();
        assert!(matches!(&*target(), Target::Kept(lines) if lines.len() == KEPT));
        *target() = Target::Kept(Vec::new());
        drop(guard);
    }

    #[test]
    fn every_level_is_a_valid_filter() {
        for verbose in 0..4 {
            assert!(directives(verbose).parse::<EnvFilter>().is_ok(), "{verbose}");
        }
    }
}
