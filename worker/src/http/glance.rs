//! The namespace in numbers, looked at once for all who ask at the same time.

use std::time::Duration;

use scheduler_core::Store;
use scheduler_core::store::{Overview, StoreResult};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a glance is good for.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// How much longer than it took a glance is good for: where millions of runs are in flight, they are
/// counted for a fifth of the time at most, however many ask.
const TIMES_LONGER: u32 = 4;

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct Glance(Mutex<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    good_until: Instant,
    answer: StoreResult<Overview>,
}

impl Glance {
    /// The namespace in numbers, as they were a moment ago. One looks, and the others wait for what it
    /// sees; also for a store's trouble. Cancel-safe: the next one looks.
    pub(super) async fn at(&self, store: &impl Store) -> StoreResult<Overview> {
        let mut seen = self.0.lock().await;
        if let Some(seen) = &*seen
            && Instant::now() < seen.good_until
        {
            return seen.answer.clone();
        }
        let began = Instant::now();
        let answer = store.overview().await;
        let good_for = GOOD_FOR.max(began.elapsed() * TIMES_LONGER);
        *seen = Some(Seen {
            good_until: Instant::now() + good_for,
            answer: answer.clone(),
        });
        answer
    }
}
