//! One file out of several sources: a template below the file, `--set` above it.
//!
//! The file's own values win over the template's, and `--set` wins over both. Maps are joined key by key; lists and
//! scalars are replaced. Three kinds of map are replaced as a whole where they speak of different things: a
//! hyperparameter of another `type`, a searcher of another `name`, and a length in another unit.

use crate::emit;
use crate::length::UNITS;
use crate::node::{self, Key, Kind, Node, Span, SyntaxError};
use crate::problem::{Problem, Problems, Severity};

/// The text to parse: the file over the template, with each `path=value` of `sets` applied in order. A value is YAML; an
/// empty one takes the key away.
///
/// Without a template and sets the file is returned as it is, so that positions in messages stay exact.
///
/// # Errors
/// What is not YAML, and sets that name no place in the file. A problem of the template has line 0, since positions are
/// those of the file; so has one of a set, whose path begins with `--set`.
pub fn merged(file: &str, template: Option<&str>, sets: &[String]) -> Result<String, Problems> {
    if template.is_none() && sets.is_empty() {
        return Ok(file.to_owned());
    }
    let mut problems = Vec::new();
    let mut tree = node::read(file).unwrap_or_else(|error| {
        problems.push(problem(error.span, "", error.message));
        empty_map()
    });
    if let Some(template) = template {
        match read_template(template) {
            Ok(below) => tree = over(tree, below, ""),
            Err(message) => problems.push(problem(Span::default(), "", message)),
        }
    }
    for set in sets {
        if let Err((path, message)) = apply(&mut tree, set) {
            problems.push(problem(Span::default(), &format!("--set {path}"), message));
        }
    }
    if problems.is_empty() { Ok(emit::text(&tree)) } else { Err(Problems(problems)) }
}

fn problem(span: Span, path: &str, message: String) -> Problem {
    Problem {
        line: span.line,
        column: span.column,
        offset: span.offset,
        len: span.len,
        path: path.to_owned(),
        message,
        help: None,
        severity: Severity::Error,
    }
}

fn empty_map() -> Node {
    Node::new(Kind::Map(Vec::new()))
}

fn read_template(template: &str) -> Result<Node, String> {
    let place = |SyntaxError { span, message }| {
        format!("the template is not YAML: line {}, column {}: {message}", span.line, span.column)
    };
    let tree = node::read(template).map_err(place)?;
    match tree.kind {
        Kind::Map(_) | Kind::Null => Ok(tree),
        _ => Err(format!("the template is {}, expected a map", tree.described())),
    }
}

/// `above` with what it lacks taken from `below`.
fn over(above: Node, below: Node, path: &str) -> Node {
    if above.is_null() {
        return below;
    }
    if different(&above, &below, path) {
        return above;
    }
    let (Kind::Map(own), Kind::Map(mut rest)) = (above.kind.clone(), below.kind) else { return above };
    if path == "searcher" {
        forget_other_lengths(&mut rest, |key| above.get(key).filter(|node| !node.is_null()));
    }
    let mut entries = Vec::with_capacity(own.len() + rest.len());
    for (key, value) in own {
        let value = match rest.iter().position(|(other, _)| other.text == key.text) {
            Some(i) => over(value, rest.remove(i).1, &key.text),
            None => value,
        };
        entries.push((key, value));
    }
    entries.extend(rest);
    Node { kind: Kind::Map(entries), ..above }
}

/// Whether two maps speak of different things, so that joining them would make nonsense.
fn different(above: &Node, below: &Node, path: &str) -> bool {
    let differ = |key: &str| match (above.get(key), below.get(key)) {
        (Some(a), Some(b)) => !a.is_null() && !b.is_null() && a.scalar_text() != b.scalar_text(),
        _ => false,
    };
    differ("type") || (path == "searcher" && differ("name")) || (is_length(above) && is_length(below))
}

fn is_length(node: &Node) -> bool {
    matches!(&node.kind, Kind::Map(entries)
        if !entries.is_empty() && entries.iter().all(|(key, _)| UNITS.contains(&key.text.as_str())))
}

/// A new length of the searcher takes the place of an old one, whichever style each is in.
fn forget_other_lengths<'a>(old: &mut Vec<(Key, Node)>, new: impl Fn(&str) -> Option<&'a Node>) {
    let names_unit = new("max_length").is_some_and(|node| matches!(node.kind, Kind::Map(_)));
    if new("max_length").is_some() || new("max_time").is_some() {
        let kept = |key: &str| new(key).is_some() || !matches!(key, "max_length" | "max_time");
        old.retain(|(key, _)| kept(&key.text) && !(names_unit && key.text == "time_metric"));
    }
}

