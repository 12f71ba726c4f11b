//! Reads an experiment file with its template and changes, and draws what is wrong with it.

use crate::args::Source;
use crate::errors::Error;
use crate::{output, problems};
use std::path::Path;
use toprung_config::{ExperimentConfig, Parsed, Problems};

/// An experiment file that is valid.
pub(super) struct Loaded {
    /// The text after template and changes: what is submitted.
    pub text: String,
    /// Its name in messages.
    pub file: String,
    /// What it says.
    pub config: ExperimentConfig,
}

/// Reads, merges and parses; warnings are printed. `name`: instead of the file's.
pub(super) fn load(source: &Source, name: Option<&str>) -> Result<Loaded, Error> {
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
pub(super) fn drawn(error: Error, loaded: &Loaded) -> Error {
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
    std::fs::read_to_string(path).map_err(Error::io(format!("cannot read {}", path.display())))
}
