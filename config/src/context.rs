//! The validating layer's tools: a [`Context`] that collects problems instead of stopping at the first, and a [`Table`]
//! that reads a map by the description of its section in [`crate::language`].
//!
//! A reader that finds a mistake records it and returns some value; the caller goes on, and the values are thrown away in
//! the end if anything was recorded.

use crate::language::{Field, Section, Shape, Status};
use crate::nearest::{listed, nearest, suggestion};
use crate::node::{Key, Kind, Node, Span};
use crate::problem::{Problem, Problems, Severity};

/// Collects the problems of one file.
#[derive(Default)]
pub(crate) struct Context {
    problems: Vec<Problem>,
}

impl Context {
    /// Records a mistake.
    pub(crate) fn error(
        &mut self,
        span: Span,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.record(Severity::Error, span, path, message.into(), help.into());
    }

    /// Records something that the author should know.
    pub(crate) fn warning(
        &mut self,
        span: Span,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.record(Severity::Warning, span, path, message.into(), help.into());
    }

    fn record(&mut self, severity: Severity, span: Span, path: &str, message: String, help: String) {
        self.problems.push(Problem {
            line: span.line,
            column: span.column,
            offset: span.offset,
            len: span.len,
            path: path.to_owned(),
            message,
            help: Some(help).filter(|help| !help.is_empty()),
            severity,
        });
    }

    /// Whether a mistake was recorded.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Everything recorded, in the order of the places in the file.
    pub(crate) fn finish(mut self) -> Problems {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        Problems(self.problems)
    }

    /// Where a list or map is wanted; what was found may be long or secret, so it is not shown.
    fn wrong_kind(&mut self, place: &Place<'_>, wanted: &str) {
        let message = format!("found {}, expected {wanted}", place.node.kind_name());
        self.error(place.node.span, &place.path, message, "");
    }

    fn wrong_type(&mut self, place: &Place<'_>, wanted: &str) {
        let message = format!("found {}, expected {wanted}", place.node.described());
        self.error(place.node.span, &place.path, message, "");
    }
}

/// A node, its name in the file, and where that name is written.
#[derive(Clone)]
pub(crate) struct Place<'n> {
    pub(crate) node: &'n Node,
    pub(crate) path: String,
    /// Where its key stands; for an element of a list, the element itself.
    pub(crate) key: Span,
}

impl<'n> Place<'n> {
    /// The document as a whole.
    pub(crate) fn root(node: &'n Node) -> Self {
        let key = Span { line: 1, column: 1, offset: 0, len: 0 };
        Self { node, path: String::new(), key }
    }

    /// An entry of the map at this place.
    pub(crate) fn entry(&self, key: &Key, node: &'n Node) -> Self {
        Self { node, path: joined(&self.path, &key.text), key: key.span }
    }

    /// The elements, if it is a list; else the mistake is recorded.
    pub(crate) fn list(&self, cx: &mut Context, wanted: &str) -> Vec<Place<'n>> {
        let Kind::List(nodes) = &self.node.kind else {
            cx.wrong_kind(self, wanted);
            return Vec::new();
        };
        let named = nodes.iter().enumerate();
        named.map(|(i, node)| Place { node, path: format!("{}[{i}]", self.path), key: node.span }).collect()
    }

    /// The entries, if it is a map; else the mistake is recorded.
    pub(crate) fn map(&self, cx: &mut Context, wanted: &str) -> Vec<(&'n str, Place<'n>)> {
        let Kind::Map(entries) = &self.node.kind else {
            cx.wrong_kind(self, wanted);
            return Vec::new();
        };
        entries.iter().map(|(key, node)| (key.text.as_str(), self.entry(key, node))).collect()
    }

    /// The text, if it is a scalar; else the mistake is recorded.
    pub(crate) fn text(&self, cx: &mut Context) -> Option<String> {
        let text = self.node.scalar_text();
        if text.is_none() {
            cx.wrong_type(self, "a text");
        }
        text
    }

    /// The truth value; else the mistake is recorded.
    pub(crate) fn flag(&self, cx: &mut Context) -> Option<bool> {
        let word = match &self.node.kind {
            Kind::Bool(value) => return Some(*value),
            Kind::Text(text) => text.to_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "yes" | "on" => Some(true),
            "no" | "off" => Some(false),
            _ => {
                cx.wrong_type(self, "`true` or `false`");
                None
            }
        }
    }

    /// An integer in `min ..= max`; else the mistake is recorded. `64.0` and `1e3` are integers too.
    pub(crate) fn int(&self, cx: &mut Context, min: i64, max: i64) -> Option<i64> {
        let Some(value) = self.integer() else {
            cx.wrong_type(self, &integer_in(min, max));
            return None;
        };
        match i64::try_from(value) {
            Ok(value) if (min..=max).contains(&value) => Some(value),
            _ => {
                let wanted = if value > i128::from(max) {
                    format!("an integer of at most {max}")
                } else {
                    integer_in(min, max)
                };
                let message = format!("{value} is out of range, expected {wanted}");
                cx.error(self.node.span, &self.path, message, "");
                None
            }
        }
    }

    /// The integer that stands here, if it is one.
    pub(crate) fn integer(&self) -> Option<i128> {
        match self.node.kind {
            Kind::Int(value) => Some(value),
            Kind::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(value as i128),
            _ => None,
        }
    }

    /// A finite number; else the mistake is recorded.
    pub(crate) fn number(&self, cx: &mut Context) -> Option<f64> {
        match self.node.kind {
            Kind::Int(value) => Some(value as f64),
            Kind::Float(value) if value.is_finite() => Some(value),
            _ => {
                cx.wrong_type(self, "a finite number");
                None
            }
        }
    }

    /// One of some words; else the mistake is recorded.
    pub(crate) fn choice(&self, cx: &mut Context, words: &'static [&'static str]) -> Option<&'static str> {
        let text = self.text(cx)?;
        let found = words.iter().find(|word| **word == text);
        if found.is_none() {
            let message = format!("found {}, expected one of {}", self.node.described(), words.join(", "));
            let help = nearest(&text, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            cx.error(self.node.span, &self.path, message, help.unwrap_or_default());
        }
        found.copied()
    }
}

