//! The lines of the socket: one JSON object each way.

use super::lenient;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toprung_proto::v1::{Metric, MetricGroup};

/// Metrics of one report, at most.
const MOST_METRICS: usize = 1000;
/// Bytes of a metric's name, at most.
const LONGEST_NAME: usize = 256;

/// What a script says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request {
    Report(ReportRequest),
    Checkpoint {
        length: u64,
        #[serde(default)]
        unit: Option<String>,
        directory: String,
    },
    Next {
        length: u64,
    },
    Status {},
    InvalidHyperparameters {
        #[serde(default)]
        reason: String,
    },
    Progress {
        fraction: f64,
    },
    Hello {},
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReportRequest {
    pub(crate) group: Group,
    pub(crate) length: u64,
    #[serde(default)]
    pub(crate) unit: Option<String>,
    metrics: Map<String, Value>,
}

/// Where a report comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// From training.
    Training,
    /// From a validation.
    Validation,
}

impl Group {
    pub(crate) fn to_wire(self) -> MetricGroup {
        match self {
            Self::Training => MetricGroup::Training,
            Self::Validation => MetricGroup::Validation,
        }
    }
}

/// Whether a report is of a size that is taken, wherever it comes from; the error is for the script's author.
pub(crate) fn check<'a>(mut names: impl ExactSizeIterator<Item = &'a str>) -> Result<(), String> {
    let count = names.len();
    if count > MOST_METRICS {
        return Err(format!("a report holds at most {MOST_METRICS} metrics; this one has {count}"));
    }
    if let Some(name) = names.find(|name| name.len() > LONGEST_NAME) {
        let start: String = name.chars().take(20).collect();
        return Err(format!(
            "the name of a metric holds at most {LONGEST_NAME} bytes; `{start}…` has {}",
            name.len()
        ));
    }
    Ok(())
}

impl ReportRequest {
    /// The metrics with their values, at most 1 000.
    pub(crate) fn metrics(&self) -> Result<Vec<Metric>, String> {
        check(self.metrics.keys().map(String::as_str))?;
        self.metrics
            .iter()
            .map(|(name, value)| match lenient::number(value) {
                Some(value) => Ok(Metric { name: name.clone(), value }),
                None => Err(format!(
                    "the metric `{name}` is not a number; allowed are numbers, \"NaN\", \"Infinity\" and \"-Infinity\""
                )),
            })
            .collect()
    }
}

/// Reads one line; the error is for the script's author.
pub(crate) fn parse(line: &str) -> Result<Request, String> {
    let value = lenient::parse(line).map_err(|error| format!("not a JSON object: {error}"))?;
    serde_json::from_value(value).map_err(|error| format!("not a request: {error}"))
}

/// What a script is answered.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Done.
    Ok,
    /// Not done, and why.
    Error(String),
    /// A checkpoint is complete.
    Saved {
        /// Its name.
        uuid: String,
        /// Where it lies.
        path: String,
    },
    /// Go on.
    Train {
        /// Until this length.
        until: u64,
    },
    /// Save and end; it goes on later.
    Pause {
        /// Why.
        reason: String,
    },
    /// End.
    Stop {
        /// Why.
        reason: String,
    },
    /// The longest length is reached.
    Finish,
    /// Not known yet: ask again.
    Wait,
    /// How it stands.
    Status {
        /// It is to save and end.
        preempt: bool,
        /// It is to end.
        stop: bool,
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// The answer as one line with its line feed.
    pub(crate) fn to_line(&self) -> String {
        let value = match self {
            Self::Ok => json!({"ok": true}),
            Self::Error(error) => json!({"ok": false, "error": error}),
            Self::Saved { uuid, path } => json!({"ok": true, "uuid": uuid, "path": path}),
            Self::Train { until } => json!({"action": "train", "until": until}),
            Self::Pause { reason } => json!({"action": "pause", "reason": reason}),
            Self::Stop { reason } => json!({"action": "stop", "reason": reason}),
            Self::Finish => json!({"action": "finish"}),
            Self::Wait => json!({"action": "wait"}),
            Self::Status { preempt, stop, reason } => {
                json!({"preempt": preempt, "stop": stop, "reason": reason})
            }
        };
        format!("{value}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(line: &str) -> ReportRequest {
        match parse(line) {
            Ok(Request::Report(report)) => report,
            other => panic!("not a report: {other:?}"),
        }
    }

    #[test]
    fn reports_are_read_with_all_numbers() {
        let line = r#"{"type":"report","group":"validation","length":3,"unit":null,
            "metrics":{"loss":0.5,"a":"NaN","b":"-Infinity","c":3,"d":1e-4,"e":NaN}}"#;
        let report = report(line);
        assert_eq!((report.group, report.length, report.unit.as_deref()), (Group::Validation, 3, None));
        let metrics = report.metrics().unwrap();
        assert_eq!((metrics[0].name.as_str(), metrics[0].value), ("loss", 0.5));
        assert!(metrics[1].value.is_nan() && metrics[5].value.is_nan());
        assert_eq!(metrics[2].value, f64::NEG_INFINITY);
    }

    #[test]
    fn bad_metrics_are_named() {
        let line = r#"{"type":"report","group":"training","length":1,"metrics":{"loss":"low"}}"#;
        assert!(report(line).metrics().unwrap_err().contains("`loss` is not a number"));
        let many: Map<String, Value> =
            (0..=MOST_METRICS).map(|index| (index.to_string(), json!(1))).collect();
        let many = ReportRequest { group: Group::Training, length: 1, unit: None, metrics: many };
        assert!(many.metrics().unwrap_err().contains("at most 1000"));
        let name = "é".repeat(129);
        assert!(check([name.as_str()].into_iter()).unwrap_err().contains("at most 256 bytes"));
        assert!(check(["é".repeat(128).as_str()].into_iter()).is_ok());
    }

    #[test]
    fn unknown_requests_name_the_known() {
        let error = parse(r#"{"type":"nonsense"}"#).unwrap_err();
        assert!(error.contains("invalid_hyperparameters") && error.contains("nonsense"), "{error}");
        assert!(parse("hello").is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(&deep).unwrap_err().contains("recursion limit"));
        assert!(parse(r#"{"type":"next","length":-1}"#).is_err());
        assert!(matches!(parse(r#"{"type":"hello","sdk":"python","version":"1"}"#), Ok(Request::Hello {})));
        assert!(matches!(parse(r#"{"type":"status"}"#), Ok(Request::Status {})));
    }

    #[test]
    fn answers_are_single_lines() {
        assert_eq!(Answer::Train { until: 9 }.to_line(), "{\"action\":\"train\",\"until\":9}\n");
        let error = Answer::Error("a\nb".to_owned()).to_line();
        assert_eq!(error.matches('\n').count(), 1);
    }
}
