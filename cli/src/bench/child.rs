//! `toprung serve` as a process of its own: how long it takes until it serves, and how much memory it has.

use super::{agent, failed};
use crate::discovery::{self, Published};
use crate::errors::Error;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The service that must be healthy.
const SERVICE: &str = "toprung.v1.SearchService";
/// An engine serves within this, or it never will.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// This program, with nothing of the caller's settings.
pub(super) fn program(scratch: &Path) -> Result<Command, Error> {
    let path = std::env::current_exe().map_err(Error::io("cannot find this program"))?;
    let mut command = Command::new(path);
    for name in ["SERVER", "TOKEN", "TLS_CA", "DATA_DIR", "LOG"] {
        command.env_remove(format!("TOPRUNG_{name}"));
    }
    command.env("XDG_STATE_HOME", scratch.join("state"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// A server that ends, at the latest, with this value.
pub(super) struct Server {
    process: Child,
    /// Where it is, and its token.
    pub published: Published,
    /// From its start until it was healthy.
    pub took: Duration,
}

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    /// Now.
    pub resident: f64,
    /// The most it ever had.
    pub highest: f64,
}

impl Server {
    /// Starts it over the data directory in `scratch` and waits until it is healthy.
    pub(super) async fn start(scratch: &Path) -> Result<Self, Error> {
        let data_dir = scratch.join("data");
        let mut command = program(scratch)?;
        command.arg("serve").arg("--listen").arg("127.0.0.1:0").arg("--data-dir").arg(&data_dir);
        let started = Instant::now();
        let mut process = command.spawn().map_err(Error::io("cannot start `toprung serve`"))?;
        let healthy = tokio::time::timeout(PATIENCE, healthy(&mut process, &data_dir)).await;
        let late = |_| failed(format!("`toprung serve` did not serve within {} s", PATIENCE.as_secs()));
        let published = healthy.map_err(late)??;
        Ok(Self { process, published, took: started.elapsed() })
    }

    /// Its memory.
    pub(super) fn memory(&self) -> Result<Memory, Error> {
        let path = format!("/proc/{}/status", self.published.pid);
        let status = std::fs::read_to_string(&path).map_err(Error::io(format!("cannot read {path}")))?;
        memory(&status).ok_or_else(|| failed(format!("{path} does not say how much memory is used")))
    }

    /// Ends it with SIGKILL: the store is not closed.
    pub(super) async fn kill(mut self) -> Result<(), Error> {
        self.process.kill().await.map_err(Error::io("cannot end `toprung serve`"))
    }
}

async fn healthy(process: &mut Child, data_dir: &Path) -> Result<Published, Error> {
    let published = loop {
        // A killed server leaves its file behind; the number tells them apart.
        match discovery::of_data_dir(data_dir) {
            Some(found) if Some(found.pid) == process.id() => break found,
            _ => tokio::time::sleep(LOOK).await,
        }
        if let Some(status) = process.try_wait().map_err(Error::io("cannot watch `toprung serve`"))? {
            return Err(failed(format!("`toprung serve` ended: {status}")));
        }
    };
    let mut client = HealthClient::new(agent::channel(&published.url).await?);
    loop {
        let request = HealthCheckRequest { service: SERVICE.to_owned() };
        match client.check(request).await {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => return Ok(published),
            Ok(_) => {}
            Err(status) => tracing::debug!(%status, "not healthy yet"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// From the text of /proc/PID/status.
fn memory(status: &str) -> Option<Memory> {
    let mebibytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
    };
    Some(Memory { resident: mebibytes("VmRSS:")?, highest: mebibytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mebibytes() {
        let status = "Name:\tx\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        assert_eq!(memory(status), Some(Memory { resident: 100.0, highest: 200.0 }));
        assert_eq!(memory("Name:\tx\n"), None);
    }
}
