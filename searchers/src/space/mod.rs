//! Hyperparameters and the domains they are drawn from.
//!
//! | file | holds |
//! |---|---|
//! | `value` | values as JSON |
//! | `draw` | a trial's hyperparameters by chance |
//! | `explore` | a child's hyperparameters from its parent's |
//! | `grid` | the points of a grid, one by one |
//! | `condition` | which hyperparameters are active |
//! | `check` | what can be wrong with a space |
//! | [`encoding`] | a space as axes of numbers, for models |

mod check;
mod condition;
mod draw;
pub mod encoding;
mod explore;
mod grid;
mod value;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) use explore::Explore;
pub use value::to_json_text;

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
}

impl Dimension {
    /// One that is always active.
    pub fn always(domain: Domain) -> Self {
        Self { domain, condition: BTreeMap::new() }
    }
}

/// All hyperparameters of a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space(pub BTreeMap<String, Dimension>);
