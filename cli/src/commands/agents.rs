//! `toprung agents`

use super::{look, status};
use crate::args::{Global, Json};
use crate::connect::Mode;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format, json, table};

/// Lists the agents and what their slots do.
pub(super) async fn run(global: &Global, args: Json) -> Result<Exit, Error> {
    let (found, mode) = look(global, |client, mode| async move {
        let found = client.agents().await?;
        if !args.json {
            status::say_degraded(&client).await?;
        }
        Ok((found, mode))
    })
    .await?;
    if args.json {
        let agents: Vec<_> = found.agents.iter().map(json::agent).collect();
        output::print_json(&serde_json::json!({"agents": agents}))?;
        return Ok(Exit::Ok);
    }
    if found.agents.is_empty() {
        output::print(match mode {
            Mode::Embedded => {
                "no agents: nothing runs here; `toprung run` and `toprung resume` bring their own\n"
            }
            _ => "no agents; `toprung agent --server URL` offers the slots of a machine\n",
        })?;
        return Ok(Exit::Ok);
    }
    output::print(&table::agents(&found.agents, format::now_ms(), table::terminal_width()))?;
    Ok(Exit::Ok)
}
