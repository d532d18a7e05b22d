//! Carillon rings every scheduled job on time, on exactly one of many identical worker processes.

pub mod bench;
pub mod clock;
pub mod config;
pub mod event;
#[cfg(feature = "http")]
pub mod http;
pub mod jobs;
pub mod node;
pub mod queues;
mod scheduler;
mod signal;
pub mod task;

pub use clock::SystemClock;
pub use event::{Event, Events};
pub use jobs::Jobs;
pub use node::{AtStart, Counts, NodeError, NodeStatus, Readiness, Retention, Timing};
pub use queues::Queues;
pub use scheduler::{BuildError, Scheduler, SchedulerBuilder};
pub use scheduler_core as core;
pub use signal::shutdown_signal;
pub use task::{Args, Context, State, TaskError, Tasks};

// The README's example is a doc-test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
