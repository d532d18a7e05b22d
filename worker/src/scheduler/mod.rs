//! The scheduler object: put together, run, and asked about its jobs.

mod builder;
mod declared;
mod error;
mod jobs;
mod listening;
mod new_job;
mod object;
mod pausing;
mod running;

pub use builder::SchedulerBuilder;
pub use error::{BuildError, SchedulerError};
pub use new_job::NewJob;
pub use object::Scheduler;
pub use pausing::SchedulerState;
pub use running::{Listener, Running, Wait};
