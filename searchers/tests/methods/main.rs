//! The methods as their users see them: events in, actions out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adaptive;
mod asha;
mod contract;
mod distributions;
mod fixed;
mod gp;
mod median;
mod model;
mod pasha;
mod plans;
mod population;
mod spaces;
mod synchronous;
mod traps;
mod world;
