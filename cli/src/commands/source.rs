//! Reads an experiment file with its template and changes, and draws what is wrong with it.

use crate::args::Source;
use crate::errors::Error;
use crate::{output, problems};
use std::io::ErrorKind;
use std::path::Path;
use toprung_config::{ExperimentConfig, Parsed, Problems};

/// An experiment file that is valid.
pub(crate) struct Loaded {
    /// The text after template and changes: what is submitted.
    pub text: String,
    /// Its name in messages.
    pub file: String,
    /// What it says.
    pub config: ExperimentConfig,
}

/// Reads, merges and parses; warnings are printed. `name`: instead of the file's.
pub(crate) fn load(source: &Source, name: Option<&str>) -> Result<Loaded, Error> {
    let written = read(&source.file)?;
    let template = source.template.as_deref().map(read).transpose()?;
    let sets = sets(source, name);
    let file = source.file.display().to_string();
    let text = toprung_config::merged(&written, template.as_deref(), &sets)
        .map_err(|found| invalid(&found, &file, &written))?;
    let parsed = toprung_config::parse(&text).map_err(|found| invalid(&found, &file, &text))?;
    let Parsed { config, warnings } = parsed;
    if !warnings.is_empty() {
        let drawn = problems::draw(&Problems(warnings), &file, &text, output::stderr_colour());
        output::note(drawn.trim_end());
    }
    Ok(Loaded { text, file, config })
}

/// Problems of a server become drawn ones; other errors stay.
pub(crate) fn drawn(error: Error, loaded: &Loaded) -> Error {
    match error {
        Error::Problems(found) => invalid(&problems::from_wire(&found), &loaded.file, &loaded.text),
        other => other,
    }
}

fn invalid(found: &Problems, file: &str, text: &str) -> Error {
    Error::Config { drawn: problems::draw(found, file, text, output::stderr_colour()) }
}

fn sets(source: &Source, name: Option<&str>) -> Vec<String> {
    let mut sets = source.sets.clone();
    // As a JSON string, so that a name like `3` or `a: b` stays a text.
    sets.extend(name.map(|name| format!("name={}", serde_json::Value::from(name))));
    sets
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::Usage { message: format!("there is no file {}", path.display()), help: beside(path) }
        }
        _ => Error::io(format!("cannot read {}", path.display()))(error),
    })
}

/// Which YAML files lie where the named one does not.
fn beside(path: &Path) -> String {
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(directory) else {
        return format!("there is no directory {} either", directory.display());
    };
    let is_yaml =
        |name: &String| Path::new(name).extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(is_yaml).collect();
    found.sort();
    match found.as_slice() {
        [] => format!("{} has no YAML file", directory.display()),
        _ => format!("{} has {}", directory.display(), found[..found.len().min(8)].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_names_those_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("search.yaml"), "").unwrap();
        let error = read(&dir.path().join("serch.yaml")).unwrap_err();
        assert!(error.to_string().contains("serch.yaml"), "{error}");
        assert!(error.help().ends_with("has search.yaml"), "{}", error.help());
        assert!(read(Path::new("/nowhere/x.yaml")).unwrap_err().help().contains("no directory"));
    }
}
