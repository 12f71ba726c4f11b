//! Whether a constraint holds.

use super::super::lookup;
use super::{Assignment, Comparison, Expression, Kind, Operator, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

impl Expression {
    /// Whether it is true. What has no value is not.
    pub(super) fn is_true(&self, assignment: &Assignment) -> bool {
        match &self.kind {
            Kind::Not(inner) => !inner.is_true(assignment),
            Kind::And(left, right) => left.is_true(assignment) && right.is_true(assignment),
            Kind::Or(left, right) => left.is_true(assignment) || right.is_true(assignment),
            Kind::Compared(first, rest) => {
                let mut left = first.value(assignment);
                rest.iter().all(|(comparison, next)| {
                    let right = next.value(assignment);
                    let holds = compare(*comparison, &left, &right);
                    left = right;
                    holds
                })
            }
            Kind::In(what, list, negated) => {
                let what = what.value(assignment);
                list.iter().any(|element| what.is_same(&element.value(assignment))) != *negated
            }
            Kind::Literal(_) | Kind::Name(_) | Kind::Negative(_) | Kind::Arithmetic(..) => {
                *self.value(assignment) == Value::Bool(true)
            }
        }
    }

    fn value<'a>(&'a self, assignment: &'a Assignment) -> Cow<'a, Value> {
        match &self.kind {
            Kind::Literal(value) => Cow::Borrowed(value),
            Kind::Name(path) => lookup(assignment, path).map_or(Cow::Owned(Value::Null), Cow::Borrowed),
            Kind::Negative(inner) => Cow::Owned(match *inner.value(assignment) {
                Value::Int(value) => value.checked_neg().map_or(Value::Double(-(value as f64)), Value::Int),
                ref other => Value::Double(-number(other)),
            }),
            Kind::Arithmetic(operator, left, right) => {
                Cow::Owned(calculate(*operator, &left.value(assignment), &right.value(assignment)))
            }
            _ => Cow::Owned(Value::Bool(self.is_true(assignment))),
        }
    }
}

/// NaN, which compares with nothing, where there is no number.
fn number(value: &Value) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Double(value) => *value,
        _ => f64::NAN,
    }
}

fn calculate(operator: Operator, left: &Value, right: &Value) -> Value {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        let exact = match operator {
            Operator::Add => left.checked_add(*right),
            Operator::Subtract => left.checked_sub(*right),
            Operator::Multiply => left.checked_mul(*right),
            Operator::Divide => None,
        };
        if let Some(exact) = exact {
            return Value::Int(exact);
        }
    }
    let (left, right) = (number(left), number(right));
    Value::Double(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
    })
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let order = || match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        _ => number(left).partial_cmp(&number(right)),
    };
    match comparison {
        Comparison::Equal => left.is_same(right),
        Comparison::Unequal => !left.is_same(right),
        Comparison::Less => order() == Some(Ordering::Less),
        Comparison::AtMost => order().is_some_and(Ordering::is_le),
        Comparison::Greater => order() == Some(Ordering::Greater),
        Comparison::AtLeast => order().is_some_and(Ordering::is_ge),
    }
}