fn integer_in(min: i64, max: i64) -> String {
    match (min, max) {
        (i64::MIN, i64::MAX) => "an integer".to_owned(),
        (min, max) if max >= i64::from(u32::MAX) => format!("an integer of at least {min}"),
        (min, max) => format!("an integer from {min} to {max}"),
    }
}

/// `outer.inner`.
pub(crate) fn joined(outer: &str, inner: &str) -> String {
    if outer.is_empty() { inner.to_owned() } else { format!("{outer}.{inner}") }
}

/// A map read by the description of its section: unknown, removed, missing and not yet supported keys are recorded when
/// it is opened, and every other rule of a field when that is read.
pub(crate) struct Table<'n> {
    section: &'static Section,
    /// The name of the section in the file.
    pub(crate) path: String,
    /// Where the section's key stands.
    pub(crate) key: Span,
    entries: Vec<(&'static Field, Place<'n>)>,
}

impl<'n> Table<'n> {
    /// Reads a section. `None` stands for an absent one, all of whose fields have their defaults.
    pub(crate) fn open(
        cx: &mut Context,
        place: Option<&Place<'n>>,
        section: &'static Section,
        path: &str,
    ) -> Self {
        let mut table = Self { section, path: path.to_owned(), key: Span::default(), entries: Vec::new() };
        let Some(place) = place else { return table };
        table.key = place.key;
        if !matches!(place.node.kind, Kind::Map(_)) {
            cx.wrong_kind(place, "a map");
            return table;
        }
        for (name, entry) in place.map(cx, "a map") {
            table.take(cx, name, entry);
        }
        table.require(cx);
        table
    }

    /// Records the unknown and the unsupported keys of a section, but not what is missing in it.
    pub(crate) fn check_keys(cx: &mut Context, place: &Place<'n>, section: &'static Section) {
        let mut table = Self { section, path: place.path.clone(), key: place.key, entries: Vec::new() };
        for (name, entry) in place.map(cx, "a map") {
            table.take(cx, name, entry);
        }
    }

    fn take(&mut self, cx: &mut Context, name: &str, place: Place<'n>) {
        let Some(field) = self.section.field(name) else {
            let known = self.section.names();
            let message = format!("unknown key `{name}` in {}", self.section.title);
            let help = self.section.stranger(name).unwrap_or_else(|| suggestion(name, known.iter().copied()));
            cx.error(place.key, &place.path, message, help);
            return;
        };
        if place.node.is_null() {
            return;
        }
        match field.status {
            Status::Removed(what) => {
                cx.warning(place.key, &place.path, "is no longer part of the language", what);
            }
            Status::Cluster => cx.warning(place.key, &place.path, "is used on Kubernetes only", ""),
            Status::NoEffect(what) => {
                cx.warning(place.key, &place.path, "has no effect in this version", what);
            }
            Status::NotYet(instead) => cx.error(place.key, &place.path, "is not supported yet", instead),
            Status::Optional | Status::Required => {}
        }
        self.entries.push((field, place));
    }

