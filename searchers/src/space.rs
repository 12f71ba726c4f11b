//! Hyperparameters and the domains they are drawn from.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

/// The set a hyperparameter is drawn from. Built by `toprung-config`, which has checked it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Domain {
    /// Always this value.
    Const(Value),
    /// `min ..= max`; `log`: uniform in the logarithm (then `min >= 1`).
    Int { min: i64, max: i64, log: bool, count: Option<u64> },
    /// `min ..= max`; `log`: uniform in the logarithm (then `min > 0`); `quantize`: rounded to multiples of it.
    Double { min: f64, max: f64, log: bool, quantize: Option<f64>, count: Option<u64> },
    /// `base` to a power in `minval ..= maxval`.
    Log { base: f64, minval: f64, maxval: f64, count: Option<u64> },
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

/// All hyperparameters of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Space(pub BTreeMap<String, Dimension>);
