//! The real binary with real training processes, as a person uses it: nothing is mocked, nothing is fetched.
//!
//! Each test has a [`workplace::Workplace`]: its own directory, home and state directory, which ends every process that
//! a test leaves behind. Ports are chosen by the system. Nothing waits for a time to pass, only for a state, and each
//! wait has a deadline that ends with what the processes had said until then.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../../checkpoints/tests/storage/server.rs"]
#[allow(dead_code, reason = "not every test uses all of it")]
mod s3;

mod document;
mod processes;
mod workplace;

mod asking;
mod backup;
mod collecting;
mod crash;
mod deciding;
mod embedded;
mod failing;
mod file_mistakes;
mod forking;
mod full_disk;
mod mistakes;
mod object_store;
mod outside;
mod pausing;
mod priorities;
mod restless;
mod scripts;
mod searching;
mod server;
mod simulating;
