//! Agents as people see them, and their draining.

use tonic::Status;
use toprung_proto::v1;

use super::search::Search;
use super::status;
use crate::actors::pool::PoolView;
use crate::actors::sessions::DrainError;

/// Longest reason for draining an agent, in bytes.
const LONGEST_REASON: usize = 1_000;

/// What is known of all agents. Drained ones are among them even if they are not connected.
pub(super) fn all(mut agents: Vec<v1::Agent>, mut pool: PoolView) -> Vec<v1::Agent> {
    for name in pool.drained.keys() {
        if !agents.iter().any(|agent| agent.name == *name) {
            agents.push(v1::Agent { name: name.clone(), ..v1::Agent::default() });
        }
    }
    agents.sort_by(|a, b| a.name.cmp(&b.name));
    for agent in &mut agents {
        if let Some(found) = pool.agents.remove(&agent.name) {
            agent.slots = found;
        }
        agent.attempts = pool.attempts.get(&agent.name).copied().unwrap_or(0);
        if let Some(reason) = pool.drained.remove(&agent.name) {
            agent.draining = true;
            agent.drain_reason = reason;
        }
        agent.excluded_from = pool.excluded.remove(&agent.name).unwrap_or_default();
    }
    agents
}

/// Drains an agent (`Some`: why) or undoes it; answers once it is durable, with the agent as it is then.
pub(super) async fn drain(
    search: &Search,
    name: String,
    reason: Option<String>,
) -> Result<v1::Agent, Status> {
    if reason.as_ref().is_some_and(|reason| reason.len() > LONGEST_REASON) {
        return Err(Status::invalid_argument(format!("`reason` may have {LONGEST_REASON} bytes at most")));
    }
    let answered = search.sessions.drain(name.clone(), reason).await;
    answered.map_err(|error| status(error.into()))?.map_err(|error| match error {
        DrainError::Unknown(unknown) => Status::not_found(unknown.to_string()),
        DrainError::Store(error) => status(error.into()),
    })?;
    let found = search.agents().await?.into_iter().find(|agent| agent.name == name);
    // One that is away and not drained any more is not listed.
    Ok(found.unwrap_or_else(|| v1::Agent { name, ..v1::Agent::default() }))
}
