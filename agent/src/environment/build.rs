//! Builds one environment: a virtual environment, the requirements, the setup script, the marker.

use super::{Wanted, failure, interpreter::Interpreter};
use crate::{
    attempt::{Failure, LineReader, Tail},
    escaped,
    orphans::Ledger,
    report::Reporter,
};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{io::AsyncRead, process::Command, sync::watch, time::timeout};
use toprung_proto::v1::{ExitCause, LogStream, Preparing, attempt_event::Kind};

/// The file that says that the environment is whole.
pub(crate) const COMPLETE: &str = ".complete";
/// Longest time for one step.
const LONGEST: Duration = Duration::from_hours(1);
/// Lines of pip and uv that tell people how far it is.
const STEPS: [&str; 7] = [
    "Collecting ",
    "Downloading ",
    "Building wheel",
    "Installing collected",
    "Resolved ",
    "Prepared ",
    "Installed ",
];

/// Builds the environment at `root`; a broken half one that lies there is removed. Needs its lock.
pub(crate) async fn build(
    root: &Path,
    wanted: &Wanted<'_>,
    interpreter: &Interpreter,
    reporter: &Reporter,
    ledger: &Ledger,
) -> Result<(), Failure> {
    let cannot = |error: io::Error| failure(format!("cannot prepare {}: {error}", root.display()));
    if root.exists() {
        fs::remove_dir_all(root).map_err(cannot)?;
    }
    let builder = Builder { root, wanted, interpreter, reporter, ledger };
    reporter.step("creating the Python environment").await;
    builder.run("creating the Python environment", builder.create()).await?;
    if !wanted.requirements.is_empty() {
        builder.install().await?;
    }
    if !wanted.setup.is_empty() {
        reporter.step("running the setup script").await;
        builder.run("the setup script", builder.setup()).await?;
    }
    fs::write(root.join(COMPLETE), "").map_err(cannot)
}

struct Builder<'build> {
    root: &'build Path,
    wanted: &'build Wanted<'build>,
    interpreter: &'build Interpreter,
    reporter: &'build Reporter,
    ledger: &'build Ledger,
}

impl Builder<'_> {
    /// The environment sees the packages of its interpreter: what an image brings is not installed again.
    fn create(&self) -> Command {
        let mut command = if let Some(uv) = &self.interpreter.uv {
            let mut command = Command::new(uv);
            command.args(["venv", "--system-site-packages", "--python", &self.interpreter.python]);
            command
        } else {
            let mut command = Command::new(&self.interpreter.python);
            command.args(["-m", "venv", "--system-site-packages"]);
            command
        };
        command.arg(self.root);
        command
    }

    async fn install(&self) -> Result<(), Failure> {
        let count = self.wanted.requirements.len();
        let noun = if count == 1 { "requirement" } else { "requirements" };
        self.reporter.step(format!("installing {count} {noun}")).await;
        // In the working directory, so that `-r FILE` and local paths mean what they mean to pip there.
        let list = self.wanted.work.join(".toprung-requirements.txt");
        let cannot = |error: io::Error| failure(format!("cannot use {}: {error}", list.display()));
        fs::write(&list, self.wanted.requirements.join("\n") + "\n").map_err(cannot)?;
        let python = self.root.join("bin/python");
        let mut command = if let Some(uv) = &self.interpreter.uv {
            let mut command = Command::new(uv);
            command.args(["pip", "install", "--python"]).arg(&python);
            command
        } else {
            let mut command = Command::new(&python);
            command.args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
                "--progress-bar",
                "off",
            ]);
            command
        };
        command.arg("-r").arg(&list);
        let installed = self.run("installing the requirements", command).await;
        fs::remove_file(&list).map_err(cannot)?;
        installed
    }

    fn setup(&self) -> Command {
        let mut command = Command::new("/bin/sh");
        match self.wanted.setup_file() {
            Some(file) => command.arg("-e").arg(file),
            None => command.args(["-e", "-c", self.wanted.setup]),
        };
        command
    }

    /// Runs one step; its output goes to the attempt's log.
    async fn run(&self, what: &str, mut command: Command) -> Result<(), Failure> {
        let mut child = command
            .current_dir(self.wanted.work)
            .env_remove("TOPRUNG_TOKEN")
            .env_remove("PYTHONHOME")
            .env("VIRTUAL_ENV", self.root)
            .env("PATH", self.path())
            .env("PYTHONUNBUFFERED", "1")
            .env(escaped::VARIABLE, self.ledger.mark())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failure(format!("{what} failed: {error}")))?;
        let group = child.id().map(|pid| self.ledger.enter(pid));
        let tail = Tail::default();
        let ended = watch::Sender::new(false);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let wait = async {
            let status = child.wait().await;
            // Whatever it left in the background must not hold the pipes open.
            drop(group);
            ended.send_replace(true);
            status
        };
        let (out, err) = (ended.subscribe(), ended.subscribe());
        let all =
            async { tokio::join!(wait, self.follow(stdout, out, &tail), self.follow(stderr, err, &tail)).0 };
        match timeout(LONGEST, all).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(what, &status.to_string(), &tail)),
            Ok(Err(error)) => Err(failed(what, &error.to_string(), &tail)),
            Err(_) => Err(failed(what, "it took more than an hour", &tail)),
        }
    }

    async fn follow(
        &self,
        output: Option<impl AsyncRead + Unpin>,
        ended: watch::Receiver<bool>,
        tail: &Tail,
    ) {
        let Some(output) = output else { return };
        let mut lines = LineReader::new(output, ended);
        while let Ok(Some(line)) = lines.next().await {
            if line.trim().is_empty() {
                continue;
            }
            tail.push(&line);
            let step = line.trim();
            if STEPS.iter().any(|start| step.starts_with(start)) {
                self.reporter.event(Kind::Preparing(Preparing { step: step.to_owned() })).await;
            }
            self.reporter.line(LogStream::Toprung, line).await;
        }
    }

    fn path(&self) -> OsString {
        let old = self.wanted.path.clone().unwrap_or_default();
        let parts: Vec<PathBuf> =
            std::iter::once(self.root.join("bin")).chain(std::env::split_paths(&old)).collect();
        std::env::join_paths(parts).unwrap_or(old)
    }
}

