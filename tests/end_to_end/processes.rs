//! Processes of a test: started in a group of their own, read without blocking, ended when dropped.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// No single wait is longer; a search of these tests takes seconds.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(15);

/// Looks until `found` is something; fails with `situation` after the deadline.
pub fn wait_until<T>(what: &str, situation: impl Fn() -> String, mut found: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited {DEADLINE:?} in vain for {what}\n{}", situation());
        thread::sleep(LOOK);
    }
}

/// The processes whose environment holds `mark`: all descendants of a test, also those in other groups.
pub fn marked(mark: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    let is_marked = |pid: &i32| {
        let environment = std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
        environment.is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|item| item == mark.as_bytes()))
    };
    entries.flatten().filter_map(pid).filter(is_marked).collect()
}

/// Ends a process that this test has started.
pub fn end(pid: i32) {
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// Fails unless the command ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Standard output, which is one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err))
    }

    /// Fails unless standard error has all of these words.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing in\n{}", self.err);
        }
    }

    /// Fails unless standard output has all of these words.
    #[track_caller]
    pub fn prints(&self, words: &[&str]) {
        for word in words {
            assert!(self.out.contains(word), "{word:?} is missing in\n{}", self.out);
        }
    }
}

/// A process that runs beside the test. Its group is killed when it is dropped.
pub struct Running {
    child: Child,
    said: String,
    out: Listener,
    err: Listener,
}

impl Running {
    /// Starts `command` in a group of its own.
    pub fn start(command: &mut Command) -> Self {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Listener::start(child.stdout.take().unwrap());
        let err = Listener::start(child.stderr.take().unwrap());
        Self { child, said: format!("{command:?}"), out, err }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has printed `words`.
    pub fn wait_for(&mut self, words: &str) {
        let (out, err) = (self.out.text.clone(), self.err.text.clone());
        let situation = || format!("{}\n{}{}", self.said, out.lock().unwrap(), err.lock().unwrap());
        wait_until(words, situation, || {
            if out.lock().unwrap().contains(words) || err.lock().unwrap().contains(words) {
                return Some(());
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended ({ended:?}) before it said {words:?}\n{}", err.lock().unwrap());
            None
        });
    }

    /// Sends a signal to this one process.
    pub fn signal(&self, signal: Signal) {
        kill(self.raw_pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Answer {
        let status = self.end();
        let code = status.code().unwrap_or(-1);
        Answer { code, out: self.out.all(), err: self.err.all() }
    }

    fn end(&mut self) -> ExitStatus {
        let (out, err) = (self.out.text.clone(), self.err.text.clone());
        let situation = || format!("{}\n{}{}", self.said, out.lock().unwrap(), err.lock().unwrap());
        wait_until("the end of the process", situation, || self.child.try_wait().unwrap())
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The group exists as long as the child was not waited for.
            let _ = killpg(self.raw_pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Reads all that a process says.
struct Listener {
    text: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start(mut source: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let heard = text.clone();
        let thread = thread::spawn(move || {
            let mut bytes = [0; 8192];
            while let Ok(count @ 1..) = source.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { text, thread: Some(thread) }
    }

    /// All of it, after the process has ended.
    fn all(&mut self) -> String {
        let thread = self.thread.take().unwrap();
        // A grandchild that has inherited the pipe would hold it open.
        wait_until(
            "the end of the output",
            || self.text.lock().unwrap().clone(),
            || thread.is_finished().then_some(()),
        );
        self.text.lock().unwrap().clone()
    }
}
