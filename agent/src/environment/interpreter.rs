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
        let path = std::env::var_os("PATH");
        let uv = on_path("uv", path.as_deref());
        let Some(file) = candidates(python).iter().find_map(|name| locate(name, path.as_deref())) else {
            return match uv {
                Some(_) if is_version(python) => {
                    Ok(Interpreter { python: python.to_owned(), identity: format!("uv {python}"), uv })
                }
                _ => Err(missing(python)),
            };
        };
        let known = self.versions.lock().unwrap_or_else(PoisonError::into_inner).get(&file).cloned();
        let identity = match known {
            Some(identity) => identity,
            None => ask(&file).await?,
        };
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).insert(file.clone(), identity.clone());
        Ok(Interpreter { python: file.to_string_lossy().into_owned(), identity, uv })
    }
}

fn missing(python: &str) -> String {
    if python.is_empty() {
        return "the environment needs Python, but neither python3 nor python is on the PATH".to_owned();
    }
    format!(
        "environment.python wants `{python}`, which is not on the PATH; install it, or `uv`, which can provide versions"
    )
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

fn locate(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| file.is_file());
    }
    on_path(name, path)
}

/// The program of this name on the PATH.
pub(crate) fn on_path(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(path?).map(|part| part.join(name)).find(|file| file.is_file())
}

async fn ask(file: &Path) -> Result<String, String> {
    let asking = Command::new(file)
        .args(["-c", "import sys; print(sys.executable, sys.version)"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let says = |what: &dyn std::fmt::Display| format!("{} does not run: {what}", file.display());
    let output = timeout(LONGEST, asking)
        .await
        .map_err(|_| says(&"it did not say its version in time"))?
        .map_err(|error| says(&error))?;
    if !output.status.success() {
        return Err(says(&String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
