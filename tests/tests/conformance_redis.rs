//! The Redis store keeps the contract, and takes the same walks as the memory store.

use std::sync::Arc;

use scheduler_core::{ManualClock, MemoryStore, Namespace, Timestamp};
use scheduler_redis::RedisStore;
use tests::conformance::model::{Killed, kill, seeds, walk};
use tests::conformance::{ClockHand, Fresh, Harness};
use tests::redis_server::{Persistence, RedisServer};
use uuid::Uuid;

/// A server of its own per test, where the store's user has no more rights than it needs. With
/// `CARILLON_TEST_CLUSTER=1` it is also a cluster, if of one server: no call may then have keys of more
/// than one slot. Not always, since a cluster takes two seconds to begin.
struct Redis(Arc<RedisServer>);

impl Redis {
    fn start() -> Self {
        let mut server = RedisServer::with_least_rights(Persistence::None);
        if std::env::var_os("CARILLON_TEST_CLUSTER").is_some() {
            server = server.and_then(RedisServer::as_a_cluster);
        }
        Self(Arc::new(server.expect("a redis-server")))
    }
}

/// Sets the clock, and keeps the server for as long as the store is in use.
struct Hand {
    store: RedisStore,
    _server: Arc<RedisServer>,
}

impl ClockHand for Hand {
    async fn set(&self, to: Timestamp) {
        self.store
            .set_pinned_clock(to)
            .await
            .expect("the server answers");
    }
}

impl Harness for Redis {
    type Store = RedisStore;
    type Clock = Hand;

    async fn fresh(&self, start: Timestamp) -> Fresh<RedisStore, Hand> {
        let namespace = Namespace::new(Uuid::now_v7().simple().to_string()).expect("a namespace");
        let store = self.0.pinned_store(&namespace);
        let clock = Hand {
            store: store.clone(),
            _server: Arc::clone(&self.0),
        };
        clock.set(start).await;
        Fresh { store, clock }
    }
}

tests::conformance!(Redis::start());

struct Memory;

struct MemoryHand(Arc<ManualClock>);

impl ClockHand for MemoryHand {
    async fn set(&self, to: Timestamp) {
        self.0.set(to);
    }
}

impl Harness for Memory {
    type Store = MemoryStore;
    type Clock = MemoryHand;

    async fn fresh(&self, start: Timestamp) -> Fresh<MemoryStore, MemoryHand> {
        let clock = Arc::new(ManualClock::new(start));
        let store = MemoryStore::new(Arc::<ManualClock>::clone(&clock));
        Fresh {
            store,
            clock: MemoryHand(clock),
        }
    }
}

#[tokio::test]
async fn random_walks_go_as_in_memory() {
    let redis = Redis::start();
    for seed in seeds(20) {
        let (one, other) = (
            walk(&Memory, seed, 200).await,
            walk(&redis, seed, 200).await,
        );
        assert_eq!(one.parting(&other), None, "seed {seed}");
    }
}

/// How many points of a history somebody is killed at.
const POINTS: usize = 20;

/// 200 points; 10,000 and more with `CARILLON_KILLS=10000`.
#[tokio::test]
async fn whoever_is_killed_at_whatever_point_nothing_is_lost_or_doubled() {
    let kills = std::env::var("CARILLON_KILLS").ok();
    let kills = kills.and_then(|kills| kills.parse().ok()).unwrap_or(200);
    let redis = Redis::start();
    let mut all = Killed::default();
    for seed in seeds(kills / POINTS as u64) {
        let killed = kill(&redis, seed, POINTS).await;
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
