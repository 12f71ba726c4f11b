//! One hyperparameter of a table: where its values lie, and how far two of them are apart.

use toprung_searchers::{Assignment, Dimension, Domain, Space, Value};

/// What stands for a hyperparameter that a configuration does not have.
pub(super) const ABSENT: u32 = u32::MAX;
/// What stands for a value that the table's category does not know: it differs from all.
pub(super) const UNKNOWN: u32 = u32::MAX - 1;

/// How a hyperparameter's values become coordinates.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scale {
    /// Numbers, `low ..= high` to 0 … 1, on a logarithmic scale if `log`.
    Number { low: f64, high: f64, log: bool },
    /// Values that are the same or not.
    Category(Vec<Value>),
    /// Always the same: no distance.
    Fixed,
}

/// A hyperparameter, by its path in the nested groups.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) path: Vec<String>,
    pub(super) scale: Scale,
}

impl Axis {
    /// All axes of a space, nested groups included, in order.
    pub(super) fn all(space: &Space) -> Vec<Self> {
        let mut axes = Vec::new();
        let mut path = Vec::new();
        for (name, dimension) in &space.dimensions {
            collect(name, dimension, &mut path, &mut axes);
        }
        axes
    }

    /// The name in a column's head: groups joined by dots.
    pub(super) fn name(&self) -> String {
        self.path.join(".")
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.scale, Scale::Number { .. })
    }

    /// The value of this hyperparameter, if the configuration has it.
    pub(super) fn value<'a>(&self, hparams: &'a Assignment) -> Option<&'a Value> {
        let (last, groups) = self.path.split_last()?;
        let mut group = hparams;
        for name in groups {
            let Value::Map(inner) = group.get(name)? else { return None };
            group = inner;
        }
        group.get(last)
    }

    /// A number's coordinate; NaN if it is absent or no number.
    pub(super) fn unit(&self, value: Option<&Value>) -> f64 {
        let Scale::Number { low, high, log } = self.scale else { return f64::NAN };
        let number = match value {
            Some(Value::Int(number)) => *number as f64,
            Some(Value::Double(number)) => *number,
            _ => return f64::NAN,
        };
        let (low, high, number) = if log { (low.ln(), high.ln(), number.ln()) } else { (low, high, number) };
        if high > low { (number - low) / (high - low) } else { 0.0 }
    }

    /// A category's index.
    pub(super) fn category(&self, value: Option<&Value>) -> u32 {
        let Scale::Category(values) = &self.scale else { return ABSENT };
        let Some(value) = value else { return ABSENT };
        values.iter().position(|known| known.is_same(value)).map_or(UNKNOWN, |index| index as u32)
    }

    /// Reads a cell of a table. An empty one is a hyperparameter that the configuration does not have.
    pub(super) fn read(&self, text: &str) -> Result<Option<Value>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        match &self.scale {
            Scale::Number { .. } => {
                if let Ok(number) = text.parse::<i64>() {
                    return Ok(Some(Value::Int(number)));
                }
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number
                    .map(|number| Some(Value::Double(number)))
                    .ok_or_else(|| format!("`{text}` is no finite number"))
            }
            Scale::Category(values) => {
                let known = values.iter().find(|value| is_written(value, text));
                known
                    .map(|value| Some(value.clone()))
                    .ok_or_else(|| format!("`{text}` is not one of the values of the space"))
            }
            Scale::Fixed => Ok(None),
        }
    }
}

/// Whether a cell's text is this value.
fn is_written(value: &Value, text: &str) -> bool {
    match value {
        Value::String(known) => known == text,
        Value::Int(_) | Value::Double(_) => {
            let known = if let Value::Int(number) = value {
                *number as f64
            } else if let Value::Double(number) = value {
                *number
            } else {
                f64::NAN
            };
            text.parse::<f64>().is_ok_and(|number| number == known)
        }
        _ => value.to_json().to_string().eq_ignore_ascii_case(text),
    }
}

fn collect(name: &str, dimension: &Dimension, path: &mut Vec<String>, axes: &mut Vec<Axis>) {
    path.push(name.to_owned());
    let scale = match &dimension.domain {
        Domain::Group(inner) => {
            for (name, dimension) in inner {
                collect(name, dimension, path, axes);
            }
            path.pop();
            return;
        }
        Domain::Const(_) => Scale::Fixed,
        Domain::Int { min, max, log, .. } => Scale::Number { low: *min as f64, high: *max as f64, log: *log },
        Domain::Double { min, max, log, .. } => Scale::Number { low: *min, high: *max, log: *log },
        Domain::Log { base, minval, maxval, .. } => {
            let (low, high) = (base.powf(*minval), base.powf(*maxval));
            Scale::Number { low: low.min(high), high: low.max(high), log: true }
        }
        Domain::Categorical(values) | Domain::Ordinal(values) => Scale::Category(values.clone()),
    };
    axes.push(Axis { path: path.clone(), scale });
    path.pop();
}
