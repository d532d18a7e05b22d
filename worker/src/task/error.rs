//! What a handler may say about its failure, beyond that there was one.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use scheduler_core::Timestamp;

use super::BoxError;

/// A handler's failure with what is to follow from it.
///
/// Any error fails the attempt, and lets the job's `retry` policy decide about another. A handler
/// that knows better returns one of these, as it is or boxed, or as the source of another error.
///
/// ```
/// use std::time::Duration;
/// use carillon::{Args, Context, TaskError};
/// use carillon::task::BoxError;
///
/// async fn charge(context: Context, Args(card): Args<String>) -> Result<(), BoxError> {
///     if card.is_empty() {
///         // No other attempt will get past that.
///         return Err(TaskError::fatal("no card").into());
///     }
///     if context.attempt() == 1 {
///         return Err(TaskError::retry_after(Duration::from_secs(30), "busy").into());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct TaskError {
    follows: Follows,
    source: Option<BoxError>,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Whatever the job's policy says.
    Policy,
    /// Nothing.
    Nothing,
    /// Another attempt after this time, if the job allows one more.
    RetryAfter(Duration),
    /// The same attempt after this time.
    SnoozeFor(Duration),
    /// The same attempt at this time.
    SnoozeUntil(Timestamp),
}

impl TaskError {
    const fn new(follows: Follows, source: Option<BoxError>) -> Self {
        Self { follows, source }
    }

    /// A failure that another attempt may get past: the job's policy decides.
    pub fn retryable(error: impl Into<BoxError>) -> Self {
        Self::new(Follows::Policy, Some(error.into()))
    }

    /// A failure that no other attempt gets past: the run has failed, however many attempts the job
    /// allows.
    pub fn fatal(error: impl Into<BoxError>) -> Self {
        Self::new(Follows::Nothing, Some(error.into()))
    }

    /// A failure that another attempt may get past after this time, which takes the place of the
    /// pause that the job's policy has. How many attempts there are is left to the policy.
    pub fn retry_after(after: Duration, error: impl Into<BoxError>) -> Self {
        Self::new(Follows::RetryAfter(after), Some(error.into()))
    }

    /// No failure: the run is not to be done yet. The attempt does not count, and is made again after
    /// this time, however often that happens.
    #[must_use]
    pub const fn snooze_for(after: Duration) -> Self {
        Self::new(Follows::SnoozeFor(after), None)
    }

    /// The same until this time, by the store's clock; one that has passed means at once.
    #[must_use]
    pub const fn snooze_until(until: Timestamp) -> Self {
        Self::new(Follows::SnoozeUntil(until), None)
    }

    /// Says why, for people: shown in history.
    #[must_use]
    pub fn because(self, why: impl Into<BoxError>) -> Self {
        Self {
            source: Some(why.into()),
            ..self
        }
    }

    pub(crate) const fn follows(&self) -> Follows {
        self.follows
    }

    /// The one that this error is, or is caused by.
    pub(crate) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    pub(crate) const fn has_reason(&self) -> bool {
        self.source.is_some()
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => source.fmt(f),
            None => f.write_str("put off"),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // What is shown is the source itself: its own source comes next.
        self.source.as_ref().and_then(|source| source.source())
    }
}
