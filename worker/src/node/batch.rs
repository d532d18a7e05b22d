//! How many jobs one dispatch settles.
//!
//! While a store works on one request it answers no other, heartbeats included. So a batch is
//! bounded by the time it takes, not only by number.

use std::time::Duration;

const LEAST: usize = 100;
const MOST: usize = 500;
const AT_FIRST: usize = 300;

/// How much longer than an empty round trip a batch may take.
const TARGET: Duration = Duration::from_millis(20);

/// Of so many batches, one after the other, the quickest tells what they take: a busy machine, and
/// requests of others that are served before, make any of them slow, and smaller batches would only
/// add to that.
const WATCHED: u32 = 4;

#[derive(Debug)]
pub(crate) struct BatchSize {
    size: usize,
    /// What the way to the store and back takes, as the quickest recent answers show it.
    way: Duration,
    /// How many batches in a row were not quick, and what the quickest of them took.
    slow: u32,
    quickest: Duration,
}

impl BatchSize {
    pub(crate) const fn new() -> Self {
        Self {
            size: AT_FIRST,
            way: Duration::ZERO,
            slow: 0,
            quickest: Duration::MAX,
        }
    }

    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Takes in how long a small request took.
    pub(crate) fn round_trip(&mut self, took: Duration) {
        // Quickly down, slowly up: one slow answer says little about the way.
        self.way = if took < self.way {
            took
        } else {
            (self.way * 15 + took) / 16
        };
    }

    /// Takes in how long a batch took.
    pub(crate) fn took(&mut self, took: Duration) {
        let work = took.saturating_sub(self.way);
        if work < TARGET / 2 {
            self.size = (self.size + self.size / 8).min(MOST);
        } else {
            self.slow += 1;
            self.quickest = self.quickest.min(work);
            if self.slow < WATCHED {
                return;
            }
            if self.quickest > TARGET {
                self.size = (self.size / 2).max(LEAST);
            }
        }
        self.slow = 0;
        self.quickest = Duration::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_batches_shrink_and_quick_ones_grow_within_bounds() {
        let mut batch = BatchSize::new();
        for _ in 0..WATCHED {
            assert_eq!(batch.size(), AT_FIRST);
            batch.took(TARGET * 2);
        }
        assert_eq!(batch.size(), AT_FIRST / 2);
        for _ in 0..20 {
            batch.took(Duration::from_secs(1));
        }
        assert_eq!(batch.size(), LEAST);
        for _ in 0..100 {
            batch.took(Duration::from_millis(1));
        }
        assert_eq!(batch.size(), MOST);
    }

    #[test]
    fn one_quick_batch_among_slow_ones_tells_what_they_take() {
        let mut batch = BatchSize::new();
        for _ in 0..20 {
            batch.took(TARGET * 2);
            batch.took(TARGET * 2);
            batch.took(TARGET * 3 / 4);
        }
        assert_eq!(batch.size(), AT_FIRST);
    }

    #[test]
    fn a_long_way_to_the_store_is_not_the_batch_s_fault() {
        let mut batch = BatchSize::new();
        for _ in 0..200 {
            batch.round_trip(Duration::from_millis(40));
        }
        batch.took(Duration::from_millis(42));
        assert!(batch.size() >= AT_FIRST);
    }
}
