//! What trials have written down outside Toprung: one line for each thing they were about to say or were answered.
//!
//! All append to one file, so the order of its lines is the order in time.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Trial and attempt.
pub type Attempt = (u64, u64);

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Started, to go on from a length, as this process.
    Begin { length: u64, pid: i32 },
    /// May train until this length.
    Until(u64),
    /// About to report.
    Sent(u64),
    /// The report was accepted.
    Accepted(u64),
    /// The checkpoint was accepted.
    Saved(u64),
    /// Told to end.
    Bye,
    /// Its agent was gone.
    Alone,
}

/// The file, read as it grows.
pub struct Book {
    path: PathBuf,
    file: Option<File>,
    rest: String,
    pub lines: Vec<(Attempt, Entry)>,
}

impl Book {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, rest: String::new(), lines: Vec::new() }
    }

    /// Reads what is new; answers how many lines there are now.
    pub fn read(&mut self) -> usize {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        if let Some(file) = &mut self.file {
            file.read_to_string(&mut self.rest).unwrap();
        }
        while let Some((line, rest)) = self.rest.split_once('\n') {
            self.lines.push(parse(line));
            self.rest = rest.to_owned();
        }
        self.lines.len()
    }

    /// The lines of an attempt.
    pub fn of(&self, attempt: Attempt) -> impl Iterator<Item = Entry> + '_ {
        self.lines.iter().filter(move |(of, _)| *of == attempt).map(|(_, entry)| *entry)
    }

    /// Attempts that have begun.
    pub fn attempts(&self) -> Vec<(Attempt, i32)> {
        let begun = |(attempt, entry): &(Attempt, Entry)| match entry {
            Entry::Begin { pid, .. } => Some((*attempt, *pid)),
            _ => None,
        };
        self.lines.iter().filter_map(begun).collect()
    }
}

fn parse(line: &str) -> (Attempt, Entry) {
    let mut words = line.split(' ');
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let attempt = (number(), number());
    let kind = line.split(' ').nth(2).unwrap_or_default();
    let mut words = line.split(' ').skip(3);
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let entry = match kind {
        "begin" => Entry::Begin { length: number(), pid: number() as i32 },
        "until" => Entry::Until(number()),
        "sent" => Entry::Sent(number()),
        "ok" => Entry::Accepted(number()),
        "saved" => Entry::Saved(number()),
        "bye" => Entry::Bye,
        "alone" => Entry::Alone,
        other => panic!("an unknown line {other:?} in {line:?}"),
    };
    (attempt, entry)
}
