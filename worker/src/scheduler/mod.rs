//! The scheduler object: put together, run, and asked about its jobs.

mod builder;
mod error;
mod object;

pub use builder::SchedulerBuilder;
pub use error::BuildError;
pub use object::Scheduler;
