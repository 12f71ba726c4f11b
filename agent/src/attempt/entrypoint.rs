//! The command of an attempt: `{hyperparameter}` placeholders filled in. Pure.
//!
//! A placeholder is `{name}` or `{group.name}`; `{{` and `}}` are literal braces. Braces around anything else, and the
//! `${...}` of a shell line, are left as they are.

use serde_json::Value;
use std::collections::BTreeMap;
use toprung_proto::v1::RunSpec;

/// The values that placeholders may name.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// All hyperparameters, groups joined with dots.
    pub(crate) fn from_hparams(hparams: &Value) -> Self {
        let mut values = Self::default();
        values.enter_all("", hparams);
        values
    }

    pub(crate) fn enter(&mut self, name: &str, value: impl ToString) {
        self.0.insert(name.to_owned(), value.to_string());
    }

    fn enter_all(&mut self, prefix: &str, value: &Value) {
        let Value::Object(map) = value else { return };
        for (name, value) in map {
            let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                Value::Object(_) => self.enter_all(&name, value),
                Value::String(text) => self.enter(&name, text),
                other => self.enter(&name, other),
            }
        }
    }

    fn get(&self, name: &str) -> Result<&str, String> {
        self.0.get(name).map(String::as_str).ok_or_else(|| {
            let nearest = self
                .0
                .keys()
                .map(|known| (strsim::jaro_winkler(name, known), known))
                .max_by(|one, other| one.0.total_cmp(&other.0));
            match nearest {
                Some((_, nearest)) => format!(
                    "the entrypoint's placeholder {{{name}}} names no hyperparameter; the nearest is {{{nearest}}}; \
                     write {{{{{name}}}}} for literal braces"
                ),
                None => format!("the entrypoint's placeholder {{{name}}} names no hyperparameter"),
            }
        })
    }
}

/// The program and its arguments; the error is for people.
pub(crate) fn command(run: &RunSpec, values: &Values) -> Result<Vec<String>, String> {
    if !run.shell.is_empty() {
        let line = fill(&run.shell, values, true)?;
        return Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), line]);
    }
    let argv: Vec<_> = run.argv.iter().map(|part| fill(part, values, false)).collect::<Result<_, _>>()?;
    if argv.first().is_none_or(String::is_empty) {
        return Err("the entrypoint is empty".to_owned());
    }
    Ok(argv)
}

fn fill(template: &str, values: &Values, shell: bool) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(position) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(position);
        filled.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            filled.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            filled.push('}');
            rest = after;
        } else if let Some((name, after)) = placeholder(from).filter(|_| !(shell && before.ends_with('$'))) {
            let value = values.get(name)?;
            filled.push_str(&if shell { quote(value) } else { value.to_owned() });
            rest = after;
        } else {
            let (brace, after) = from.split_at(1);
            filled.push_str(brace);
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `{name}` at the start of `text`: the name and what follows.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let first = name.chars().next()?;
    let is_name = (first.is_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-'));
    is_name.then_some((name, after))
}

/// `text` as one word of a POSIX shell.
fn quote(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:,+=@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values() -> Values {
        let mut values = Values::from_hparams(&json!({
            "lr": 0.001, "name": "it's; rm", "deep": {"width": 64}, "layers": [1, 2], "on": true
        }));
        values.enter("max_length", 27);
        values
    }

    fn filled(template: &str, shell: bool) -> String {
        fill(template, &values(), shell).unwrap()
    }

    #[test]
    fn placeholders_are_filled() {
        let template = "--lr={lr} -w {deep.width} {max_length} {on} {layers}";
        assert_eq!(filled(template, false), "--lr=0.001 -w 64 27 true [1,2]");
        assert_eq!(filled("{name}", false), "it's; rm");
    }

    #[test]
    fn shell_values_are_quoted() {
        assert_eq!(filled("echo {name} {lr}", true), r"echo 'it'\''s; rm' 0.001");
        assert_eq!(filled("echo ${lr} {layers}", true), "echo ${lr} '[1,2]'");
    }

    #[test]
    fn literal_braces_stay() {
        assert_eq!(filled("{{lr}} }} {{", false), "{lr} } {");
        assert_eq!(filled(r#"awk '{print $1}' {"a":1} {}"#, true), r#"awk '{print $1}' {"a":1} {}"#);
        assert_eq!(filled("{ü", false), "{ü");
    }

    #[test]
    fn unknown_placeholders_name_the_nearest() {
        let error = fill("{deep.widht}", &values(), false).unwrap_err();
        assert!(error.contains("the nearest is {deep.width}"), "{error}");
    }

    #[test]
    fn commands_are_argv_or_a_shell_line() {
        let argv = RunSpec { argv: vec!["python".to_owned(), "{lr}".to_owned()], ..RunSpec::default() };
        assert_eq!(command(&argv, &values()).unwrap(), ["python", "0.001"]);
        let shell = RunSpec { shell: "a {lr}".to_owned(), ..RunSpec::default() };
        assert_eq!(command(&shell, &values()).unwrap(), ["/bin/sh", "-c", "a 0.001"]);
        assert!(command(&RunSpec::default(), &values()).is_err());
    }
}
