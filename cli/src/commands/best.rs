//! `toprung best`

use super::look;
use crate::args::{Best, Global};
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, experiment, json};

/// Shows the best trial.
pub(super) async fn run(global: &Global, args: Best) -> Result<Exit, Error> {
    let found = look(global, |client, _| async move { client.experiment(args.id).await }).await?;
    if args.json {
        let best = found.best.as_ref().map(json::best);
        output::print_json(&serde_json::json!({"experiment": found.id, "best": best}))?;
    } else {
        output::print(&experiment::best(&found))?;
    }
    Ok(Exit::Ok)
}
