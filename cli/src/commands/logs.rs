//! `toprung logs`

use super::look;
use crate::args::{Global, Logs};
use crate::client::Client;
use crate::connect::Mode;
use crate::errors::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output::{self, json, trial};
use toprung_proto::v1;

/// Prints what trials wrote; with `--follow` until the experiment ends or Ctrl-C.
pub(super) async fn run(global: &Global, args: Logs) -> Result<Exit, Error> {
    look(global, |client, mode| async move {
        if args.follow && mode == Mode::Embedded {
            output::note("no trial runs here now: these are all lines there are");
        }
        stream(&client, args, args.follow && mode != Mode::Embedded).await
    })
    .await
}

async fn stream(client: &Client, args: Logs, follow: bool) -> Result<Exit, Error> {
    let request = v1::StreamLogsRequest { experiment: args.id, trial: args.trial, follow, tail: args.tail };
    let mut stream = client.logs(request).await?;
    let mut interrupts = Interrupts::start()?;
    let colour = output::stdout_colour();
    loop {
        tokio::select! {
            page = client.next(&mut stream) => match page? {
                Some(page) => output::print(&text(&page.lines, args.json, colour))?,
                None => return Ok(Exit::Ok),
            },
            () = interrupts.next() => return Ok(Exit::Interrupted),
        }
    }
}

fn text(lines: &[v1::TrialLogLine], as_json: bool, colour: bool) -> String {
    let one = |line: &v1::TrialLogLine| {
        if as_json { format!("{}\n", json::log_line(line)) } else { trial::log_line(line, colour) }
    };
    lines.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_object_per_line() {
        let inner = v1::LogLine { text: "a\nb".into(), ..Default::default() };
        let line = v1::TrialLogLine { trial: 1, attempt: 1, line: Some(inner) };
        let shown = text(&[line.clone(), line], true, false);
        assert_eq!(shown.lines().count(), 2);
        assert!(shown.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
