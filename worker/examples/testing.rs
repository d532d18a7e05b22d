//! A service's job, and a test that takes it through failures, an outage and a change of the clocks: four
//! days in a few milliseconds.
//!
//! ```sh
//! cargo test --example testing
//! ```
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use carillon::core::{MemoryStore, Retry, Sharded};
use carillon::{NewJob, Scheduler, SchedulerBuilder, State, SystemClock, shutdown_signal};

/// The bank that is asked for the day's payments.
trait Bank: Send + Sync {
    fn payments(&self) -> Result<u32, String>;
}

type AnyBank = Arc<dyn Bank>;

async fn fetch(State(bank): State<AnyBank>) -> Result<String, String> {
    let payments = bank.payments()?;
    println!("{payments} payments");
    Ok(format!("{payments} payments"))
}

/// What the service and its tests build their schedulers with: each on its store, and with its bank.
fn scheduler<S: Sharded>(store: S, bank: AnyBank) -> SchedulerBuilder<S> {
    let fetch_daily = NewJob::new("fetch", "fetch")
        .cron("30 2 * * *")
        .timezone("Europe/Berlin")
        .misfire_grace_time(Duration::from_secs(900))
        .retry(Retry {
            max_attempts: 5.try_into().expect("not zero"),
            base: Duration::from_secs(10),
            jitter: 0.0,
            ..Retry::default()
        });
    Scheduler::builder(store)
        .state(bank)
        .task("fetch", fetch)
        .job(fetch_daily)
}

struct RealBank;

impl Bank for RealBank {
    fn payments(&self) -> Result<u32, String> {
        Ok(7)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let scheduler = scheduler(store, Arc::new(RealBank)).build()?;
    let shutdown = shutdown_signal()?;
    println!("waiting for half past two in Berlin");
    scheduler.run(shutdown).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use carillon::core::plan::SkipReason;
    use carillon::testing::{Happened, TestScheduler};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    /// A bank that refuses twice, and never again.
    #[derive(Default)]
    struct FlakyBank(AtomicU32);

    impl Bank for FlakyBank {
        fn payments(&self) -> Result<u32, String> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err("connection refused".to_owned()),
                _ => Ok(3),
            }
        }
    }

    /// When each attempt began, and what became of it.
    fn attempts(happened: &Happened) -> Vec<String> {
        let tell = |run: &carillon::core::history::RunRecord| {
            let at = run.started_at.map(|at| at.to_string()).unwrap_or_default();
            format!("{at} {}", run.outcome)
        };
        happened.runs().map(tell).collect()
    }

    #[tokio::test]
    async fn payments_are_fetched_each_night_but_not_long_after() {
        let bank = Arc::new(FlakyBank::default());
        let start = "2026-03-27T00:00:00+01:00";
        let mut test = TestScheduler::at(start, |store| scheduler(store, bank)).await;

        // Friday: the bank refuses twice, and is asked again 10 and 20 seconds later.
        let friday = test.advance(24 * HOUR).await;
        let expected = [
            "2026-03-27T01:30:00Z retrying",
            "2026-03-27T01:30:10Z retrying",
            "2026-03-27T01:30:30Z succeeded",
        ];
        assert_eq!(attempts(&friday), expected);

        // Saturday: the service is down from midnight until ten to three, which is too late.
        test.down_for(2 * HOUR + 50 * MINUTE);
        let saturday = test.run_due().await;
        assert_eq!(saturday.runs().count(), 0);
        assert_eq!(
            saturday
                .skips()
                .map(|skip| skip.skipped)
                .collect::<Vec<_>>(),
            [SkipReason::Misfired]
        );

        // Sunday: the clocks go from two to three, and there is no half past two. Monday's is an hour
        // earlier in UTC.
        let weekend = test.advance(69 * HOUR + 10 * MINUTE).await;
        let expected = [
            "2026-03-29T01:00:00Z succeeded",
            "2026-03-30T00:30:00Z succeeded",
        ];
        assert_eq!(attempts(&weekend), expected);
    }
}
