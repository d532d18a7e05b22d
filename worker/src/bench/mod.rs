//! Measuring a Redis with Carillon's own load: `carillon bench`.
//!
//! Jobs that are all due on the same second, no-op handlers, as many nodes as asked for in this one
//! process, in a namespace of its own that is removed afterwards. Counted from outside the nodes:
//! fires from the handlers themselves, Redis's work from the difference of its own statistics. A
//! rate is called sustained only if no fire was missed and none still waits at the end.

mod load;
mod report;
mod server;

pub use load::{Recurring, recurring};
pub use report::Report;
