//! A store as text: one JSON object a line, for people to read and for `import` to make the same store from.
//!
//! The first line is a header, the last says how many lines came before it. In between: models, journals, records, the
//! lines that trials wrote. `time` and `what` of a journal line only repeat what is in its record. Snapshots are left out:
//! they save time and hold nothing of their own.

use std::io::{Read, Write};

use prost::Message;
use serde_json::{Map, Value, json};
use toprung_proto::v1::JournalRecord;

use super::entry::{self, KINDS};
use super::message::{Messages, hexadecimal, time};
use crate::backend::Order;
use crate::keys::{self, start};
use crate::records::unpack;
use crate::{Error, Store};

/// The newest format of the text.
pub(super) const FORMAT: u64 = 1;
/// Bytes of a model in one line.
const PART: usize = 256 << 10;
/// Entries read at once.
const PAGE: usize = 256;

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Lines, header and end included.
    pub lines: u64,
    /// Records of journals among them.
    pub journal_records: u64,
}

/// Writes a store down. What is broken in it is an error: a text with a hole is no copy. Nothing may be written
/// meanwhile, or the parts may not fit together.
pub fn export(store: &Store, to: &mut dyn Write) -> Result<Exported, Error> {
    let mut export = Export { store, to, messages: Messages::new()?, done: Exported::default() };
    export.line(&json!({"kind": "header", "program": "toprung", "format": FORMAT}))?;
    export.models()?;
    for experiment in store.journals()? {
        export.journal(experiment)?;
    }
    for kind in KINDS {
        export.records(&start(kind).prefix())?;
    }
    for experiment in store.journals()? {
        export.logs(experiment)?;
    }
    let lines = export.done.lines;
    export.line(&json!({"kind": "end", "lines": lines}))?;
    export.to.flush().map_err(written)?;
    Ok(export.done)
}

struct Export<'a> {
    store: &'a Store,
    to: &'a mut dyn Write,
    messages: Messages,
    done: Exported,
}

impl Export<'_> {
    fn line(&mut self, line: &Value) -> Result<(), Error> {
        self.done.lines += 1;
        writeln!(self.to, "{line}").map_err(written)
    }

    fn models(&mut self) -> Result<(), Error> {
        for sha256 in self.store.models().all()? {
            let mut reader = self.store.models().open(&sha256)?;
            let mut left = reader.size();
            loop {
                let mut part = Vec::new();
                let read = reader.by_ref().take(PART as u64).read_to_end(&mut part);
                read.map_err(|error| Error::io("read", std::path::Path::new(&sha256), error))?;
                left = left.saturating_sub(part.len() as u64);
                let bytes = hexadecimal(&part);
                self.line(&json!({"kind": "model", "sha256": sha256, "left": left, "bytes": bytes}))?;
                if left == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn journal(&mut self, experiment: u64) -> Result<(), Error> {
        for record in self.store.journal(experiment, 1)? {
            let record = record?;
            let mut line = Map::new();
            line.insert("kind".to_owned(), "journal".into());
            line.insert("experiment".to_owned(), experiment.into());
            line.insert("sequence".to_owned(), record.sequence.into());
            line.insert("time".to_owned(), time(record.time_unix_ms).into());
            line.insert("what".to_owned(), what(&record).into());
            self.messages.put(&mut line, Some("JournalRecord"), &record.encode_to_vec());
            self.line(&Value::Object(line))?;
            self.done.journal_records += 1;
        }
        Ok(())
    }

    fn records(&mut self, range: &std::ops::Range<Vec<u8>>) -> Result<(), Error> {
        let mut range = range.clone();
        loop {
            let page = self.store.records().page(&range, PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            range.start = keys::after(last);
            for (key, packed) in page {
                let key = entry::parse(&key).ok_or_else(|| Error::broken("stored", "its key is broken"))?;
                let mut line = entry::to_json(&key);
                self.messages.put(&mut line, entry::message(&key), &unpack("stored", &packed)?);
                self.line(&Value::Object(line))?;
            }
        }
    }

    fn logs(&mut self, experiment: u64) -> Result<(), Error> {
        let mut frame = 0;
        while let Some((number, lines)) = self.store.logs().frame(experiment, frame)? {
            let mut line = Map::new();
            line.insert("kind".to_owned(), "log".into());
            line.insert("experiment".to_owned(), experiment.into());
            self.messages.put(&mut line, Some("StreamLogsResponse"), &lines.encode_to_vec());
            self.line(&Value::Object(line))?;
            frame = number + 1;
        }
        Ok(())
    }
}

/// What happened, in a word.
fn what(record: &JournalRecord) -> &'static str {
    use toprung_proto::v1::journal_record::Input;
    match record.input {
        Some(Input::Preempted(_)) => "preempted",
        Some(Input::Created(_)) => "created",
        Some(Input::Capacity(_)) => "capacity",
        Some(Input::Allocated(_)) => "allocated",
        Some(Input::AgentEvents(_)) => "agent_events",
        Some(Input::Lost(_)) => "lost",
        Some(Input::Pause(_)) => "pause",
        Some(Input::Resume(_)) => "resume",
        Some(Input::Kill(_)) => "kill",
        Some(Input::Retry(_)) => "retry",
        Some(Input::Failed(_)) => "failed",
        Some(Input::Quota(_)) => "quota",
        Some(Input::Collection(_)) => "collection",
        Some(Input::Asked(_)) => "asked",
        Some(Input::Told(_)) => "told",
        Some(Input::Silent(_)) => "silent",
        Some(Input::Directed(_)) => "directed",
        None => "nothing",
    }
}

fn written(error: std::io::Error) -> Error {
    Error::io("write", std::path::Path::new("the export"), error)
}
