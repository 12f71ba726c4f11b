//! No process of an attempt outlives the agent.
//!
//! Three nets, all without privileges: each group is killed when its [`Group`] is dropped; a watchdog (a small `sh` in
//! its own group) sees the end of a pipe when the agent dies, however it dies, and kills the groups that are written
//! down and the processes that left them ([`escaped`]); and the next agent on the same state directory kills what both
//! have missed. It does not start before it has seen them gone: what ran under the former one is certainly dead.
//!
//! A group is written down after its start. An agent that dies between the two leaves a process that is in no ledger;
//! it is found by its mark, as those are that left their group. So every process that gets a group here gets a mark, too.
//! One that is not yet the program it will be has no mark, and holds copies of the pipe and of the locks until it is:
//! neither the watchdog nor the next agent looks for it before.

use crate::{Error, escaped, layout::Layout};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};
use tokio::{process::Child, time::timeout};

/// Waits for the agent's end of the pipe to close, then kills every group of `$1`.
const WATCHDOG: &str = r#"trap '' HUP INT TERM
while read -r line; do :; done
for file in "$1"/*.group; do
  [ -e "$file" ] || continue
  group=${file##*/}
  kill -s KILL -- "-${group%.group}" 2>/dev/null
done
for round in 1 2; do
  for file in $(grep -lzs "^TOPRUNG_PROCESS_OF=$2/" /proc/[0-9]*/environ); do
    process=${file#/proc/}
    kill -s KILL "${process%/environ}" 2>/dev/null
  done
done"#;

/// The process groups of this instance, on disk: `groups/<instance>/<pgid>.group`.
pub(crate) struct Ledger {
    directory: PathBuf,
    /// Locked while this instance lives; the system unlocks it when the process ends.
    _lock: File,
    watchdog: Mutex<Option<Child>>,
}

impl Ledger {
    /// Kills what former instances left, then opens this instance's own ledger.
    pub(crate) fn open(layout: &Layout) -> Result<Self, Error> {
        let directory = layout.groups().join(layout.instance());
        let fail = |action| {
            let path = directory.clone();
            move |source| Error::StateDirectory { action, path, source }
        };
        fs::create_dir_all(&directory).map_err(fail("create"))?;
        let lock = File::create(directory.join("lock")).map_err(fail("create"))?;
        lock.lock().map_err(fail("lock"))?;
        sweep(layout)?;
        let watchdog = match watchdog(&directory, layout.instance()) {
            Ok(child) => Some(child),
            Err(error) => {
                tracing::warn!(%error, "no watchdog: processes of trials may survive a crash of the agent");
                None
            }
        };
        Ok(Self { directory, _lock: lock, watchdog: Mutex::new(watchdog) })
    }

    /// The mark of a process that belongs to no attempt: the value of [`escaped::VARIABLE`].
    pub(crate) fn mark(&self) -> String {
        let instance = self.directory.file_name().unwrap_or_default().to_string_lossy();
        format!("{}environment", escaped::marks_of(&instance))
    }

    /// Writes the group down. `pid` leads it and was started just now, with a mark.
    pub(crate) fn enter(&self, pid: u32) -> Group {
        let file = self.directory.join(format!("{pid}.group"));
        let mark = format!("{} {}", boot_id(), start_time(pid).unwrap_or_default());
        if let Err(error) = fs::write(&file, mark) {
            tracing::warn!(%error, path = %file.display(), "cannot write a process group down");
        }
        Group { id: Pid::from_raw(pid as i32), file }
    }

    /// Ends the watchdog. All groups are gone by now.
    pub(crate) async fn close(&self) {
        let watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut watchdog) = watchdog {
            drop(watchdog.stdin.take());
            if timeout(Duration::from_secs(2), watchdog.wait()).await.is_err() {
                tracing::warn!("the watchdog did not end in time");
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, path = %self.directory.display(), "cannot remove the ledger");
        }
    }
}

fn watchdog(directory: &Path, start: &str) -> std::io::Result<Child> {
    tokio::process::Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "toprung-watchdog"])
        .arg(directory)
        .arg(start)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// A process group; killed when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    id: Pid,
    file: PathBuf,
}

impl Group {
    /// Signals every process of the group; one that is gone is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Err(error) = killpg(self.id, signal) {
            tracing::debug!(group = self.id.as_raw(), %signal, %error, "signal not delivered");
        }
    }

    /// Whether any process of the group still runs. One that has ended and waits to be collected by its parent does not
    /// count: in many containers process 1 collects late, or never.
    pub(crate) fn is_alive(&self) -> bool {
        killpg(self.id, None).is_ok() && runs_in_group(self.id).unwrap_or(true)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Err(error) = fs::remove_file(&self.file) {
            tracing::debug!(%error, path = %self.file.display(), "cannot strike a process group off");
        }
    }
}

