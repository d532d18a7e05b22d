//! A service's own jobs, tested by a clock that the test moves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carillon::core::plan::SkipReason;
use carillon::core::run::Outcome;
use carillon::core::{Retry, Sharded};
use carillon::testing::TestScheduler;
use carillon::{NewJob, Scheduler, SchedulerBuilder, State};
use rustix::time::{ClockId, clock_gettime};

const HOUR: Duration = Duration::from_secs(3600);

/// Fails twice, and then never again.
#[derive(Clone, Default)]
struct Flaky(Arc<AtomicUsize>);

async fn sync(State(flaky): State<Flaky>) -> Result<&'static str, String> {
    match flaky.0.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Err("connection refused".to_owned()),
        _ => Ok("done"),
    }
}

fn scheduler<S: Sharded>(store: S) -> SchedulerBuilder<S> {
    let retry = Retry {
        max_attempts: 5.try_into().unwrap(),
        base: Duration::from_secs(10),
        jitter: 0.0,
        ..Retry::default()
    };
    let sync_job = NewJob::new("sync", "sync")
        .cron("30 2 * * *")
        .timezone("Europe/Berlin")
        .misfire_grace_time(Duration::from_secs(900))
        .retry(retry);
    Scheduler::builder(store)
        .state(Flaky::default())
        .task("sync", sync)
        .job(sync_job)
}

/// How long this thread has computed: other programs of the machine take no part in that.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().unwrap()
}

#[tokio::test]
async fn a_misfire_and_a_change_of_the_clocks_are_tested_within_50_ms() {
    let (begun, computed_before) = (Instant::now(), computed());
    four_days().await;
    let (took, computed) = (begun.elapsed(), computed() - computed_before);
    eprintln!("four days took {took:?}, and {computed:?} of a processor");
    assert!(computed < Duration::from_millis(50), "{computed:?}");
}

async fn four_days() {
    let mut test = TestScheduler::at("2026-03-27T00:00:00+01:00", scheduler).await;

    // Friday: two attempts fail; the third, 10 + 20 s later, succeeds.
    let friday = test.advance(24 * HOUR).await;
    let attempts: Vec<_> = friday
        .runs()
        .map(|run| (run.outcome, run.started_at.unwrap().to_string()))
        .collect();
    let expected = [
        (Outcome::Retrying, "2026-03-27T01:30:00Z"),
        (Outcome::Retrying, "2026-03-27T01:30:10Z"),
        (Outcome::Succeeded, "2026-03-27T01:30:30Z"),
    ];
    assert_eq!(
        attempts,
        expected.map(|(outcome, at)| (outcome, at.to_owned()))
    );

    // Saturday: nobody is there until 20 minutes past, and 15 are allowed.
    test.down_for(2 * HOUR + Duration::from_secs(50 * 60));
    let saturday = test.run_due().await;
    assert_eq!(saturday.runs().count(), 0);
    let skip = saturday.skips().next().unwrap();
    assert_eq!((skip.skipped, skip.count), (SkipReason::Misfired, 1));
    test.advance(21 * HOUR + Duration::from_secs(10 * 60)).await;
    assert_eq!(test.now().to_string(), "2026-03-28T23:00:00Z");

    // Sunday: the clocks go from 2 to 3, and half past two is at three. Monday is an hour earlier.
    let sunday = test.advance(47 * HOUR).await;
    let fired: Vec<_> = sunday
        .runs()
        .map(|run| (run.outcome, run.run.scheduled_at().to_string()))
        .collect();
    let expected = ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(
        fired,
        expected.map(|at| (Outcome::Succeeded, at.to_owned()))
    );
}

#[tokio::test]
async fn nothing_happens_between_two_steps() {
    let mut test = TestScheduler::at("2026-01-01T00:00:00Z", |store| {
        Scheduler::builder(store)
            .task("note", || async {})
            .job(NewJob::new("note", "note").every(Duration::from_secs(60)))
    })
    .await;
    test.down_for(HOUR);
    assert_eq!(test.now().to_string(), "2026-01-01T01:00:00Z");
    let job = test.get_job("note").await.unwrap().unwrap();
    assert_eq!(job.next_fire.unwrap().to_string(), "2026-01-01T00:01:00Z");
    // The first look finds an hour of fire times, one of which runs for all.
    let late = test.tick().await;
    assert_eq!(
        (late.runs().count(), late.skips().next().unwrap().count),
        (1, 59)
    );
    assert!(test.tick().await.is_empty());
    // A job that is added is due when it says, and one that is run by hand runs at once.
    let run = test.run_job("note").await.unwrap();
    let happened = test.run_due().await;
    assert_eq!(happened.runs().next().unwrap().run, run);
    test.pause_job("note").await.unwrap();
    assert!(test.advance(HOUR).await.is_empty());
    test.resume_job("note").await.unwrap();
    let resumed = test.advance(Duration::from_secs(60)).await;
    let skip = resumed.skips().next().unwrap();
    assert_eq!((skip.skipped, skip.count), (SkipReason::Paused, 60));
    assert_eq!(resumed.runs().count(), 1);
}

#[tokio::test]
async fn two_tests_of_the_same_tell_the_same() {
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut test = TestScheduler::at("2026-03-27T00:00:00+01:00", scheduler).await;
        told.push(test.advance(72 * HOUR).await);
    }
    assert_eq!(told[0], told[1]);
}
