//! The place of one test: a directory to work in, a home, and the environment of its processes.

use crate::document::Experiment;
use crate::processes::{self, Answer, Running, wait_until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Training that depends on nothing but its hyperparameters, its seed and its length.
pub const TRAIN: &str = include_str!("../fixtures/logreg/train.py");
/// The default engine has slots for two trials at a time, whatever the machine has.
const SLOTS: [&str; 2] = ["--slots", "2"];

/// See the module. Everything in it is gone when it is dropped, processes included.
pub struct Workplace {
    root: TempDir,
    environment: Vec<(String, String)>,
}

impl Workplace {
    /// An empty one.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("toprung-e2e-").tempdir().unwrap();
        for name in ["work", "home", "state", "tmp"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        Self { root, environment: Vec::new() }
    }

    /// One with `train.py` of the fixture and this experiment file.
    pub fn with_search(yaml: &str) -> Self {
        let place = Self::new();
        place.write("train.py", TRAIN);
        place.write("search.yaml", yaml);
        place
    }

    /// Its processes have this variable, too.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The directory in which commands run.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.work().join(name), text).unwrap();
    }

    /// What lies in the working directory, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.work()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// `toprung` with these arguments, not yet started.
    pub fn toprung(&self, arguments: &[&str]) -> Command {
        self.command(Path::new(env!("CARGO_BIN_EXE_toprung")), arguments)
    }

    /// Another program in the same surroundings.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let at = |name: &str| self.root.path().join(name);
        let path = format!("{}:{}", python().parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", path)
            .env("HOME", at("home"))
            .env("XDG_STATE_HOME", at("state"))
            .env("TMPDIR", at("tmp"))
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts `toprung`, to run beside the test.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.toprung(arguments))
    }

    /// Runs `toprung` to its end.
    pub fn ask(&self, arguments: &[&str]) -> Answer {
        self.start(arguments).wait()
    }

    /// Runs `toprung` to its end, which must be a good one; its JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.ask(&all).expect(0).json()
    }

    /// `toprung run FILE ARGUMENTS --json` on two slots, started.
    pub fn start_run(&self, file: &str, arguments: &[&str]) -> Running {
        let mut all = vec!["run", file, "--json"];
        all.extend(SLOTS);
        all.extend(arguments);
        self.start(&all)
    }

    /// The same to its end, which must be a good one.
    #[track_caller]
    pub fn run(&self, file: &str, arguments: &[&str]) -> Experiment {
        Experiment(self.start_run(file, arguments).wait().expect(0).json()["experiment"].clone())
    }

    /// Waits until `toprung ARGUMENTS --json` answers something that `is` accepts.
    pub fn wait_for<T>(&self, arguments: &[&str], is: impl Fn(&Value) -> Option<T>) -> T {
        let mut all = arguments.to_vec();
        all.push("--json");
        let last = std::cell::RefCell::new(String::new());
        wait_until(
            &format!("{arguments:?}"),
            || last.borrow().clone(),
            || {
                let answer = self.ask(&all);
                let found = (answer.code == 0).then(|| is(&answer.json())).flatten();
                *last.borrow_mut() = format!("{answer:?}");
                found
            },
        )
    }

    /// Waits until the experiment is in this state.
    pub fn wait_for_state(&self, id: &str, state: &str, options: &[&str]) {
        let mut all = vec!["show", id];
        all.extend(options);
        self.wait_for(&all, |shown| (shown["experiment"]["state"] == state).then_some(()));
    }

    /// The processes of this test that run now.
    pub fn processes(&self) -> Vec<i32> {
        processes::marked(&format!("HOME={}", self.root.path().join("home").display()))
    }

    /// Waits until no process of this test runs any more.
    pub fn wait_for_silence(&self) {
        let situation = || format!("{:?}", self.processes());
        wait_until("the end of all processes", situation, || self.processes().is_empty().then_some(()));
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // A trial may start another while we look: until none is left, but not for ever.
        for _ in 0..50 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(processes::end);
            std::thread::yield_now();
        }
    }
}

/// The file below the repository.
pub fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path).display().to_string()
}

/// The interpreter itself: one of several that a version switcher would choose from on each start is slow to start.
pub fn python() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let ask = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        PathBuf::from(String::from_utf8(ask.expect("python3 is needed").stdout).unwrap().trim())
    })
}
