//! Checkpoints in a real server that speaks S3, checks signatures and keeps its objects on the disk; and in Azure, on demand.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod azure;
mod cases;
mod failures;
mod round_trip;
#[allow(dead_code, reason = "the end-to-end tests use more of it")]
mod server;
