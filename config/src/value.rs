//! From a node to the values that leave this crate.

use crate::context::{Context, joined};
use crate::node::{Kind, Node};
use serde_json::{Number, Value as Json};
use toprung_searchers::Value;

const NOT_FINITE: &str = "is not a finite number";

/// A hyperparameter's value; what cannot be one is recorded.
pub(crate) fn hyperparameter(cx: &mut Context, node: &Node, path: &str) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Int(value) => i64::try_from(*value).map_or_else(
            |_| {
                cx.error(node.span, path, format!("{value} does not fit in 64 bits"), "write it as a text");
                Value::Null
            },
            Value::Int,
        ),
        Kind::Float(value) => {
            check_finite(cx, node, path, *value);
            Value::Double(*value)
        }
        Kind::Text(text) => Value::String(text.clone()),
        Kind::List(nodes) => Value::List(
            nodes
                .iter()
                .enumerate()
                .map(|(i, node)| hyperparameter(cx, node, &format!("{path}[{i}]")))
                .collect(),
        ),
        Kind::Map(entries) => {
            let read = entries.iter().map(|(key, node)| {
                let inner = joined(path, &key.text);
                (key.text.clone(), hyperparameter(cx, node, &inner))
            });
            Value::Map(read.collect())
        }
    }
}

/// Any JSON value; what cannot be one is recorded.
pub(crate) fn json(cx: &mut Context, node: &Node, path: &str) -> Json {
    match &node.kind {
        Kind::Null => Json::Null,
        Kind::Bool(value) => Json::Bool(*value),
        Kind::Int(value) => Number::from_i128(*value).map_or(Json::Null, Json::Number),
        Kind::Float(value) => {
            check_finite(cx, node, path, *value);
            Json::from(*value)
        }
        Kind::Text(text) => Json::String(text.clone()),
        Kind::List(nodes) => {
            nodes.iter().enumerate().map(|(i, node)| json(cx, node, &format!("{path}[{i}]"))).collect()
        }
        Kind::Map(entries) => {
            let read = entries.iter().map(|(key, node)| {
                let inner = joined(path, &key.text);
                (key.text.clone(), json(cx, node, &inner))
            });
            Json::Object(read.collect())
        }
    }
}

fn check_finite(cx: &mut Context, node: &Node, path: &str, value: f64) {
    if !value.is_finite() {
        cx.error(
            node.span,
            path,
            format!("{} {NOT_FINITE}", node.described()),
            "write it as a text, in quotes",
        );
    }
}
