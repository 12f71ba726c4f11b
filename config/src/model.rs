//! The model that places a searcher's trials: the field `model`, or the searcher's own name.

use crate::context::{Context, Place, Table, joined};
use crate::language::models::{MODELS, NAMED, WORDS};
use crate::node::Kind;
use toprung_searchers::SearcherConfig;
use toprung_searchers::models::{GpConfig, ModelConfig, TpeConfig};

/// The method with the model around it, if there is one. `name`: the searcher's.
pub(crate) fn around(
    cx: &mut Context,
    table: &Table<'_>,
    name: &str,
    method: SearcherConfig,
) -> SearcherConfig {
    if !method.draws_at_random() {
        return method;
    }
    let own = match name {
        "tpe" | "bohb" => Some("tpe"),
        "gp" => Some("gp"),
        _ => None,
    };
    let place = table.get("model");
    let word = match (&place, own) {
        (None, _) => own,
        (Some(place), Some(own)) => own_settings(cx, place, name, own),
        (Some(place), None) => chosen(cx, place),
    };
    match word.and_then(|word| config(cx, place.as_ref(), word)) {
        Some(model) => SearcherConfig::ModelBased { inner: Box::new(method), model },
        None => method,
    }
}

/// The settings of the model that the searcher's name says.
fn own_settings(
    cx: &mut Context,
    place: &Place<'_>,
    searcher: &str,
    own: &'static str,
) -> Option<&'static str> {
    if !matches!(place.node.kind, Kind::Map(_)) {
        let word = place.choice(cx, WORDS);
        return word.and_then(|word| agreed(cx, place, searcher, own, word));
    }
    let node = place.node.get("name").filter(|node| !node.is_null());
    let Some(node) = node else { return Some(own) };
    let name = Place { node, path: joined(&place.path, "name"), key: node.span };
    let word = name.choice(cx, NAMED);
    word.and_then(|word| agreed(cx, &name, searcher, own, word))
}

fn agreed(
    cx: &mut Context,
    place: &Place<'_>,
    searcher: &str,
    own: &'static str,
    word: &str,
) -> Option<&'static str> {
    if word == own {
        return Some(own);
    }
    let message = format!("the searcher `{searcher}` has the model `{own}`, not `{word}`");
    cx.error(place.node.span, &place.path, message, "choose a searcher such as `random`, and its `model`");
    None
}

/// The model that the field names; `none` and mistakes are none.
fn chosen(cx: &mut Context, place: &Place<'_>) -> Option<&'static str> {
    if !matches!(place.node.kind, Kind::Map(_)) {
        return place.choice(cx, WORDS).filter(|word| *word != "none");
    }
    let path = joined(&place.path, "name");
    match place.node.get("name").filter(|node| !node.is_null()) {
        Some(node) => Place { node, path, key: node.span }.choice(cx, NAMED),
        None => {
            let help = format!("one of {}", NAMED.join(", "));
            cx.error(place.key, &path, "`name` is missing in `model`", help);
            None
        }
    }
}

/// The model of a word, with the settings of the map if there is one.
fn config(cx: &mut Context, place: Option<&Place<'_>>, word: &str) -> Option<ModelConfig> {
    let (_, section) = MODELS.iter().find(|(name, _)| *name == word)?;
    let map = place.filter(|place| matches!(place.node.kind, Kind::Map(_)));
    let path = map.map_or_else(String::new, |place| place.path.clone());
    // Neither has settings yet: opening it records what is no key of it.
    Table::open(cx, map, section, &path);
    match word {
        "tpe" => Some(ModelConfig::Tpe(TpeConfig::default())),
        "gp" => Some(ModelConfig::Gp(GpConfig::default())),
        _ => None,
    }
}