/// Applies one `path=value`.
fn apply(tree: &mut Node, set: &str) -> Result<(), (String, String)> {
    let Some((path, value)) = set.split_once('=') else {
        return Err((
            set.to_owned(),
            "is not of the form `path=value`, such as `searcher.max_trials=8`".to_owned(),
        ));
    };
    let path = path.trim();
    let failed = |message: String| (path.to_owned(), message);
    if path.split('.').any(str::is_empty) {
        return Err(failed("is not a path such as `searcher.max_trials`".to_owned()));
    }
    let read = |error: SyntaxError| failed(format!("its value is not YAML: {}", error.message));
    let value = node::read(value).map_err(read)?;
    let steps: Vec<&str> = path.split('.').collect();
    if let ["searcher", key @ ("max_length" | "max_time")] = steps[..]
        && let Some(Node { kind: Kind::Map(entries), .. }) = child(tree, "searcher")
    {
        forget_other_lengths(entries, |name| Some(&value).filter(|_| name == key));
    }
    put(tree, &steps, value).map_err(failed)
}

/// The value of a key, to be changed.
fn child<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|(key, _)| key.text == name).map(|(_, node)| node),
        _ => None,
    }
}

fn put(node: &mut Node, steps: &[&str], value: Node) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    if node.is_null() {
        node.kind = Kind::Map(Vec::new());
    }
    if is_length(node) && UNITS.contains(step) {
        node.kind = Kind::Map(Vec::new());
    }
    match &mut node.kind {
        Kind::Map(entries) => {
            if rest.is_empty() && value.is_null() {
                entries.retain(|(key, _)| key.text != *step);
                return Ok(());
            }
            let i = entries.iter().position(|(key, _)| key.text == *step).unwrap_or_else(|| {
                entries
                    .push((Key { span: Span::default(), text: (*step).to_owned() }, Node::new(Kind::Null)));
                entries.len() - 1
            });
            put(&mut entries[i].1, rest, value)
        }
        Kind::List(nodes) => {
            let len = nodes.len();
            let inner = step.parse().ok().and_then(|i: usize| nodes.get_mut(i));
            let inner =
                inner.ok_or_else(|| format!("`{step}` is no element of a list of {len}, counted from 0"))?;
            put(inner, rest, value)
        }
        _ => Err(format!("`{step}` cannot be set in {}, which is no map", node.described())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(file: &str, template: Option<&str>, sets: &[&str]) -> String {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        merged(file, template, &sets).unwrap()
    }

    #[test]
    fn nothing_to_merge_leaves_the_text_alone() {
        let file = "a:   1 # comment\n";
        assert_eq!(merge(file, None, &[]), file);
    }

    #[test]
    fn the_file_wins_over_the_template_and_set_over_both() {
        for (file, template, sets, expected) in [
            ("a: 1", "a: 2\nb: 3.10", &[][..], "a: 1\nb: 3.10\n"),
            ("a: {x: 1}", "a: {x: 2, y: 3}", &[], "a:\n  x: 1\n  y: 3\n"),
            ("a: [1]", "a: [2, 3]", &[], "a:\n  - 1\n"),
            ("a: null", "a: 2", &[], "a: 2\n"),
            ("", "a: 2", &[], "a: 2\n"),
            ("h: {type: int, minval: 1}", "h: {type: log, base: 2}", &[], "h:\n  type: int\n  minval: 1\n"),
            ("p: {epochs: 1}", "p: {batches: 2}", &[], "p:\n  epochs: 1\n"),
            (
                "searcher: {name: grid}",
                "searcher: {name: random, max_trials: 3}",
                &[],
                "searcher:\n  name: grid\n",
            ),
            (
                "searcher: {max_length: {epochs: 3}}",
                "searcher: {metric: a, time_metric: batches, max_time: 9}",
                &[],
                "searcher:\n  max_length:\n    epochs: 3\n  metric: a\n",
            ),
            ("a: 1", "{}", &["a=2", "b.c=[x, 1e-4]"], "a: 2\nb:\n  c:\n    - x\n    - 1e-4\n"),
            ("a: 1\nb: 2", "{}", &["a="], "b: 2\n"),
            ("a: [{x: 1}]", "{}", &["a.0.x=2"], "a:\n  -\n    x: 2\n"),
            ("p: {epochs: 1}", "{}", &["p.batches=2"], "p:\n  batches: 2\n"),
            ("searcher: {max_time: 9}", "{}", &["searcher.max_length=3"], "searcher:\n  max_length: 3\n"),
            ("a: b=c", "{}", &["d=e=f"], "a: \"b=c\"\nd: \"e=f\"\n"),
        ] {
            assert_eq!(merge(file, Some(template), sets), expected, "{file} | {template} | {sets:?}");
        }
    }

    #[test]
    fn mistakes_are_named_all_at_once() {
        let sets =
            ["a".to_owned(), "x.y=1".to_owned(), "b..c=1".to_owned(), "l.7=1".to_owned(), "q=[".to_owned()];
        let problems = merged("x: 1\nl: [1]", Some("- 1"), &sets).unwrap_err().0;
        let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let expected = [
            "expected a map",
            "of the form",
            "which is no map",
            "is not a path",
            "no element of a list",
            "is not YAML",
        ];
        assert_eq!(messages.len(), expected.len(), "{messages:?}");
        for (message, part) in messages.iter().zip(expected) {
            assert!(message.contains(part), "{message}");
        }
        assert!(messages[1].contains("--set a: "), "{}", messages[1]);
    }
}
