//! The reference of the file for people, written from its schema.

use crate::language::models::WORDS;
use crate::nearest::listed;
use crate::schema::schema;
use serde_json::Value as Json;
use std::fmt::Write as _;

const OPENING: &str = "\
# The experiment file

This page is generated from the schema (`toprung schema`).

One YAML file describes a search:

```yaml
name: digits
entrypoint: python train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -4, maxval: -1}
  hidden: {type: int, minval: 16, maxval: 256}
searcher: {name: adaptive_asha, metric: validation_error, max_trials: 64, max_length: {epochs: 27}}
```

An unknown key is an error. `null` means absent. A length is one of `batches`, `records`, `epochs` with a number, such as
`{epochs: 27}`, or a bare number in the searcher's time metric. `time_metric: epochs` with `max_time: 27` says the same as
`max_length: {epochs: 27}`.

In the entrypoint `{learning_rate}` stands for a hyperparameter, `{group.name}` for one in a group, and `{max_length}`,
`{trial_id}`, `{trial_seed}`, `{checkpoint_dir}` for what their names say; `{{` and `}}` are braces, and `${NAME}` is left
to the shell.

A template (`--template`) lies below the file: the file's own values win. `--set searcher.max_trials=8` wins over both.
";

const HYPERPARAMETERS: &str = "\
A bare value or list is a constant. A map without `type` is a group of hyperparameters; any other is of one of the types below.
The searcher `grid` needs a `count` for every `double` and `log`, and takes every value of an `int` without one.

`constraints` is a list of relations that the hyperparameters of every trial satisfy, such as `hidden1 >= hidden2`,
`1 < a / b <= 4`, `kind in ['sgd', 'adam'] or momentum == 0`. They are made of numbers, texts in quotes, `true` and `false`,
names (`group.name` for one in a group, with other characters than letters, digits and `_` in backquotes), `+ - * /`,
`< <= > >= == !=`, `in [...]`, `not in [...]`, `and`, `or`, `not` and parentheses. A relation that names a hyperparameter
whose condition does not hold is satisfied. What is drawn is drawn again until it satisfies all of them, and a grid leaves out the
points that do not.

`prior: {center: 3e-4, confidence: high}` says where good values are expected. Searchers that draw at random take a half of their trials
from there at first, and fewer as far as it turns out wrong. The models `tpe` and `gp` begin so too, and weigh it against what trials
have reported, less the more there are.
";

const SEARCHERS: &str = "\
Either `max_length` or `max_time` must be given, but to `pbt`.
";

const MODELS: &str = "\
A model places the trials of a searcher that draws them at random otherwise, such as `{name: adaptive_asha, model: tpe}`, or with
settings `model: {name: tpe, startup_trials: 20}`. The searchers `tpe`, `bohb` and `gp` have the settings of theirs beside their own.
";

/// The reference in Markdown, ending in a line break.
pub fn reference() -> String {
    let schema = schema();
    let mut out = OPENING.to_owned();
    out.push_str("\n## Top level\n\n");
    table(&mut out, &schema, |_| true);
    nested(&mut out, "", &schema);
    let leaves = variants(&schema["$defs"]["hyperparameter"]["then"], "type");
    chapter(&mut out, "Hyperparameters", HYPERPARAMETERS, "type", &leaves);
    let methods = variants(&schema["$defs"]["searcher"], "name");
    chapter(&mut out, "Searchers", SEARCHERS, "name", &methods);
    models(&mut out, &schema);
    out
}

/// The settings of each model.
fn models(out: &mut String, schema: &Json) {
    let _ = write!(out, "\n## Models\n\n{MODELS}");
    for model in sections(&schema["$defs"]["model"]) {
        let Some(name) = model["properties"]["name"]["enum"][0].as_str() else { continue };
        heading(out, 3, &format!("`model: {{name: {name}}}`"), model);
        table(out, model, |_| true);
    }
}

/// Maps of which one field says which other fields there are: what all have first, then the rest of each.
fn chapter(out: &mut String, title: &str, opening: &str, key: &str, variants: &[(&str, &Json)]) {
    let _ = write!(out, "\n## {title}\n\n{opening}\n");
    let Some((_, first)) = variants.first() else { return };
    let everywhere = |name: &str| variants.iter().all(|(_, variant)| !variant["properties"][name].is_null());
    table(out, first, everywhere);
    inner_tables(out, first, everywhere);
    for (name, variant) in variants {
        // These are other names of the ones before them.
        if matches!(*name, "asha" | "adaptive_simple") {
            continue;
        }
        heading(out, 3, &format!("`{key}: {name}`"), variant);
        table(out, variant, |name| !everywhere(name));
        inner_tables(out, variant, |name| !everywhere(name));
    }
}

/// The tables of the sections that the `wanted` fields hold.
fn inner_tables(out: &mut String, section: &Json, wanted: impl Fn(&str) -> bool) {
    for (name, property) in properties(section).filter(|(name, _)| wanted(name)) {
        for inner in sections(property) {
            let _ = write!(out, "\nIn `{name}`:\n\n");
            table(out, inner, |_| true);
        }
    }
}

