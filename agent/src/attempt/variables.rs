//! The environment variables of an attempt. Pure.
//!
//! Later ones win: inherited from the agent (but nothing of `TOPRUNG_*`: its token is no trial's business), the
//! experiment's own, the contract's. `PATH` and `PYTHONPATH` are extended in front.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// What the agent adds.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    /// `TOPRUNG_*` and others that nobody may override.
    pub(crate) contract: Vec<(&'static str, OsString)>,
    /// Set only if nobody else did.
    pub(crate) defaults: Vec<(&'static str, OsString)>,
    /// In front of `PATH`.
    pub(crate) path_front: Vec<PathBuf>,
    /// Behind `PATH`.
    pub(crate) path_back: Vec<PathBuf>,
    /// In front of `PYTHONPATH`.
    pub(crate) python_path: PathBuf,
}

/// All variables of the process.
pub(crate) fn compose<'user>(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    user: impl Iterator<Item = (&'user String, &'user String)>,
    additions: Additions,
) -> BTreeMap<OsString, OsString> {
    let mut all: BTreeMap<_, _> =
        inherited.filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"TOPRUNG_")).collect();
    all.extend(
        user.filter(|(name, _)| *name != "TOPRUNG_TOKEN").map(|(name, value)| (name.into(), value.into())),
    );
    for (name, value) in additions.defaults {
        all.entry(name.into()).or_insert(value);
    }
    all.extend(additions.contract.into_iter().map(|(name, value)| (name.into(), value)));
    extend_path(&mut all, "PATH", additions.path_front, additions.path_back);
    extend_path(&mut all, "PYTHONPATH", vec![additions.python_path], Vec::new());
    all
}

fn extend_path(all: &mut BTreeMap<OsString, OsString>, name: &str, front: Vec<PathBuf>, back: Vec<PathBuf>) {
    let present = all.get(OsStr::new(name)).filter(|value| !value.is_empty()).cloned();
    let middle: Vec<PathBuf> = present.iter().flat_map(std::env::split_paths).collect();
    let parts = front.into_iter().chain(middle).chain(back).filter(|part| part != Path::new(""));
    match std::env::join_paths(parts) {
        Ok(joined) => {
            all.insert(name.into(), joined);
        }
        Err(error) => {
            tracing::warn!(name, %error, "a directory with a colon in its name cannot be added to a path");
        }
    }
}

/// The file that `program` means in this `PATH`: as given if it has a slash (then relative to `directory`).
pub(crate) fn find_program(program: &str, path: Option<&OsStr>, directory: &Path) -> Result<PathBuf, String> {
    if program.contains('/') {
        let file = directory.join(program);
        return match (file.is_file(), is_executable(&file)) {
            (true, true) => Ok(file),
            (true, false) => {
                Err(format!("the entrypoint's program {program} is not executable; run `chmod +x {program}`"))
            }
            (false, _) => {
                Err(format!("the entrypoint's program {program} does not exist in the model directory"))
            }
        };
    }
    let directories = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    directories
        .iter()
        .map(|part| part.join(program))
        .find(|file| file.is_file() && is_executable(file))
        .ok_or_else(|| format!("the entrypoint's program `{program}` was not found on the PATH"))
}

fn is_executable(file: &Path) -> bool {
    nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(
        inherited: &[(&str, &str)],
        user: &[(&str, &str)],
        additions: Additions,
    ) -> BTreeMap<OsString, OsString> {
        let user: Vec<_> =
            user.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        compose(
            inherited.iter().map(|(name, value)| (name.into(), value.into())),
            user.iter().map(|(name, value)| (name, value)),
            additions,
        )
    }

    fn get<'map>(all: &'map BTreeMap<OsString, OsString>, name: &str) -> Option<&'map str> {
        all.get(OsStr::new(name)).and_then(|value| value.to_str())
    }

    #[test]
    fn later_sources_win_and_the_token_stays_here() {
        let inherited = [("A", "1"), ("B", "1"), ("TOPRUNG_TOKEN", "hush"), ("TOPRUNG_SERVER", "x")];
        let user =
            [("B", "2"), ("TOPRUNG_TOKEN", "hush"), ("TOPRUNG_TRIAL_ID", "forged"), ("OMP_NUM_THREADS", "7")];
        let additions = Additions {
            contract: vec![("TOPRUNG_TRIAL_ID", "4".into())],
            defaults: vec![("OMP_NUM_THREADS", "1".into()), ("C", "3".into())],
            ..Additions::default()
        };
        let all = composed(&inherited, &user, additions);
        assert_eq!((get(&all, "A"), get(&all, "B"), get(&all, "C")), (Some("1"), Some("2"), Some("3")));
        assert_eq!(get(&all, "TOPRUNG_TRIAL_ID"), Some("4"));
        assert_eq!(get(&all, "OMP_NUM_THREADS"), Some("7"));
        assert!(!all.values().any(|value| value == "hush"));
        assert_eq!(get(&all, "TOPRUNG_SERVER"), None);
    }

    #[test]
    fn paths_are_extended() {
        let additions = || Additions {
            path_front: vec!["/env/bin".into()],
            path_back: vec!["/shims".into()],
            python_path: "/package".into(),
            ..Additions::default()
        };
        let all = composed(&[("PATH", "/bin")], &[("PYTHONPATH", "/mine")], additions());
        assert_eq!(get(&all, "PATH"), Some("/env/bin:/bin:/shims"));
        assert_eq!(get(&all, "PYTHONPATH"), Some("/package:/mine"));
        assert_eq!(get(&composed(&[], &[], additions()), "PYTHONPATH"), Some("/package"));
    }

    #[test]
    fn programs_are_found_or_explained() {
        let here = tempfile::tempdir().unwrap();
        std::fs::write(here.path().join("run.sh"), "").unwrap();
        assert_eq!(
            find_program("sh", Some(OsStr::new("/nowhere:/bin")), here.path()).unwrap(),
            Path::new("/bin/sh")
        );
        let error = |program| find_program(program, Some(OsStr::new("/bin")), here.path()).unwrap_err();
        assert!(error("no-such-program").contains("`no-such-program` was not found on the PATH"));
        assert!(error("./run.sh").contains("chmod +x"));
        assert!(error("./missing.sh").contains("does not exist"));
    }
}
