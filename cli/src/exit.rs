//! What the process tells its caller when it ends. Scripts depend on these numbers: they never change.

/// The exit codes of `toprung`, also listed in `toprung help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// The search ended in an error or was killed. Failed trials alone do not fail a search.
    SearchFailed = 1,
    /// Wrong usage, an experiment file or a model directory that is not valid, a wrong token.
    Usage = 2,
    /// No such experiment or trial, or it is in a state that does not allow this.
    NotFound = 3,
    /// The server cannot be reached or cannot answer now.
    Unavailable = 4,
    /// The data directory is in use by another process, or its store cannot be read or written.
    Store = 5,
    /// Ctrl-C: the search was paused, or is no longer watched.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The part of `toprung help` that lists the codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    the search ended in an error or was killed
  2    wrong usage, or the experiment file, model directory or token is not valid
  3    no such experiment or trial, or its state does not allow this
  4    the server cannot be reached or cannot answer now
  5    the data directory is in use, or its store cannot be read or written
  130  Ctrl-C: the search was paused (embedded) or is no longer watched (server)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_code() {
        let all = [
            Exit::Ok,
            Exit::SearchFailed,
            Exit::Usage,
            Exit::NotFound,
            Exit::Unavailable,
            Exit::Store,
            Exit::Interrupted,
        ];
        for exit in all {
            let line = format!("\n  {:<5}", exit as u8);
            assert!(HELP.contains(&line), "{exit:?} is missing");
        }
    }
}
