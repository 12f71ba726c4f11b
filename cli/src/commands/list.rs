//! `toprung list`

use super::{look, status};
use crate::args::{Global, List};
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format, json, table};

/// Lists experiments, newest first.
pub(super) async fn run(global: &Global, args: List) -> Result<Exit, Error> {
    let found = look(global, |client, _| async move {
        let found = client.experiments(args.limit).await?;
        if !args.json {
            status::say_degraded(&client).await?;
        }
        Ok(found)
    })
    .await?;
    let more = !found.next_page_token.is_empty();
    if args.json {
        let experiments: Vec<_> = found.experiments.iter().map(json::experiment).collect();
        output::print_json(&serde_json::json!({"experiments": experiments, "more": more}))?;
        return Ok(Exit::Ok);
    }
    if found.experiments.is_empty() {
        output::print("no experiments yet; `toprung run FILE` starts one\n")?;
        return Ok(Exit::Ok);
    }
    output::print(&table::experiments(&found.experiments, format::now_ms(), table::terminal_width()))?;
    if more {
        output::note("there are more; --limit N shows more of them");
    }
    Ok(Exit::Ok)
}
