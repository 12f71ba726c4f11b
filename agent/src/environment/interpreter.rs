//! Which Python an environment is built from.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// Longest time for an interpreter to say its version.
const LONGEST: Duration = Duration::from_mins(1);

/// An interpreter to build an environment with.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    /// For `uv venv --python` or to be run.
    pub(crate) python: String,
    /// Part of the environment's hash.
    pub(crate) identity: String,
    /// `uv`, where it is on the PATH.
    pub(crate) uv: Option<PathBuf>,
}

/// Finds interpreters; asks each for its version once.
#[derive(Debug, Default)]
pub(crate) struct Interpreters {
    versions: Mutex<HashMap<PathBuf, String>>,
}

impl Interpreters {
    /// The interpreter for `environment.python`: a path, a name, a version, or empty for the PATH's own.
    pub(crate) async fn find(&self, python: &str) -> Result<Interpreter, String> {
        self.find_in(python, std::env::var_os("PATH").as_deref()).await
    }

    /// The first on this `path` that runs: version switchers leave files there that only say that they do not.
    async fn find_in(&self, python: &str, path: Option<&OsStr>) -> Result<Interpreter, String> {
        let uv = on_path("uv", path);
        let mut tried = Vec::new();
        for file in candidates(python).iter().flat_map(|name| locate(name, path)) {
            match self.identity(&file).await {
                Ok(identity) => {
                    return Ok(Interpreter { python: file.to_string_lossy().into_owned(), identity, uv });
                }
                Err(problem) => {
                    tracing::debug!(problem, "not this interpreter");
                    tried.push(problem);
                }
            }
        }
        if uv.is_some() && is_version(python) {
            return Ok(Interpreter { python: python.to_owned(), identity: format!("uv {python}"), uv });
        }
        Err(missing(python, &tried))
    }

    async fn identity(&self, file: &Path) -> Result<String, String> {
        let known = self.versions.lock().unwrap_or_else(PoisonError::into_inner).get(file).cloned();
        if let Some(identity) = known {
            return Ok(identity);
        }
        let identity = ask(file).await?;
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.insert(file.to_owned(), identity.clone());
        Ok(identity)
    }
}

/// Why there is none; `tried`: what those that are there said.
fn missing(python: &str, tried: &[String]) -> String {
    let (wanted, advice) = match python {
        "" => ("the environment needs Python".to_owned(), "install python3"),
        _ => (
            format!("environment.python wants `{python}`"),
            "install it, or `uv`, which can provide versions",
        ),
    };
    let found = match (tried.is_empty(), python) {
        (true, "") => "but neither python3 nor python is on the PATH".to_owned(),
        (true, _) if python.contains('/') => "which is not there".to_owned(),
        (true, _) => "which is not on the PATH".to_owned(),
        (false, _) => format!("and what was found does not run ({})", tried.join("; ")),
    };
    format!("{wanted}, {found}; {advice}")
}

/// Names under which `python` may be found.
fn candidates(python: &str) -> Vec<String> {
    match python {
        "" => vec!["python3".to_owned(), "python".to_owned()],
        version if is_version(version) => vec![format!("python{version}")],
        name => vec![name.to_owned()],
    }
}

fn is_version(python: &str) -> bool {
    python.starts_with(|first: char| first.is_ascii_digit())
        && python.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
}

/// The files that may be meant, in the order of the PATH.
fn locate(name: &str, path: Option<&OsStr>) -> Vec<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| file.is_file()).into_iter().collect();
    }
    all_on_path(name, path).collect()
}

/// The program of this name on the PATH.
pub(crate) fn on_path(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    all_on_path(name, path).next()
}

fn all_on_path(name: &str, path: Option<&OsStr>) -> impl Iterator<Item = PathBuf> {
    let parts: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    parts.into_iter().map(move |part| part.join(name)).filter(|file| file.is_file())
}

async fn ask(file: &Path) -> Result<String, String> {
    let asking = Command::new(file)
        .args(["-c", "import sys; print(sys.executable, sys.version)"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let says = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
    let output = timeout(LONGEST, asking)
        .await
        .map_err(|_| says(&"it did not say its version in time"))?
        .map_err(|error| says(&error))?;
    if !output.status.success() {
        return Err(says(&in_one_line(&output)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What it said on standard error, its lines kept apart.
fn in_one_line(output: &std::process::Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { output.status.to_string() } else { lines.join(" | ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with a program of this name.
    fn with_program(name: &str, script: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (text, file) = (directory.path().join("text"), directory.path().join(name));
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Copied by a process that ends: a program that somebody, even a fork of this test, has open for writing does
        // not run.
        let copied = std::process::Command::new("install").arg("-m755").args([&text, &file]).status();
        assert!(copied.unwrap().success());
        directory
    }

    const SHIM: &str =
        "echo 'pyenv: python9.9: command not found' >&2; echo >&2; echo 'The command exists' >&2; exit 127";

    #[tokio::test]
    async fn one_that_does_not_run_is_passed_over() {
        let shim = with_program("python9.9", SHIM);
        let good = with_program("python9.9", "echo /good/python 9.9");
        let path = std::env::join_paths([shim.path(), good.path()]).unwrap();
        let found = Interpreters::default().find_in("9.9", Some(&path)).await.unwrap();
        assert_eq!(Path::new(&found.python), good.path().join("python9.9"));
        assert_eq!(found.identity, "/good/python 9.9");
        // Without another one uv provides it.
        let uv = with_program("uv", "exit 0");
        let path = std::env::join_paths([shim.path(), uv.path()]).unwrap();
        let found = Interpreters::default().find_in("9.9", Some(&path)).await.unwrap();
        assert_eq!((found.python.as_str(), found.identity.as_str()), ("9.9", "uv 9.9"));
    }

    #[tokio::test]
    async fn what_was_tried_is_listed() {
        let (first, second) = (with_program("python9.9", SHIM), with_program("python9.9", "exit 3"));
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        let error = Interpreters::default().find_in("9.9", Some(&path)).await.unwrap_err();
        assert!(error.contains("python9.9: command not found | The command exists; "), "{error}");
        assert!(error.contains(&format!("{}/python9.9: exit status: 3", second.path().display())), "{error}");
        assert!(error.contains("`uv`"), "{error}");
    }

    #[test]
    fn versions_and_names_are_told_apart() {
        assert_eq!(candidates("3.11"), ["python3.11"]);
        assert_eq!(candidates("python3.12"), ["python3.12"]);
        assert_eq!(candidates("/opt/py/bin/python"), ["/opt/py/bin/python"]);
        assert_eq!(candidates(""), ["python3", "python"]);
    }

    #[tokio::test]
    async fn a_missing_interpreter_is_named() {
        let error = Interpreters::default().find("/nowhere/python").await.unwrap_err();
        assert!(error.contains("`/nowhere/python`"), "{error}");
    }
}
