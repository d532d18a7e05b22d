//! Handlers tell how they get on, and nothing waits for that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use carillon::core::notes::{MAX_LINES, MAX_RESULT};
use carillon::core::run::Outcome;
use carillon::core::store::RunPlace;
use carillon::core::{JobId, RunId, Store};
use carillon::jobs::RunReport;
use carillon::testing::TestScheduler;
use carillon::{Context, Jobs, NewJob, Scheduler, Tasks};
use serde_json::json;
use support::faulty::Faulty;
use support::*;
use tokio::sync::Notify;

async fn report(store: &impl Store, run: &RunId) -> RunReport {
    Jobs::new(store.clone()).report(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handler_tells_is_seen_while_it_runs_and_kept_when_it_has_ended() {
    let store = store();
    let go_on = Arc::new(Notify::new());
    let waiting = Arc::clone(&go_on);
    let mut tasks = Tasks::new();
    let tells = move |context: Context, (): ()| {
        let waiting = Arc::clone(&waiting);
        async move {
            context.log("begun\nin earnest");
            context.progress(0.5, "half of it").unwrap();
            context.progress(1.5, "too much").unwrap_err();
            waiting.notified().await;
            context.progress(1.0, "").unwrap();
            context.keep_result(&json!({ "rows": 1 })).unwrap();
            let large = context.keep_result(&"x".repeat(MAX_RESULT));
            assert!(large.unwrap_err().to_string().contains("too large"));
            for number in 0..MAX_LINES {
                context.log(format!("line {number}"));
            }
            Ok::<_, std::io::Error>("done")
        }
    };
    tasks.register("tells", tells).unwrap();
    put(&store, [job("j", "tells", json!({}))]).await;
    let node = Node::start(&store, "a", &tasks, timing());
    let run = run_now(&store, "j").await;
    until("half of it is seen", || async {
        let report = report(&store, &run).await;
        report
            .notes_of(1)
            .is_some_and(|notes| notes.progress.is_some())
    })
    .await;
    let live = report(&store, &run).await;
    assert!(
        matches!(&live.place, Some(RunPlace::Claimed { by, attempt: 1, .. })
        if by.node() == "a")
    );
    assert_eq!((live.state(), live.outcome()), ("running", None));
    let notes = live.notes_of(1).unwrap();
    let progress = notes.progress.as_ref().unwrap();
    assert_eq!(
        (progress.fraction, progress.text.as_str()),
        (0.5, "half of it")
    );
    let lines: Vec<_> = notes.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["begun", "in earnest"]);

    go_on.notify_one();
    until("it ended", || async { is_idle(&store).await }).await;
    // The last of it comes with the node's leaving, if not before.
    node.stop().await;
    let over = report(&store, &run).await;
    assert_eq!((over.state(), over.place.as_ref()), ("succeeded", None));
    assert_eq!(over.records[0].1.detail.as_deref(), Some("done"));
    let notes = over.notes_of(1).unwrap();
    assert_eq!(notes.progress.as_ref().unwrap().fraction, 1.0);
    assert_eq!(notes.result, Some(json!({ "rows": 1 })));
    assert_eq!((notes.log.len(), notes.dropped), (MAX_LINES, 2));
    assert_eq!(notes.log[0].text, "line 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_and_no_node_waits_for_notes() {
    let store = store();
    let faulty = Faulty::new(store.clone());
    faulty.faults().freeze(&["note"]);
    let mut tasks = Tasks::new();
    let tells = |context: Context, (): ()| async move {
        context.log("nobody will ever know");
        Ok::<_, std::io::Error>(())
    };
    tasks.register("tells", tells).unwrap();
    put(&store, [job("j", "tells", json!({}))]).await;
    let node = Node::start(&faulty, "a", &tasks, timing());
    let run = run_now(&store, "j").await;
    until("it ended", || async { is_idle(&store).await }).await;
    node.stop().await;
    let over = report(&store, &run).await;
    assert_eq!((over.state(), over.notes.len()), ("succeeded", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_that_could_not_be_written_are_written_later() {
    let store = store();
    let faulty = Faulty::new(store.clone());
    faulty.faults().lose("note", 1);
    let mut tasks = Tasks::new();
    let tells = |context: Context, (): ()| async move {
        context.log("once");
        Ok::<_, std::io::Error>(())
    };
    tasks.register("tells", tells).unwrap();
    put(&store, [job("j", "tells", json!({}))]).await;
    let node = Node::start(&faulty, "a", &tasks, timing());
    let run = run_now(&store, "j").await;
    until("it was told twice", || async {
        faulty.faults().done("note") >= 2
    })
    .await;
    let over = report(&store, &run).await;
    let notes = &over.notes[0];
    assert_eq!((notes.number, notes.notes.log.len()), (2, 1));
    node.stop().await;
}

#[tokio::test]
async fn each_attempt_has_notes_of_its_own() {
    let fails = |context: Context| async move {
        context.log(format!("attempt {}", context.attempt()));
        if context.attempt() < 3 {
            Err("not yet")
        } else {
            Ok(())
        }
    };
    let mut scheduler = TestScheduler::at("2026-01-01T00:00:00Z", |store| {
        Scheduler::builder(store).task("fails", fails)
    })
    .await;
    let retry = serde_json::from_value(json!({ "max_attempts": 3, "base": "1m" })).unwrap();
    let job = NewJob::new("j", "fails")
        .every(Duration::from_secs(3600))
        .retry(retry);
    scheduler.add_job(job).await.unwrap();
    let run = scheduler.run_job("j").await.unwrap();
    scheduler.advance(Duration::from_secs(600)).await;
    let report = scheduler.jobs().report(&run).await.unwrap();
    assert_eq!(report.outcome(), Some(Outcome::Succeeded));
    for attempt in 1..=3 {
        let notes = report.notes_of(attempt).unwrap();
        assert_eq!(notes.log[0].text, format!("attempt {attempt}"));
    }
    // A week later they are gone, and history has it still.
    scheduler.down_for(Duration::from_secs(8 * 24 * 3600));
    let id = JobId::new("j").unwrap();
    let report = scheduler.jobs().report(&run).await.unwrap();
    assert_eq!(
        (report.notes.len(), report.records.len(), &report.run.job),
        (0, 3, &id)
    );
}
