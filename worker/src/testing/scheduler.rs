//! The scheduler that a test moves by hand.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::history::Record;
use scheduler_core::store::HistoryQuery;
use scheduler_core::{Clock, ManualClock, MemoryStore, Store, Timestamp};

use crate::clock::StoreClock;
use crate::node::by_hand::{ByHand, Rest};
use crate::node::shared::Shared;
use crate::scheduler::{Scheduler, SchedulerBuilder};
use crate::testing::Happened;

/// How many records are read at once.
const PAGE: usize = 10_000;

/// How many rounds one instant may take: more is a handler that makes its own job due for ever.
const MAX_ROUNDS: usize = 100_000;

/// A scheduler in memory that does nothing but what the test tells it to. Does all that a
/// [`Scheduler`] does besides. See the [module](super).
///
/// Its methods panic where a test cannot go on.
#[derive(Debug)]
pub struct TestScheduler {
    scheduler: Scheduler<MemoryStore>,
    clock: Arc<ManualClock>,
    node: ByHand<MemoryStore>,
    /// Up to where history was told.
    told: String,
}

impl TestScheduler {
    /// A scheduler as `configure` puts it together, at this instant of its own clock:
    /// `2026-03-29T00:00:00Z`, or with any other offset. The jobs that it declares are put.
    ///
    /// # Panics
    ///
    /// Where the text is no instant, or `configure`'s scheduler cannot be built.
    pub async fn at(
        start: &str,
        configure: impl FnOnce(MemoryStore) -> SchedulerBuilder<MemoryStore>,
    ) -> Self {
        let now: Timestamp = start
            .parse()
            .unwrap_or_else(|error| panic!("{start:?} is no instant ({error}): give RFC 3339"));
        let clock = Arc::new(ManualClock::new(now));
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let pinned = StoreClock::pinned(Arc::clone(&clock) as Arc<dyn Clock>);
        let scheduler = configure(store)
            .clock(pinned)
            .build()
            .unwrap_or_else(|error| panic!("the scheduler cannot be built: {error}"));
        scheduler
            .put_declared(&tokio_util::sync::CancellationToken::new())
            .await
            .unwrap_or_else(|error| panic!("the declared jobs cannot be put: {error}"));
        let shard = Shared::new(Arc::clone(&scheduler.node), 0, scheduler.store.clone());
        let node = ByHand::begin(Arc::new(shard))
            .await
            .unwrap_or_else(|error| panic!("the node cannot begin: {error}"));
        let mut test = Self {
            scheduler,
            clock,
            node,
            told: String::new(),
        };
        test.happened().await;
        test
    }

    /// What time it is for the scheduler.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass: from one due time to the next, with everything that is due then being
    /// dispatched and executed on time.
    pub async fn advance(&mut self, time: Duration) -> Happened {
        let end = self.now().after(time);
        let mut next = self.settle().await;
        while let Some(at) = next.filter(|at| *at <= end) {
            self.clock.set(at.max(self.now()));
            next = self.settle().await;
        }
        self.clock.set(end);
        self.settle().await;
        self.happened().await
    }

    /// Lets time pass while nobody is there, as when all nodes are down: nothing happens until the
    /// next step, which finds what has become late meanwhile.
    pub fn down_for(&mut self, time: Duration) {
        self.clock.advance(time);
    }

    /// Dispatches and executes what is due at this instant, until nothing is.
    pub async fn run_due(&mut self) -> Happened {
        self.settle().await;
        self.happened().await
    }

    /// One round: dispatches what is due at this instant, and executes what waits then, each run
    /// once at most.
    pub async fn tick(&mut self) -> Happened {
        self.node.round().await;
        self.happened().await
    }

    /// Rounds until nothing is due at this instant. Answers with when something is next.
    async fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..MAX_ROUNDS {
            match self.node.round().await {
                Rest::Until(next) => return next.filter(|next| *next > self.now()),
                Rest::None => {}
            }
        }
        panic!("something is due again and again at {}", self.now());
    }

    /// What history has to tell since the last time.
    async fn happened(&mut self) -> Happened {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let query = HistoryQuery {
                after: (!self.told.is_empty()).then(|| self.told.clone()),
                limit: PAGE,
                ..HistoryQuery::default()
            };
            let page = self.scheduler.store.history(&query).await;
            let page = page.unwrap_or_else(|error| panic!("history cannot be read: {error}"));
            self.told = page.position;
            let count = page.entries.len();
            records.extend(page.entries.into_iter().map(|entry| entry.record));
            if count < PAGE {
                return Happened::new(records);
            }
        }
    }
}

impl Deref for TestScheduler {
    type Target = Scheduler<MemoryStore>;

    fn deref(&self) -> &Scheduler<MemoryStore> {
        &self.scheduler
    }
}
