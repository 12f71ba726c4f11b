//! `NAME:KEY=VALUE,KEY=VALUE`, as searchers and synthetic tasks are written.

/// Splits at commas that are not inside brackets or quotes.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_u32, None);
    for (place, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                found.push(&text[start..place]);
                start = place + 1;
            }
            (None, _) => {}
        }
    }
    found.push(&text[start..]);
    found
}

/// The name, and the pairs behind it. The error is the part that is no pair.
pub(super) fn named(text: &str) -> Result<(String, Vec<(String, String)>), String> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    Ok((name.trim().to_owned(), pairs(rest)?))
}

/// The pairs of a list; an empty text has none.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').ok_or_else(|| part.trim().to_owned())?;
        Ok((key.trim().to_owned(), value.trim().to_owned()))
    };
    parts(text).into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_brackets_do_not_divide() {
        let (name, pairs) = named("adaptive_asha:bracket_rungs=[4, 2],divisor = 3").unwrap();
        assert_eq!(name, "adaptive_asha");
        let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs, [own("bracket_rungs", "[4, 2]"), own("divisor", "3")]);
        assert_eq!(named("random").unwrap(), ("random".to_owned(), Vec::new()));
        assert_eq!(named("asha:divisor").unwrap_err(), "divisor");
    }
}
