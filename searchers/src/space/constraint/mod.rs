//! Constraints: relations between hyperparameters that every trial must satisfy, such as `hidden1 >= hidden2`.
//!
//! ```text
//! relation   a < b   a <= b   a > b   a >= b   a == b   a != b   1 < a < b   kind in ["x", "y"]   kind not in […]
//! logic      r and s   r or s   not r   ( … )
//! number     3   0.5   1e-3   width   net.width   a + b   a - b   a * b   a / b   -a
//! other      "text"   'text'   true   false   null
//! ```
//!
//! A name with other characters than letters, digits and `_` stands in backquotes: `` `layer-1`.width ``. Integers are exact
//! unless they overflow; division is always by fractions. Nothing else exists: no functions, no assignments, no way to
//! anything outside, and the time to evaluate one is in proportion to its length.
//!
//! A constraint that names an inactive hyperparameter holds.
//!
//! | file | holds |
//! |---|---|
//! | `token` | words of the language |
//! | `parse` | sentences of it |
//! | `check` | whether names exist and kinds fit |
//! | `evaluate` | whether it holds |

mod check;
mod evaluate;
mod parse;
mod token;

use super::{Assignment, Dimension, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest constraint, in bytes.
const MAX_LENGTH: usize = 1_000;

/// One constraint, parsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Constraint {
    text: String,
    relation: Expression,
    /// The names in it, each a path through groups.
    names: Vec<Vec<String>>,
}

/// What is wrong with a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it begins in the text, in bytes.
    pub at: usize,
    /// How long the part is, in bytes; 0 at the end of the text.
    pub len: usize,
    /// What was found, and what is allowed.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// A word that is not known, and those that are.
    pub unknown: Option<(String, Vec<String>)>,
}

/// A part of a constraint and where it stands.
#[derive(Clone, Debug, PartialEq)]
struct Expression {
    at: usize,
    len: usize,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Literal(Value),
    Name(Vec<String>),
    Negative(Box<Expression>),
    Arithmetic(Operator, Box<Expression>, Box<Expression>),
    /// Neighbours are compared, all of which must be so.
    Compared(Box<Expression>, Vec<(Comparison, Expression)>),
    /// `true`: `not in`.
    In(Box<Expression>, Vec<Expression>, bool),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
}

impl Constraint {
    /// Reads a constraint. Whether its names exist is another question: [`Constraint::check`].
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        if text.len() > MAX_LENGTH {
            let message = format!("has {} bytes; at most {MAX_LENGTH} are read", text.len());
            return Err(Mistake::new(0, text.len(), message, "write several constraints"));
        }
        let relation = parse::parse(text)?;
        let mut names = Vec::new();
        relation.names(&mut names);
        Ok(Self { text: text.to_owned(), relation, names })
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks that it names hyperparameters that exist, and compares what can be compared.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self, dimensions: &BTreeMap<String, Dimension>) -> Result<(), Mistake> {
        check::relation(&self.relation, dimensions)
    }

    /// Whether these hyperparameters satisfy it.
    pub fn holds(&self, assignment: &Assignment) -> bool {
        self.names.iter().any(|path| super::lookup(assignment, path).is_none())
            || self.relation.is_true(assignment)
    }
}

impl Expression {
    fn names(&self, found: &mut Vec<Vec<String>>) {
        match &self.kind {
            Kind::Literal(_) => {}
            Kind::Name(path) => found.push(path.clone()),
            Kind::Negative(inner) | Kind::Not(inner) => inner.names(found),
            Kind::Arithmetic(_, left, right) | Kind::And(left, right) | Kind::Or(left, right) => {
                left.names(found);
                right.names(found);
            }
            Kind::Compared(first, rest) => {
                first.names(found);
                rest.iter().for_each(|(_, next)| next.names(found));
            }
            Kind::In(what, list, _) => {
                what.names(found);
                list.iter().for_each(|element| element.names(found));
            }
        }
    }
}

impl Mistake {
    fn new(at: usize, len: usize, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, len, message: message.into(), help: help.into(), unknown: None }
    }
}

impl From<Constraint> for String {
    fn from(constraint: Constraint) -> Self {
        constraint.text
    }
}

impl TryFrom<String> for Constraint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|mistake| mistake.message)
    }
}

#[cfg(test)]
mod tests;
