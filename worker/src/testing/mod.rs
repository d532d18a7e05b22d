//! A scheduler for tests of a service's own jobs: in memory, by a clock that stands still until the
//! test moves it. No sleeping, no server, nothing left to chance.
//!
//! ```
//! use std::time::Duration;
//! use carillon::core::Sharded;
//! use carillon::testing::TestScheduler;
//! use carillon::{NewJob, Scheduler, SchedulerBuilder};
//!
//! // What the service itself builds its scheduler with, on any store.
//! fn scheduler<S: Sharded>(store: S) -> SchedulerBuilder<S> {
//!     Scheduler::builder(store)
//!         .task("report", || async { Ok::<_, String>("sent") })
//!         .job(NewJob::new("report", "report").cron("30 8 * * mon-fri").timezone("Europe/Berlin"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut test = TestScheduler::at("2026-03-27T00:00:00Z", scheduler).await;
//! let friday = test.advance(Duration::from_secs(24 * 3600)).await;
//! let run = friday.runs().next().unwrap();
//! assert_eq!(run.run.scheduled_at().to_string(), "2026-03-27T07:30:00Z");
//! assert_eq!(run.detail.as_deref(), Some("sent"));
//!
//! // The clocks go forward on Sunday: Monday's report is an hour earlier in UTC.
//! let weekend = test.advance(Duration::from_secs(3 * 24 * 3600)).await;
//! let run = weekend.runs().next().unwrap();
//! assert_eq!(run.run.scheduled_at().to_string(), "2026-03-30T06:30:00Z");
//! # }
//! ```
//!
//! Everything else is the real thing: planning, policies, layers, extractors, history. Only the loops
//! are missing: nothing happens but within [`advance`](TestScheduler::advance),
//! [`run_due`](TestScheduler::run_due) and [`tick`](TestScheduler::tick). Handlers that sleep or wait
//! for others do so in real time.

mod happened;
mod scheduler;

pub use happened::Happened;
pub use scheduler::TestScheduler;
