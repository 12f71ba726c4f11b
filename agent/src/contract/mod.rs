//! The trial contract: what a script may say over its socket, and what it is answered.
//!
//! [`state`] decides without I/O; [`request`] reads and writes lines; [`control`] shares the state between the parts of
//! an attempt; [`socket`] serves it; [`untrusted`] lets tests talk to it.

mod control;
pub(crate) mod lenient;
pub(crate) mod request;
pub(crate) mod socket;
pub(crate) mod state;
pub(crate) mod untrusted;

pub(crate) use control::Control;
pub(crate) use request::Group;
pub(crate) use state::{Contract, Demand, Order, Terms};
