//! Why an attempt ended, from everything that is known at its end. Pure.

use toprung_proto::v1::{Exit, ExitCause};

/// An attempt that ended before its process started.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) cause: ExitCause,
    /// One line for people.
    pub(crate) message: String,
    pub(crate) last_lines: Vec<String>,
}

impl Failure {
    pub(crate) fn new(cause: ExitCause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), last_lines: Vec::new() }
    }

    pub(crate) fn into_exit(self) -> Exit {
        Exit {
            cause: self.cause.into(),
            message: self.message,
            last_lines: self.last_lines,
            ..Exit::default()
        }
    }
}

/// The exit of a script that found its hyperparameters invalid.
pub(crate) fn invalid(reason: &str) -> Exit {
    Failure::new(ExitCause::InvalidHyperparameters, format!("invalid hyperparameters: {reason}")).into_exit()
}

/// What is known of a process that ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending {
    /// Exit code, or `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Why it was to end, if it was.
    pub(crate) requested: Option<String>,
    /// The agent sent SIGTERM or SIGKILL.
    pub(crate) signalled: bool,
    pub(crate) invalid_hyperparameters: Option<String>,
    pub(crate) broken_contract: Option<String>,
    /// The system killed a process of this cgroup for memory while the attempt ran.
    pub(crate) killed_for_memory: bool,
    pub(crate) last_lines: Vec<String>,
    /// The last of them from standard error.
    pub(crate) last_error: Option<String>,
    /// Run by `sh -c`.
    pub(crate) shell: bool,
}

/// The exit as the engine is told.
pub(crate) fn classify(ending: Ending) -> Exit {
    let (cause, message) = cause_and_message(&ending);
    Exit {
        cause: cause.into(),
        exit_code: ending.code.unwrap_or(0),
        signal: ending.signal.unwrap_or(0),
        message,
        last_lines: ending.last_lines,
    }
}

fn cause_and_message(ending: &Ending) -> (ExitCause, String) {
    if let Some(reason) = &ending.invalid_hyperparameters {
        return (ExitCause::InvalidHyperparameters, format!("invalid hyperparameters: {reason}"));
    }
    if let Some(error) = &ending.broken_contract {
        return (ExitCause::Contract, error.clone());
    }
    if let Some(reason) = &ending.requested
        && (ending.signalled || ending.code == Some(0))
    {
        return (ExitCause::Requested, reason.clone());
    }
    match (ending.code, ending.signal) {
        (Some(0), _) => (ExitCause::Success, "finished".to_owned()),
        (Some(code), _) => failed(ending, code),
        (None, signal) => signalled(ending, signal.unwrap_or(0)),
    }
}

fn failed(ending: &Ending, code: i32) -> (ExitCause, String) {
    if let Some(line) = memory_line(&ending.last_lines) {
        return (ExitCause::OutOfMemory, format!("out of memory: {line}"));
    }
    let printed = || ending.last_lines.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty());
    let last = ending.last_error.as_deref().or_else(printed);
    if ending.shell && (code == 126 || code == 127) {
        return (ExitCause::Entrypoint, last.unwrap_or("the shell did not find the command").to_owned());
    }
    let missing = ending.last_lines.iter().find(|line| line.contains("can't open file"));
    if let (2, Some(line)) = (code, missing) {
        return (ExitCause::Entrypoint, line.trim().to_owned());
    }
    let killed =
        if (129..=159).contains(&code) { format!(" (signal {})", code - 128) } else { String::new() };
    (
        ExitCause::Failed,
        last.map_or(format!("exit code {code}{killed}"), |last| format!("exit code {code}{killed}: {last}")),
    )
}

fn signalled(ending: &Ending, signal: i32) -> (ExitCause, String) {
    let name = nix::sys::signal::Signal::try_from(signal).map_or("unknown", nix::sys::signal::Signal::as_str);
    let memory = memory_line(&ending.last_lines);
    if signal == nix::libc::SIGKILL && (ending.killed_for_memory || memory.is_some()) {
        let message =
            memory.unwrap_or("the system killed it because the node's or container's memory was used up");
        return (ExitCause::OutOfMemory, format!("out of memory: {message}"));
    }
    (ExitCause::Signal, format!("killed by signal {signal} ({name})"))
}

