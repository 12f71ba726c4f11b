//! gRPC on one port: the search service, the agent service, health and reflection.
//!
//! | file | holds |
//! |---|---|
//! | [`server`] | the port, TLS, and what is served on it |
//! | [`auth`] | the token |
//! | [`search`] | the search service: one method per call; what is read and what is changed |
//! | [`gate`], [`uploads`] | what is let in, and when others may come again |
//! | [`create`], [`source`] | from an experiment file, or an earlier experiment, to a new one; previews |
//! | [`agents`] | agents as people see them, and their draining |
//! | [`streams`] | watching, reports and logs |
//! | [`backup`] | the store as a stream of files |
//! | [`agent`] | the agent service |

pub mod agent;
mod agents;
pub mod auth;
pub mod backup;
pub mod create;
pub mod gate;
pub mod search;
pub mod server;
mod source;
pub mod streams;
pub mod uploads;

use std::time::Duration;
use tonic::{Code, Status};

/// When a call may come again that found an actor or the store busy.
const AGAIN: Duration = Duration::from_secs(1);

/// The gRPC answer to an error.
pub(crate) fn status(error: crate::Error) -> Status {
    match error {
        crate::Error::Unavailable(error) => gate::later(Code::Unavailable, error.to_string(), AGAIN),
        crate::Error::Store(toprung_store::Error::Busy) => {
            gate::later(Code::ResourceExhausted, "the store is busy", AGAIN)
        }
        crate::Error::Store(error) if is_full(&error) => {
            gate::later(Code::Unavailable, format!("degraded: store cannot write ({error})"), AGAIN)
        }
        error => {
            tracing::error!(%error, "a call failed");
            Status::internal(error.to_string())
        }
    }
}

/// Whether the disk has no room, which may pass.
fn is_full(error: &toprung_store::Error) -> bool {
    match error {
        toprung_store::Error::DiskFull { .. } => true,
        toprung_store::Error::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

/// Runs blocking work of the store off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::Error> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(status),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}
