//! The soak: real processes on a real Redis, for as long as one likes, with a fault every few seconds.
//!
//! ```text
//!   soak (one process)                            nodes (processes, `soak node ...`)
//!   strikes by a seed: kill -9, SIGSTOP, ...  --> each with a proxy of its own to the Redis
//!   reads afterwards, and judges              <-- each start and end of a handler, appended to a file
//! ```
//!
//! The judgement rests on what happened outside: the file that handlers append to, the schedule as it is
//! computed here by arithmetic, and history. Faults are drawn from the seed; what they meet is not, for
//! processes and a network are involved: a seed repeats a schedule of faults, no history.

mod act;
mod clock;
mod faults;
mod lost;
mod node;
mod record;
mod report;
mod run;
mod schedule;
mod slot;
mod verdict;

pub use node::execute as run_node;
pub use run::{Soak, soak};
