//! Values as JSON, and back.

use super::{Assignment, Value};
use serde_json::{Map, Number, Value as Json};

impl Value {
    /// As JSON: integers as integers, doubles so that they read back the same (`3.0` stays a double). A double that is not
    /// finite, which no domain gives, becomes `null`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::Number((*value).into()),
            Self::Double(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Self::String(value) => Json::String(value.clone()),
            Self::List(values) => Json::Array(values.iter().map(Self::to_json).collect()),
            Self::Map(values) => Json::Object(object(values)),
        }
    }

    /// From JSON. An integer beyond 64 bits with sign becomes a double.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::Double(value),
                (None, None) => Self::Null,
            },
            Json::String(value) => Self::String(value.clone()),
            Json::Array(values) => Self::List(values.iter().map(Self::from_json).collect()),
            Json::Object(values) => {
                Self::Map(values.iter().map(|(name, value)| (name.clone(), Self::from_json(value))).collect())
            }
        }
    }

    /// Whether every double in it is finite, as JSON needs.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Double(value) => value.is_finite(),
            Self::List(values) => values.iter().all(Self::is_finite),
            Self::Map(values) => values.values().all(Self::is_finite),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::String(_) => true,
        }
    }

    /// Whether a condition takes the two for the same: equal, or an integer and a double of the same number.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(int), Self::Double(double)) | (Self::Double(double), Self::Int(int)) => {
                *int as f64 == *double
            }
            _ => self == other,
        }
    }
}

/// A trial's hyperparameters as the text of a JSON object, keys in order.
pub fn to_json_text(assignment: &Assignment) -> String {
    Json::Object(object(assignment)).to_string()
}

/// A trial's hyperparameters from the text that [`to_json_text`] wrote; none if it is no JSON object.
pub fn from_json_text(text: &str) -> Option<Assignment> {
    let json = serde_json::from_str(text).ok()?;
    match Value::from_json(&json) {
        Value::Map(values) => Some(values),
        _ => None,
    }
}

fn object(values: &Assignment) -> Map<String, Json> {
    values.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Double),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    #[test]
    fn text_keeps_integers_and_doubles_apart() {
        let nested = Value::Map([("units".to_owned(), Value::Int(3))].into());
        let assignment: Assignment = [
            ("rate".to_owned(), Value::Double(0.1 + 0.2)),
            ("whole".to_owned(), Value::Double(3.0)),
            ("big".to_owned(), Value::Int(i64::MAX)),
            ("net".to_owned(), nested),
        ]
        .into();
        let text = to_json_text(&assignment);
        assert_eq!(
            text,
            r#"{"big":9223372036854775807,"net":{"units":3},"rate":0.30000000000000004,"whole":3.0}"#
        );
        assert_eq!(from_json_text(&text), Some(assignment));
        assert_eq!((from_json_text("[1]"), from_json_text("{")), (None, None));
    }

    proptest! {
        #[test]
        fn values_survive_json_text(value in any_value()) {
            let read: Json = serde_json::from_str(&value.to_json().to_string()).unwrap();
            prop_assert_eq!(Value::from_json(&read), value);
        }
    }
}
