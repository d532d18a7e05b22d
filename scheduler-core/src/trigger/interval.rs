//! Every so often, in exact elapsed time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Fires each `every`, counted in elapsed time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    #[serde(rename = "seconds", with = "crate::duration")]
    every: Duration,
}

impl Interval {
    pub(crate) fn first(&self, now: Timestamp) -> Option<Timestamp> {
        self.next_after(now)
    }

    pub(crate) fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        Some(previous.after(self.every))
    }
}