/// Whether a process of the group runs, as `/proc` has it. `None`: there is no `/proc`.
fn runs_in_group(group: Pid) -> Option<bool> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let numbered = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut stats = numbered.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    Some(
        stats.any(|stat| {
            state_and_group(&stat).is_some_and(|(state, of)| of == group.as_raw() && state != "Z")
        }),
    )
}

/// Fields 3 and 5 of a process's `stat`. Its name, field 2, may hold spaces and parentheses.
fn state_and_group(stat: &str) -> Option<(&str, i32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?, fields.nth(1)?.parse().ok()?))
}

/// Ends what instances left that do not live any more: their groups, working directories and ledgers.
fn sweep(layout: &Layout) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(layout.groups()) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok) {
        let instance = entry.file_name().to_string_lossy().into_owned();
        if instance == layout.instance() {
            continue;
        }
        // The lock of a living instance cannot be had; one without a lock file is just being opened.
        let Ok(lock) = File::open(entry.path().join("lock")) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        tracing::info!(%instance, "cleaning up after a former instance of the agent");
        kill_groups(&entry.path(), &escaped::marks_of(&instance))?;
        for path in [layout.attempts_of(&instance), entry.path()] {
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::debug!(%error, path = %path.display(), "cannot remove");
            }
        }
    }
    Ok(())
}

/// Kills the groups that are written down and the processes that left them, and waits until they are gone.
fn kill_groups(directory: &Path, marks: &str) -> Result<(), Error> {
    let deadline = Instant::now() + escaped::LONGEST;
    let mut groups = leftovers(directory);
    loop {
        for group in &groups {
            // An error means that the group is gone, which is what is wanted.
            let _gone = killpg(*group, Signal::SIGKILL);
        }
        groups.retain(|group| killpg(*group, None).is_ok() && runs_in_group(*group).unwrap_or(true));
        if groups.is_empty() {
            break;
        }
        if Instant::now() >= deadline {
            return Err(Error::Leftovers { processes: groups.into_iter().map(Pid::as_raw).collect() });
        }
        sleep(Duration::from_millis(5));
    }
    escaped::end_blocking(marks, deadline).map_err(|processes| Error::Leftovers { processes })
}

/// The groups that are written down and are still the same.
fn leftovers(directory: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let boot = boot_id();
    let group = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_suffix(".group")?.parse::<u32>().ok()?;
        let mark = fs::read_to_string(entry.path()).unwrap_or_default();
        is_leftover(&mark, &boot, start_time(id).as_deref()).then_some(Pid::from_raw(id as i32))
    };
    entries.filter_map(Result::ok).filter_map(group).collect()
}

/// Whether the group with this mark is still the one that was written down, given the boot and its leader's start time.
///
/// A number is not given to a new process while a group of that number exists, so a group without a leader is the old one.
fn is_leftover(mark: &str, boot: &str, leader: Option<&str>) -> bool {
    match mark.split_once(' ') {
        Some((marked_boot, started)) => marked_boot == boot && leader.is_none_or(|leader| leader == started),
        None => false,
    }
}

/// Changes at each boot; empty where the system does not say.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// When the process started, in ticks since boot (field 22 of its `stat`), as text.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_group_are_found_behind_any_name() {
        assert_eq!(state_and_group("7 (a) S b) Z 1 42 42 0 -1"), Some(("Z", 42)));
        assert_eq!(state_and_group("7 (sh) S 1 42 42 0 -1"), Some(("S", 42)));
        assert_eq!(state_and_group("nonsense"), None);
    }

    #[test]
    fn an_uncollected_process_does_not_run() {
        use std::os::unix::process::CommandExt as _;
        let mut child = std::process::Command::new("true").process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id() as i32);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while runs_in_group(group) == Some(true) {
            assert!(std::time::Instant::now() < deadline);
        }
        assert!(killpg(group, None).is_ok(), "it is still there for its parent to collect");
        child.wait().unwrap();
    }

    #[test]
    fn only_the_same_process_is_a_leftover() {
        assert!(is_leftover("boot 42", "boot", Some("42")));
        assert!(is_leftover("boot 42", "boot", None));
        assert!(!is_leftover("boot 42", "boot", Some("43")), "the number was given to another process");
        assert!(!is_leftover("boot 42", "other", None), "the node was restarted");
        assert!(!is_leftover("", "boot", None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_start_time_is_known() {
        assert!(start_time(std::process::id()).unwrap().parse::<u64>().is_ok());
    }
}
