//! Medians, and numbers as the page writes them.

/// Medians this far apart are told apart: regrets are written with three decimals.
pub const APART: f64 = 0.000_5;

/// The quantile of values, by the nearest of them below and above; NaN of none.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = part * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Infinite values have no middle.
    if below == above { below } else { below + (above - below) * place.fract() }
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A regret: three decimals, with a true minus.
pub fn regret(value: f64) -> String {
    let text = format!("{value:.3}");
    // What rounds to zero has no sign.
    if text == "-0.000" { "0.000".to_owned() } else { text.replace('-', "−") }
}

/// A p value.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
pub fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_hand() {
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), 2.5);
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0, 4.0], 0.25), 1.0);
        assert_eq!(median(&[1.0, f64::INFINITY, f64::INFINITY]), f64::INFINITY);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn numbers_have_no_negative_zero() {
        assert_eq!([regret(-0.0001), regret(-0.25), regret(1.0)], ["0.000", "−0.250", "1.000"]);
        assert_eq!(list(&["a", "b", "c"].map(str::to_owned)), "a, b and c");
    }
}
