//! Metrics of scripts that know nothing of Toprung: from printed `name=value` pairs and from JSON lines. Pure.
//!
//! A line is a validation if it holds the searcher's metric, else training. Its length is the value of the time metric
//! (`epoch=3` for `epochs`) in it; else that of an earlier line; else validations are counted.

use crate::{
    contract::{Group, lenient},
    length::{convert, known_unit, names_unit},
};
use regex::Regex;
use std::sync::OnceLock;
use toprung_proto::v1::{LengthConversion, Metric};

/// `name=value` with a number, `nan` or `inf`.
const DEFAULT_PATTERN: &str = r"\b(?P<name>[A-Za-z_][\w./-]*)\s*=\s*(?P<value>[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|(?i:nan|inf(?:inity)?))\b)";

/// A report that was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) group: Group,
    pub(crate) length: u64,
    pub(crate) metrics: Vec<Metric>,
}

/// Finds pairs in printed lines.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// `pattern` has the groups `name` and `value`; empty: the default.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        // Compiling costs more than starting a process: the usual pattern is compiled once.
        static DEFAULT: OnceLock<Regex> = OnceLock::new();
        let known = DEFAULT.get().filter(|_| pattern.is_empty());
        let regex = match known {
            Some(regex) => regex.clone(),
            None => compile(pattern)?,
        };
        if pattern.is_empty() {
            DEFAULT.get_or_init(|| regex.clone());
        }
        let has = |group| regex.capture_names().flatten().any(|name| name == group);
        if !has("name") || !has("value") {
            return Err("metrics.stdout must have the groups (?P<name>...) and (?P<value>...)".to_owned());
        }
        Ok(Self(regex))
    }

    pub(crate) fn pairs(&self, line: &str) -> Vec<(String, f64)> {
        self.0
            .captures_iter(line)
            .filter_map(|found| {
                Some((found.name("name")?.as_str().to_owned(), parse(found.name("value")?.as_str())?))
            })
            .collect()
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let pattern = if pattern.is_empty() { DEFAULT_PATTERN } else { pattern };
    Regex::new(pattern).map_err(|error| format!("metrics.stdout is not a regular expression: {error}"))
}

/// Rust reads `nan`, `inf` and `infinity` in any case, with a sign.
fn parse(value: &str) -> Option<f64> {
    value.trim().parse().ok()
}

/// The numbers of a JSON object; `None` if the line is none.
pub(crate) fn json_pairs(line: &str) -> Option<Vec<(String, f64)>> {
    let value = lenient::parse(line).ok()?;
    let numbers =
        value.as_object()?.iter().filter_map(|(name, value)| Some((name.clone(), lenient::number(value)?)));
    Some(numbers.collect())
}

/// Turns pairs into reports; remembers lengths and counts validations.
#[derive(Debug)]
pub(crate) struct Interpreter {
    time_metric: String,
    metric: String,
    conversion: LengthConversion,
    /// The last length that was printed, or the validations counted from the checkpoint's length on.
    length: u64,
    length_is_printed: bool,
}

impl Interpreter {
    /// `start`: the length of the checkpoint that the attempt continues from, else 0.
    pub(crate) fn new(time_metric: &str, metric: &str, conversion: LengthConversion, start: u64) -> Self {
        Self {
            time_metric: time_metric.to_owned(),
            metric: metric.to_owned(),
            conversion,
            length: start,
            length_is_printed: false,
        }
    }

    /// The report that a line's pairs make, if there is a metric among them.
    pub(crate) fn report(&mut self, pairs: Vec<(String, f64)>) -> Option<Found> {
        if let Some(length) = self.printed_length(&pairs) {
            self.length = length;
            self.length_is_printed = true;
        }
        let is_metric = |name: &str| name == self.metric || !names_unit(name, &self.time_metric);
        let metrics: Vec<_> = pairs
            .into_iter()
            .filter(|(name, _)| is_metric(name))
            .map(|(name, value)| Metric { name, value })
            .collect();
        let is_validation = metrics.iter().any(|metric| metric.name == self.metric);
        if is_validation && !self.length_is_printed {
            self.length += 1;
        }
        let group = if is_validation { Group::Validation } else { Group::Training };
        (!metrics.is_empty()).then_some(Found { group, length: self.length, metrics })
    }