/// The line that says that memory ran out, on the host or on the GPU.
fn memory_line(lines: &[String]) -> Option<&str> {
    let says_so = |line: &&String| {
        let start = line.trim_start();
        start.starts_with("MemoryError")
            || [
                "CUDA out of memory",
                "CUDA_ERROR_OUT_OF_MEMORY",
                "OutOfMemoryError",
                "std::bad_alloc",
                "RESOURCE_EXHAUSTED: Out of memory",
            ]
            .iter()
            .any(|words| line.contains(words))
    };
    lines.iter().rev().find(says_so).map(|line| line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ending: Ending) -> (ExitCause, String) {
        let exit = classify(ending);
        (exit.cause(), exit.message)
    }

    fn code(code: i32, lines: &[&str]) -> Ending {
        let last_lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Ending { code: Some(code), last_lines, ..Ending::default() }
    }

    #[test]
    fn exit_codes() {
        assert_eq!(of(code(0, &[])).0, ExitCause::Success);
        let (cause, message) = of(code(3, &["Traceback", "ValueError: no", ""]));
        assert_eq!((cause, message.as_str()), (ExitCause::Failed, "exit code 3: ValueError: no"));
        assert!(of(code(137, &[])).1.contains("signal 9"));
        let last_error = Some("ValueError: no".to_owned());
        let mixed = Ending { last_error, ..code(1, &["ValueError: no", "epoch 3"]) };
        assert_eq!(of(mixed).1, "exit code 1: ValueError: no");
    }

    #[test]
    fn entrypoint_mistakes() {
        let line = "python: can't open file '/w/x.py': [Errno 2] No such file or directory";
        assert_eq!(of(code(2, &[line])), (ExitCause::Entrypoint, line.to_owned()));
        let shell = Ending { shell: true, ..code(127, &["sh: 1: nope: not found"]) };
        assert_eq!(of(shell), (ExitCause::Entrypoint, "sh: 1: nope: not found".to_owned()));
        assert_eq!(of(code(127, &[])).0, ExitCause::Failed);
    }

    #[test]
    fn memory() {
        assert_eq!(of(code(1, &["MemoryError"])).0, ExitCause::OutOfMemory);
        assert_eq!(
            of(code(1, &["torch.OutOfMemoryError: CUDA out of memory. Tried"])).0,
            ExitCause::OutOfMemory
        );
        let killed = Ending { signal: Some(9), ..Ending::default() };
        assert_eq!(of(killed.clone()).0, ExitCause::Signal);
        assert_eq!(of(Ending { killed_for_memory: true, ..killed }).0, ExitCause::OutOfMemory);
    }

    #[test]
    fn requested_ends_are_no_failures() {
        let requested = |ending| Ending { requested: Some("paused".to_owned()), ..ending };
        assert_eq!(of(requested(code(0, &[]))), (ExitCause::Requested, "paused".to_owned()));
        let killed = Ending { signal: Some(15), signalled: true, ..Ending::default() };
        assert_eq!(of(requested(killed.clone())).0, ExitCause::Requested);
        assert_eq!(of(requested(Ending { signalled: true, ..code(143, &[]) })).0, ExitCause::Requested);
        assert_eq!(
            of(requested(code(1, &["cannot save"]))).0,
            ExitCause::Failed,
            "its own error while it saved"
        );
        assert_eq!(of(killed).0, ExitCause::Signal);
    }

    #[test]
    fn what_the_script_said_comes_first() {
        let said = Ending { invalid_hyperparameters: Some("too wide".to_owned()), ..code(1, &[]) };
        assert_eq!(of(said).0, ExitCause::InvalidHyperparameters);
        let broken = Ending { broken_contract: Some("a validation must".to_owned()), ..code(1, &[]) };
        assert_eq!(of(broken), (ExitCause::Contract, "a validation must".to_owned()));
    }
}
