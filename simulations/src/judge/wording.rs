//! Numbers and lists as a person reads them.

/// A number with three significant digits, without trailing noise: `0.0123`, `4.57`, `1 230`. NaN is a dash.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e15).contains(&size) {
        return minus(format!("{value:.1e}"));
    }
    let decimals = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    minus(if decimals == 0 { grouped(&text) } else { text })
}

/// A number that someone chose, without trailing zeros: `0.05`, `2.5`.
pub(crate) fn round_number(value: f64) -> String {
    let text = number(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A whole number in groups of three.
fn grouped(digits: &str) -> String {
    let start = usize::from(digits.starts_with('-'));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > start && (digits.len() - place).is_multiple_of(3) && digits.len() - start > 3 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn minus(text: String) -> String {
    text.replace('-', "−")
}

/// A part of a whole in percent: `12.5 %`, `100 %`.
pub(crate) fn percent(part: f64) -> String {
    if part.is_nan() {
        return "–".to_owned();
    }
    let text = format!("{:.1}", part * 100.0);
    format!("{}\u{202f}%", text.strip_suffix(".0").unwrap_or(&text))
}

/// A p value: three decimals, or `< 0.001`.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// A searcher's label in a sentence: in quotes where it has a space or a comma.
pub(crate) fn name(label: &str) -> String {
    if label.contains([' ', ',']) { format!("“{label}”") } else { label.to_owned() }
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// `1 run`, `3 runs`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let texts =
            [0.0, 0.01234, 4.567, 45.67, 1234.5, -1234567.0, -0.05, 1e-7, f64::NAN, 999.6].map(number);
        let wanted = [
            "0",
            "0.0123",
            "4.57",
            "45.7",
            "1\u{202f}234",
            "−1\u{202f}234\u{202f}567",
            "−0.0500",
            "1.0e−7",
            "–",
            "1\u{202f}000",
        ];
        assert_eq!(texts, wanted);
    }

    #[test]
    fn lists_and_parts() {
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(list(&items), "a, b and c");
        assert_eq!(list(&items[..1]), "a");
        assert_eq!([percent(0.125), percent(1.0)], ["12.5\u{202f}%", "100\u{202f}%"]);
        assert_eq!([p_value(0.0001), p_value(0.0416)], ["p < 0.001", "p = 0.042"]);
        assert_eq!([count(1, "run"), count(0, "run")], ["1 run", "0 runs"]);
    }
}
