//! Serves the contract on a Unix stream socket: each request line is answered by exactly one line, in order.
//!
//! Bounds: 64 connections (more are told so and closed), 1 MiB a line of which four at a time are longer than 64 KiB,
//! 60 s for a line that was begun, 30 s for a held `next` and for an answer that is not read.

use super::{
    Contract, Control,
    request::{Answer, ReportRequest, Request, parse},
};
use crate::{
    attempt, checkpoint,
    flag::raised,
    identity::{AttemptKey, unix_ms},
    report::Reporter,
    uploads::Uploads,
};
use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::{JoinSet, spawn_blocking},
    time::{Instant, timeout, timeout_at},
};
use toprung_proto::v1::{self, attempt_event::Kind};

const MOST_CONNECTIONS: usize = 64;
/// Connections beyond, that are told why they are refused; more than these are closed at once.
const MOST_REFUSALS: usize = 64;
/// How long a refused connection may take.
const REFUSING: Duration = Duration::from_secs(1);
const LONGEST_LINE: usize = 1 << 20;
/// A longer line has to wait until few others are being read.
const SHORT_LINE: usize = 64 << 10;
const LONG_LINES: usize = 4;
/// From the first byte of a line to its end.
const LONGEST_READ: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_mins(1) };
const LONGEST_HOLD: Duration = Duration::from_secs(30);
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// What was written before the process ended is still read, for this long.
const CLOSING: Duration = Duration::from_secs(5);

/// What a connection needs to answer.
pub(crate) struct Desk {
    pub(crate) key: AttemptKey,
    pub(crate) control: Arc<Control>,
    pub(crate) reporter: Reporter,
    pub(crate) checkpoints: PathBuf,
    /// Where they go from there; `None`: they stay.
    pub(crate) uploads: Option<Arc<Uploads>>,
    /// Becomes true when the process has ended.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Opens the socket, for this user only.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until the process has ended and what it said is answered.
pub(crate) async fn serve(listener: UnixListener, desk: Arc<Desk>) {
    let (mut connections, mut refusals) = (JoinSet::new(), JoinSet::new());
    let long_lines = Arc::new(Semaphore::new(LONG_LINES));
    let mut closing = desk.closing.clone();
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    while connections.try_join_next().is_some() {}
                    while refusals.try_join_next().is_some() {}
                    if connections.len() < MOST_CONNECTIONS {
                        connections.spawn(converse(stream, Arc::clone(&desk), Arc::clone(&long_lines)));
                    } else if refusals.len() < MOST_REFUSALS {
                        refusals.spawn(refuse(stream));
                    }
                }
                Err(error) => {
                    tracing::warn!(attempt = %desk.key, %error, "cannot accept a connection of the trial");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = raised(&mut closing) => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(CLOSING, all).await.is_err() {
        tracing::debug!(attempt = %desk.key, "a connection outlived the trial");
    }
}

/// Answers the first request of a connection that is one too many. A client that says nothing is closed soon.
async fn refuse(stream: UnixStream) {
    let refusing = async {
        let (reading, mut writing) = stream.into_split();
        let mut reader = BufReader::new(reading);
        let _request = read_line(&mut reader, &Semaphore::new(1)).await?;
        let error = format!("too many connections; at most {MOST_CONNECTIONS} may be open");
        writing.write_all(Answer::Error(error).to_line().as_bytes()).await
    };
    // One that is late, or gone, is closed without a word.
    let _answered = timeout(REFUSING, refusing).await;
}

pub(super) async fn converse(stream: UnixStream, desk: Arc<Desk>, long_lines: Arc<Semaphore>) {
    let (reading, mut writing) = stream.into_split();
    let mut reader = BufReader::new(reading);
    loop {
        let answer = match read_line(&mut reader, &long_lines).await {
            Ok(Line::End) => return,
            Ok(Line::TooLong) => Answer::Error(format!("a line holds at most {LONGEST_LINE} bytes")),
            Ok(Line::Text(line)) => match parse(&line) {
                Ok(request) => desk.answer(request).await.unwrap_or_else(Answer::Error),
                Err(error) => Answer::Error(error),
            },
            Err(error) => {
                tracing::debug!(attempt = %desk.key, %error, "a connection of the trial broke");
                return;
            }
        };
        let line = answer.to_line();
        let written = timeout(LONGEST_ANSWER, writing.write_all(line.as_bytes())).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(String),
    TooLong,
    End,
}

/// Reads one line with bounded memory; a longer one is skipped up to its end. Waits for its first byte without end:
/// an idle connection is none of ours to close. Once begun, a line is finished in time, or the connection is broken.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), long_lines: &Semaphore) -> io::Result<Line> {
    reader.fill_buf().await?;
    let stalled = |_| io::Error::new(io::ErrorKind::TimedOut, "a line was begun and not finished");
    timeout(LONGEST_READ, read_rest(reader, long_lines)).await.map_err(stalled)?
}

async fn read_rest(reader: &mut (impl AsyncBufRead + Unpin), long_lines: &Semaphore) -> io::Result<Line> {
    let (mut line, mut too_long, mut long) = (Vec::new(), false, None);
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            // A last line without a line feed was not finished: the script died while it wrote it.
            return Ok(Line::End);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(chunk.len());
        too_long |= line.len() + taken > LONGEST_LINE;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(chunk.get(..taken).unwrap_or_default());
        }
        reader.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            break;
        }
        if line.len() > SHORT_LINE && long.is_none() {
            long = long_lines.acquire().await.ok();
        }
    }
    Ok(if too_long { Line::TooLong } else { Line::Text(String::from_utf8_lossy(&line).into_owned()) })
}

