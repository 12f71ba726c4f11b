//! gRPC on one port: the search service, the agent service, health and reflection.
//!
//! | file | holds |
//! |---|---|
//! | [`server`] | the port, TLS, and what is served on it |
//! | [`auth`] | the token |
//! | [`search`] | the search service: one method per call |
//! | [`create`] | from an experiment file to a new experiment; previews |
//! | [`streams`] | watching, reports and logs |
//! | [`agent`] | the agent service |

pub mod agent;
mod agents;
pub mod auth;
pub mod create;
pub mod search;
pub mod server;
mod source;
pub mod streams;

use tonic::Status;

/// The gRPC answer to an error.
pub(crate) fn status(error: crate::Error) -> Status {
    match error {
        crate::Error::Unavailable(error) => Status::unavailable(error.to_string()),
        crate::Error::Store(toprung_store::Error::Busy) => {
            Status::resource_exhausted("the store is busy; try again")
        }
        error => {
            tracing::error!(%error, "a call failed");
            Status::internal(error.to_string())
        }
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
