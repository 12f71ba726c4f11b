//! Which row of a table answers a configuration.

use crate::line;
use proptest::prelude::*;
use toprung_searchers::{Assignment, Dimension, Domain, Space, TrialId, Value};
use toprung_simulations::{Row, Table};

fn row(hparams: Assignment) -> Row {
    Row { hparams, metrics: vec![0.5], costs: vec![1.0] }
}

fn at(x: f64) -> Assignment {
    [("x".to_owned(), Value::Double(x))].into()
}

#[test]
fn ties_go_to_the_first_row() {
    let table = Table::new("t", line(), &[row(at(50.0)), row(at(0.0)), row(at(0.0))], None).unwrap();
    assert_eq!(table.nearest(&at(25.0)).0, 0);
    assert_eq!(table.nearest(&at(24.0)).0, 1);
    assert_eq!(table.nearest(&at(12.5)), (1, 0.015_625));
}

/// A rate on a logarithmic scale, a whole number, and a kind.
fn mixed() -> Space {
    let rate = Domain::Double { min: 1e-4, max: 1.0, log: true, quantize: None, count: None };
    let units = Domain::Int { min: 1, max: 9, log: false, count: None };
    let kind = Domain::Categorical(["a", "b"].map(|kind| Value::String(kind.to_owned())).into());
    let always = |(name, domain): (&str, Domain)| (name.to_owned(), Dimension::always(domain));
    Space::new([("rate", rate), ("units", units), ("kind", kind)].map(always).into())
}

fn of(rate: f64, units: i64, kind: &str) -> Assignment {
    let values = [
        ("rate", Value::Double(rate)),
        ("units", Value::Int(units)),
        ("kind", Value::String(kind.to_owned())),
    ];
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn scales_and_categories_count_as_the_rules_say() {
    let rows = [row(of(1e-4, 1, "a")), row(of(1.0, 9, "b")), row(of(1e-2, 5, "a"))];
    let table = Table::new("t", mixed(), &rows, None).unwrap();
    // From row 2: half of the logarithmic range is 2 orders of magnitude, half of the units is 4.
    let distance = |hparams| table.nearest(&hparams);
    assert_eq!(distance(of(1e-2, 5, "a")), (2, 0.0));
    let (row, apart) = distance(of(1e-1, 5, "a"));
    assert_eq!(row, 2);
    assert!((apart - 0.0625).abs() < 1e-12, "{apart}");
    // Another kind costs 1: rows 0 and 2 are at 1 + 0.25 + 0.25 and 1, row 1 at 0.25 + 0.25.
    let (row, apart) = distance(of(1e-2, 5, "b"));
    assert_eq!(row, 1);
    assert!((apart - 0.5).abs() < 1e-12, "{apart}");
}

#[test]
fn what_one_has_and_the_other_has_not_counts_one() {
    let mut without = of(1e-2, 5, "a");
    without.remove("units");
    let table = Table::new("t", mixed(), &[row(of(1e-2, 5, "a")), row(without.clone())], None).unwrap();
    assert_eq!(table.nearest(&without), (1, 0.0));
    assert_eq!(table.nearest(&of(1e-2, 5, "c")).1, 1.0);
    let mut neither = without;
    neither.remove("rate");
    assert_eq!(table.nearest(&neither), (1, 1.0));
}

proptest! {
    /// Against the rule written down plainly.
    #[test]
    fn the_scan_finds_what_the_rule_says(seed in any::<u32>(), count in 1_u32..60) {
        let space = mixed();
        let rows: Vec<Row> = (1..=count).map(|trial| row(space.draw(seed, TrialId(trial)))).collect();
        let table = Table::new("t", space.clone(), &rows, None).unwrap();
        let asked = space.draw(seed, TrialId(count + 1));
        let number = |hparams: &Assignment, name: &str| match &hparams[name] {
            Value::Int(number) => *number as f64,
            Value::Double(number) => *number,
            other => panic!("{other:?}"),
        };
        let apart = |row: &Row| {
            let rate = (number(&row.hparams, "rate").ln() - number(&asked, "rate").ln()) / (1_f64.ln() - 1e-4_f64.ln());
            let units = (number(&row.hparams, "units") - number(&asked, "units")) / 8.0;
            let kind = f64::from(u8::from(row.hparams["kind"] != asked["kind"]));
            rate * rate + units * units + kind
        };
        let least = rows.iter().map(apart).fold(f64::INFINITY, f64::min);
        let (found, distance) = table.nearest(&asked);
        prop_assert!((distance - least).abs() < 1e-9);
        prop_assert!((apart(&rows[found as usize]) - least).abs() < 1e-9);
    }
}
