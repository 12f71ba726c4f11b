//! The wire contracts of Toprung, generated from `proto/toprung/v1/*.proto`.
//!
//! | file | holds |
//! |---|---|
//! | `types.proto` | the words both services and the journal share |
//! | `search.proto` | `SearchService`: for people and programs that run searches |
//! | `agent.proto` | `AgentService`: between the engine and its agents |
//! | `journal.proto` | what the store keeps |
//!
//! Nothing here decides anything. Fields are only ever added.

mod secrets;

/// Version 1 of all messages and services.
pub mod v1 {
    #![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
    tonic::include_proto!("toprung.v1");
}

/// The encoded `FileDescriptorSet` of all files, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
