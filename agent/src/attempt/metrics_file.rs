//! Follows a JSON-lines file of metrics that a script writes.

use super::printed::{Interpreter, json_pairs};
use crate::{contract::Control, flag::raised, report::Reporter};
use std::{io, path::Path, time::Duration};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader},
    sync::watch,
    time::timeout,
};

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(200);
/// A longer line is no report.
const LONGEST_LINE: u64 = 1 << 20;

/// Reports what is written to `path` until the process has ended and all of it is read.
pub(crate) async fn follow(
    path: &Path,
    mut interpreter: Interpreter,
    control: &Control,
    reporter: &Reporter,
    mut closing: watch::Receiver<bool>,
) {
    let mut position = 0;
    loop {
        let last_round = *closing.borrow();
        match read_from(path, position).await {
            Ok((lines, next)) => {
                position = next;
                for pairs in lines.iter().filter_map(|line| json_pairs(line)) {
                    report(pairs, &mut interpreter, control, reporter).await;
                }
                if !lines.is_empty() {
                    continue;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, path = %path.display(), "cannot read the metrics file"),
        }
        if last_round {
            return;
        }
        // Late is the usual case: nothing has ended, look again.
        let _ = timeout(POLL, raised(&mut closing)).await;
    }
}

async fn report(
    pairs: Vec<(String, f64)>,
    interpreter: &mut Interpreter,
    control: &Control,
    reporter: &Reporter,
) {
    let attached = control.read(crate::contract::Contract::is_attached);
    if let Some(found) = interpreter.report(pairs).filter(|_| !attached)
        && let Err(error) = control.report(reporter, found.group, found.length, found.metrics).await
    {
        tracing::debug!(error, "a line of the metrics file is no report");
    }
}

/// Complete lines from `position` on (at most about 1 MiB), and where the next begins.
async fn read_from(path: &Path, mut position: u64) -> io::Result<(Vec<String>, u64)> {
    let mut file = File::open(path).await?;
    file.seek(io::SeekFrom::Start(position)).await?;
    let mut reader = BufReader::new(file.take(LONGEST_LINE));
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line).await? as u64;
        let too_long = count == LONGEST_LINE;
        if !too_long && line.last() != Some(&b'\n') {
            return Ok((lines, position));
        }
        position += count;
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_complete_lines_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"a\":1}\n{\"b\"").unwrap();
        let (lines, position) = read_from(file.path(), 0).await.unwrap();
        assert_eq!((lines.as_slice(), position), (&["{\"a\":1}\n".to_owned()][..], 8));
        std::fs::write(file.path(), "{\"a\":1}\n{\"b\":2}\n").unwrap();
        let (lines, position) = read_from(file.path(), position).await.unwrap();
        assert_eq!((lines.as_slice(), position), (&["{\"b\":2}\n".to_owned()][..], 16));
    }
}
