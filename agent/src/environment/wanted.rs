//! What an environment is made of, and the hash that names it.

use crate::python_package::hex;
use sha2::{Digest as _, Sha256};
use std::{fs, path::Path};

/// Requirement files may refer to each other this deep.
const DEEPEST: usize = 8;

/// The environment that an experiment asks for.
#[derive(Debug)]
pub(crate) struct Wanted<'run> {
    /// Lines of a pip requirements file.
    pub(crate) requirements: &'run [String],
    /// Interpreter or version; empty: the PATH's `python3`.
    pub(crate) python: &'run str,
    /// Shell lines, or the name of a file of them in the model directory.
    pub(crate) setup: &'run str,
    pub(crate) model_sha256: &'run str,
    /// The attempt's copy of the model directory: relative paths start here.
    pub(crate) work: &'run Path,
    /// `PATH` of the process that builds, before the environment's own directory.
    pub(crate) path: Option<std::ffi::OsString>,
}

impl Wanted<'_> {
    /// No environment at all.
    pub(crate) fn is_nothing(&self) -> bool {
        self.requirements.is_empty() && self.python.is_empty() && self.setup.is_empty()
    }

    /// Equal for equal content; the error is for people.
    pub(crate) fn hash(&self, interpreter: &str) -> Result<String, String> {
        let mut hasher = Sha256::new();
        let mut enter = |part: &str, content: &[u8]| {
            hasher.update(part.as_bytes());
            hasher.update((content.len() as u64).to_le_bytes());
            hasher.update(content);
        };
        enter("interpreter", interpreter.as_bytes());
        enter("setup", self.setup.as_bytes());
        if let Some(file) = self.setup_file() {
            enter(
                "setup file",
                &fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?,
            );
        }
        let mut lines = Vec::new();
        collect(self.requirements.iter().map(String::as_str), self.work, DEEPEST, &mut lines)?;
        for line in &lines {
            enter("line", line.as_bytes());
        }
        if lines.iter().any(|line| is_local(line)) {
            enter("model", self.model_sha256.as_bytes());
        }
        Ok(hex(&hasher.finalize())[..32].to_owned())
    }

    /// The setup as a file of the model directory, if it names one.
    pub(crate) fn setup_file(&self) -> Option<std::path::PathBuf> {
        let name = self.setup.trim();
        let file = self.work.join(name);
        (!name.is_empty() && !name.contains('\n') && file.is_file()).then_some(file)
    }
}

/// Adds the lines and those of the files that they refer to.
fn collect<'line>(
    lines: impl Iterator<Item = &'line str>,
    directory: &Path,
    depth: usize,
    collected: &mut Vec<String>,
) -> Result<(), String> {
    for line in lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        collected.push(line.to_owned());
        if line.starts_with("-e") || line.starts_with("--editable") {
            return Err(format!(
                "the requirement `{line}` is an editable install, but each attempt works in its own copy of the model \
                 directory; write it without -e"
            ));
        }
        let Some(name) = referenced_file(line) else { continue };
        if depth == 0 {
            return Err(format!("requirement files refer to each other more than {DEEPEST} deep: {line}"));
        }
        let file = directory.join(name);
        let content = fs::read_to_string(&file).map_err(|error| {
            format!("cannot read the requirements file {name} in the model directory: {error}")
        })?;
        collect(content.lines(), file.parent().unwrap_or(directory), depth - 1, collected)?;
    }
    Ok(())
}

/// The file of `-r FILE`, `--requirement FILE`, `-c FILE` or `--constraint FILE`; addresses are not files.
fn referenced_file(line: &str) -> Option<&str> {
    let after = ["--requirement", "--constraint", "-r", "-c"]
        .into_iter()
        .find_map(|option| line.strip_prefix(option))?;
    let name = after.trim_start_matches(['=', ' ', '\t']).trim();
    (!name.is_empty() && !name.contains("://")).then_some(name)
}

/// Whether the line installs something of the model directory itself.
fn is_local(line: &str) -> bool {
    line.starts_with('.') || line.contains("file:") || line.contains("@ .")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(requirements: &[&str], work: &Path, model: &str) -> Result<String, String> {
        let requirements: Vec<_> = requirements.iter().map(|line| (*line).to_owned()).collect();
        Wanted { requirements: &requirements, python: "", setup: "", model_sha256: model, work, path: None }
            .hash("3.11")
    }

    #[test]
    fn equal_content_has_an_equal_hash() {
        let work = tempfile::tempdir().unwrap();
        let one = hash(&["numpy"], work.path(), "a").unwrap();
        assert_eq!(one, hash(&["numpy"], work.path(), "b").unwrap(), "the model plays no part");
        assert_ne!(one, hash(&["numpy==2"], work.path(), "a").unwrap());
        assert_ne!(hash(&["."], work.path(), "a").unwrap(), hash(&["."], work.path(), "b").unwrap());
    }

    #[test]
    fn referenced_files_count_by_their_content() {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("deps")).unwrap();
        fs::write(work.path().join("deps/all.txt"), "-r more.txt\n").unwrap();
        fs::write(work.path().join("deps/more.txt"), "numpy\n").unwrap();
        let one = hash(&["-r deps/all.txt"], work.path(), "a").unwrap();
        fs::write(work.path().join("deps/more.txt"), "numpy==2\n").unwrap();
        assert_ne!(one, hash(&["-r deps/all.txt"], work.path(), "a").unwrap());
        assert!(hash(&["-r missing.txt"], work.path(), "a").unwrap_err().contains("missing.txt"));
        fs::write(work.path().join("deps/more.txt"), "-r all.txt\n").unwrap();
        assert!(hash(&["-r deps/all.txt"], work.path(), "a").unwrap_err().contains("deep"));
    }

    #[test]
    fn editable_installs_are_refused() {
        let work = tempfile::tempdir().unwrap();
        assert!(hash(&["-e ."], work.path(), "a").unwrap_err().contains("without -e"));
    }
}
