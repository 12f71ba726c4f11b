//! `toprung status`: how the engine is, above all whether its store takes writes. Also the line that other commands show
//! while it does not.

use super::look;
use crate::args::{Global, Json};
use crate::client::Client;
use crate::connect::Mode;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format};
use serde_json::{Value, json};
use toprung_proto::v1::GetEngineStatusResponse;

/// Shows it; exit code 5 while the store cannot write.
pub(super) async fn run(global: &Global, args: Json) -> Result<Exit, Error> {
    let (found, mode) =
        look(global, |client, mode| async move { Ok((client.status().await?, mode)) }).await?;
    let running = mode != Mode::Embedded;
    if args.json {
        output::print_json(&to_json(&found, running))?;
    } else {
        output::print(&text(&found, running))?;
    }
    Ok(if found.degraded.is_empty() { Exit::Ok } else { Exit::Store })
}

/// Prints why the engine takes in nothing, if that is so. An engine that does not know the question is an older one.
pub(super) async fn say_degraded(client: &Client) -> Result<(), Error> {
    match client.status().await {
        Ok(found) if !found.degraded.is_empty() => {
            output::print(&format!("{}\n", format::printable(&found.degraded)))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "the engine does not say how it is");
            Ok(())
        }
    }
}

fn to_json(found: &GetEngineStatusResponse, running: bool) -> Value {
    let degraded = (!found.degraded.is_empty()).then_some(&found.degraded);
    json!({
        "running": running,
        "version": found.version,
        "started_unix_ms": found.started_unix_ms,
        "uptime_ms": found.uptime_ms,
        "data_dir": found.data_dir,
        "degraded": degraded,
        "free_bytes": found.free_bytes,
        "connected_agents": found.connected_agents,
        "known_agents": found.known_agents,
        "active_experiments": found.active_experiments,
    })
}

fn text(found: &GetEngineStatusResponse, running: bool) -> String {
    let mut lines = Vec::new();
    if !found.degraded.is_empty() {
        lines.push(format::printable(&found.degraded));
    }
    lines.push(if running {
        format!("engine       {}, running for {}", found.version, format::coarse_ms(found.uptime_ms))
    } else {
        "engine       none runs for this data directory; its store can be opened".to_owned()
    });
    let store = if found.degraded.is_empty() { "takes writes" } else { "cannot write" };
    lines.push(format!("data         {}", format::printable(&found.data_dir)));
    lines.push(format!("store        {store}, {} free", format::bytes(found.free_bytes)));
    if running {
        lines.push(format!("agents       {} of {} connected", found.connected_agents, found.known_agents));
    }
    lines.push(format!("experiments  {} active\n", found.active_experiments));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degraded_store_comes_first() {
        let degraded = "degraded: store cannot write (x)".to_owned();
        let found =
            GetEngineStatusResponse { degraded, connected_agents: 1, known_agents: 2, ..Default::default() };
        let shown = text(&found, true);
        assert!(shown.starts_with("degraded: store cannot write (x)\n"), "{shown}");
        assert!(shown.contains("cannot write, 0 B free") && shown.contains("1 of 2 connected"), "{shown}");
        assert_eq!(to_json(&found, true)["degraded"], "degraded: store cannot write (x)");
        let well = text(&GetEngineStatusResponse::default(), false);
        assert!(
            well.contains("none runs") && well.contains("takes writes") && !well.contains("agents"),
            "{well}"
        );
        assert_eq!(to_json(&GetEngineStatusResponse::default(), false)["degraded"], Value::Null);
    }
}
