//! The `entrypoint`, and the placeholders in it.
//!
//! `{name}` stands for a hyperparameter and `{group.name}` for one in a group. Only a dotted name in braces counts as a
//! placeholder, and not after `$`, so that `${HOME}` and `awk '{print $1}'` keep their meaning; `{{` and `}}` are braces.
//!
//! `external`, or a map with that one key, says that programs outside run the trials.

use crate::config::Entrypoint;
use crate::context::{Context, Place, Table};
use crate::language::top::{EXTERNAL, EXTERNAL_ENTRYPOINT};
use crate::nearest::{listed, nearest};
use crate::node::Kind;
use toprung_searchers::{Dimension, Domain, Space};

/// What a trial knows beside its hyperparameters.
const KNOWN: &[&str] = &["max_length", "trial_id", "trial_seed", "checkpoint_dir"];

/// Reads the field; after a mistake, something.
pub(crate) fn read(cx: &mut Context, place: Option<&Place<'_>>, space: &Space) -> Entrypoint {
    let Some(place) = place else {
        return Entrypoint::Shell(String::new());
    };
    if let Some(external) = external(cx, place) {
        return external;
    }
    if !matches!(place.node.kind, Kind::List(_)) {
        return Entrypoint::Shell(shell(cx, place, space));
    }
    let mut words = Vec::new();
    for element in place.list(cx, "a list of arguments") {
        if let Some(word) = element.text(cx) {
            check_text(cx, &element, &word, space);
            words.push(word);
        }
    }
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        cx.error(
            place.node.span,
            &place.path,
            "names no program",
            "begin with the program, such as `python`",
        );
    }
    Entrypoint::Argv(words)
}

/// `external`, or a map; `None`: it is a command.
fn external(cx: &mut Context, place: &Place<'_>) -> Option<Entrypoint> {
    let section = match &place.node.kind {
        Kind::Text(word) if word == "external" => None,
        Kind::Map(_) => {
            let table = Table::open(cx, Some(place), &EXTERNAL_ENTRYPOINT, &place.path);
            table.get("external")
        }
        _ => return None,
    };
    let inner = Table::open(cx, section.as_ref(), &EXTERNAL, "entrypoint.external");
    Some(Entrypoint::External { lease_seconds: inner.small(cx, "lease") })
}

/// What has no effect where programs outside run the trials.
pub(crate) fn warn_of_idle(cx: &mut Context, table: &Table<'_>) {
    const IDLE: [&str; 7] = [
        "resources",
        "environment",
        "checkpoint_storage",
        "metrics",
        "log_policies",
        "bind_mounts",
        "preemption_timeout",
    ];
    for place in IDLE.iter().filter_map(|name| table.get(name)) {
        let help = "the program that asks for trials decides it";
        cx.warning(place.key, &place.path, "has no effect with `entrypoint: external`", help);
    }
}

fn shell(cx: &mut Context, place: &Place<'_>, space: &Space) -> String {
    let Kind::Text(line) = &place.node.kind else {
        let message = format!("found {}, expected a command or a list of arguments", place.node.described());
        cx.error(place.node.span, &place.path, message, "");
        return String::new();
    };
    if line.trim().is_empty() {
        cx.error(place.node.span, &place.path, "is empty, expected a command", "such as `python train.py`");
    } else if is_trial_class(line) {
        let message =
            format!("the Trial class `{line}` needs the `determined` package, which is not supported yet");
        cx.error(
            place.node.span,
            &place.path,
            message,
            "give the command of a script, such as `python train.py`",
        );
    } else {
        check_text(cx, place, line, space);
    }
    line.clone()
}

/// Whether a line is `module:Class`.
fn is_trial_class(line: &str) -> bool {
    let name = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    line.trim().split_once(':').is_some_and(|(module, class)| module.split('.').all(name) && name(class))
}

fn check_text(cx: &mut Context, place: &Place<'_>, text: &str, space: &Space) {
    if text.contains('\0') {
        cx.error(place.node.span, &place.path, "holds a zero byte", "");
    }
    let mut names = leaf_names("", &space.dimensions);
    names.extend(KNOWN.iter().map(|name| (*name).to_owned()));
    for found in placeholders(text).into_iter().filter(|found| !names.iter().any(|name| name == found)) {
        let known = names.iter().map(String::as_str);
        let help = match nearest(found, known.clone()) {
            Some(name) => format!("did you mean `{{{name}}}`?"),
            None => format!("known are {}; a literal brace is written twice", listed(known)),
        };
        let message = format!("`{{{found}}}` stands for nothing that a trial knows");
        cx.error(place.node.span, &place.path, message, help);
    }
}

fn leaf_names(prefix: &str, dimensions: &std::collections::BTreeMap<String, Dimension>) -> Vec<String> {
    let mut names = Vec::new();
    for (name, dimension) in dimensions {
        let path = crate::context::joined(prefix, name);
        match &dimension.domain {
            Domain::Group(group) => names.extend(leaf_names(&path, group)),
            _ => names.push(path),
        }
    }
    names
}

/// The names in braces, in their order.
fn placeholders(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(start) = rest.find('{') {
        before = rest[..start].chars().next_back().unwrap_or(before);
        let inner = &rest[start + 1..];
        if let Some(after) = inner.strip_prefix('{') {
            rest = after;
            before = '{';
            continue;
        }
        let end = inner.find(|c: char| !is_name_char(c)).unwrap_or(inner.len());
        let (name, after) = inner.split_at(end);
        if before != '$'
            && after.starts_with('}')
            && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        {
            found.push(name);
        }
        before = '{';
        rest = inner;
    }
    found
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-')
}

#[cfg(test)]
mod tests {
    use super::{is_trial_class, placeholders};

    #[test]
    fn placeholders_are_names_in_single_braces() {
        for (text, expected) in [
            ("python t.py --lr {lr} --n {model.hidden}", vec!["lr", "model.hidden"]),
            ("{{lr}} and {x}", vec!["x"]),
            ("echo ${HOME} $HOME {lr}", vec!["lr"]),
            ("awk '{print $1}' {1} {} {a b}", vec![]),
            ("{a}{b}", vec!["a", "b"]),
            ("{a", vec![]),
            ("é{ü}", vec!["ü"]),
        ] {
            assert_eq!(placeholders(text), expected, "{text}");
        }
    }

    #[test]
    fn a_trial_class_is_told_from_a_command() {
        for (line, expected) in [
            ("model_def:TextTrial", true),
            ("pkg.model_def:TextTrial", true),
            ("python3 train.py", false),
            ("./train:fast.sh", false),
            ("train.sh", false),
            ("python -m a:b", false),
        ] {
            assert_eq!(is_trial_class(line), expected, "{line}");
        }
    }
}
