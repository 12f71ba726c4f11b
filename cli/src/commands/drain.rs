//! `toprung agents drain` and `toprung agents undrain`

use super::look;
use crate::args::{Drain, Global};
use crate::client::Client;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format, json};
use std::time::Duration;
use tokio::time::Instant;
use toprung_proto::v1;

/// Between two looks at an agent that is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Drains an agent; with `--wait` returns when nothing runs there any more.
pub(super) async fn drain(global: &Global, args: Drain) -> Result<Exit, Error> {
    let (as_json, hint) = (args.json, global.in_hints());
    let found = look(global, |client, _| async move {
        let asked = client.drain_agent(args.name, args.reason).await.map_err(known_by_name)?;
        if args.wait {
            drained(&client, asked, args.timeout.map(Duration::from_secs)).await
        } else {
            Ok(asked)
        }
    })
    .await?;
    let next = format!("give it work again with: toprung agents undrain {}{hint}", found.name);
    say(&found, as_json, &next)
}

/// Gives a drained agent work again.
pub(super) async fn undrain(global: &Global, name: String, as_json: bool) -> Result<Exit, Error> {
    let undrain = |client: Client| async move { client.undrain_agent(name).await.map_err(known_by_name) };
    let found = look(global, |client, _| undrain(client)).await?;
    let next = if found.connected { "it gets work again" } else { "it gets work again when it connects" };
    say(&found, as_json, next)
}

/// Looks until nothing runs on the agent, and says what is left whenever that changes.
async fn drained(client: &Client, asked: v1::Agent, longest: Option<Duration>) -> Result<v1::Agent, Error> {
    let give_up = longest.map(|longest| Instant::now() + longest);
    let (mut agent, mut said) = (asked, u32::MAX);
    while agent.draining && agent.attempts > 0 {
        if agent.attempts != said {
            said = agent.attempts;
            output::note(&format!("{}: {}", format::printable(&agent.name), format::agent_state(&agent)));
        }
        if give_up.is_some_and(|give_up| Instant::now() >= give_up) {
            let seconds = longest.unwrap_or_default().as_secs();
            return Err(Error::Conflict(format!(
                "agent {} is not drained after {seconds} s: {} left; it goes on being drained, and `preemption_timeout` \
                 of their experiments ends the attempts",
                agent.name,
                format::attempts(agent.attempts)
            )));
        }
        tokio::time::sleep(LOOK).await;
        let all = client.agents().await?.agents;
        let Some(found) = all.into_iter().find(|found| found.name == agent.name) else { break };
        agent = found;
    }
    Ok(agent)
}

/// The server names the nearest known agent: more help would be of no use.
fn known_by_name(error: Error) -> Error {
    match error {
        Error::NotFound(message) => Error::Conflict(message),
        other => other,
    }
}

fn say(agent: &v1::Agent, as_json: bool, next: &str) -> Result<Exit, Error> {
    if as_json {
        output::print_json(&serde_json::json!({"agent": json::agent(agent)}))?;
    } else {
        output::print(&told(agent, next))?;
    }
    Ok(Exit::Ok)
}

fn told(agent: &v1::Agent, next: &str) -> String {
    format!("agent {} is {}; {next}\n", format::printable(&agent.name), format::agent_state(agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said() {
        let mut agent = v1::Agent {
            name: "a".into(),
            draining: true,
            attempts: 3,
            connected: true,
            ..Default::default()
        };
        assert_eq!(told(&agent, "x"), "agent a is draining (3 attempts left); x\n");
        agent.attempts = 1;
        agent.drain_reason = "new disks".into();
        assert_eq!(told(&agent, "x"), "agent a is draining (1 attempt left): new disks; x\n");
        agent.attempts = 0;
        assert_eq!(told(&agent, "x"), "agent a is drained: new disks; x\n");
        agent.draining = false;
        assert_eq!(told(&agent, "x"), "agent a is ready; x\n");
        agent.connected = false;
        assert_eq!(told(&agent, "x"), "agent a is not connected; x\n");
    }
}
