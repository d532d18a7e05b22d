//! The fire times of a stretch.

use scheduler_core::Timestamp;
use scheduler_core::trigger::preview::Upcoming;
use scheduler_core::trigger::{Trigger, TriggerSpec};

/// A stretch of time; both ends belong to it.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; none where there is none.
    pub to: Option<Timestamp>,
}

/// How many fire times are counted at most where they have to be walked: three years of every second,
/// which takes some seconds.
pub const MOST_COUNTED: u64 = 100_000_000;

/// The fire times of a stretch: the first of them listed, all of them counted.
#[derive(Debug)]
pub struct Schedule {
    /// The stretch.
    pub stretch: Stretch,
    /// The first fire time at or after the stretch's beginning, even if it lies past the end.
    pub begins: Option<Timestamp>,
    /// Those that were asked for.
    pub listed: Vec<Upcoming>,
    /// Whether none follows those that are listed.
    pub is_exhausted: bool,
    /// Of a stretch that ends.
    pub total: Option<Total>,
}

/// How many fire times a stretch has.
#[derive(Debug)]
pub struct Total {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// So many.
    pub count: u64,
    /// Whether the counting came to the end.
    pub is_exact: bool,
    /// The last that was counted.
    pub last: Option<Timestamp>,
}

impl Schedule {
    /// Lists the first `most` fire times, and counts all if the stretch ends; those that have to be
    /// walked, up to `counted`.
    #[must_use]
    pub fn walk(trigger: &Trigger, stretch: Stretch, most: u32, counted: u64) -> Self {
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
                Total::count(trigger, first, (stretch.from, to), counted)
            }),
            listed,
        }
    }
}

impl Total {
    fn count(
        trigger: &Trigger,
        first: Option<Timestamp>,
        (from, to): (Timestamp, Timestamp),
        most: u64,
    ) -> Self {
        let limit = match trigger.spec() {
            // Counted by arithmetic.
            TriggerSpec::Interval(interval) if interval.exclude.is_empty() => u64::MAX,
            _ => most,
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
#[must_use]
pub fn begin(trigger: &Trigger, from: Timestamp) -> Option<Timestamp> {
    match trigger.first(from)? {
        past if past < from => trigger.at_or_after(from),
        first => Some(first),
    }
}
