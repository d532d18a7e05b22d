//! Random operations on a store, judged by what was promised.
//!
//! [`walk`] takes one seed and does so many steps as nodes, leaders, sweepers and clients would, in
//! any order: with replays, late requests, wrong tokens, stale reads, and a clock that steps back.
//! After each step it looks at the whole store, and an oracle that only knows what was answered
//! checks each promise:
//!
//! - a run is made once, ever; one session holds it at a time; it ends once, with one record;
//! - a run that was cancelled is never claimed again, and ends;
//! - a claim that was begun is known as that until it is settled;
//! - each run in flight is in exactly one place (ready, waiting, held);
//! - each settled fire time is a run or a recorded skip, and settled once;
//! - only who holds the lease dispatches;
//! - ends of runs are followed from where they were followed before, and each once;
//! - a unique key is held by one job at a time, and refused to others just then;
//! - of what nodes note of an attempt, the last of its last claim is kept;
//! - versions, epochs and fences rise, over all of them.
//!
//! What was done and seen is a [`Trace`] of lines without the store's own numbers: two stores that
//! keep the same contract make the same trace of the same seed, or part at the line that tells where.

mod attending;
mod changing;
mod following;
mod keying;
mod killing;
mod leading;
mod noting;
mod oracle;
mod steering;
mod step;
mod trace;
mod walker;
mod working;

pub use killing::{Killed, kill};
pub use trace::Trace;
pub use walker::{seeds, walk};
