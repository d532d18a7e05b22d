//! The protocol as a model that a checker walks through exhaustively: lease, dispatch, changes of
//! jobs, claim, hand-in, resync, fence, drain and promotion, as the scripts of `scheduler-redis` do
//! them.
//!
//! # How the world is modelled
//!
//! - **Scripts** ([`store`](self)): one function per script, with the same checks in the same order. A
//!   script is atomic.
//! - **Requests.** Whoever asks is [answered](Fate::Answered), or [never hears](Fate::Unknown): then
//!   the request is under way still, and may be done at any later moment, or never. That is a lost
//!   request, a lost answer and a delayed request in one.
//! - **Pauses.** Nothing in a node happens by itself: any step may come arbitrarily late, and what a
//!   node knows may be arbitrarily old by then. So each node may be frozen anywhere, for any time.
//! - **Crashes.** A node forgets everything; what it has sent may still arrive.
//! - **Time.** A lease may end at any moment, and a session may be declared dead at any moment: more
//!   than any clock would allow. What rests on time alone (that a node stops before its claim passes
//!   on) is in a model of its own, [`trust`]. The store's clock moves in ticks, one per fire time, and
//!   may step back.
//!
//! # What is left out
//!
//! When a standby may take the lease early (progress, presence, tenure) is about speed, since a lease
//! may end at any moment here. Also left out: wake-ups, parking, retiring, tidying, several queues,
//! and batches larger than what is due.
//!
//! # What is checked
//!
//! [`promises`] has one file per promise. A [`Scope`] bounds a search; a [`Check`] switched off must
//! break a promise, or the tests say which other check catches it.

mod action;
mod change;
mod checks;
mod forgetting;
mod node;
mod plan;
pub mod promises;
pub mod rollback;
mod scope;
mod state;
mod store;
pub mod trust;
mod world;

pub use action::{Action, Fate};
pub use change::Wish;
pub use checks::{Check, Checks};
pub use scope::Scope;
pub use state::State;
pub use store::Verdict;
pub use world::Protocol;
