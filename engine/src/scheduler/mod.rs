//! Placement as a pure value: requests and agents in, allocations out. No clock, no I/O.
//!
//! Policy: lower `priority` first; among equals the experiment that holds the fewest slots for its weight, then the
//! older one; within an experiment, first come, first served. A request is a gang: all its slots on one agent, at once.
//! If the first request in this order does not fit, the agent that will fit it soonest is kept for it, and the others
//! may still be used: nothing starves, and no slot idles without need.
//!
//! A request may name the one agent that will do, because its checkpoint lies there; it holds up no other request.
//!
//! A request may do without agents, and an experiment may exclude some: they are used only if no other agent that is known
//! could hold it. A request may avoid agents: of those that fit, another goes first.
//!
//! A request of 0 slots takes one CPU slot, or nothing on an agent that has GPU slots (at most
//! [`MAX_SLOTLESS`] at once there).

mod agents;
mod queue;
#[cfg(test)]
mod scheduler_tests;
mod wish;

pub use agents::{AgentSlots, MAX_SLOTLESS};
pub use queue::{Allocation, Limits, Scheduler};
pub use wish::Wish;
