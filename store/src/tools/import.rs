//! A store from the text that `export` wrote.

use std::io::BufRead;
use std::path::Path;

use prost::Message;
use serde_json::Value;
use toprung_proto::v1::{JournalRecord, StreamLogsResponse};

use super::entry;
use super::export::FORMAT;
use super::message::{Messages, from_hexadecimal};
use crate::{Batch, Error, Store};

/// Lines written together.
const TOGETHER: usize = 256;
/// Bytes of them, about.
const TOGETHER_BYTES: usize = 1 << 20;

/// What was imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Lines, header and end included.
    pub lines: u64,
    /// Records of journals among them.
    pub journal_records: u64,
}

/// Fills a store from a text of `export`; durable when it returns. The store must be empty. After an error it holds a
/// part and is to be thrown away.
pub fn import(store: &Store, from: &mut dyn BufRead) -> Result<Imported, Error> {
    if !store.journals()?.is_empty()
        || !store.experiments(None, 1)?.is_empty()
        || !store.metas("", None, 1)?.is_empty()
    {
        return Err(Error::Import { line: 0, reason: "the store is not empty".to_owned() });
    }
    let mut import =
        Import { store, messages: Messages::new()?, batch: Batch::default(), size: 0, model: Vec::new() };
    let mut done = Imported::default();
    let mut text = String::new();
    loop {
        text.clear();
        let read =
            from.read_line(&mut text).map_err(|error| Error::io("read", Path::new("the export"), error))?;
        let wrong = |reason: String| Error::Import { line: done.lines + 1, reason };
        if read == 0 {
            return Err(wrong("the export is cut: its last line is missing".to_owned()));
        }
        let line: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let kind = line.get("kind").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "header" if done.lines == 0 && line.get("format") == Some(&FORMAT.into()) => {}
            _ if done.lines == 0 => return Err(wrong(format!("no header of format {FORMAT}"))),
            "end" if line.get("lines") == Some(&done.lines.into()) => {
                import.write()?;
                done.lines += 1;
                return Ok(done);
            }
            _ => import.line(kind, &line).map_err(|error| match error {
                Problem::Line(reason) => wrong(reason.to_owned()),
                Problem::Store(error) => error,
            })?,
        }
        done.lines += 1;
        done.journal_records += u64::from(kind == "journal");
    }
}

enum Problem {
    Line(&'static str),
    Store(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

struct Import<'a> {
    store: &'a Store,
    messages: Messages,
    batch: Batch,
    size: usize,
    /// The parts of a model so far.
    model: Vec<u8>,
}

impl Import<'_> {
    fn line(&mut self, kind: &str, line: &Value) -> Result<(), Problem> {
        match kind {
            "model" => return self.model(line),
            "journal" => self.journal(line)?,
            "log" => return self.log(line),
            _ => {
                let key = entry::from_json(line).ok_or(Problem::Line("an unknown kind of line"))?;
                let value = self.messages.take(line, entry::message(&key));
                let value = value.ok_or(Problem::Line("neither value nor bytes can be read"))?;
                self.size += value.len();
                self.batch.puts.push((key, value));
            }
        }
        if self.batch.journal.len() + self.batch.puts.len() >= TOGETHER || self.size >= TOGETHER_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn model(&mut self, line: &Value) -> Result<(), Problem> {
        let part = line.get("bytes").and_then(Value::as_str).and_then(from_hexadecimal);
        self.model.extend(part.ok_or(Problem::Line("the bytes of the model cannot be read"))?);
        if line.get("left").and_then(Value::as_u64) != Some(0) {
            return Ok(());
        }
        let sha256 = self.store.models().put(&std::mem::take(&mut self.model))?;
        if line.get("sha256").and_then(Value::as_str) != Some(&sha256) {
            return Err(Problem::Line("the model does not have its SHA-256"));
        }
        Ok(())
    }

    fn journal(&mut self, line: &Value) -> Result<(), Problem> {
        let experiment = line.get("experiment").and_then(Value::as_u64);
        let bytes = self.messages.take(line, Some("JournalRecord"));
        let record = bytes.as_deref().and_then(|bytes| JournalRecord::decode(bytes).ok());
        let (Some(experiment), Some(record)) = (experiment, record) else {
            return Err(Problem::Line("the journal record cannot be read"));
        };
        self.size += bytes.map_or(0, |bytes| bytes.len());
        self.batch.journal.push((experiment, record));
        Ok(())
    }

    fn log(&mut self, line: &Value) -> Result<(), Problem> {
        let experiment = line.get("experiment").and_then(Value::as_u64);
        let bytes = self.messages.take(line, Some("StreamLogsResponse"));
        let lines = bytes.and_then(|bytes| StreamLogsResponse::decode(bytes.as_slice()).ok());
        let (Some(experiment), Some(frame)) = (experiment, lines) else {
            return Err(Problem::Line("the lines of the trials cannot be read"));
        };
        let lines = frame.lines.into_iter();
        let lines = lines.map(|line| (line.trial, line.attempt, line.line.unwrap_or_default())).collect();
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        // One at a time, so that the frames stay as they were.
        self.store.logs().submit(experiment, lines, move |result| drop(sender.send(result)))?;
        Ok(crate::writer::wait(&receiver)??)
    }

    fn write(&mut self) -> Result<(), Error> {
        self.size = 0;
        self.store.write_blocking(std::mem::take(&mut self.batch))
    }
}
