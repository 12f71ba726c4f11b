//! The JSON Schema of the file, for editors. It says what one field may hold; rules between fields are the parser's.
//!
//! Whatever the parser accepts, the schema accepts too, but for truth values written as `yes`, `no`, `on`, `off`.

use crate::language::hyperparameters::LEAVES;
use crate::language::models::{MODELS, WORDS};
use crate::language::search::SEARCHERS;
use crate::language::top::{EXPERIMENT, EXTERNAL_ENTRYPOINT, LOG_ACTION};
use crate::language::{Field, Section, Shape, Status};
use crate::length::UNITS;
use serde_json::{Map, Value as Json, json};

/// The schema, in the 2020-12 dialect.
pub fn schema() -> Json {
    let mut top = section(&EXPERIMENT);
    if let Json::Object(map) = &mut top {
        map.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".into(), json!("Toprung experiment"));
        let defs = json!({
            "entrypoint": entrypoint(),
            "hyperparameters": {"type": "object", "additionalProperties": {"$ref": "#/$defs/hyperparameter"}},
            "hyperparameter": hyperparameter(),
            "searcher": searcher(),
            "searcher_name": {"enum": SEARCHERS.iter().map(|(name, _)| *name).collect::<Vec<_>>()},
            "model": model(),
            "log_action": {"anyOf": [{"enum": ["cancel_retries", "exclude_node"]}, section(&LOG_ACTION)]},
        });
        map.insert("$defs".into(), defs);
    }
    top
}

/// The schema of a section.
fn section(section: &Section) -> Json {
    let properties: Map<String, Json> =
        section.fields().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<_> =
        section.fields().filter(|field| field.status == Status::Required).map(|field| field.name).collect();
    let mut map = Map::new();
    map.insert("type".into(), json!("object"));
    map.insert("description".into(), json!(section.doc));
    map.insert("properties".into(), Json::Object(properties));
    if !required.is_empty() {
        map.insert("required".into(), json!(required));
    }
    map.insert("additionalProperties".into(), json!(false));
    Json::Object(map)
}

