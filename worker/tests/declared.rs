//! Functions that declare themselves as jobs and tasks.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use carillon::core::run::Outcome;
use carillon::core::{Grace, Sharded};
use carillon::task::BoxError;
use carillon::testing::TestScheduler;
use carillon::{Args, Context, NewJob, Scheduler, SchedulerBuilder, State};
use serde::Deserialize;

type Counter = Arc<AtomicUsize>;

#[carillon::scheduled(interval, id = "do_job_1", seconds = 30, misfire_grace_time = 900)]
async fn job1(State(counter): State<Counter>) {
    counter.fetch_add(1, Ordering::SeqCst);
}

#[carillon::scheduled(cron, id = "do_job_2", minute = "*")]
async fn job2() {}

#[derive(Deserialize)]
struct Report {
    recipient: String,
    copies: u32,
}

#[carillon::scheduled(
    "30 8 * * mon-fri",
    timezone = "Europe/Berlin",
    args(recipient = "ops@example.org", copies = 2),
    tags = ["mail", "daily"],
    max_instances = 2
)]
async fn report(context: Context, Args(report): Args<Report>) -> Result<String, BoxError> {
    Ok(format!(
        "{} x{} by {}",
        report.recipient,
        report.copies,
        context.job_id()
    ))
}

#[carillon::task]
async fn greet(Args(name): Args<String>) -> Result<String, BoxError> {
    Ok(format!("hello {name}"))
}

/// No `async`: it is called on a blocking thread.
#[carillon::task("compute.squares")]
fn squares(Args(n): Args<u64>) -> Result<String, BoxError> {
    // Panics where it may not block.
    let sum =
        tokio::runtime::Handle::current().block_on(async { (1..=n).map(|n| n * n).sum::<u64>() });
    Ok(sum.to_string())
}

fn scheduler<S: Sharded>(store: S) -> SchedulerBuilder<S> {
    Scheduler::builder(store)
        .state(Counter::default())
        .declared()
}

#[tokio::test]
async fn declared_functions_are_collected_with_all_that_was_said_of_them() {
    let test = TestScheduler::at("2026-03-27T00:00:00Z", scheduler).await;
    let list = test.get_jobs().await.unwrap();
    let ids: Vec<_> = list.jobs.iter().map(|job| job.job.id().as_str()).collect();
    assert_eq!(ids, ["do_job_1", "do_job_2", "report"]);
    let job1 = &list.jobs[0].job;
    assert_eq!(job1.task().as_str(), "job1");
    assert_eq!(
        job1.policy().misfire_grace_time,
        Grace::Within(Duration::from_secs(900))
    );
    let report = &list.jobs[2];
    assert_eq!(report.job.policy().max_instances.get(), 2);
    assert_eq!(report.job.tags().len(), 2);
    assert_eq!(
        report.next_fire.unwrap().to_string(),
        "2026-03-27T07:30:00Z"
    );
}

#[tokio::test]
async fn declared_functions_run() {
    let mut test = TestScheduler::at("2026-03-27T07:29:00Z", scheduler).await;
    let happened = test.advance(Duration::from_secs(60)).await;
    let ran = |job: &str| happened.of(job).runs().count();
    assert_eq!((ran("do_job_1"), ran("do_job_2"), ran("report")), (2, 2, 1));
    let report = happened.of("report");
    let detail = report.runs().next().unwrap().detail.as_deref();
    assert_eq!(detail, Some("ops@example.org x2 by report"));
}

#[tokio::test]
async fn declared_tasks_are_run_by_jobs_of_any_kind() {
    let mut test = TestScheduler::at("2026-03-27T00:00:01Z", scheduler).await;
    let greet = NewJob::new("greet ada", "greet").args("Ada");
    test.add_job(greet).await.unwrap();
    let squares = NewJob::new("squares", "compute.squares").args(3);
    test.add_job(squares).await.unwrap();
    let happened = test.run_due().await;
    let said: Vec<_> = happened
        .runs()
        .map(|run| (run.outcome, run.detail.as_deref().unwrap()))
        .collect();
    assert!(
        said.contains(&(Outcome::Succeeded, "hello Ada")),
        "{said:?}"
    );
    assert!(said.contains(&(Outcome::Succeeded, "14")), "{said:?}");
}

#[test]
fn a_job_that_is_declared_twice_is_refused() {
    let twice = Scheduler::in_memory()
        .state(Counter::default())
        .declared()
        .job(NewJob::new("report", "report"));
    let error = twice.build().unwrap_err().to_string();
    assert_eq!(error, "job \"report\" is declared twice");
}
