//! The fire times of a stretch.

use carillon::core::Timestamp;
use carillon::core::trigger::preview::Upcoming;
use carillon::core::trigger::{Trigger, TriggerSpec};

use super::request::Stretch;

/// How many fire times are counted at most where they have to be walked: three years of every second,
/// which takes some seconds.
const MOST_COUNTED: u64 = 100_000_000;

/// The fire times of a stretch: the first of them listed, all of them counted.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) stretch: Stretch,
    /// The first fire time at or after the stretch's beginning, even if it lies past the end.
    pub(super) begins: Option<Timestamp>,
    pub(super) listed: Vec<Upcoming>,
    /// Whether none follows those that are listed.
    pub(super) is_exhausted: bool,
    /// Of a stretch that ends.
    pub(super) total: Option<Total>,
}

/// How many fire times a stretch has.
#[derive(Debug)]
pub(super) struct Total {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) count: u64,
    /// Whether the counting came to the end.
    pub(super) is_exact: bool,
    /// The last that was counted.
    pub(super) last: Option<Timestamp>,
}

impl Schedule {
    /// Lists the first `most` fire times, and counts all if the stretch ends.
    pub(super) fn walk(trigger: &Trigger, stretch: Stretch, most: u32) -> Self {
        let begins = begin(trigger, stretch.from);
        let is_within = |at: Timestamp| stretch.to.is_none_or(|to| at <= to);
        let mut left = most;
        let listed = trigger.upcoming(begins, |at| {
            let wanted = left > 0 && is_within(at);
            left = left.saturating_sub(1);
            wanted
        });
        let next = match listed.last() {
            Some(last) => trigger.next_after(last.at),
            None => begins,
        };
        Self {
            stretch,
            begins,
            is_exhausted: next.is_none(),
            total: stretch.to.map(|to| {
                let first = begins.filter(|first| *first <= to);
                Total::count(trigger, first, stretch.from, to)
            }),
            listed,
        }
    }
}

impl Total {
    fn count(trigger: &Trigger, first: Option<Timestamp>, from: Timestamp, to: Timestamp) -> Self {
        let limit = match trigger.spec() {
            // Counted by arithmetic.
            TriggerSpec::Interval(interval) if interval.exclude.is_empty() => u64::MAX,
            _ => MOST_COUNTED,
        };
        let counted = first.map(|first| trigger.stretch(first, to, limit));
        let next = counted.and_then(|counted| counted.next);
        Self {
            from,
            to,
            count: counted.map_or(0, |counted| counted.count),
            is_exact: next.is_none_or(|next| next > to),
            last: counted.map(|counted| counted.last),
        }
    }
}

/// The first fire time at or after `from`, of a schedule that begins there or has begun before.
///
/// Some triggers begin with a date that is past. Whoever asks for what is to come does not mean it.
pub(super) fn begin(trigger: &Trigger, from: Timestamp) -> Option<Timestamp> {
    match trigger.first(from)? {
        past if past < from => trigger.at_or_after(from),
        first => Some(first),
    }
}