fn heading(out: &mut String, level: usize, title: &str, section: &Json) {
    let _ = write!(out, "\n{} {title}\n\n", "#".repeat(level));
    if let Some(doc) = section["description"].as_str() {
        let _ = writeln!(out, "{doc}\n");
    }
}

/// The tables of the sections inside a section, each under its path.
fn nested(out: &mut String, path: &str, section: &Json) {
    for (name, property) in properties(section) {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for inner in sections(property) {
            let level = if path.contains('.') { 3 } else { 2 };
            let _ = write!(out, "\n{} `{path}`\n\n", "#".repeat(level));
            table(out, inner, |_| true);
            nested(out, &path, inner);
        }
    }
}

/// The sections that a property may hold, itself or as elements of a list.
fn sections(property: &Json) -> Vec<&Json> {
    let mut found: Vec<&Json> =
        property["anyOf"].as_array().into_iter().flatten().flat_map(sections).collect();
    if property["additionalProperties"] == Json::Bool(false) {
        found.push(property);
    }
    if property["items"].is_object() {
        found.extend(sections(&property["items"]));
    }
    found
}

fn properties(section: &Json) -> impl Iterator<Item = (&str, &Json)> {
    section["properties"].as_object().into_iter().flatten().map(|(name, property)| (name.as_str(), property))
}

/// The `then` of each `if` of a schema, by the word that it asks for.
fn variants<'a>(schema: &'a Json, key: &str) -> Vec<(&'a str, &'a Json)> {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let named = |part: &'a Json| Some((part["if"]["properties"][key]["const"].as_str()?, &part["then"]));
    parts.filter_map(named).collect()
}

/// The fields of a section that are `wanted`; old ones only by name.
fn table(out: &mut String, section: &Json, wanted: impl Fn(&str) -> bool) {
    let required: Vec<_> =
        section["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut rows = String::new();
    let mut old = Vec::new();
    for (name, property) in properties(section).filter(|(name, _)| wanted(name)) {
        if property["deprecated"] == Json::Bool(true) {
            old.push(format!("`{name}`"));
            continue;
        }
        let default = match &property["default"] {
            Json::Null if required.contains(&name) => "required".to_owned(),
            Json::Null => String::new(),
            default => format!("`{default}`"),
        };
        let doc = property["description"].as_str().unwrap_or_default();
        let cells = [kind(property), default, doc.to_owned()].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(rows, "| `{name}` | {} |", cells.join(" | "));
    }
    if !rows.is_empty() {
        let _ = write!(out, "| field | value | default | meaning |\n|---|---|---|---|\n{rows}");
    }
    if !old.is_empty() {
        let _ = writeln!(out, "\nAccepted with a warning, and ignored: {}.", old.join(", "));
    }
}

/// What a property may hold, in words.
fn kind(property: &Json) -> String {
    if let Some(words) = property["enum"].as_array() {
        let words: Vec<_> = words.iter().filter_map(Json::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(choices) = property["anyOf"].as_array() {
        let length = choices.iter().any(|choice| choice["properties"]["epochs"].is_object());
        let words: Vec<_> = choices.iter().map(kind).filter(|word| !word.is_empty()).collect();
        return if length { "length".to_owned() } else { words.join(" or ") };
    }
    if let Some(name) = property["$ref"].as_str() {
        return match name.rsplit('/').next().unwrap_or_default() {
            "entrypoint" => "command, list of arguments, or `external`".to_owned(),
            "searcher_name" => "name".to_owned(),
            "model" => format!("{}, or a map with `name`", listed(WORDS.iter().copied())),
            "log_action" => "`cancel_retries`, `exclude_node`".to_owned(),
            _ => "map".to_owned(),
        };
    }
    let types = &property["type"];
    let first = types.as_str().or_else(|| types[0].as_str()).unwrap_or("any");
    match first {
        "string" => "text".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "integer" => range(property),
        "number" => match (property["exclusiveMinimum"].as_f64(), property["maximum"].as_f64()) {
            (Some(bound), Some(most)) => format!("number > {bound}, up to {most}"),
            (Some(bound), None) => format!("number > {bound}"),
            (None, Some(most)) => format!("number, 0 to {most}"),
            (None, None) => "number".to_owned(),
        },
        "array" => format!("list of {}", kind(&property["items"])),
        "object" => "map".to_owned(),
        "null" => String::new(),
        _ => "any".to_owned(),
    }
}

fn range(property: &Json) -> String {
    match (property["minimum"].as_i64(), property["maximum"].as_i64()) {
        (Some(min), Some(max)) if max < i64::from(u32::MAX) => format!("integer, {min} to {max}"),
        (Some(min), _) => format!("integer ≥ {min}"),
        _ => "integer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::reference;

    /// `UPDATE_REFERENCE=1 cargo test -p toprung-config reference` writes the page.
    #[test]
    fn the_committed_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/experiment-file.md");
        let page = reference();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page,
            "docs/experiment-file.md is old: run UPDATE_REFERENCE=1 cargo test -p toprung-config"
        );
    }
}