impl Desk {
    async fn answer(&self, request: Request) -> Result<Answer, String> {
        match request {
            Request::Report(report) => self.report(&report).await,
            Request::Checkpoint { length, unit, directory } => {
                self.checkpoint(length, unit.as_deref(), directory).await
            }
            Request::Next { length } => self.next(length).await,
            Request::Status {} => Ok(self.status()),
            Request::InvalidHyperparameters { reason } => {
                self.reporter.will(attempt::invalid(&reason)).await?;
                self.control.update(|contract| contract.reject_hyperparameters(reason));
                Ok(Answer::Ok)
            }
            Request::Progress { fraction } if (0.0..=1.0).contains(&fraction) => Ok(Answer::Ok),
            Request::Progress { fraction } => {
                Err(format!("progress is a fraction from 0 to 1; given was {fraction}"))
            }
            Request::Hello {} => {
                self.control.update(super::Contract::attach);
                Ok(Answer::Ok)
            }
        }
    }

    async fn report(&self, report: &ReportRequest) -> Result<Answer, String> {
        let metrics = report.metrics()?;
        let length = self.control.read(|contract| contract.length(report.length, report.unit.as_deref()))?;
        self.control.report(&self.reporter, report.group, length, metrics).await?;
        Ok(Answer::Ok)
    }

    async fn checkpoint(&self, length: u64, unit: Option<&str>, directory: String) -> Result<Answer, String> {
        let length = self.control.read(|contract| contract.length(length, unit))?;
        let root = self.checkpoints.clone();
        let completed = spawn_blocking(move || checkpoint::complete(&root, &directory))
            .await
            .map_err(|error| format!("the checkpoint was not completed: {error}"))??;
        let path = completed.path.to_string_lossy().into_owned();
        let event = v1::Checkpoint {
            uuid: completed.uuid.clone(),
            trial: self.key.trial,
            attempt: self.key.attempt,
            length,
            path: path.clone(),
            files: completed.files.clone(),
            total_size: completed.total_size,
            time_unix_ms: unix_ms(),
            // The engine's to fill in.
            ..v1::Checkpoint::default()
        };
        let uuid = completed.uuid.clone();
        match &self.uploads {
            Some(uploads) => uploads.push(completed, event).await?,
            None => self.reporter.keep(Kind::Checkpoint(event)).await?,
        }
        self.control.update(Contract::save);
        Ok(Answer::Saved { uuid, path })
    }

    /// Holds the answer until it is known, the process has ended, or 30 s have passed. If the trial is to pause and cannot,
    /// the engine is told, and its answer is waited for.
    async fn next(&self, length: u64) -> Result<Answer, String> {
        let until = Instant::now() + LONGEST_HOLD;
        let mut closing = self.closing.clone();
        let found = |contract: &Contract| match contract.next(length) {
            Some(answer) => Some(Some(answer)),
            None => contract.refuses().then_some(None),
        };
        loop {
            let found = tokio::select! {
                found = timeout_at(until, self.control.until(found)) => found.unwrap_or(Some(Answer::Wait)),
                () = raised(&mut closing) => Some(Answer::Wait),
            };
            if let Some(answer) = found {
                return Ok(answer);
            }
            // Not given up half-way: what is marked as said has to be said.
            if let Some(length) = self.control.update(Contract::refuse) {
                self.reporter.keep_awaited(Kind::CannotPause(v1::CannotPause { length })).await?;
            }
        }
    }

    fn status(&self) -> Answer {
        if self.control.read(|contract| contract.demand().is_some()) {
            self.control.update(Contract::hand_out);
        }
        self.control.read(Contract::status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_are_skipped_and_the_next_is_read() {
        let mut text = vec![b'x'; LONGEST_LINE + 1];
        text.extend_from_slice(b"\nnext\nunfinished");
        let mut reader = BufReader::new(text.as_slice());
        let long = Semaphore::new(1);
        assert_eq!(read_line(&mut reader, &long).await.unwrap(), Line::TooLong);
        assert_eq!(read_line(&mut reader, &long).await.unwrap(), Line::Text("next".to_owned()));
        assert_eq!(read_line(&mut reader, &long).await.unwrap(), Line::End);
    }

    #[tokio::test]
    async fn a_line_that_is_begun_has_to_end() {
        let (mut client, server) = tokio::io::duplex(1024);
        let mut reader = BufReader::new(server);
        let long = Semaphore::new(1);
        // Silence is no fault, however long.
        let idle = timeout(LONGEST_READ * 3, read_line(&mut reader, &long)).await;
        assert!(idle.is_err(), "{idle:?}");
        client.write_all(b"half a li").await.unwrap();
        let error = read_line(&mut reader, &long).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn few_long_lines_are_read_at_once() {
        let text = [vec![b'x'; SHORT_LINE * 2], b"\n".to_vec()].concat();
        let long = Semaphore::new(1);
        let other = long.acquire().await.unwrap();
        let mut reader = BufReader::new(text.as_slice());
        assert!(read_line(&mut reader, &long).await.is_err(), "no other long line ends");
        drop(other);
        let mut reader = BufReader::new(text.as_slice());
        assert!(matches!(read_line(&mut reader, &long).await.unwrap(), Line::Text(_)));
    }
}
