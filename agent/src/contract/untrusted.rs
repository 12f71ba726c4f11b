//! A conversation over a trial's socket made of any bytes, for property tests and fuzzing: the server is the real one,
//! the agent around it is a directory and a reader of events.

use super::{
    Contract, Control, Terms,
    socket::{Desk, converse},
};
use crate::{identity::AttemptKey, report::Reporters};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::{Semaphore, watch},
};
use toprung_proto::v1::LengthConversion;

/// Bytes of reports that may wait.
const CREDIT: usize = 1 << 20;

/// Writes `bytes` to the socket of a trial as one of its connections would, and returns what it was answered: a line for
/// each line. The process counts as ended, so no answer is held back.
///
/// # Panics
/// There is no directory for temporary files, or no thread to be had.
#[expect(clippy::expect_used, reason = "only tests call it, and none goes on without a directory")]
pub fn answers(bytes: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    // A checkpoint that may be completed.
    std::fs::create_dir_all(directory.path().join("checkpoints/incomplete-1")).expect("a directory");
    let key = AttemptKey { experiment: 1, trial: 1, attempt: 1 };
    let (reporters, mut inbox) = Reporters::new(CREDIT, CREDIT as u64);
    let terms = Terms {
        train_until: 3,
        max_length: 9,
        time_metric: "epochs".to_owned(),
        metric: "loss".to_owned(),
        conversion: LengthConversion { records_per_epoch: 100, records_per_batch: 10 },
        resumes: false,
    };
    let (_closing, closing) = watch::channel(true);
    let desk = Arc::new(Desk {
        key,
        control: Arc::new(Control::new(Contract::new(terms))),
        reporter: reporters.reporter(key),
        checkpoints: directory.path().join("checkpoints"),
        uploads: None,
        closing,
    });
    runtime.block_on(async {
        let (trial, agent) = UnixStream::pair().expect("a pair of sockets");
        let served = tokio::spawn(converse(agent, desk, Arc::new(Semaphore::new(1))));
        let listened = tokio::spawn(async move {
            loop {
                let waiting = tokio::select! {
                    Some(event) = inbox.events.recv() => event.waiting,
                    Some(will) = inbox.wills.recv() => Some(will.waiting),
                    else => return,
                };
                // Whoever asked may have gone.
                let _ = waiting.map(|waiting| waiting.send(()));
            }
        });
        let (mut reading, mut writing) = trial.into_split();
        let bytes = bytes.to_vec();
        let written = tokio::spawn(async move {
            // The other side may have hung up.
            let _ = writing.write_all(&bytes).await;
        });
        let mut answers = Vec::new();
        let read = reading.read_to_end(&mut answers).await;
        debug_assert!(read.is_ok());
        for task in [served, written] {
            assert!(task.await.is_ok(), "a task panicked");
        }
        listened.abort();
        answers
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered_by_a_line() {
        let said = answers(b"{\"type\":\"hello\"}\nnonsense\n{\"type\":\"next\",\"length\":0}\n\xff\n");
        let said = String::from_utf8(said).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 4, "{said}");
        assert_eq!(lines[0], r#"{"ok":true}"#);
        assert!(lines[1].contains("not a JSON object"), "{said}");
    }
}