fn property(field: &Field) -> Json {
    let mut schema = match field.status {
        Status::NotYet(_) => json!({"type": "null"}),
        Status::Required => shape(&field.shape),
        _ => or_null(shape(&field.shape)),
    };
    let note = match field.status {
        Status::NotYet(instead) => format!(" Not supported yet: {instead}."),
        Status::Cluster => " Used on Kubernetes only.".to_owned(),
        Status::NoEffect(why) => format!(" Without effect in this version: {why}."),
        Status::Removed(_) => " No longer part of the language.".to_owned(),
        Status::Optional | Status::Required => String::new(),
    };
    if let Json::Object(map) = &mut schema {
        map.insert("description".into(), json!(sentence(field.doc) + &note));
        if !field.default.is_empty() {
            map.insert("default".into(), field.default_value());
        }
        if matches!(field.status, Status::Removed(_)) {
            map.insert("deprecated".into(), json!(true));
        }
    }
    schema
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// Null means absent, so it is allowed wherever a field may be absent.
fn or_null(mut schema: Json) -> Json {
    if let Some(Json::Array(words)) = schema.get_mut("enum") {
        words.push(Json::Null);
        return schema;
    }
    if let Some(Json::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
        return schema;
    }
    if schema.get("$ref").is_some() {
        return json!({"anyOf": [schema, {"type": "null"}]});
    }
    match schema.get_mut("type") {
        Some(Json::Array(types)) => types.push(json!("null")),
        Some(only) => *only = json!([only.clone(), "null"]),
        None => {}
    }
    schema
}

fn shape(shape_of: &Shape) -> Json {
    match shape_of {
        Shape::Text => json!({"type": ["string", "number", "boolean"]}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Int { min, max } => integer(*min, *max),
        Shape::Number { above: Some(bound) } => json!({"type": "number", "exclusiveMinimum": bound}),
        Shape::Number { above: None } => json!({"type": "number"}),
        Shape::Fraction { most } => json!({"type": "number", "minimum": 0, "maximum": most}),
        Shape::Share { most } => json!({"type": "number", "exclusiveMinimum": 0, "maximum": most}),
        Shape::Choice(words) => json!({"enum": words}),
        Shape::List(inner) => json!({"type": "array", "items": shape(inner)}),
        Shape::MapOf(inner) => json!({"type": "object", "additionalProperties": shape(inner)}),
        Shape::Section(inner) => section(inner),
        Shape::Either(shapes) => json!({"anyOf": shapes.iter().map(shape).collect::<Vec<_>>()}),
        Shape::Length { least } => length(*least),
        Shape::Named(name) => json!({"$ref": format!("#/$defs/{name}")}),
        Shape::Anything => json!({}),
    }
}

fn integer(min: i64, max: i64) -> Json {
    let mut schema = json!({"type": "integer"});
    if min != i64::MIN {
        schema["minimum"] = json!(min);
    }
    if max != i64::MAX {
        schema["maximum"] = json!(max);
    }
    schema
}

fn length(least: i64) -> Json {
    let count = integer(least, crate::language::LARGEST);
    let units: Map<String, Json> = UNITS.iter().map(|unit| ((*unit).to_owned(), count.clone())).collect();
    let map = json!({
        "type": "object", "properties": units, "additionalProperties": count, "minProperties": 1, "maxProperties": 1,
    });
    json!({"anyOf": [map, count]})
}

fn entrypoint() -> Json {
    let words = json!({"type": "array", "items": shape(&Shape::Text), "minItems": 1});
    json!({"anyOf": [{"type": "string", "minLength": 1}, words, section(&EXTERNAL_ENTRYPOINT)]})
}

/// A leaf has a `type` that is no map; any other map is a group; all else is a constant.
fn hyperparameter() -> Json {
    let kinds: Vec<_> = LEAVES.iter().map(|(name, _)| *name).collect();
    let mut leaves = vec![json!({"properties": {"type": {"enum": kinds}}})];
    for (name, leaf) in LEAVES {
        let mut then = section(leaf);
        if *name == "const" {
            // It may be null, so it is not among the fields that must be given and not null.
            then["required"] = json!(["type", "val"]);
        }
        leaves.push(json!({"if": {"properties": {"type": {"const": name}}}, "then": then}));
    }
    let is_leaf = json!({
        "type": "object", "required": ["type"], "properties": {"type": {"not": {"type": ["object", "null"]}}},
    });
    let group = json!({"if": {"type": "object"}, "then": {"$ref": "#/$defs/hyperparameters"}});
    json!({"if": is_leaf, "then": {"allOf": leaves}, "else": group})
}

/// A word, or a map whose `name` says which settings there are.
fn model() -> Json {
    let mut choices = vec![json!({"enum": WORDS})];
    for (_, model) in MODELS {
        let mut map = section(model);
        map["required"] = json!(["name"]);
        choices.push(map);
    }
    json!({"anyOf": choices})
}

fn searcher() -> Json {
    let mut methods = Vec::new();
    for (name, method) in SEARCHERS {
        let mut then = section(method);
        // Rounds say how long a trial trains.
        if method.field("num_rounds").is_none() {
            then["anyOf"] = json!([{"required": ["max_length"]}, {"required": ["max_time"]}]);
        }
        if method.field("num_rungs").is_some() {
            let rungs = json!([{"required": ["num_rungs"]}, {"required": ["min_length"]}]);
            then["allOf"] = json!([{"anyOf": rungs}]);
        }
        methods.push(
            json!({"if": {"required": ["name"], "properties": {"name": {"const": name}}}, "then": then}),
        );
    }
    json!({
        "type": "object",
        "required": ["name", "metric"],
        "properties": {"name": {"$ref": "#/$defs/searcher_name"}},
        "allOf": methods,
    })
}
