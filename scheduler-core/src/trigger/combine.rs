//! Several triggers as one: whenever one of them fires, or whenever all do at the same instant.
//!
//! Each is a series of its own, whatever the others do: `or` merges them, `and` intersects them.
//! An interval or calendar interval without a start date has no beginning to count from here; it
//! counts from 1970-01-01.

use super::leaps::Leaps;
use super::schedule::Trigger;
use crate::time::Timestamp;

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
    pub(crate) fn at_or_after(&self, from: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        match self.logic {
            Logic::Any => self.any_at_or_after(from, leaps),
            Logic::All => self.all_at_or_after(from, leaps),
        }
    }

    fn any_at_or_after(&self, from: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        let left = (1..=self.triggers.len()).rev();
        let next = self
            .triggers
            .iter()
            .zip(left)
            .filter_map(|(trigger, left)| leaps.share(left, |leaps| trigger.searched(from, leaps)));
        next.min()
    }

    fn all_at_or_after(&self, from: Timestamp, leaps: &mut Leaps) -> Option<Timestamp> {
        let mut at = from;
        let mut agreeing = 0;
        // Round and round: each trigger moves `at` on, until all in a row leave it where it is. The
        // rarest of them sets the pace.
        for trigger in self.triggers.iter().cycle() {
            leaps.take()?;
            let next = trigger.searched(at, leaps)?;
            agreeing = if next == at { agreeing + 1 } else { 1 };
            at = next;
            if agreeing == self.triggers.len() {
                return Some(at);
            }
        }
        None
    }
}
