//! `toprung trials`

use super::look;
use crate::args::{Global, Trials};
use crate::client::Client;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format, json, table, trial};
use toprung_proto::v1;

/// Lists trials, or shows one.
pub(super) async fn run(global: &Global, args: Trials) -> Result<Exit, Error> {
    let text = look(global, |client, _| async move {
        match args.trial {
            Some(number) => one(&client, args, number).await,
            None => all(&client, args).await,
        }
    })
    .await?;
    output::print(&text)?;
    Ok(Exit::Ok)
}

async fn all(client: &Client, args: Trials) -> Result<String, Error> {
    let request =
        v1::ListTrialsRequest { experiment: args.id, after: 0, limit: args.limit, best_first: args.best };
    let found = client.trials(request).await?;
    if args.json {
        let document = serde_json::json!({"trials": json::trials(&found.trials), "more": found.more});
        return Ok(format!("{document:#}\n"));
    }
    if found.trials.is_empty() {
        return Ok(format!("experiment {} has no trials yet\n", args.id));
    }
    let metric = client.experiment(args.id).await?.metric;
    let mut text = table::trials(&found.trials, &metric, table::terminal_width());
    if found.more {
        text.push_str(more(args.best));
    }
    Ok(text)
}

fn more(best_first: bool) -> &'static str {
    if best_first {
        "… there are more; --limit N shows more of them\n"
    } else {
        "… there are more; --limit N shows more of them, --best the best\n"
    }
}

async fn one(client: &Client, args: Trials, number: u32) -> Result<String, Error> {
    let found = client.trial(args.id, number).await?;
    let reports = reports(client, args.id, number).await?;
    if args.json {
        let reports: Vec<_> = reports.iter().map(json::report).collect();
        let document = serde_json::json!({"trial": json::trial(&found), "reports": reports});
        return Ok(format!("{document:#}\n"));
    }
    let metric = client.experiment(args.id).await?.metric;
    Ok(trial::show(&found, &reports, &metric, format::now_ms()))
}

async fn reports(client: &Client, experiment: u64, trial: u32) -> Result<Vec<v1::TrialReport>, Error> {
    let request = v1::StreamReportsRequest { experiment, trial: Some(trial), follow: false };
    let mut stream = client.reports(request).await?;
    let mut all = Vec::new();
    while let Some(page) = client.next(&mut stream).await? {
        all.extend(page.reports);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_not_advised() {
        assert!(more(false).contains("--best"));
        assert!(!more(true).contains("--best"));
    }
}
