//! One measured figure: its target, what it is compared with, and how both are shown. Pure.

use super::times::Percentiles;
use crate::output::table::{self, Width};
use comfy_table::Cell;
use serde_json::{Value, json};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things in a second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Mebibytes.
    Mebibytes,
    /// So many times as much.
    Times,
}

/// What the figure must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// No target: for the record.
    None,
    /// At least this.
    AtLeast(f64),
    /// At least this, and the 99th percentile at most so many milliseconds.
    AtLeastWithin(f64, f64),
    /// At most this.
    AtMost(f64),
}

/// The cost of a part alone, measured in the same run, in the unit of the figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bare {
    /// What was measured.
    pub what: String,
    /// How much.
    pub value: f64,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// What was measured.
    pub what: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: Unit,
    /// Times of the single things, where they mean something.
    pub times: Option<Percentiles>,
    /// What it must reach.
    pub target: Target,
    /// What it is compared with.
    pub bare: Vec<Bare>,
}

impl Figure {
    /// A figure without times and comparison.
    pub(super) fn new(what: impl Into<String>, value: f64, unit: Unit, target: Target) -> Self {
        Self { what: what.into(), value, unit, times: None, target, bare: Vec::new() }
    }

    /// Adds the times of the single things.
    pub(super) fn with_times(mut self, times: Option<Percentiles>) -> Self {
        self.times = times;
        self
    }

    /// Adds something to compare with.
    pub(super) fn against(mut self, what: impl Into<String>, value: f64) -> Self {
        self.bare.push(Bare { what: what.into(), value });
        self
    }

    /// Whether the target is met; none: there is no target.
    pub(super) fn met(&self) -> Option<bool> {
        match self.target {
            Target::None => None,
            Target::AtLeast(least) => Some(self.value >= least),
            Target::AtLeastWithin(least, p99) => {
                Some(self.value >= least && self.times.is_some_and(|times| times.p99 <= p99))
            }
            Target::AtMost(most) => Some(self.value <= most),
        }
    }

    /// As JSON: `value` and the `bare` values have the same unit.
    pub(super) fn json(&self) -> Value {
        let bare =
            |bare: &Bare| json!({"what": bare.what, "value": bare.value, "ratio": self.value / bare.value});
        json!({
            "what": self.what,
            "value": self.value,
            "unit": self.unit.word(),
            "p50_ms": self.times.map(|times| times.p50),
            "p99_ms": self.times.map(|times| times.p99),
            "target": self.target_text(),
            "met": self.met(),
            "bare": self.bare.iter().map(bare).collect::<Vec<_>>(),
        })
    }

    fn target_text(&self) -> Option<String> {
        let shown = |value| self.unit.shown(value);
        match self.target {
            Target::None => None,
            Target::AtLeast(least) => Some(format!("≥ {}", shown(least))),
            Target::AtLeastWithin(least, p99) => {
                Some(format!("≥ {}, p99 ≤ {}", shown(least), Unit::Milliseconds.shown(p99)))
            }
            Target::AtMost(most) => Some(format!("≤ {}", shown(most))),
        }
    }
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::Times => "×",
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Milliseconds if value >= 100.0 => format!("{value:.0} ms"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Mebibytes => format!("{value:.0} MiB"),
            Self::Times => format!("{value:.2}×"),
        }
    }
}

/// 12345.6 → "12 346"
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// All figures; below each what it is compared with.
pub(super) fn table(figures: &[Figure], width: Width) -> String {
    let mut table = table::plain(&["what", "figure", "p50", "p99", "target", "met", "ratio"], width);
    for figure in figures {
        let time = |pick: fn(Percentiles) -> f64| {
            figure.times.map_or_else(|| "-".to_owned(), |times| Unit::Milliseconds.shown(pick(times)))
        };
        let met = figure.met().map_or("-", |met| if met { "yes" } else { "NO" });
        table.add_row(vec![
            Cell::new(&figure.what),
            table::right(figure.unit.shown(figure.value)),
            table::right(time(|times| times.p50)),
            table::right(time(|times| times.p99)),
            Cell::new(figure.target_text().unwrap_or_else(|| "-".to_owned())),
            Cell::new(met),
            Cell::new(""),
        ]);
        for bare in &figure.bare {
            let ratio = table::right(format!("{:.2}", figure.value / bare.value));
            let blank = || Cell::new("");
            let what = Cell::new(format!("  against: {}", bare.what));
            let value = table::right(figure.unit.shown(bare.value));
            table.add_row(vec![what, value, blank(), blank(), blank(), blank(), ratio]);
        }
    }
    table::text(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, p99: f64, target: Target) -> Figure {
        Figure::new("calls", value, Unit::PerSecond, target).with_times(Some(Percentiles { p50: 1.0, p99 }))
    }

    #[test]
    fn a_target_is_met_from_both_sides() {
        assert_eq!(figure(10.0, 1.0, Target::AtLeast(10.0)).met(), Some(true));
        assert_eq!(figure(9.0, 1.0, Target::AtLeast(10.0)).met(), Some(false));
        assert_eq!(figure(9.0, 1.0, Target::AtMost(10.0)).met(), Some(true));
        assert_eq!(figure(11.0, 1.0, Target::AtMost(10.0)).met(), Some(false));
        assert_eq!(figure(11.0, 1.0, Target::None).met(), None);
    }

    #[test]
    fn a_rate_with_late_answers_is_not_enough() {
        assert_eq!(figure(20.0, 5.0, Target::AtLeastWithin(10.0, 5.0)).met(), Some(true));
        assert_eq!(figure(20.0, 5.1, Target::AtLeastWithin(10.0, 5.0)).met(), Some(false));
    }

    #[test]
    fn the_table_shows_figures_and_ratios() {
        let figures =
            [figure(12_345.6, 120.0, Target::AtLeastWithin(20_000.0, 10.0)).against("wire", 24_691.2)];
        let text = table(&figures, None);
        assert!(text.contains("12 346/s"), "{text}");
        assert!(text.contains("≥ 20 000/s, p99 ≤ 10.00 ms") && text.contains("NO"), "{text}");
        assert!(text.contains("against: wire") && text.contains("0.50"), "{text}");
    }

    #[test]
    fn json_has_the_ratio() {
        let value = figure(10.0, 1.0, Target::None).against("wire", 40.0).json();
        assert_eq!(value["bare"][0]["ratio"], 0.25);
        assert_eq!(value["met"], Value::Null);
    }
}
