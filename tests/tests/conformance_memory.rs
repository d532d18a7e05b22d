//! The memory store keeps the contract.

use std::sync::Arc;

use scheduler_core::{ManualClock, MemoryStore, Timestamp};
use tests::conformance::{ClockHand, Fresh, Harness};

struct Memory;

struct Hand(Arc<ManualClock>);

impl ClockHand for Hand {
    async fn set(&self, to: Timestamp) {
        self.0.set(to);
    }
}

impl Harness for Memory {
    type Store = MemoryStore;
    type Clock = Hand;

    async fn fresh(&self, start: Timestamp) -> Fresh<MemoryStore, Hand> {
        let clock = Arc::new(ManualClock::new(start));
        let store = MemoryStore::new(Arc::<ManualClock>::clone(&clock));
        let clock = Hand(clock);
        Fresh { store, clock }
    }
}

tests::conformance!(Memory);
