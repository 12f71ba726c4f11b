//! The words of a constraint.

use super::{Mistake, Value};

/// A word and where it stands, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) word: Word,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Value(Value),
    /// A path through groups.
    Name(Vec<String>),
    /// A sign, or one of `and`, `or`, `not`, `in`.
    Sign(&'static str),
    End,
}

/// The longer before those that they begin with.
const SIGNS: [&str; 15] = ["<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ","];

/// Signs of other languages, and what is written here.
const FOREIGN: [(&str, &str); 12] = [
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("**", "write a product"),
    ("&", "write `and`"),
    ("|", "write `or`"),
    ("=", "write `==`"),
    ("!", "write `not`"),
    ("≤", "write `<=`"),
    ("≥", "write `>=`"),
    ("≠", "write `!=`"),
    ("%", "there is no remainder; `+`, `-`, `*` and `/` are there"),
    ("^", "write a product"),
];

/// All words of a text, the last of them [`Word::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else {
            tokens.push(Token { at, len: 0, word: Word::End });
            return Ok(tokens);
        };
        let (len, word) = match first {
            '"' | '\'' => quoted(rest, at, first)?,
            '0'..='9' => number(rest, at)?,
            '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => number(rest, at)?,
            '`' => name(rest, at)?,
            _ if begins_name(first) => name(rest, at)?,
            _ => sign(rest, at, first)?,
        };
        tokens.push(Token { at, len, word });
        at += len;
    }
}

fn sign(rest: &str, at: usize, first: char) -> Result<(usize, Word), Mistake> {
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        // `*` twice is a power elsewhere.
        if !rest.starts_with("**") {
            return Ok((sign.len(), Word::Sign(sign)));
        }
    }
    let (found, help) = FOREIGN
        .iter()
        .find(|(sign, _)| rest.starts_with(sign))
        .map_or((&rest[..first.len_utf8()], "see the reference of `constraints`"), |(sign, help)| {
            (*sign, *help)
        });
    Err(Mistake::new(at, found.len(), format!("`{found}` is no part of a constraint"), help))
}

fn quoted(rest: &str, at: usize, quote: char) -> Result<(usize, Word), Mistake> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((place, next)) = chars.next() {
        match next {
            '\\' => match chars.next() {
                Some((_, escaped @ ('\\' | '"' | '\''))) => text.push(escaped),
                _ => {
                    let help = "a backslash stands before a quote or another backslash";
                    return Err(Mistake::new(at + place, 1, "stands before nothing that needs it", help));
                }
            },
            _ if next == quote => return Ok((place + 1, Word::Value(Value::String(text)))),
            _ => text.push(next),
        }
    }
    Err(Mistake::new(at, rest.len(), "the text is not closed", format!("end it with {quote}")))
}

fn number(rest: &str, at: usize) -> Result<(usize, Word), Mistake> {
    let mut len = 0;
    let bytes = rest.as_bytes();
    while let Some(byte) = bytes.get(len) {
        let exponent_sign = matches!(byte, b'+' | b'-') && matches!(bytes[len - 1], b'e' | b'E');
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || (len > 0 && exponent_sign)) {
            break;
        }
        len += 1;
    }
    let digits = rest[..len].replace('_', "");
    let value = match (digits.parse::<i64>(), digits.parse::<f64>()) {
        (Ok(value), _) => Value::Int(value),
        (_, Ok(value)) if value.is_finite() => Value::Double(value),
        _ => {
            let message = format!("`{}` is no finite number", &rest[..len]);
            return Err(Mistake::new(at, len, message, "numbers look like `3`, `0.5` or `1e-3`"));
        }
    };
    Ok((len, Word::Value(value)))
}

fn begins_name(first: char) -> bool {
    first.is_alphabetic() || first == '_'
}

/// A name with the groups before it, or one of the language's own words.
fn name(rest: &str, at: usize) -> Result<(usize, Word), Mistake> {
    let mut path = Vec::new();
    let mut len = 0;
    loop {
        let part = &rest[len..];
        if let Some(inside) = part.strip_prefix('`') {
            let Some(end) = inside.find('`') else {
                return Err(Mistake::new(at + len, part.len(), "the name is not closed", "end it with `"));
            };
            path.push(inside[..end].to_owned());
            len += end + 2;
        } else {
            let end = part.find(|next: char| !(next.is_alphanumeric() || next == '_')).unwrap_or(part.len());
            path.push(part[..end].to_owned());
            len += end;
        }
        match rest[len..].strip_prefix('.').and_then(|after| after.chars().next()) {
            Some(next) if begins_name(next) || next == '`' || next.is_ascii_digit() => len += 1,
            Some(_) | None if rest[len..].starts_with('.') => {
                let message = "a name is missing after the dot";
                return Err(Mistake::new(at + len, 1, message, "write `group.name`"));
            }
            _ => break,
        }
    }
    let word = match &rest[..len] {
        "true" => Word::Value(Value::Bool(true)),
        "false" => Word::Value(Value::Bool(false)),
        "null" => Word::Value(Value::Null),
        "and" => Word::Sign("and"),
        "or" => Word::Sign("or"),
        "not" => Word::Sign("not"),
        "in" => Word::Sign("in"),
        _ => Word::Name(path),
    };
    Ok((len, word))
}