    /// The value of the time metric, or of another unit that converts to it.
    fn printed_length(&self, pairs: &[(String, f64)]) -> Option<u64> {
        let whole =
            |value: f64| (value >= 0.0 && value.fract() == 0.0 && value < 9e15).then_some(value as u64);
        let own = pairs.iter().find(|(name, _)| names_unit(name, &self.time_metric));
        if let Some((_, value)) = own {
            return whole(*value);
        }
        pairs.iter().find_map(|(name, value)| {
            let unit = known_unit(name)?;
            convert(whole(*value)?, Some(unit), &self.time_metric, self.conversion).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: LengthConversion = LengthConversion { records_per_epoch: 0, records_per_batch: 0 };

    fn pairs(line: &str) -> Vec<(String, f64)> {
        Pattern::new("").unwrap().pairs(line)
    }

    fn report(interpreter: &mut Interpreter, line: &str) -> Option<(Group, u64, Vec<String>)> {
        let found = interpreter.report(pairs(line))?;
        Some((found.group, found.length, found.metrics.into_iter().map(|metric| metric.name).collect()))
    }

    #[test]
    fn numbers_of_all_kinds_are_found() {
        let found = pairs("a=1 b = -2.5, c=1e-4;d=.5 (e=3.) val/acc=7 g.h=+1E3 x=abc y=1abc v=0x10 z=");
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "val/acc", "g.h"]);
        let values: Vec<_> = found.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [1.0, -2.5, 1e-4, 0.5, 3.0, 7.0, 1000.0]);
        let special = pairs("a=nan b=-inf c=Infinity d=NaN e=information");
        assert!(special[0].1.is_nan() && special[3].1.is_nan());
        assert_eq!((special[1].1, special[2].1, special.len()), (f64::NEG_INFINITY, f64::INFINITY, 4));
    }

    #[test]
    fn the_time_metric_gives_the_length() {
        let mut interpreter = Interpreter::new("epochs", "error", NONE, 0);
        let training = Some((Group::Training, 3, vec!["loss".to_owned()]));
        assert_eq!(report(&mut interpreter, "epoch=3 loss=0.5"), training);
        assert_eq!(report(&mut interpreter, "epoch=4"), None);
        let validation = Some((Group::Validation, 4, vec!["error".to_owned()]));
        assert_eq!(report(&mut interpreter, "error=0.1"), validation, "the length of the line before");
        assert_eq!(report(&mut interpreter, "nothing here"), None);
    }

    #[test]
    fn other_units_are_converted_where_possible() {
        let conversion = LengthConversion { records_per_epoch: 100, records_per_batch: 10 };
        let mut interpreter = Interpreter::new("batches", "error", conversion, 0);
        assert_eq!(report(&mut interpreter, "epoch=2 error=1").unwrap().1, 20);
    }

    #[test]
    fn without_lengths_validations_are_counted() {
        let mut interpreter = Interpreter::new("epochs", "error", NONE, 5);
        assert_eq!(report(&mut interpreter, "loss=1").unwrap().1, 5);
        assert_eq!(report(&mut interpreter, "error=1").unwrap().1, 6);
        assert_eq!(report(&mut interpreter, "error=1").unwrap().1, 7);
    }

    #[test]
    fn own_patterns_need_both_groups() {
        assert!(Pattern::new("(").unwrap_err().contains("not a regular expression"));
        assert!(Pattern::new("(?P<name>a)").unwrap_err().contains("must have the groups"));
        let colon = Pattern::new(r"(?P<name>\w+): (?P<value>\S+)").unwrap();
        assert_eq!(colon.pairs("loss: 0.5 acc: x"), [("loss".to_owned(), 0.5)]);
    }

    #[test]
    fn json_lines_give_their_numbers() {
        let found = json_pairs(r#"{"epoch": 1, "loss": NaN, "note": "text", "deep": {"a": 1}}"#).unwrap();
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["epoch", "loss"]);
        assert_eq!(json_pairs("not json"), None);
    }
}
