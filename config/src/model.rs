//! The model that places a searcher's trials: the field `model`, or the searcher's own name.

use crate::context::{Context, Place, Table, joined};
use crate::language::Section;
use crate::language::models::{MODELS, NAMED, WORDS};
use crate::node::Kind;
use toprung_searchers::models::{
    EvolutionConfig, GpConfig, ModelConfig, PortfolioConfig, PriorConfig, TpeConfig,
};
use toprung_searchers::{SearcherConfig, Space};

/// The method with the model around it, if there is one. `name`: the searcher's.
pub(crate) fn around(
    cx: &mut Context,
    table: &Table<'_>,
    name: &str,
    method: SearcherConfig,
    space: &Space,
) -> SearcherConfig {
    if !method.draws_at_random() {
        if space.has_priors() && !method.places() {
            let message = format!("`{name}` does not use the priors of hyperparameters");
            let help = "choose a searcher that draws its trials at random, or leave the priors out";
            cx.warning(table.key, &joined(&table.path, "name"), message, help);
        }
        return method;
    }
    let own = match name {
        "tpe" | "bohb" => Some("tpe"),
        "gp" => Some("gp"),
        _ => None,
    };
    let place = table.get("model");
    let word = match (&place, own) {
        (None, None) => space.has_priors().then_some("prior"),
        (None, own) => own,
        (Some(place), Some(own)) => own_settings(cx, place, name, own),
        (Some(place), None) => chosen(cx, place),
    };
    check_priors(cx, place.as_ref(), word, space);
    let beside = own.is_some().then_some(table);
    match word.and_then(|word| config(cx, place.as_ref(), beside, word)) {
        Some(model) => SearcherConfig::ModelBased { inner: Box::new(method), model },
        None => method,
    }
}

/// Priors without a model that uses them, or the other way round.
fn check_priors(cx: &mut Context, place: Option<&Place<'_>>, word: Option<&str>, space: &Space) {
    let Some(place) = place else { return };
    match (word, space.has_priors()) {
        (Some("prior"), false) => {
            let message = "no hyperparameter has a `prior`";
            cx.error(
                place.node.span,
                &place.path,
                message,
                "give one to those of which you expect something",
            );
        }
        (None, true) if place.node.scalar_text().is_some_and(|text| text == "none") => {
            let message = "the priors of the hyperparameters have no effect";
            cx.warning(place.node.span, &place.path, message, "leave `model` out, and they have");
        }
        _ => {}
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

/// The model of a word, with the settings of the map if there is one, or of the searcher `beside` it.
fn config(
    cx: &mut Context,
    place: Option<&Place<'_>>,
    beside: Option<&Table<'_>>,
    word: &str,
) -> Option<ModelConfig> {
    let (_, section) = MODELS.iter().find(|(name, _)| *name == word)?;
    let map = place.filter(|place| matches!(place.node.kind, Kind::Map(_)));
    let path = map.map_or_else(String::new, |place| place.path.clone());
    let inner = Table::open(cx, map, section, &path);
    let settings = Settings { inner, beside };
    settings.refuse_doubles(cx, section);
    match word {
        "tpe" => Some(ModelConfig::Tpe(TpeConfig {
            startup_trials: settings.of("startup_trials").small(cx, "startup_trials"),
            candidates: settings.of("candidates").small(cx, "candidates"),
            gamma: settings.of("gamma").number(cx, "gamma"),
            random_fraction: settings.of("random_fraction").number(cx, "random_fraction"),
        })),
        "gp" => Some(ModelConfig::Gp(GpConfig {
            startup_trials: settings.of("startup_trials").small(cx, "startup_trials"),
            max_points: settings.of("max_points").small(cx, "max_points"),
            random_fraction: settings.of("random_fraction").number(cx, "random_fraction"),
        })),
        "evolution" => Some(ModelConfig::Evolution(EvolutionConfig {
            random_fraction: settings.of("random_fraction").number(cx, "random_fraction"),
        })),
        "portfolio" => Some(ModelConfig::Portfolio(PortfolioConfig {
            random_fraction: settings.of("random_fraction").number(cx, "random_fraction"),
        })),
        "prior" => Some(ModelConfig::Prior(PriorConfig::default())),
        _ => None,
    }
}

/// Where a model's settings may stand.
struct Settings<'t, 'n> {
    /// In the map of the field `model`.
    inner: Table<'n>,
    /// In the searcher that has its name.
    beside: Option<&'t Table<'n>>,
}

impl<'n> Settings<'_, 'n> {
    /// The table that has a setting; where neither has it, one that knows its default.
    fn of(&self, name: &str) -> &Table<'n> {
        self.beside.filter(|beside| beside.has(name)).unwrap_or(&self.inner)
    }

    /// A setting that stands in both places.
    fn refuse_doubles(&self, cx: &mut Context, section: &Section) {
        let Some(beside) = self.beside else { return };
        for field in section.fields().filter(|field| field.name != "name") {
            let (Some(place), true) = (self.inner.get(field.name), beside.has(field.name)) else { continue };
            let message = format!("`{}` is given twice", field.name);
            let help = format!("leave this one out, or `{}`", joined(&beside.path, field.name));
            cx.error(place.key, &place.path, message, help);
        }
    }
}
