//! How many jobs one dispatch settles.
//!
//! While a store works on one request it answers no other, heartbeats included. So a batch is
//! bounded by the time it takes, not only by number.

use std::time::Duration;

const LEAST: usize = 25;
const MOST: usize = 500;
const AT_FIRST: usize = 300;

/// How much longer than an empty round trip a batch may take.
const TARGET: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct BatchSize {
    size: usize,
    /// What the way to the store and back takes, as the quickest recent answers show it.
    way: Duration,
}

impl BatchSize {
    pub(crate) const fn new() -> Self {
        Self {
            size: AT_FIRST,
            way: Duration::ZERO,
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
        if work > TARGET {
            self.size = (self.size / 2).max(LEAST);
        } else if work < TARGET / 2 {
            self.size = (self.size + self.size / 8).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_batches_shrink_and_quick_ones_grow_within_bounds() {
        let mut batch = BatchSize::new();
        batch.took(Duration::from_millis(6));
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
    fn a_long_way_to_the_store_is_not_the_batch_s_fault() {
        let mut batch = BatchSize::new();
        for _ in 0..200 {
            batch.round_trip(Duration::from_millis(40));
        }
        batch.took(Duration::from_millis(42));
        assert!(batch.size() >= AT_FIRST);
    }
}
