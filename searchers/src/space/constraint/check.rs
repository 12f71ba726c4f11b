//! Whether a constraint names hyperparameters that exist, and compares what can be compared.

use super::super::{Dimension, Domain, Value};
use super::{Comparison, Expression, Kind, Mistake};
use std::collections::BTreeMap;

type Dimensions = BTreeMap<String, Dimension>;

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Number,
    Truth,
    Text,
    /// A list, a map or null.
    Other,
    /// One or another: values of several kinds.
    Mixed,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Truth => "a truth value",
            Self::Text => "a text",
            Self::Other => "neither a number nor a text",
            Self::Mixed => "of several kinds",
        }
    }

    fn may_be(self, wanted: Self) -> bool {
        self == wanted || self == Self::Mixed
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Int(_) | Value::Double(_) => Self::Number,
            Value::Bool(_) => Self::Truth,
            Value::String(_) => Self::Text,
            Value::Null | Value::List(_) | Value::Map(_) => Self::Other,
        }
    }

    fn of_values(values: &[Value]) -> Self {
        let mut types = values.iter().map(Self::of_value);
        let first = types.next().unwrap_or(Self::Other);
        if types.all(|next| next == first) { first } else { Self::Mixed }
    }
}

/// Checks a whole constraint.
pub(super) fn relation(expression: &Expression, dimensions: &Dimensions) -> Result<(), Mistake> {
    let found = type_of(expression, dimensions)?;
    if found.may_be(Type::Truth) {
        return Ok(());
    }
    Err(expression.mistake(
        format!("is {}, expected a relation", found.name()),
        "compare it with something, such as `a >= b`",
    ))
}

fn type_of(expression: &Expression, dimensions: &Dimensions) -> Result<Type, Mistake> {
    match &expression.kind {
        Kind::Literal(value) => Ok(Type::of_value(value)),
        Kind::Name(path) => Ok(match domain(expression, path, dimensions)? {
            Domain::Const(value) => Type::of_value(value),
            Domain::Categorical(values) | Domain::Ordinal(values) => Type::of_values(values),
            _ => Type::Number,
        }),
        Kind::Negative(inner) => wanted(inner, dimensions, Type::Number, "`-`").map(|()| Type::Number),
        Kind::Arithmetic(_, left, right) => {
            wanted(left, dimensions, Type::Number, "arithmetic")?;
            wanted(right, dimensions, Type::Number, "arithmetic")?;
            Ok(Type::Number)
        }
        Kind::Compared(first, rest) => {
            let mut left = &**first;
            for (comparison, right) in rest {
                compared(*comparison, left, right, dimensions)?;
                left = right;
            }
            Ok(Type::Truth)
        }
        Kind::In(what, list, _) => {
            for element in list {
                compared(Comparison::Equal, what, element, dimensions)?;
            }
            Ok(Type::Truth)
        }
        Kind::Not(inner) => wanted(inner, dimensions, Type::Truth, "`not`").map(|()| Type::Truth),
        Kind::And(left, right) | Kind::Or(left, right) => {
            let word = if matches!(expression.kind, Kind::And(..)) { "`and`" } else { "`or`" };
            wanted(left, dimensions, Type::Truth, word)?;
            wanted(right, dimensions, Type::Truth, word)?;
            Ok(Type::Truth)
        }
    }
}

fn wanted(expression: &Expression, dimensions: &Dimensions, wanted: Type, by: &str) -> Result<(), Mistake> {
    let found = type_of(expression, dimensions)?;
    if found.may_be(wanted) {
        return Ok(());
    }
    let needs = if wanted == Type::Number { "numbers" } else { "relations" };
    Err(expression.mistake(format!("is {}, but {by} is for {needs}", found.name()), ""))
}

fn compared(
    comparison: Comparison,
    left: &Expression,
    right: &Expression,
    dimensions: &Dimensions,
) -> Result<(), Mistake> {
    if !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
        wanted(left, dimensions, Type::Number, "an order")?;
        return wanted(right, dimensions, Type::Number, "an order");
    }
    let (one, other) = (type_of(left, dimensions)?, type_of(right, dimensions)?);
    if !one.may_be(other) && !other.may_be(one) {
        let message = format!("is {}, which is never {}", other.name(), one.name());
        return Err(right.mistake(message, "compare values of the same kind"));
    }
    possible(left, right, dimensions)?;
    possible(right, left, dimensions)
}

/// A hyperparameter with listed values is compared with one of them.
fn possible(name: &Expression, literal: &Expression, dimensions: &Dimensions) -> Result<(), Mistake> {
    let (Kind::Name(path), Kind::Literal(value)) = (&name.kind, &literal.kind) else { return Ok(()) };
    let (Domain::Categorical(values) | Domain::Ordinal(values)) = domain(name, path, dimensions)? else {
        return Ok(());
    };
    if values.iter().any(|known| known.is_same(value)) {
        return Ok(());
    }
    let message = format!("`{}` is never {}", path.join("."), value.to_json());
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_json().to_string(),
    };
    let unknown = Some((text(value), values.iter().map(text).collect()));
    Err(Mistake { unknown, ..literal.mistake(message, "") })
}

/// The domain of a name.
fn domain<'a>(
    expression: &Expression,
    path: &[String],
    dimensions: &'a Dimensions,
) -> Result<&'a Domain, Mistake> {
    let mut here = dimensions;
    for (place, name) in path.iter().enumerate() {
        let last = place + 1 == path.len();
        match (here.get(name).map(|dimension| &dimension.domain), last) {
            (Some(Domain::Group(inner)), false) => here = inner,
            (Some(Domain::Group(inner)), true) => {
                let message = format!("`{}` is a group and has no value", path.join("."));
                let first = inner
                    .keys()
                    .next()
                    .map(|inner| format!("name one of it, such as `{}.{inner}`", path.join(".")));
                return Err(expression.mistake(message, first.unwrap_or_default()));
            }
            (Some(domain), true) => return Ok(domain),
            _ => break,
        }
    }
    let found = path.join(".");
    let message = format!("there is no hyperparameter `{found}`");
    let mut known = Vec::new();
    all_names(dimensions, "", &mut known);
    Err(Mistake { unknown: Some((found, known)), ..expression.mistake(message, "") })
}

fn all_names(dimensions: &Dimensions, before: &str, names: &mut Vec<String>) {
    for (name, dimension) in dimensions {
        let path = format!("{before}{name}");
        match &dimension.domain {
            Domain::Group(inner) => all_names(inner, &format!("{path}."), names),
            _ => names.push(path),
        }
    }
}

impl Expression {
    fn mistake(&self, message: impl Into<String>, help: impl Into<String>) -> Mistake {
        Mistake::new(self.at, self.len, message, help)
    }
}
