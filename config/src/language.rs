//! The words of the experiment file, described once: the parser takes its known keys, ranges and defaults from here, the
//! JSON Schema and the reference are generated from here, so the three cannot disagree.

pub(crate) mod hyperparameters;
pub(crate) mod models;
pub(crate) mod population;
pub(crate) mod search;
pub(crate) mod surroundings;
pub(crate) mod top;

/// The largest length or count that a file may give: any double holds it exactly.
pub(crate) const LARGEST: i64 = 1_000_000_000_000_000;

/// A map of the file.
pub(crate) struct Section {
    /// How messages call it, such as "the searcher `grid`".
    pub(crate) title: &'static str,
    /// What it is for.
    pub(crate) doc: &'static str,
    /// Its fields, in groups that several sections may share.
    pub(crate) groups: &'static [&'static [Field]],
    /// What to say about keys that are known elsewhere but not here.
    pub(crate) strangers: &'static [(&'static str, &'static str)],
}

/// A key of a section.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// As JSON; empty: none.
    pub(crate) default: &'static str,
    /// A noun phrase.
    pub(crate) doc: &'static str,
    pub(crate) status: Status,
}

/// What a field may hold. Every field may also be null, which means absent.
pub(crate) enum Shape {
    /// Any scalar, taken as it is written.
    Text,
    Flag,
    /// Both ends belong to it.
    Int {
        min: i64,
        max: i64,
    },
    /// A finite number.
    Number {
        above: Option<f64>,
    },
    /// A number from 0 to `most`, both ends included.
    Fraction {
        most: f64,
    },
    /// A number above 0, up to `most`.
    Share {
        most: f64,
    },
    Choice(&'static [&'static str]),
    List(&'static Shape),
    /// A map from any key to such values.
    MapOf(&'static Shape),
    Section(&'static Section),
    Either(&'static [Shape]),
    /// One of `batches`, `records`, `epochs` (or any counter that the script reports) with a number, or a bare number.
    Length {
        least: i64,
    },
    /// A named part of the schema, written by hand.
    Named(&'static str),
    Anything,
}

/// What becomes of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Optional,
    Required,
    /// Kept, and used by no agent but one on Kubernetes.
    Cluster,
    /// Kept and without effect; why.
    NoEffect(&'static str),
    /// Of an older language; what happens instead.
    Removed(&'static str),
    /// Refused, since leaving it out would change results; what to do.
    NotYet(&'static str),
}

impl Section {
    /// All fields, in the order of the reference.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    /// The field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }

    /// The keys that may be suggested.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let current = self.fields().filter(|field| !matches!(field.status, Status::Removed(_)));
        current.map(|field| field.name).collect()
    }

    /// What to say about a key that is known elsewhere.
    pub(crate) fn stranger(&self, name: &str) -> Option<String> {
        self.strangers.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
    }
}

impl Field {
    /// The default; null if there is none.
    pub(crate) fn default_value(&self) -> serde_json::Value {
        serde_json::from_str(self.default).unwrap_or_default()
    }
}

/// An optional field.
pub(crate) const fn field(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    doc: &'static str,
) -> Field {
    Field { name, shape, default, doc, status: Status::Optional }
}

/// A field that must be given.
pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { name, shape, default: "", doc, status: Status::Required }
}

/// A field that is used on Kubernetes only.
pub(crate) const fn cluster(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    doc: &'static str,
) -> Field {
    Field { name, shape, default, doc, status: Status::Cluster }
}

/// A field that is kept and has no effect.
pub(crate) const fn idle(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    doc: &'static str,
    why: &'static str,
) -> Field {
    Field { name, shape, default, doc, status: Status::NoEffect(why) }
}

/// A field of an older language.
pub(crate) const fn removed(name: &'static str, what: &'static str) -> Field {
    Field { name, shape: Shape::Anything, default: "", doc: what, status: Status::Removed(what) }
}

/// A field that is refused for now.
pub(crate) const fn not_yet(name: &'static str, doc: &'static str, instead: &'static str) -> Field {
    Field { name, shape: Shape::Anything, default: "", doc, status: Status::NotYet(instead) }
}

/// An integer from `min` to whatever a count may be.
pub(crate) const fn at_least(min: i64) -> Shape {
    Shape::Int { min, max: LARGEST }
}

/// An integer from `min` that fits in 32 bits without a sign.
pub(crate) const fn small(min: i64) -> Shape {
    Shape::Int { min, max: u32::MAX as i64 }
}

/// A finite number above 0.
pub(crate) const POSITIVE: Shape = Shape::Number { above: Some(0.0) };

#[cfg(test)]
mod tests {
    use super::*;

    fn check(section: &Section) {
        let mut seen = std::collections::BTreeSet::new();
        for field in section.fields() {
            assert!(seen.insert(field.name), "{} twice in {}", field.name, section.title);
            assert!(!field.doc.ends_with('.') && !field.doc.is_empty(), "{}", field.name);
            let parsed = serde_json::from_str::<serde_json::Value>(field.default);
            assert!(field.default.is_empty() || parsed.is_ok(), "{}: {}", field.name, field.default);
            check_shape(&field.shape);
        }
    }

    fn check_shape(shape: &Shape) {
        match shape {
            Shape::Section(section) => check(section),
            Shape::List(shape) | Shape::MapOf(shape) => check_shape(shape),
            Shape::Either(shapes) => shapes.iter().for_each(check_shape),
            _ => {}
        }
    }

    #[test]
    fn every_field_is_named_once_and_described() {
        check(&top::EXPERIMENT);
        let sections = search::SEARCHERS.iter().chain(hyperparameters::LEAVES).chain(models::MODELS);
        for (_, section) in sections {
            check(section);
        }
    }
}