/// The failure with the builder's own error words.
fn failed(what: &str, status: &str, tail: &Tail) -> Failure {
    let last_lines = tail.lines();
    let words = line_that_matters(&last_lines).unwrap_or(status);
    let message = format!("{what} failed: {words}");
    Failure { cause: ExitCause::Environment, message, last_lines }
}

/// Of what pip, uv or a compiler said at the end: the line that names the cause, not those that say that something
/// failed. The first of the best kind counts, since the others follow from it.
fn line_that_matters(lines: &[String]) -> Option<&str> {
    const CAUSES: [&str; 10] = [
        "No space left on device",
        "No matching distribution",
        "name resolution",
        "Connection refused",
        "Hash mismatch",
        "No such file or directory",
        "ModuleNotFoundError",
        "ERROR: Cannot install",
        "Because ",
        "error: command ",
    ];
    let lines = || lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let is_error = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("error") && !line.contains("subprocess-exited-with-error")
    };
    lines()
        .find(|line| CAUSES.iter().any(|words| line.contains(words)))
        .or_else(|| lines().find(is_error))
        .or_else(|| lines().next_back())
        .map(|line| line.trim_start_matches(['×', '╰', '─', '▶', '>', '│', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_carry_the_words_of_pip() {
        let tail = Tail::default();
        for line in
            ["Collecting nope", "ERROR: No matching distribution found for nope", "[notice] a new pip"]
        {
            tail.push(line);
        }
        let failure = failed("installing the requirements", "exit status: 1", &tail);
        assert_eq!(
            failure.message,
            "installing the requirements failed: ERROR: No matching distribution found for nope"
        );
        assert_eq!(failure.last_lines.len(), 3);
        assert!(failed("x", "exit status: 1", &Tail::default()).message.ends_with("exit status: 1"));
    }

    #[test]
    fn of_pips_many_lines_the_one_that_names_the_cause_counts() {
        let matters = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            line_that_matters(&lines).map(str::to_owned)
        };
        let build = [
            "  error: subprocess-exited-with-error",
            "  │ exit code: 1",
            "      error: command 'gcc' failed: No such file or directory",
            "ERROR: Failed building wheel for thing",
        ];
        assert_eq!(
            matters(&build).as_deref(),
            Some("error: command 'gcc' failed: No such file or directory")
        );
        let uv = [
            "  × No solution found when resolving dependencies:",
            "  ╰─▶ Because nope was not found, it is not there.",
        ];
        assert_eq!(matters(&uv).as_deref(), Some("Because nope was not found, it is not there."));
        assert_eq!(
            matters(&["ERROR: Failed building wheel for thing", "bye"]).as_deref(),
            Some("ERROR: Failed building wheel for thing")
        );
        assert_eq!(matters(&["", " "]), None);
    }
}
