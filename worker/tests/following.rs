//! Jobs that run after others.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon::core::{JobId, JobPatch, On};
use carillon::testing::TestScheduler;
use carillon::{Context, NewJob, Scheduler, Tasks};
use serde_json::json;
use support::*;

/// Which jobs ran, in order.
type Ran = Arc<Mutex<Vec<String>>>;

fn take(ran: &Ran) -> Vec<String> {
    std::mem::take(&mut *ran.lock().unwrap())
}

async fn scheduler(ran: &Ran, is_good: &Arc<AtomicBool>) -> TestScheduler {
    let (ran, is_good) = (Arc::clone(ran), Arc::clone(is_good));
    let note = move |context: Context| {
        let (ran, is_good) = (Arc::clone(&ran), Arc::clone(&is_good));
        async move {
            ran.lock().unwrap().push(context.job_id().to_string());
            let is_first = context.job_id().as_str() == "import";
            if is_first && !is_good.load(Ordering::Relaxed) {
                Err("no")
            } else {
                Ok(())
            }
        }
    };
    TestScheduler::at("2026-01-01T00:00:00Z", |store| {
        Scheduler::builder(store).task("note", note)
    })
    .await
}

#[tokio::test]
async fn a_chain_of_jobs_runs_one_after_the_other_as_each_ends() {
    let (ran, is_good) = (Ran::default(), Arc::new(AtomicBool::new(true)));
    let mut scheduler = scheduler(&ran, &is_good).await;
    let hourly = Duration::from_secs(3600);
    for job in [
        NewJob::new("report", "note").after("check", On::Success),
        NewJob::new("check", "note").after("import", On::Success),
        NewJob::new("alarm", "note").after("import", On::Failure),
        NewJob::new("import", "note").every(hourly),
    ] {
        scheduler.add_job(job).await.unwrap();
    }
    scheduler.advance(hourly).await;
    assert_eq!(take(&ran), ["import", "check", "report"]);
    is_good.store(false, Ordering::Relaxed);
    scheduler.advance(hourly).await;
    assert_eq!(take(&ran), ["import", "alarm"]);
    // Asked for by hand, it is followed as well; and one that follows may be asked for.
    is_good.store(true, Ordering::Relaxed);
    scheduler.run_job("import").await.unwrap();
    scheduler.run_due().await;
    assert_eq!(take(&ran), ["import", "check", "report"]);
    scheduler.run_job("check").await.unwrap();
    scheduler.run_due().await;
    assert_eq!(take(&ran), ["check", "report"]);
}

#[tokio::test]
async fn whoever_follows_is_told_which_run_and_how_it_ended() {
    let told = Ran::default();
    let sees = Arc::clone(&told);
    let tell = move |context: Context| {
        let followed = context.followed().map_or_else(
            || "none".to_owned(),
            |ended| format!("{} {}", ended.run, ended.outcome),
        );
        let line = format!("{} after {followed}", context.job_id());
        sees.lock().unwrap().push(line);
        async move {
            match context.job_id().as_str() {
                "import" => Err("no"),
                _ => Ok(()),
            }
        }
    };
    let mut scheduler = TestScheduler::at("2026-01-01T00:00:00Z", |store| {
        Scheduler::builder(store).task("tell", tell)
    })
    .await;
    let hourly = Duration::from_secs(3600);
    for job in [
        NewJob::new("import", "tell").every(hourly),
        NewJob::new("alarm", "tell").after("import", On::Failure),
        NewJob::new("report", "tell").after("alarm", On::Any),
    ] {
        scheduler.add_job(job).await.unwrap();
    }
    scheduler.advance(hourly).await;
    let lines = take(&told);
    let [import, alarm, report] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(import, "import after none");
    assert_eq!(alarm, "alarm after import@1767229200000 failed");
    assert!(report.starts_with("report after alarm!"), "{report}");
    assert!(report.ends_with(" succeeded"), "{report}");
    // By hand, it follows none.
    scheduler.run_job("alarm").await.unwrap();
    scheduler.run_due().await;
    assert_eq!(take(&told)[0], "alarm after none");
}

#[tokio::test]
async fn a_circle_of_jobs_is_refused_with_all_of_them_named() {
    let (ran, is_good) = (Ran::default(), Arc::new(AtomicBool::new(true)));
    let scheduler = scheduler(&ran, &is_good).await;
    for (id, after) in [("b", "a"), ("c", "b")] {
        let job = NewJob::new(id, "note").after(after, On::Any);
        scheduler.add_job(job).await.unwrap();
    }
    let closing = NewJob::new("a", "note").after("c", On::Any);
    let error = scheduler.add_job(closing).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "job a: after: jobs would follow one another in a circle: a after c after b after a"
    );
    let own = NewJob::new("d", "note").after("d", On::Any);
    let error = scheduler.add_job(own).await.unwrap_err().to_string();
    assert!(
        error.contains("after.job: \"d\" cannot follow itself"),
        "{error}"
    );
    // Nor by a change of one that is there.
    let hourly = NewJob::new("a", "note").every(Duration::from_secs(3600));
    scheduler.add_job(hourly).await.unwrap();
    let patch: JobPatch = serde_json::from_value(json!({ "after": { "job": "c" } })).unwrap();
    let error = scheduler
        .modify_job("a", &patch)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("a after c after b after a"), "{error}");
    let stored = scheduler.get_job("a").await.unwrap().unwrap();
    assert_eq!(stored.job.after(), None);
}

#[tokio::test]
async fn a_job_follows_no_longer_when_it_says_so() {
    let (ran, is_good) = (Ran::default(), Arc::new(AtomicBool::new(true)));
    let mut scheduler = scheduler(&ran, &is_good).await;
    let daily = Duration::from_secs(86_400);
    scheduler
        .add_job(NewJob::new("import", "note").every(daily))
        .await
        .unwrap();
    let both = NewJob::new("check", "note")
        .every(daily)
        .after("import", On::Success);
    scheduler.add_job(both).await.unwrap();
    scheduler.run_job("import").await.unwrap();
    scheduler.run_due().await;
    assert_eq!(take(&ran), ["import", "check"]);
    let patch: JobPatch = serde_json::from_value(json!({ "after": null })).unwrap();
    scheduler.modify_job("check", &patch).await.unwrap();
    scheduler.run_job("import").await.unwrap();
    scheduler.run_due().await;
    assert_eq!(take(&ran), ["import"]);
    let patch: JobPatch = serde_json::from_value(json!({ "trigger": null })).unwrap();
    let error = scheduler
        .modify_job("check", &patch)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("trigger: null"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_nodes_follow_within_moments() {
    let (store, log) = (store(), Log::default());
    let tasks: Tasks = noting(&log);
    let first = job("first", "note", json!({}));
    let second = job(
        "second",
        "note",
        json!({ "trigger": { "type": "or", "triggers": [] }, "after": { "job": "first" } }),
    );
    put(&store, [first, second]).await;
    let node = Node::start(&store, "a", &tasks, timing());
    let other = Node::start(&store, "b", &tasks, timing());
    let run = run_now(&store, "first").await;
    let ran = |job: &'static str| {
        let log = log.clone();
        move || {
            let runs = log.read();
            runs.keys()
                .any(|(run, _)| run.job == JobId::new(job).unwrap())
        }
    };
    let (first, second) = (ran("first"), ran("second"));
    until("both have run", || async { first() && second() }).await;
    until("all is over", || async { is_idle(&store).await }).await;
    node.stop().await;
    other.stop().await;
    log.assert_once();
    assert_eq!(log.read().len(), 2, "after {run}");
}
