//! Pausing all jobs by the scheduler object, and what it says of itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use carillon::core::plan::SkipReason;
use carillon::core::queue::HoldNote;
use carillon::testing::TestScheduler;
use carillon::{NewJob, Scheduler, SchedulerState, Wait};
use support::*;
use tokio::runtime;

const MINUTE: Duration = Duration::from_secs(60);

fn moving() -> HoldNote {
    HoldNote {
        by: Some("anna".to_owned()),
        reason: Some("moving the database".to_owned()),
    }
}

#[tokio::test]
async fn a_pause_is_the_whole_clusters_and_says_who_and_why() {
    let store = store();
    let [one, other] = [(), ()].map(|()| Scheduler::builder(store.clone()).build().unwrap());
    // Of a node that does not run, all jobs can be paused: as with `start(paused=True)`.
    one.pause_with(moving()).await.unwrap();
    assert_eq!(one.state().await.unwrap(), SchedulerState::Stopped);
    assert!(!other.is_running());
    let running = other.start().unwrap();
    assert!(running.is_running() && other.is_running() && !one.is_running());
    let hold = one.paused().await.unwrap().unwrap();
    assert_eq!(hold.note, moving());
    // Whoever pauses what is paused changes nothing.
    other.pause().await.unwrap();
    assert_eq!(other.state().await.unwrap(), SchedulerState::Paused(hold));
    other.resume().await.unwrap();
    other.resume().await.unwrap();
    assert_eq!(other.state().await.unwrap(), SchedulerState::Running);
    assert_eq!(one.paused().await.unwrap(), None);
    running.shutdown(Wait::ForRuns).await.unwrap();
    assert_eq!(other.state().await.unwrap(), SchedulerState::Stopped);
}

#[tokio::test]
async fn what_comes_to_be_due_in_a_pause_is_recorded_and_runs_wait_for_its_end() {
    let mut test = TestScheduler::at("2026-01-01T00:00:00Z", |store| {
        Scheduler::builder(store)
            .task("note", || async {})
            .job(NewJob::new("note", "note").every(MINUTE))
    })
    .await;
    test.pause_with(moving()).await.unwrap();
    let run = test.run_job("note").await.unwrap();
    let paused = test.advance(60 * MINUTE).await;
    assert_eq!(paused.runs().count(), 0);
    let skipped: u64 = paused.skips().map(|skip| skip.count).sum();
    assert_eq!(skipped, 60);
    for skip in paused.skips() {
        assert_eq!(skip.skipped, SkipReason::Paused);
        let detail = skip.detail.as_deref().unwrap();
        assert_eq!(
            detail,
            "the namespace was paused by anna: moving the database"
        );
    }
    test.resume().await.unwrap();
    let resumed = test.run_due().await;
    let ran: Vec<_> = resumed.runs().map(|record| &record.run).collect();
    assert_eq!(ran, [&run]);
    assert_eq!(test.advance(MINUTE).await.runs().count(), 1);
}

#[test]
fn a_scheduler_whose_runtime_ends_before_it_could_begin_runs_no_more() {
    let new_runtime = || {
        let mut builder = runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let scheduler = Scheduler::in_memory().build().unwrap();
    let runtime = new_runtime();
    let running = {
        let _inside = runtime.enter();
        scheduler.start().unwrap()
    };
    assert!(scheduler.is_running());
    drop(runtime);
    assert!(!scheduler.is_running() && !running.is_running());
    new_runtime().block_on(async {
        let again = scheduler.start().unwrap();
        again.shutdown(Wait::ForRuns).await.unwrap();
    });
}
