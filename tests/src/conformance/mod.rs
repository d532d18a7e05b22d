//! The conformance suite: what every store must hold, whatever it is made of.
//!
//! ```text
//!   Harness ---- fresh() ----> World ----> rules::<subject>::<rule>(world)
//!   (a store, and a hand       (a store as nodes, leaders
//!    on its clock)              and clients use it)
//! ```
//!
//! A store's own test file names a [`Harness`] and runs the whole list:
//!
//! ```ignore
//! tests::conformance!(RedisHarness::from_env());
//! ```
//!
//! Each rule gets a shard of its own and a clock that only it moves, so rules need no order, no
//! sleeps and no cleaning up. A rule takes a [`Sight`] of all that the store shows before a step,
//! and after it demands that very sight, but for what it names.

mod harness;
mod make;
pub mod model;
mod node;
pub mod rules;
mod sight;
mod suite;
mod world;

pub use harness::{ClockHand, Fresh, Harness};
pub use make::*;
pub use node::{Node, stood_still};
pub use sight::Sight;
pub use world::World;
