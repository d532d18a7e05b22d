//! Merging what several shards tell.

use std::task::{Context, Poll};

use crate::event::{Event, EventSource, Feed};
use crate::store::{StoreError, StoreErrorKind, StoreResult};

/// What stands for a shard from which nothing was read yet, or nothing is left.
pub(super) const START: &str = "0";

/// Between the places in the shards.
const SEPARATOR: char = ',';

/// A place in each shard, as one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places(pub(super) Vec<String>);

impl Places {
    /// Before everything.
    pub(super) fn start(shards: usize) -> Self {
        Self(vec![START.to_owned(); shards])
    }

    /// Reads a text that [`Display`](std::fmt::Display) wrote. What one place begins with, all do.
    pub(super) fn parse(text: &str, shards: usize, operation: &'static str) -> StoreResult<Self> {
        if text == START {
            return Ok(Self::start(shards));
        }
        let places: Vec<_> = text.split(SEPARATOR).map(str::to_owned).collect();
        if places.len() == shards && places.iter().all(|place| !place.is_empty()) {
            return Ok(Self(places));
        }
        let message = format!("{text:?} is no place in {shards} shards");
        Err(StoreError::new(StoreErrorKind::Refused, operation, message))
    }
}

impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, place) in self.0.iter().enumerate() {
            if at > 0 {
                write!(f, "{SEPARATOR}")?;
            }
            f.write_str(place)?;
        }
        Ok(())
    }
}

/// The feeds of all shards as one. It ends with the first that does: whoever goes on listens to all anew,
/// and knows that something was missed.
pub(super) struct Feeds {
    feeds: Vec<Feed>,
    /// Which is asked first: one that never ends must not drown out the others.
    first: usize,
}

impl Feeds {
    pub(super) const fn new(feeds: Vec<Feed>) -> Self {
        Self { feeds, first: 0 }
    }
}

impl EventSource for Feeds {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<Event>>> {
        let count = self.feeds.len();
        for turn in 0..count {
            let at = (self.first + turn) % count;
            if let Poll::Ready(told) = self.feeds[at].poll(context) {
                self.first = (at + 1) % count;
                return Poll::Ready(told);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        for text in ["17", "17-0/3,0", "1,2,3"] {
            let shards = text.split(',').count();
            let places = Places::parse(text, shards, "history").unwrap();
            assert_eq!(places.to_string(), text);
        }
        assert_eq!(Places::parse("0", 3, "history").unwrap(), Places::start(3));
        for (text, shards) in [("", 1), ("1,2", 3), ("1,,3", 3), ("1,2,3", 2)] {
            assert!(Places::parse(text, shards, "history").is_err(), "{text}");
        }
    }
}
