//! Placement as a pure value: requests and agents in, allocations out. No clock, no I/O.
//!
//! Policy: lower `priority` first; among equals the experiment that holds the fewest slots for its weight, then the
//! older one; within an experiment, first come, first served. A request is a gang: all its slots on one agent, at once.
//! If the first request in this order does not fit, the agent that will fit it soonest is kept for it, and the others
//! may still be used: nothing starves, and no slot idles without need.
//!
//! A request that does not fit takes the slots of worse priorities, if they hold enough on one agent: their attempts are
//! asked to save and leave (`preempt`), and what they give back goes to the experiment for which it was freed. Slots on
//! their way back are counted, so no more is preempted than is missing. Equal priorities never preempt each other.
//!
//! An agent that is drained, or that is ending, gets nothing new, and what it runs is preempted too.
//!
//! A request may name the one agent that will do, because its checkpoint lies there; it holds up no other request.
//!
//! A request may do without agents, and an experiment may exclude some: they are used only if no other agent that is known
//! could hold it. A request may avoid agents: of those that fit, another goes first.
//!
//! A request of 0 slots takes one CPU slot, or nothing on an agent that has GPU slots (at most
//! [`MAX_SLOTLESS`] at once there).

mod agents;
mod pass;
mod preempt;
#[cfg(test)]
mod preempt_tests;
mod queue;
#[cfg(test)]
mod scheduler_tests;
mod waiting;
mod wish;

pub use agents::{AgentSlots, MAX_SLOTLESS};
pub use queue::{Allocation, Limits, Preemption, Scheduler};
pub use wish::Wish;
