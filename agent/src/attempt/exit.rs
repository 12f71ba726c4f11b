//! Why an attempt ended, from everything that is known at its end. Pure.
//!
//! Memory: the last error decides ([`last_error`](super::last_error)), or SIGKILL where the system counted a kill for
//! memory. A shell hands the signal of its command on as exit code 128 + signal, so that counts as the signal.

use super::shortage::{self, Shortage};
use nix::{libc, sys::signal::Signal};
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
    /// The system's words, if it killed a process for memory and that explains this end. Asked only if it matters:
    /// see [`may_be_memory`].
    pub(crate) killed_for_memory: Option<String>,
    pub(crate) last_lines: Vec<String>,
    /// The error that it ended with, and what that was raised from.
    pub(crate) final_error: Vec<String>,
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
    if let Some(found) = out_of_memory(ending) {
        return found;
    }
    if let Some(signal) = shell_signal(ending, code) {
        return (ExitCause::Signal, signal_message(ending, signal));
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
    out_of_memory(ending).unwrap_or_else(|| (ExitCause::Signal, signal_message(ending, signal)))
}

/// The signal that a shell says its command died of; one that says that something crashed or was killed.
fn shell_signal(ending: &Ending, code: i32) -> Option<i32> {
    let signal = code - 128;
    let known = [libc::SIGILL, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGKILL, libc::SIGSEGV];
    (ending.shell && known.contains(&signal)).then_some(signal)
}

/// Whether the system may have ended it for memory: by SIGKILL that the agent did not send, or one of its workers.
pub(crate) fn may_be_memory(ending: &Ending) -> bool {
    let signal = ending.signal.or_else(|| shell_signal(ending, ending.code?));
    let worker = ending.final_error.iter().any(|line| shortage::of_worker(line));
    !ending.signalled && (signal == Some(libc::SIGKILL) || (ending.code != Some(0) && worker))
}

fn out_of_memory(ending: &Ending) -> Option<(ExitCause, String)> {
    let lines: Vec<&str> = ending.final_error.iter().map(String::as_str).collect();
    let (shortage, said) = match (shortage::of_error(&lines), &ending.killed_for_memory) {
        (_, Some(system)) => (Shortage::Host, system.as_str()),
        (Some((shortage, said)), None) => (shortage, said),
        (None, None) => return None,
    };
    let cause = match shortage {
        Shortage::Host => ExitCause::OutOfMemory,
        Shortage::Device => ExitCause::DeviceOutOfMemory,
    };
    Some((cause, shortage.message(said)))
}

fn signal_message(ending: &Ending, number: i32) -> String {
    let signal = Signal::try_from(number).ok();
    let name = signal.map_or("unknown", Signal::as_str);
    let hint = match signal {
        Some(Signal::SIGSEGV | Signal::SIGBUS) => {
            ": a native library used memory that it must not; PYTHONFAULTHANDLER=1 in \
             environment.environment_variables shows where"
        }
        Some(Signal::SIGILL) => ": a native library was built for another processor than this node's",
        Some(Signal::SIGABRT) => ": a native library gave up",
        Some(Signal::SIGFPE) => ": a native library divided by zero",
        Some(Signal::SIGKILL) => {
            ": by something other than Toprung, and the system counted no kill for memory"
        }
        _ => "",
    };
    let said = match (signal, &ending.last_error) {
        (Some(Signal::SIGABRT | Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGFPE), Some(said)) => {
            format!("; it last said: {said}")
        }
        _ => String::new(),
    };
    format!("killed by signal {number} ({name}){hint}{said}")
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
    fn the_last_error_decides_on_memory() {
        let with = |ending: Ending, error: &[&str]| Ending {
            final_error: error.iter().map(|line| (*line).to_owned()).collect(),
            ..ending
        };
        let (cause, message) = of(with(code(1, &[]), &["MemoryError: Unable to allocate 7.45 GiB"]));
        assert_eq!(cause, ExitCause::OutOfMemory);
        assert!(
            message
                .starts_with("out of memory on the node: MemoryError: Unable to allocate 7.45 GiB; use a sm")
        );
        let device = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB";
        assert_eq!(of(with(code(1, &[]), &[device])).0, ExitCause::DeviceOutOfMemory);
        let abort = Ending { signal: Some(6), ..Ending::default() };
        assert_eq!(
            of(with(abort, &["terminate called", "what(): std::bad_alloc"])).0,
            ExitCause::OutOfMemory
        );
        // Printed and handled; it failed of something else.
        assert_eq!(of(with(code(1, &[device]), &["ValueError: no"])).0, ExitCause::Failed);
        assert_eq!(of(with(code(0, &[device]), &[device])).0, ExitCause::Success);
    }

    #[test]
    fn a_kill_by_the_system_is_asked_for_only_where_it_may_explain_the_end() {
        let killed = Ending { signal: Some(9), ..Ending::default() };
        assert!(may_be_memory(&killed));
        assert!(!may_be_memory(&Ending { signalled: true, ..killed.clone() }), "the agent killed it");
        assert!(may_be_memory(&Ending { shell: true, ..code(137, &[]) }));
        assert!(!may_be_memory(&code(137, &[])));
        assert!(!may_be_memory(&Ending { signal: Some(11), ..Ending::default() }));
        let worker = vec!["RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed. ".to_owned()];
        assert!(may_be_memory(&Ending { final_error: worker, ..code(1, &[]) }));
        assert_eq!(of(killed.clone()).0, ExitCause::Signal);
        let system = Some("the system killed it".to_owned());
        assert_eq!(of(Ending { killed_for_memory: system, ..killed }).0, ExitCause::OutOfMemory);
    }

    #[test]
    fn crashes_have_their_signals_name_and_a_hint() {
        let crashed = |signal| of(Ending { signal: Some(signal), ..Ending::default() });
        let (cause, message) = crashed(11);
        assert_eq!(cause, ExitCause::Signal);
        assert!(message.starts_with("killed by signal 11 (SIGSEGV): a native library"), "{message}");
        assert!(crashed(4).1.contains("another processor"));
        assert_eq!(crashed(15).1, "killed by signal 15 (SIGTERM)");
        let shell = of(Ending { shell: true, ..code(139, &["Segmentation fault"]) });
        assert!(shell.0 == ExitCause::Signal && shell.1.contains("SIGSEGV"), "{shell:?}");
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
