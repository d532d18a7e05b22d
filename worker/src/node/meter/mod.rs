//! What a node measures of itself, for whoever watches it.
//!
//! Labels are bounded: tasks are those that are registered, queues those that are served, and jobs
//! are none unless so many are allowed. Without the feature `http` nobody could read any of it, and nothing is measured.

#[cfg(feature = "http")]
mod labels;
#[cfg(feature = "http")]
mod measured;
#[cfg(not(feature = "http"))]
mod unmeasured;

#[cfg(feature = "http")]
pub(crate) use measured::{Meter, counted};
#[cfg(not(feature = "http"))]
pub(crate) use unmeasured::Meter;

/// What became of the right to dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LeaseChange {
    Won,
    Lost,
    Released,
}
