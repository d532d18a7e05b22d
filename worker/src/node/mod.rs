//! The node: one worker process, from registering to leaving.
//!
//! Read in this order: `life` (what follows what), `session` (what a node may trust) and `heart`
//! (what keeps that true), `leadership` with `standby`, `leader` and `balance` (who dispatches), `work` and
//! `executor` with `attempt` (who executes), `recovery` (what becomes of the dead), `following` (runs that follow runs). Beside them: `settings` and
//! `shared` (what all of these are handed), `link` (the way to the store), `waiter` (its wake-ups),
//! `definitions` (the cache), `scribe` (what handlers note), `settling` (from an ending to a record), `batch` and `slots` (how much at once).
//!
//! Each loop is a task that `life` owns and joins, takes a token that stops it, and does its work in
//! a `run_once`. Stopping is looked at between two rounds, never within one. Where a loop is given
//! up all the same, the operation under way has an unknown outcome, which every operation bears.

mod attempt;
mod balance;
mod batch;
mod beginning;
pub(crate) mod by_hand;
mod cancelling;
mod chance;
mod definitions;
mod error;
mod executor;
mod followed;
mod following;
mod heart;
mod leader;
mod leadership;
pub(crate) mod life;
mod link;
pub(crate) mod meter;
mod reconciling;
mod recovery;
pub(crate) mod scribe;
mod session;
pub(crate) mod settings;
mod settling;
pub(crate) mod shared;
mod slots;
mod standby;
mod status;
pub(crate) mod trace;
mod waiter;
mod work;

pub use error::NodeError;
pub(crate) use link::Backoff;
pub use settings::{AtStart, Retention, Timing};
pub use shared::Counts;
pub use status::{NodeStatus, Readiness};
pub use trace::Tracing;
