//! The raw layer: a YAML document as a tree whose every part knows where it stands.
//!
//! Reading, limits against hostile input, merge keys and duplicate keys are left to `serde-saphyr`; only the two words
//! `true` and `false` are truth values here (YAML 1.2), so that `vals: [on, no]` stays text. Deeper layers accept the
//! YAML 1.1 words where a truth value is wanted. Plain numbers and truth values keep their spelling, so `python: 3.10`
//! does not become `3.1`.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// The largest file that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// How deep lists and maps may be nested.
const MAX_DEPTH: usize = 64;
/// The longest key of a map, in characters. YAML reads none of more than 1024 in one line, and the complete configuration
/// is kept in one line, in which a character may take six.
const MAX_KEY: usize = 160;
/// The reader calls itself for each level, and without optimisation a level takes about 40 KiB of stack: more than a
/// thread of a server has for all levels.
const STACK_BYTES: usize = 8 << 20;

/// A range of the source. `line` and `column` count from 1; 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// In bytes.
    pub(crate) offset: usize,
    /// In bytes.
    pub(crate) len: usize,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
    /// The spelling of a plain number or truth value.
    pub(crate) raw: Option<String>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a map's entry.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) span: Span,
    pub(crate) text: String,
}

/// Why a text is not YAML.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) span: Span,
    pub(crate) message: String,
}

/// Reads one YAML document. An empty one is `null`.
pub(crate) fn read(source: &str) -> Result<Node, SyntaxError> {
    if source.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", source.len());
        return Err(SyntaxError { span: Span::default(), message });
    }
    let reader = std::thread::Builder::new().stack_size(STACK_BYTES);
    let read = std::thread::scope(|scope| {
        let thread = reader.spawn_scoped(scope, || read_here(source));
        thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    read.unwrap_or_else(|error| {
        let message = format!("the file cannot be read now, for want of a thread: {error}");
        Err(SyntaxError { span: Span::default(), message })
    })
}

/// [`read`] on this thread, whose stack must be large.
fn read_here(source: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: 200_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
    };
    match serde_saphyr::from_str_with_options::<Node>(source, options) {
        Ok(mut node) => {
            keep_spelling(&mut node, source);
            match too_long(&node) {
                None => Ok(node),
                Some(key) => {
                    let length = key.text.chars().count();
                    let message = format!("a key has {length} characters; at most {MAX_KEY} are read");
                    Err(SyntaxError { span: key.span, message })
                }
            }
        }
        Err(error) => Err(syntax_error(&error, source)),
    }
}

fn syntax_error(error: &serde_saphyr::Error, source: &str) -> SyntaxError {
    let mut span = error.location().map(Span::from).unwrap_or_default();
    span.offset = offset_of(source, span);
    let message = own_words(error.without_snippet()).unwrap_or_else(|| {
        let text = error.without_snippet().to_string();
        // The position is carried beside the message; the library repeats it at the end.
        let first = text.lines().next().unwrap_or_default();
        let message = first.split(" at line ").next().unwrap_or(first);
        message.trim_end_matches(['.', ',', ':']).to_owned()
    });
    SyntaxError { span, message }
}

/// Where the library's message speaks to programmers.
fn own_words(error: &serde_saphyr::Error) -> Option<String> {
    use serde_saphyr::Error;
    match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => Some(format!("the key `{key}` is given twice")),
        Error::DuplicateMappingKey { key: None, .. } => Some("a key is given twice".to_owned()),
        Error::MultipleDocuments { .. } => {
            Some("a second YAML document begins here, expected one".to_owned())
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Some("an alias stands inside its own anchor".to_owned())
        }
        Error::NullIntoString { .. } => Some("found nothing as a key, expected a word".to_owned()),
        Error::InvalidScalar { ty, .. } => Some(format!("the value does not fit its tag ({ty})")),
        _ => None,
    }
}

/// Errors carry line and column, and not always bytes.
fn offset_of(source: &str, span: Span) -> usize {
    let before = (span.line as usize).saturating_sub(1);
    let start: usize = source.split_inclusive('\n').take(before).map(str::len).sum();
    let line = source.get(start..).unwrap_or_default();
    let inside = line.char_indices().nth((span.column as usize).saturating_sub(1));
    start + inside.map_or(line.len(), |(i, _)| i)
}

/// A key that is too long to be read again.
fn too_long(node: &Node) -> Option<&Key> {
    match &node.kind {
        Kind::List(nodes) => nodes.iter().find_map(too_long),
        Kind::Map(entries) => entries.iter().find_map(|(key, value)| {
            if key.text.chars().count() > MAX_KEY { Some(key) } else { too_long(value) }
        }),
        _ => None,
    }
}

/// Fills [`Node::raw`] from the source.
fn keep_spelling(node: &mut Node, source: &str) {
    match &mut node.kind {
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
            let range = node.span.offset..node.span.offset.saturating_add(node.span.len);
            node.raw = source.get(range).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        }
        Kind::List(nodes) => nodes.iter_mut().for_each(|node| keep_spelling(node, source)),
        Kind::Map(entries) => entries.iter_mut().for_each(|(_, node)| keep_spelling(node, source)),
        Kind::Null | Kind::Text(_) => {}
    }
}

impl Node {
    /// A node that stands nowhere.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { span: Span::default(), kind, raw: None }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a scalar, as it was written.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Bool(value) => Some(self.raw.clone().unwrap_or_else(|| value.to_string())),
            Kind::Int(value) => Some(self.raw.clone().unwrap_or_else(|| value.to_string())),
            Kind::Float(value) => Some(self.raw.clone().unwrap_or_else(|| value.to_string())),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// What kind of value was found, for a message.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Bool(_) => "a truth value",
            Kind::Int(_) | Kind::Float(_) => "a number",
        }
    }

    /// What was found, in words, for a message.
    pub(crate) fn described(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Text(text) => format!("the text {:?}", shortened(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
                shortened(&self.scalar_text().unwrap_or_default())
            }
        }
    }
}

/// The beginning of a text, for a message.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

impl From<Location> for Span {
    fn from(location: Location) -> Self {
        let span = location.span();
        Self {
            line: u32::try_from(location.line()).unwrap_or(0),
            column: u32::try_from(location.column()).unwrap_or(0),
            offset: usize::try_from(span.byte_offset().unwrap_or(0)).unwrap_or(0),
            len: usize::try_from(span.byte_len().unwrap_or(0)).unwrap_or(0),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { span: spanned.defined.into(), kind: spanned.value, raw: None })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { span: spanned.defined.into(), text: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Kind::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Kind::Map(entries))
    }
}
