//! A cluster in one thread, under a virtual clock, with faults from one seed.
//!
//! The store is core's own ([`MemoryStore`](scheduler_core::MemoryStore)), and so is all that is decided:
//! plans, when a lease may be taken, when a session is dead, what becomes of an attempt. The node around
//! it is a model of `carillon`'s: the same loops and rules, as events of a queue in place of tasks, for
//! those read the machine's clock and keep a thread. Between node and store is a wire that delays, loses
//! and repeats; nodes freeze and crash; the store's clock steps.
//!
//! A seed is a history: the same one each time. After the faults comes a calm, in which all must come to
//! its end.

mod node;
mod oracle;
mod wire;
mod world;

pub use oracle::Summary;
pub use world::{Without, simulate};
