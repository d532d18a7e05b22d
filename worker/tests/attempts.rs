//! Handlers that fail, take too long, or put their run off: how often they are tried, and when.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use carillon::core::history::RunRecord;
use carillon::core::run::Outcome;
use carillon::core::store::CancelAnswer;
use carillon::core::{Store, Timestamp};
use carillon::task::BoxError;
use carillon::{Args, Context, Event, Jobs, TaskError, Tasks};
use serde_json::{Value, json};
use support::faulty::Faulty;
use support::*;
use tokio::sync::Notify;

/// Three attempts without a pause to speak of.
fn thrice() -> Value {
    json!({ "retry": { "max_attempts": 3, "base": 0.01, "jitter": 0 } })
}

/// Runs a job of this task once, until it has ended; answers with the records of its attempts.
async fn run(tasks: &Tasks, task: &str, policy: Value) -> Vec<RunRecord> {
    let store = store();
    put(&store, [job("j", task, policy)]).await;
    let mut node = Node::start(&store, "a", tasks, timing());
    node.leads().await;
    run_now(&store, "j").await;
    until("the run has ended", || async { is_idle(&store).await }).await;
    node.stop().await;
    run_records(&store).await
}

fn outcomes(records: &[RunRecord]) -> Vec<(u32, Outcome)> {
    let outcomes = records
        .iter()
        .map(|record| (record.attempt, record.outcome));
    outcomes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_fails_is_tried_again_and_each_attempt_is_recorded() {
    let mut tasks = Tasks::new();
    let third = |context: Context, _: ()| async move {
        match context.attempt() {
            1 => Err("no route".to_owned()),
            2 => panic!("on purpose"),
            _ => Ok("there"),
        }
    };
    tasks.register("third", third).unwrap();
    let records = run(&tasks, "third", thrice()).await;
    let expected = [
        (1, Outcome::Retrying),
        (2, Outcome::Retrying),
        (3, Outcome::Succeeded),
    ];
    assert_eq!(outcomes(&records), expected);
    let details: Vec<_> = records.iter().map(|r| r.detail.clone().unwrap()).collect();
    assert_eq!(details, ["no route", "panicked: on purpose", "there"]);
    for pair in records.windows(2) {
        let (ended, next) = (pair[0].ended_at.unwrap(), pair[0].next_at.unwrap());
        assert!(next > ended);
        assert!(pair[1].started_at.unwrap() >= ended, "{pair:#?}");
        assert!(pair[1].fence > pair[0].fence);
    }
    assert_eq!(records[2].next_at, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_used_up_and_a_fatal_error_uses_none_of_them() {
    let mut tasks = Tasks::new();
    let fails = |_: Context, _: ()| async { Err::<(), _>("no".to_owned()) };
    tasks.register("fails", fails).unwrap();
    // As the cause of another error, too.
    let fatal = |_: Context, _: ()| async {
        let cause = TaskError::fatal("no such card");
        Err::<(), BoxError>(anyhow::Error::new(cause).context("charging").into())
    };
    tasks.register("fatal", fatal).unwrap();
    let typed = |_: Args<u32>| async { Ok::<(), String>(()) };
    tasks.register("typed", typed).unwrap();

    let records = run(&tasks, "fails", thrice()).await;
    let expected = [
        (1, Outcome::Retrying),
        (2, Outcome::Retrying),
        (3, Outcome::Failed),
    ];
    assert_eq!(outcomes(&records), expected);
    let records = run(&tasks, "fatal", thrice()).await;
    assert_eq!(outcomes(&records), [(1, Outcome::Failed)]);
    assert_eq!(records[0].detail.as_deref(), Some("charging: no such card"));
    let records = run(&tasks, "typed", thrice()).await;
    assert_eq!(
        outcomes(&records),
        [(1, Outcome::Failed)],
        "args that never fit"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_its_handler_puts_off_keeps_its_attempt() {
    let calls = Arc::new(AtomicU32::new(0));
    let mut tasks = Tasks::new();
    let counted = Arc::clone(&calls);
    let waits = move |context: Context, _: ()| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(context.attempt(), 1);
            match call {
                0 => Err(TaskError::snooze_for(Duration::from_millis(20)).because("too early")),
                1 => Err(TaskError::snooze_until(Timestamp::EPOCH)),
                _ => Ok(()),
            }
        }
    };
    tasks.register("waits", waits).unwrap();
    // No second attempt is allowed, and none is needed.
    let records = run(&tasks, "waits", json!({})).await;
    let expected = [
        (1, Outcome::Retrying),
        (1, Outcome::Retrying),
        (1, Outcome::Succeeded),
    ];
    assert_eq!(outcomes(&records), expected);
    assert_eq!(
        records[0].detail.as_deref(),
        Some("put off by its handler: too early")
    );
    assert!(records[0].next_at.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_takes_too_long_is_told_and_the_attempt_timed_out() {
    let told = Arc::new(AtomicBool::new(false));
    let mut tasks = Tasks::new();
    let seen = Arc::clone(&told);
    let slow = move |context: Context, _: ()| {
        let seen = Arc::clone(&seen);
        async move {
            context.cancellation().cancelled().await;
            seen.store(true, Ordering::SeqCst);
            Err::<(), _>("half done".to_owned())
        }
    };
    tasks.register("slow", slow).unwrap();
    let mut policy = thrice();
    policy["timeout"] = json!(0.02);
    policy["retry"]["max_attempts"] = json!(2);
    let records = run(&tasks, "slow", policy).await;
    let expected = [(1, Outcome::Retrying), (2, Outcome::TimedOut)];
    assert_eq!(outcomes(&records), expected);
    let detail = records[1].detail.as_deref();
    assert_eq!(detail, Some("stopped after its timeout of 20ms: half done"));
    assert!(told.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_ends_well_when_its_time_is_over_has_succeeded() {
    let mut tasks = Tasks::new();
    let late = |context: Context, _: ()| async move {
        context.cancellation().cancelled().await;
        Ok::<_, String>("just")
    };
    tasks.register("late", late).unwrap();
    let records = run(&tasks, "late", json!({ "timeout": 0.02 })).await;
    assert_eq!(outcomes(&records), [(1, Outcome::Succeeded)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_for_its_next_attempt_counts_as_in_flight() {
    let mut tasks = Tasks::new();
    let fails = |_: Context, _: ()| async { Err::<(), _>("no".to_owned()) };
    tasks.register("fails", fails).unwrap();
    let store = store();
    let policy = json!({ "retry": { "max_attempts": 2, "base": 3600 } });
    put(&store, [job("j", "fails", policy)]).await;
    let node = Node::start(&store, "a", &tasks, timing());
    run_now(&store, "j").await;
    let waits = || async { store.overview().await.unwrap().retries == 1 };
    until("it waits", waits).await;
    assert_eq!(store.overview().await.unwrap().busy, 1);
    node.stop().await;
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.busy, overview.retries), (1, 1));
}

/// Tasks with one that waits for its token, and fails when it fires.
fn waiting() -> Tasks {
    let mut tasks = Tasks::new();
    let waits = |context: Context, _: ()| async move {
        context.cancellation().cancelled().await;
        Err::<(), _>("stopped".to_owned())
    };
    tasks.register("waits", waits).unwrap();
    tasks
}

async fn begun(node: &mut Node) {
    let begun = |event: &Event| matches!(event, Event::RunStarted { .. }).then_some(());
    node.sees("a handler", begun).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_ends_as_that_with_who_and_why() {
    let store = store();
    put(&store, [job("j", "waits", thrice())]).await;
    let mut node = Node::start(&store, "a", &waiting(), timing());
    let run = run_now(&store, "j").await;
    begun(&mut node).await;
    let jobs = Jobs::new(store.clone());
    let cancel = || async { jobs.cancel(&run, Some("ann"), Some("wrong file")).await };
    assert_eq!(cancel().await.unwrap(), CancelAnswer::Marked);
    until("it has ended", || async { is_idle(&store).await }).await;
    assert_eq!(cancel().await.unwrap(), CancelAnswer::NotInFlight);
    node.stop().await;
    let records = run_records(&store).await;
    assert_eq!(outcomes(&records), [(1, Outcome::Cancelled)]);
    let detail = records[0].detail.as_deref();
    assert_eq!(detail, Some("cancelled by ann: wrong file: stopped"));
    assert_eq!(records[0].node, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_at_most_once_begins_when_that_is_written_down() {
    let store = Faulty::new(store());
    let policy = json!({ "delivery": "at_most_once" });
    let calls = Arc::new(AtomicU32::new(0));
    let mut tasks = Tasks::new();
    let counted = Arc::clone(&calls);
    let fails = move |_: Context, _: ()| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err::<(), _>("no".to_owned()) }
    };
    tasks.register("fails", fails).unwrap();
    put(&store, [job("j", "fails", policy)]).await;
    let node = Node::start(&store, "a", &tasks, timing());
    // It may have been written down: the answer is what counts.
    store.faults().lose("begin", 2);
    run_now(&store, "j").await;
    until("it has ended", || async { is_idle(&store).await }).await;
    node.stop().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(outcomes(&run_records(&store).await), [(1, Outcome::Failed)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_at_most_once_is_lost_with_its_node_only_if_it_began() {
    let store = store();
    let faulty = Faulty::new(store.clone());
    let policy = json!({ "delivery": "at_most_once", "max_instances": 2 });
    put(&store, [job("j", "waits", policy)]).await;
    let mut dies = Node::start(&faulty, "dies", &waiting(), timing());
    let first = run_now(&store, "j").await;
    begun(&mut dies).await;
    // The second is claimed, and whether it may begin is never answered.
    faulty.faults().freeze(&["begin"]);
    let second = run_now(&store, "j").await;
    let held = || async {
        store
            .overview()
            .await
            .unwrap()
            .queues
            .iter()
            .all(|q| q.ready == 0)
    };
    until("it is claimed", held).await;
    faulty.faults().freeze(&[faulty::ALL]);
    let finished = Arc::new(Notify::new());
    let mut tasks = Tasks::new();
    let done = Arc::clone(&finished);
    let waits = move |context: Context, _: ()| {
        let done = Arc::clone(&done);
        async move {
            assert_eq!(context.attempt(), 1);
            done.notify_one();
            Ok::<_, String>(context.run_id().to_string())
        }
    };
    tasks.register("waits", waits).unwrap();
    let lives = Node::start(&store, "lives", &tasks, timing());
    finished.notified().await;
    until("both have ended", || async { is_idle(&store).await }).await;
    lives.stop().await;
    dies.running.abort();
    let records = run_records(&store).await;
    let of = |run| records.iter().filter(move |record| record.run == run);
    let outcome: Vec<_> = of(first).map(|record| record.outcome).collect();
    assert_eq!(outcome, [Outcome::Lost]);
    let outcome: Vec<_> = of(second).map(|record| record.outcome).collect();
    assert_eq!(outcome, [Outcome::Succeeded]);
}