    fn require(&self, cx: &mut Context) {
        for field in self.section.fields().filter(|field| field.status == Status::Required) {
            if self.get(field.name).is_none() {
                let message = format!("`{}` is missing in {}", field.name, self.section.title);
                cx.error(self.key, &joined(&self.path, field.name), message, format!("it is {}", field.doc));
            }
        }
    }

    /// The place of a key, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<Place<'n>> {
        self.entries.iter().find(|(field, _)| field.name == name).map(|(_, place)| place.clone())
    }

    /// Whether a key is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(field, _)| field.name == name)
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        let field = self.section.field(name);
        debug_assert!(field.is_some(), "{name} is not in {}", self.section.title);
        field
    }

    /// The integer of a field, in the range of its description.
    pub(crate) fn optional_int(&self, cx: &mut Context, name: &str) -> Option<i64> {
        let place = self.get(name)?;
        match self.field(name)?.shape {
            Shape::Int { min, max } => place.int(cx, min, max),
            _ => place.int(cx, i64::MIN, i64::MAX),
        }
    }

    /// The integer of a field, or its default.
    pub(crate) fn int(&self, cx: &mut Context, name: &str) -> i64 {
        let value = self.optional_int(cx, name);
        value.or_else(|| self.field(name)?.default_value().as_i64()).unwrap_or_default()
    }

    /// The same, for a field whose range lies within `u32`.
    pub(crate) fn small(&self, cx: &mut Context, name: &str) -> u32 {
        u32::try_from(self.int(cx, name)).unwrap_or_default()
    }

    /// The same, for a field that is not negative.
    pub(crate) fn large(&self, cx: &mut Context, name: &str) -> u64 {
        u64::try_from(self.int(cx, name)).unwrap_or_default()
    }

    /// The finite number of a field, within the bounds of its description.
    pub(crate) fn optional_number(&self, cx: &mut Context, name: &str) -> Option<f64> {
        let place = self.get(name)?;
        let value = place.number(cx)?;
        if let Some(Field { shape: Shape::Number { above: Some(bound) }, .. }) = self.field(name)
            && value <= *bound
        {
            let message = format!("{value} is out of range, expected a number above {bound}");
            cx.error(place.node.span, &place.path, message, "");
            return None;
        }
        let (least, most) = match self.field(name) {
            Some(Field { shape: Shape::Fraction { most }, .. }) => ("from 0 to", *most),
            Some(Field { shape: Shape::Share { most }, .. }) => ("above 0, up to", *most),
            _ => return Some(value),
        };
        if !(0.0..=most).contains(&value) || (value == 0.0 && least != "from 0 to") {
            let message = format!("{value} is out of range, expected a number {least} {most}");
            cx.error(place.node.span, &place.path, message, "");
            return None;
        }
        Some(value)
    }

    /// The finite number of a field, or its default.
    pub(crate) fn number(&self, cx: &mut Context, name: &str) -> f64 {
        let value = self.optional_number(cx, name);
        value.or_else(|| self.field(name)?.default_value().as_f64()).unwrap_or_default()
    }

    /// The truth value of a field, or its default.
    pub(crate) fn flag(&self, cx: &mut Context, name: &str) -> bool {
        let value = self.get(name).and_then(|place| place.flag(cx));
        value.or_else(|| self.field(name)?.default_value().as_bool()).unwrap_or_default()
    }

    /// The text of a field; an empty one is absent.
    pub(crate) fn text(&self, cx: &mut Context, name: &str) -> Option<String> {
        self.get(name).and_then(|place| place.text(cx)).filter(|text| !text.is_empty())
    }

    /// The word of a field, or its default; `None` if there is neither, or after a mistake.
    pub(crate) fn choice(&self, cx: &mut Context, name: &str) -> Option<&'static str> {
        let Some(Field { shape: Shape::Choice(words), .. }) = self.field(name) else {
            return None;
        };
        match self.get(name) {
            Some(place) => place.choice(cx, words),
            None => {
                let default = self.field(name)?.default_value();
                words.iter().find(|word| default.as_str() == Some(word)).copied()
            }
        }
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, cx: &mut Context, name: &str) -> Vec<String> {
        let Some(place) = self.get(name) else {
            return Vec::new();
        };
        place.list(cx, "a list of texts").iter().filter_map(|element| element.text(cx)).collect()
    }

    /// Records that exactly one of some fields is wanted.
    pub(crate) fn missing_one_of(&self, cx: &mut Context, names: &[&str], help: &str) {
        let message =
            format!("one of {} is missing in {}", listed(names.iter().copied()), self.section.title);
        cx.error(self.key, &self.path, message, help);
    }
}
