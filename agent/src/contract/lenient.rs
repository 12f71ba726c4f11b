//! JSON as scripts write it: Python's `json` prints NaN and infinities bare, which JSON does not have.

use serde_json::Value;

/// Parses `text`; bare `NaN`, `Infinity` and `-Infinity` become strings.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match quote_numbers(text) {
        Some(quoted) => serde_json::from_str(&quoted),
        None => Err(error),
    })
}

/// A metric's value: a number, or the name of one that JSON does not have.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::String(name) => match name.to_ascii_lowercase().as_str() {
            "nan" => Some(f64::NAN),
            "infinity" | "inf" | "+infinity" | "+inf" => Some(f64::INFINITY),
            "-infinity" | "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// `text` with the bare words outside strings in quotes; `None` if there are none.
fn quote_numbers(text: &str) -> Option<String> {
    let mut quoted = String::with_capacity(text.len() + 8);
    let (mut rest, mut in_string, mut found) = (text, false, false);
    while let Some(first) = rest.chars().next() {
        let word =
            ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !in_string && rest.starts_with(word));
        let taken = match (word, first) {
            (Some(word), _) => {
                found = true;
                quoted.extend(["\"", word, "\""]);
                word.len()
            }
            (None, '\\') if in_string => {
                let escape: String = rest.chars().take(2).collect();
                quoted.push_str(&escape);
                escape.len()
            }
            (None, other) => {
                in_string ^= other == '"';
                quoted.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(taken..)?;
    }
    found.then_some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_are_numbers_outside_strings_only() {
        let value = parse(r#"{"a": NaN, "b": -Infinity, "NaN \" NaN": "NaN é", "c": [Infinity]}"#).unwrap();
        assert!(number(&value["a"]).unwrap().is_nan());
        assert_eq!(number(&value["b"]), Some(f64::NEG_INFINITY));
        assert_eq!(value["NaN \" NaN"], "NaN é");
        assert_eq!(number(&value["c"][0]), Some(f64::INFINITY));
    }

    #[test]
    fn broken_json_stays_an_error() {
        assert!(parse("{\"a\": ").is_err());
        assert!(parse("{\"a\": NaN").is_err());
        assert_eq!(number(&Value::String("many".to_owned())), None);
    }
}
