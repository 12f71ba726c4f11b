//! Checks that what an experiment file names is in the model directory: the entrypoint's script, requirement files.
//!
//! Only what is certain is refused. A line that changes directories, computes names or has placeholders may mean
//! anything and is left to the trial.

use super::listing::{File, Listing};
use crate::errors::Error;
use std::path::{Component, Path, PathBuf};
use toprung_config::{Entrypoint, ExperimentConfig};

/// The first file that is missing is the error.
pub(crate) fn check(config: &ExperimentConfig, listing: &Listing) -> Result<(), Error> {
    let words = match &config.entrypoint {
        Entrypoint::Argv(words) => words.clone(),
        Entrypoint::Shell(line) => shell_words(line),
        Entrypoint::External { .. } => Vec::new(),
    };
    if let Some(script) = script(&words) {
        require(script, "the entrypoint runs", listing)?;
    }
    for line in &config.environment.requirements {
        if let Some(file) = requirement_file(line) {
            require(file, "environment.requirements names", listing)?;
        }
    }
    Ok(())
}

/// The words of a simple command; empty for a line that a shell may understand otherwise.
fn shell_words(line: &str) -> Vec<String> {
    let simple = !line.contains(['|', '&', ';', '<', '>', '(', ')', '`', '\n', '\\', '*', '?', '"', '\'']);
    if simple { line.split_whitespace().map(str::to_owned).collect() } else { Vec::new() }
}

/// The file that a command runs, if it can be told.
fn script(words: &[String]) -> Option<&str> {
    // `A=1 python train.py`: assignments come before the program.
    let start = words.iter().position(|word| !word.contains('='))?;
    let (program, arguments) = words[start..].split_first()?;
    if program.contains('/') && is_plain(program) {
        return Some(program);
    }
    let first = arguments.iter().find(|word| is_script(word) || *word == "-m" || *word == "-c")?;
    (is_script(first) && is_plain(first)).then_some(first)
}

fn is_script(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|extension| extension == "py" || extension == "sh")
}

/// A relative path without placeholders and variables.
fn is_plain(word: &str) -> bool {
    !word.contains(['{', '$', '~']) && Path::new(word).is_relative()
}

/// "-r FILE", "--requirement=FILE", "-c FILE" → FILE
fn requirement_file(line: &str) -> Option<&str> {
    let line = line.trim();
    let names = ["--requirement", "--constraint", "-r", "-c"];
    let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
    let file = rest.trim_start_matches('=').split(" #").next()?.trim();
    (!file.is_empty() && is_plain(file) && !file.contains("://")).then_some(file)
}

fn require(named: &str, who: &str, listing: &Listing) -> Result<(), Error> {
    let Some(path) = normal(named) else {
        return Err(Error::Model {
            message: format!("{who} `{named}`, which is outside the model directory"),
            help: "a trial sees only the model directory; name a larger one with --model-dir".to_owned(),
        });
    };
    if listing.contains(&path) {
        return Ok(());
    }
    let directory = listing.directory.display();
    if listing.directory.join(&path).is_file() {
        return Err(Error::Model {
            message: format!("{who} `{named}`, which .toprungignore or .gitignore excludes from {directory}"),
            help: format!("add the line `!{}` to .toprungignore", path.display()),
        });
    }
    Err(Error::Model {
        message: format!("{who} `{named}`, which is not in the model directory {directory}"),
        help: advice(&path, &listing.files),
    })
}

/// "./a/b.py" → "a/b.py"; none if it leads out.
fn normal(named: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(named).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    Some(path)
}

/// The nearest name, or what is there.
fn advice(path: &Path, files: &[File]) -> String {
    let wanted = path.display().to_string();
    let nearest = files
        .iter()
        .map(|file| file.path.display().to_string())
        .map(|name| (likeness(&wanted, &name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness > 0.7 => format!("did you mean `{name}`?"),
        Some(_) => {
            let some: Vec<_> = files.iter().take(8).map(|file| file.path.display().to_string()).collect();
            let more = if files.len() > some.len() { ", …" } else { "" };
            format!("there are {}{more}; another directory can be named with --model-dir", some.join(", "))
        }
        None => "the directory has no files; name another with --model-dir".to_owned(),
    }
}

/// 0 … 1. The same file name in another directory counts as near.
fn likeness(wanted: &str, name: &str) -> f64 {
    let same_file = Path::new(wanted).file_name() == Path::new(name).file_name();
    if same_file { 0.95 } else { strsim::normalized_damerau_levenshtein(wanted, name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        shell_words(line)
    }

    fn listing(names: &[&str]) -> Listing {
        let file = |name: &&str| File { path: name.into(), size: 1 };
        let directory = PathBuf::from("/nowhere");
        Listing { directory, files: names.iter().map(file).collect(), skipped: vec![] }
    }

    #[test]
    fn the_script_of_usual_commands_is_found() {
        let cases = [
            ("python train.py --lr {lr}", Some("train.py")),
            ("python3 -u src/train.py", Some("src/train.py")),
            ("./run.sh fast", Some("./run.sh")),
            ("OMP_NUM_THREADS=1 python train.py", Some("train.py")),
            ("python -m pkg.train config.py", None),
            ("torchrun --nproc_per_node=2 train.py", Some("train.py")),
            ("cd sub && python train.py", None),
            ("python {script}.py", None),
            ("python /abs/train.py", None),
            ("echo hello", None),
        ];
        for (line, expected) in cases {
            assert_eq!(script(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_missing_script_names_the_nearest() {
        let listing = listing(&["data.py", "train.py"]);
        let error = require("trian.py", "the entrypoint runs", &listing).unwrap_err();
        assert!(error.to_string().contains("`trian.py`, which is not in"), "{error}");
        assert_eq!(error.help(), "did you mean `train.py`?");
        assert!(require("./train.py", "x", &listing).is_ok());
    }

    #[test]
    fn with_nothing_near_the_files_are_listed() {
        let error = require("train.py", "x", &listing(&["README.md"])).unwrap_err();
        assert!(error.help().contains("there are README.md;"), "{}", error.help());
        assert!(require("train.py", "x", &listing(&[])).unwrap_err().help().contains("no files"));
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        let error = require("../train.py", "x", &listing(&["train.py"])).unwrap_err();
        assert!(error.to_string().contains("outside"), "{error}");
    }

    #[test]
    fn an_excluded_script_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("train.py"), "").unwrap();
        let mut listing = listing(&[]);
        listing.directory = dir.path().into();
        let error = require("train.py", "the entrypoint runs", &listing).unwrap_err();
        assert!(error.to_string().contains("excludes"), "{error}");
    }

    #[test]
    fn requirement_files_are_recognised() {
        assert_eq!(requirement_file("-r requirements.txt"), Some("requirements.txt"));
        assert_eq!(requirement_file("--requirement=a.txt # why"), Some("a.txt"));
        assert_eq!(requirement_file("-r https://example.com/r.txt"), None);
        assert_eq!(requirement_file("numpy>=1"), None);
    }
}
