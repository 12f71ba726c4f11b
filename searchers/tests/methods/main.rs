//! The methods as their users see them: events in, actions out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adaptive;
mod asha;
mod beliefs;
mod constraints;
mod contract;
mod custom;
mod distributions;
mod fixed;
mod gp;
mod median;
mod model;
mod pasha;
mod plans;
mod population;
mod priors;
mod replay;
mod restless;
mod spaces;
mod synchronous;
mod tpe;
mod traps;
mod wishes;
mod world;
