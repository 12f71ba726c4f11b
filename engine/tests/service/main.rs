//! The engine as a whole, over its real wire and store: clients and agents here are gRPC clients of this test.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agents;
mod asking;
mod calls;
mod collection;
mod deciding;
mod limits;
mod priorities;
mod sources;
mod world;
