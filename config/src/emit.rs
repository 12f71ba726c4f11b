//! YAML text from a tree: block style, numbers as they were written, strings quoted unless they are plain words.

use crate::node::{Key, Kind, Node, Span};
use serde_json::Value as Json;

/// A JSON value as YAML text, such as [`crate::ExperimentConfig::complete`] for people to read. Reading it gives the
/// value again.
pub fn to_yaml(value: &Json) -> String {
    text(&from_json(value))
}

/// The text of a tree.
pub(crate) fn text(node: &Node) -> String {
    let mut out = String::new();
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => write_block(&mut out, node, 0),
        Kind::List(nodes) if !nodes.is_empty() => write_block(&mut out, node, 0),
        _ => {
            out.push_str(&scalar(node));
            out.push('\n');
        }
    }
    out
}

fn write_block(out: &mut String, node: &Node, indent: usize) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                out.push_str(&" ".repeat(indent));
                out.push_str(&word(&key.text));
                out.push(':');
                write_value(out, value, indent);
            }
        }
        Kind::List(nodes) => {
            for value in nodes {
                out.push_str(&" ".repeat(indent));
                out.push('-');
                write_value(out, value, indent);
            }
        }
        _ => {}
    }
}

fn write_value(out: &mut String, value: &Node, indent: usize) {
    let nested = match &value.kind {
        Kind::Map(entries) => !entries.is_empty(),
        Kind::List(nodes) => !nodes.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        write_block(out, value, indent + 2);
    } else {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    }
}

/// A node that holds no others, on one line.
fn scalar(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Text(text) => word(text),
        Kind::List(_) => "[]".to_owned(),
        Kind::Map(_) => "{}".to_owned(),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => node.scalar_text().unwrap_or_default(),
    }
}

/// A string, quoted unless every YAML reader takes it for a string without.
fn word(text: &str) -> String {
    const RESERVED: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "nan", "inf", "infinity"];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ' ');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    let reserved = RESERVED.contains(&text.to_ascii_lowercase().as_str());
    if begins && text.chars().all(plain) && !text.ends_with(' ') && !reserved {
        return text.to_owned();
    }
    quoted(text)
}

/// JSON's quoting, with everything escaped that YAML does not print or takes for the end of a line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in Json::from(text).to_string().chars() {
        let code = u32::from(c);
        match code {
            0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff | 0xfffe | 0xffff => {
                out.extend(format!("\\u{code:04x}").chars());
            }
            _ => out.push(c),
        }
    }
    out
}

/// A JSON value as a tree that stands nowhere.
pub(crate) fn from_json(value: &Json) -> Node {
    let mut raw = None;
    let kind = match value {
        Json::Null => Kind::Null,
        Json::Bool(value) => Kind::Bool(*value),
        Json::Number(number) => {
            raw = Some(number.to_string());
            let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            int.map_or_else(|| Kind::Float(number.as_f64().unwrap_or_default()), Kind::Int)
        }
        Json::String(text) => Kind::Text(text.clone()),
        Json::Array(values) => Kind::List(values.iter().map(from_json).collect()),
        Json::Object(map) => Kind::Map(
            map.iter()
                .map(|(key, value)| (Key { span: Span::default(), text: key.clone() }, from_json(value)))
                .collect(),
        ),
    };
    Node { span: Span::default(), kind, raw }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::{node, value};
    use serde_json::json;

    fn read_back(text: &str) -> Json {
        let mut cx = Context::default();
        value::json(&mut cx, &node::read(text).unwrap(), "")
    }

    #[test]
    fn block_style() {
        let value = json!({"a": {"b": [1, {"c": 1.0}, []], "d e": {}}, "on": "python train.py", "x": "3"});
        let expected = "a:\n  b:\n    - 1\n    -\n      c: 1.0\n    - []\n  d e: {}\n\"on\": python train.py\nx: \"3\"\n";
        assert_eq!(to_yaml(&value), expected);
        assert_eq!(read_back(expected), value);
    }

    #[test]
    fn awkward_strings_survive() {
        for text in [
            "",
            " a",
            "a ",
            "true",
            "No",
            "~",
            "1e5",
            ".5",
            "a: b",
            "a #b",
            "- a",
            "a\nb\n",
            "\u{85}\u{2028}\u{feff}",
            "é{}[]",
            "\u{0}\u{7}",
            "'\"\\",
            "?",
            "---",
            "<<",
            "=",
            "2024-01-01",
            "0o7",
            "\u{1F600}",
            "nan",
        ] {
            let value = json!({"key": text, "list": [text]});
            assert_eq!(read_back(&to_yaml(&value)), value, "{text:?}");
        }
    }

    #[test]
    fn numbers_survive() {
        for value in
            [json!(1e-7), json!(1e300), json!(-0.0), json!(u64::MAX), json!(i64::MIN), json!(1.0), json!(0.1)]
        {
            assert_eq!(read_back(&to_yaml(&value)), value);
        }
    }
}
