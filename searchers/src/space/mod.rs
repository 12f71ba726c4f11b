//! Hyperparameters and the domains they are drawn from.
//!
//! | file | holds |
//! |---|---|
//! | `value` | values as JSON |
//! | `draw` | a trial's hyperparameters by chance |
//! | `given` | hyperparameters that a program gives: whether they lie in the space |
//! | `explore` | a child's hyperparameters from its parent's |
//! | `grid` | the points of a grid, one by one |
//! | `condition` | which hyperparameters are active |
//! | [`constraint`] | relations between hyperparameters |
//! | [`admissible`] | drawing what satisfies them |
//! | [`prior`] | where a person expects good values |
//! | `check` | what can be wrong with a space |
//! | [`encoding`] | a space as axes of numbers, for models |

pub mod admissible;
mod check;
mod condition;
pub mod constraint;
mod draw;
pub mod encoding;
mod explore;
mod given;
mod grid;
pub mod prior;
mod value;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use constraint::Constraint;
pub(crate) use explore::Explore;
pub use given::Refusal;
pub use prior::Prior;
pub use value::{from_json_text, to_json_text};

/// A hyperparameter's value. Doubles are always finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// JSON `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A finite number.
    Double(f64),
    /// A text.
    String(String),
    /// A list (only as a constant or a category).
    List(Vec<Value>),
    /// A map: a constant or category, or a nested group of hyperparameters.
    Map(BTreeMap<String, Value>),
}

/// The hyperparameters of one trial, nested groups as [`Value::Map`].
pub type Assignment = BTreeMap<String, Value>;

/// The set a hyperparameter is drawn from. Built by `toprung-config`, which has checked it. `count` is the number of points
/// of a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Domain {
    /// Always this value.
    Const(Value),
    /// `min ..= max`; `log`: uniform in the logarithm (then `min >= 1`).
    Int {
        /// The least.
        min: i64,
        /// The greatest, itself included.
        max: i64,
        /// Uniform in the logarithm.
        log: bool,
        /// Points in a grid; none: all integers.
        count: Option<u64>,
    },
    /// `min ..= max`; `log`: uniform in the logarithm (then `min > 0`); `quantize`: rounded to multiples of it.
    Double {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
        /// Uniform in the logarithm.
        log: bool,
        /// Rounded to multiples of it, within the bounds.
        quantize: Option<f64>,
        /// Points in a grid.
        count: Option<u64>,
    },
    /// `base` to a power in `minval ..= maxval`.
    Log {
        /// The base, greater than 0.
        base: f64,
        /// The least exponent.
        minval: f64,
        /// The greatest exponent.
        maxval: f64,
        /// Points in a grid.
        count: Option<u64>,
    },
    /// One of these, without order.
    Categorical(Vec<Value>),
    /// One of these, in this order.
    Ordinal(Vec<Value>),
    /// A nested group.
    Group(BTreeMap<String, Dimension>),
}

/// A domain and when it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// What is drawn from.
    pub domain: Domain,
    /// Active only if each named sibling has one of these values; an inactive hyperparameter is absent.
    pub condition: BTreeMap<String, Vec<Value>>,
    /// Where good values are expected.
    pub prior: Option<Prior>,
}

impl Dimension {
    /// One that is always active.
    pub fn always(domain: Domain) -> Self {
        Self { domain, condition: BTreeMap::new(), prior: None }
    }
}

/// All hyperparameters of a search, and how they must be related.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The hyperparameters by their names.
    pub dimensions: BTreeMap<String, Dimension>,
    /// What every trial must satisfy.
    pub constraints: Vec<Constraint>,
}

impl Space {
    /// Hyperparameters without constraints.
    pub fn new(dimensions: BTreeMap<String, Dimension>) -> Self {
        Self { dimensions, constraints: Vec::new() }
    }
}

/// The value at a path through groups; none where it is inactive.
fn lookup<'a>(assignment: &'a Assignment, path: &[String]) -> Option<&'a Value> {
    let (name, rest) = path.split_first()?;
    match (assignment.get(name)?, rest.is_empty()) {
        (value, true) => Some(value),
        (Value::Map(inner), false) => lookup(inner, rest),
        _ => None,
    }
}
