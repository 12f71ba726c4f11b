//! What is wrong with a file, and how it is shown: as plain lines, or drawn under the source by `miette`.

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use std::fmt;
use std::sync::Arc;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted, but a part of it means less than its author may think.
    Warning,
}

/// One mistake, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 = unknown.
    pub line: u32,
    /// From 1; 0 = unknown.
    pub column: u32,
    /// Where the part begins, in bytes from the start of the source.
    pub offset: usize,
    /// How long the part is, in bytes; may be 0.
    pub len: usize,
    /// The part's name in the file, such as `searcher.max_trials` or `labels[0]`; empty for the file as a whole.
    pub path: String,
    /// What was found and what is allowed.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether the file is refused for it.
    pub severity: Severity,
}

/// All mistakes of a file, in the order of their places. As an error's text: one line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether the file is refused.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The problems as one report that draws each under its line. `source` is the text that was parsed.
    pub fn report(&self, file_name: &str, source: &str) -> Report {
        let source = Arc::new(NamedSource::new(file_name, source.to_owned()));
        let text = source.inner().as_str();
        let drawn = self.0.iter().map(|problem| Drawn::new(problem, text, &source)).collect();
        let errors = self.0.iter().filter(|problem| problem.severity == Severity::Error).count();
        Report { file_name: file_name.to_owned(), errors, warnings: self.0.len() - errors, drawn }
    }

    /// One line for each problem: `file:line:column: path: message; help`.
    pub fn lines(&self, file_name: &str) -> String {
        let lines: Vec<_> = self.0.iter().map(|problem| format!("{file_name}:{problem}")).collect();
        lines.join("\n")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if self.severity == Severity::Warning {
            write!(f, "warning: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines("experiment"))
    }
}

impl std::error::Error for Problems {}

/// Every problem of a file under its line. Show it with any `miette` report handler.
#[derive(Debug)]
pub struct Report {
    file_name: String,
    errors: usize,
    warnings: usize,
    drawn: Vec<Drawn>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        match (self.errors, self.warnings) {
            (0, warnings) => write!(f, "{}: {}", self.file_name, counted(warnings, "warning")),
            (errors, 0) => write!(f, "{}: {}", self.file_name, counted(errors, "mistake")),
            (errors, warnings) => {
                write!(
                    f,
                    "{}: {}, {}",
                    self.file_name,
                    counted(errors, "mistake"),
                    counted(warnings, "warning")
                )
            }
        }
    }
}

impl std::error::Error for Report {}

impl Diagnostic for Report {
    fn severity(&self) -> Option<miette::Severity> {
        Some(if self.errors == 0 { miette::Severity::Warning } else { miette::Severity::Error })
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.drawn.iter().map(|drawn| drawn as &dyn Diagnostic)))
    }
}

/// One problem with the source it points into.
#[derive(Debug)]
struct Drawn {
    message: String,
    help: Option<String>,
    severity: Severity,
    span: Option<SourceSpan>,
    source: Arc<NamedSource<String>>,
}

impl Drawn {
    fn new(problem: &Problem, text: &str, source: &Arc<NamedSource<String>>) -> Self {
        let message = match problem.path.as_str() {
            "" => problem.message.clone(),
            path => format!("{path}: {}", problem.message),
        };
        Self {
            message,
            help: problem.help.clone(),
            severity: problem.severity,
            span: (problem.line > 0).then(|| drawn_span(problem, text)),
            source: Arc::clone(source),
        }
    }
}

/// What is underlined: at most the rest of the line, at least one character where there is one.
fn drawn_span(problem: &Problem, text: &str) -> SourceSpan {
    let mut start = problem.offset.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let shortest = line.chars().next().map_or(0, char::len_utf8);
    let mut len = problem.len.min(line.trim_end().len()).max(shortest);
    while !rest.is_char_boundary(len) {
        len += 1;
    }
    (start, len).into()
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Drawn {}

impl Diagnostic for Drawn {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.map(|_| self.source.as_ref() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}
