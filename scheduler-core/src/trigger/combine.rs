//! Several triggers as one: whenever one of them fires, or whenever all do at the same instant.
//!
//! Each is a series of its own, whatever the others do: `or` merges them, `and` intersects them.
//! An interval or calendar interval without a start date has no beginning to count from here; it
//! counts from 1970-01-01.

use super::schedule::Trigger;
use crate::time::Timestamp;

/// After so many leaps without an instant that all share, `and` is over.
///
/// Each leap goes to the latest of the next fire times, so the rarest of the triggers sets the pace:
/// the bound is that many of its fire times.
pub(crate) const MAX_LEAPS: usize = 50_000;

/// Several triggers.
#[derive(Debug)]
pub(crate) struct Combined {
    pub(crate) logic: Logic,
    pub(crate) triggers: Vec<Trigger>,
}

/// How they go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logic {
    All,
    Any,
}

impl Combined {
    pub(crate) fn at_or_after(&self, from: Timestamp) -> Option<Timestamp> {
        match self.logic {
            Logic::Any => self
                .triggers
                .iter()
                .filter_map(|t| t.at_or_after(from))
                .min(),
            Logic::All => self.all_at_or_after(from),
        }
    }

    fn all_at_or_after(&self, from: Timestamp) -> Option<Timestamp> {
        let mut at = from;
        let mut agreeing = 0;
        let mut leaps = 0;
        // Round and round: each trigger moves `at` on, until all in a row leave it where it is.
        for trigger in self.triggers.iter().cycle() {
            let next = trigger.at_or_after(at)?;
            if next == at && agreeing > 0 {
                agreeing += 1;
            } else {
                (at, agreeing, leaps) = (next, 1, leaps + 1);
            }
            if agreeing == self.triggers.len() {
                return Some(at);
            }
            if leaps > MAX_LEAPS {
                return None;
            }
        }
        None
    }
}
