//! What the actors decide, without actors: plain values, no clock, no I/O, no tasks.
//!
//! Each actor owns one of these and does what it answers; the simulation of the whole system (`tests/simulation`) owns
//! the same ones. So an order of messages that the simulation finds wrong is wrong in the engine.
//!
//! | file | its actor | decides |
//! |---|---|---|
//! | [`keeper`] | an experiment | what is written together, and what waits for it |
//! | [`commits`] | | groups of steps on their way to the store |
//! | [`batches`] | a session | when a batch is acknowledged |
//! | [`registry`] | the sessions | who is connected, who is lost, what waits for a registration |
//! | [`roster`] | | which agents were ever here, and which are drained |
//! | [`routes`] | the experiments | which part of a batch goes where, and which is left to be sent again |
//! | [`leases`] | | which programs that run trials themselves are silent |
//! | [`places`] | the pool | who is told of slots and capacity |

pub mod batches;
pub mod commits;
pub mod keeper;
pub mod leases;
pub mod places;
pub mod registry;
pub mod roster;
pub mod routes;

pub use batches::Batches;
pub use commits::{Commits, Durable};
pub use keeper::{Keeper, Returned, Taken};
pub use leases::Leases;
pub use places::{Notice, Places};
pub use registry::Registry;
pub use roster::Roster;
pub use routes::{Route, Routes};
