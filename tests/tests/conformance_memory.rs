//! The memory store keeps the contract.

use std::sync::Arc;

use scheduler_core::{ManualClock, MemoryStore, Timestamp};
use tests::conformance::model::{Killed, kill, seeds, walk};
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

#[tokio::test]
async fn random_walks_break_no_promise() {
    for seed in seeds(100) {
        walk(&Memory, seed, 300).await;
    }
}

#[tokio::test]
async fn two_stores_take_the_same_walk() {
    for seed in seeds(20) {
        let (one, other) = (
            walk(&Memory, seed, 200).await,
            walk(&Memory, seed, 200).await,
        );
        assert_eq!(one.parting(&other), None, "seed {seed}");
    }
}

/// How many points of a history somebody is killed at.
const POINTS: usize = 20;

/// 10,000 points; more with `CARILLON_KILLS=20000`.
#[tokio::test]
async fn whoever_is_killed_at_whatever_point_nothing_is_lost_or_doubled() {
    let kills = std::env::var("CARILLON_KILLS").ok();
    let kills = kills.and_then(|kills| kills.parse().ok()).unwrap_or(10_000);
    let mut all = Killed::default();
    for seed in seeds(kills / POINTS as u64) {
        let killed = kill(&Memory, seed, POINTS).await;
        all.points += killed.points;
        all.runs += killed.runs;
        all.fires += killed.fires;
    }
    eprintln!("{all:?}");
    assert!(
        all.runs > 0 && all.fires > 0,
        "kills where nothing happens prove nothing"
    );
}
