//! Processes that left their group (`setsid`, a double fork) are known by a variable that every process of an attempt
//! inherits. One that also cleared its environment cannot be found.

use crate::identity::AttemptKey;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// The variable.
pub(crate) const VARIABLE: &str = "TOPRUNG_PROCESS_OF";
/// How long killed processes may take to be gone.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// The variable's value in one attempt of one start of the daemon.
pub(crate) fn mark(start: &str, key: AttemptKey) -> String {
    format!("{}{key}", marks_of(start))
}

/// How the marks of all attempts of a start begin.
pub(crate) fn marks_of(start: &str) -> String {
    format!("{start}/")
}

/// Kills every process of an attempt, wherever it is, and waits until they are gone. Processes that cannot be killed are
/// in the log.
pub(crate) async fn end(mark: String) {
    let ended = spawn_blocking(move || end_blocking(&mark, Instant::now() + LONGEST)).await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(left)) => tracing::error!(?left, "processes of a trial cannot be killed"),
        Err(error) => tracing::error!(%error, "looking for processes of a trial broke off"),
    }
}

/// The same, blocking. `mark`: of an attempt, or how those of a start begin.
///
/// # Errors
/// These processes were still there at the deadline.
pub(crate) fn end_blocking(mark: &str, deadline: Instant) -> Result<(), Vec<i32>> {
    loop {
        let found = marked(mark);
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(found);
        }
        for pid in found {
            // An error means that it is gone, which is what is wanted.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        sleep(PAUSE);
    }
}

/// Processes that carry the mark. One that has ended and is not collected has no environment any more.
fn marked(mark: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|pid| carries(*pid, mark)).collect()
}

fn carries(pid: i32, mark: &str) -> bool {
    // Those of other users cannot be read.
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|variables| holds(&variables, mark))
}

fn holds(variables: &[u8], mark: &str) -> bool {
    let value = |variable: &[u8]| {
        let value = variable.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"=")?;
        Some(if mark.ends_with('/') { value.starts_with(mark.as_bytes()) } else { value == mark.as_bytes() })
    };
    variables.split(|byte| *byte == 0).any(|variable| value(variable) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_whole() {
        let key = AttemptKey { experiment: 1, trial: 2, attempt: 3 };
        let mark = mark("ab", key);
        let variables = format!("A=1\0{VARIABLE}={mark}\0B=2\0");
        assert!(holds(variables.as_bytes(), &mark));
        assert!(holds(variables.as_bytes(), &marks_of("ab")));
        assert!(!holds(variables.as_bytes(), &marks_of("a")));
        assert!(!holds(variables.as_bytes(), "ab/1-2-33"));
        assert!(!holds(format!("X{VARIABLE}={mark}\0").as_bytes(), &mark));
        assert!(!holds(format!("{VARIABLE}={mark}3\0").as_bytes(), &mark));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_marked_process_is_ended_in_any_session() {
        use std::os::unix::process::CommandExt as _;
        let mark = format!("{:016x}/1-1-1", crate::identity::random_bits());
        let start = |value: &str| {
            let mut command = std::process::Command::new("sleep");
            command.arg("1000").env(VARIABLE, value).process_group(0).spawn().unwrap()
        };
        let (mut marked, mut other) = (start(&mark), start("other/1-1-1"));
        let deadline = Instant::now() + LONGEST;
        while !carries(marked.id() as i32, &mark) {
            assert!(Instant::now() < deadline, "not started");
        }
        end_blocking(&mark, deadline).unwrap();
        marked.wait().unwrap();
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
