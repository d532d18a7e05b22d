//! Nodes that run jobs: each fire once, on one of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use carillon::core::history::MAX_DETAIL;
use carillon::core::run::Outcome;
use carillon::core::{Cause, ManualClock, MemoryStore, Store};
use carillon::{AtStart, Context, Event, Scheduler, Tasks};
use serde_json::json;
use support::faulty::{ALL, Faulty};
use support::*;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_nodes_on_one_store_run_each_fire_once() {
    let (store, log) = (store(), Log::default());
    let tasks = noting(&log);
    let jobs = (0..20).map(|n| job(&format!("job {n}"), "note", every(0.5)));
    put(&store, jobs).await;
    let nodes: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|name| Node::start(&store, name, &tasks, timing()))
        .collect();
    until("200 runs", || async { log.read().len() >= 200 }).await;
    for node in nodes {
        node.stop().await;
    }
    log.assert_once();
    // What history tells is what happened, and no fire time between the first and the last is
    // missing.
    let records = run_records(&store).await;
    let begun: BTreeSet<_> = log.read().into_keys().map(|(run, _)| run).collect();
    let recorded: BTreeSet<_> = records.iter().map(|record| record.run.clone()).collect();
    assert_eq!(begun, recorded);
    assert_eq!(records.len(), recorded.len());
    for n in 0..20 {
        let job = format!("job {n}");
        let of_job = recorded.iter().filter(|run| run.job.as_str() == job);
        let fires: Vec<_> = of_job.map(|run| run.scheduled_at().as_ms()).collect();
        assert!(fires.len() >= 5, "{job}: {fires:?}");
        assert!(
            fires.windows(2).all(|pair| pair[1] - pair[0] == 500),
            "{job}: {fires:?}"
        );
    }
    // Where a run was dispatched and not begun, it waits for the next node.
    let overview = store.overview().await.unwrap();
    let ready: u64 = overview.queues.iter().map(|queue| queue.ready).sum();
    assert_eq!(overview.busy, ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_handler_is_a_recorded_failure() {
    let store = store();
    let mut tasks = Tasks::new();
    let panics = |_: Context, (): ()| async { panic!("on purpose") as Result<(), std::io::Error> };
    tasks.register("panics", panics).unwrap();
    let fails = |_: Context, (): ()| async { Err::<(), _>("x".repeat(MAX_DETAIL * 2)) };
    tasks.register("fails", fails).unwrap();
    let answers = |_: Context, (): ()| async { Ok::<_, String>("well") };
    tasks.register("answers", answers).unwrap();
    let names = ["panics", "fails", "answers"];
    put(&store, names.map(|task| job(task, task, json!({})))).await;
    let mut node = Node::start(&store, "a", &tasks, timing());
    let mut ended = Vec::new();
    for name in names {
        let run = run_now(&store, name).await;
        let outcome = node
            .sees("its end", |event| match event {
                Event::Ended(record) if record.run == run => Some(record.outcome),
                _ => None,
            })
            .await;
        ended.push(outcome);
    }
    node.stop().await;
    assert_eq!(
        ended,
        [Outcome::Failed, Outcome::Failed, Outcome::Succeeded]
    );
    let records = run_records(&store).await;
    let details: Vec<_> = records.iter().map(|r| r.detail.clone().unwrap()).collect();
    assert_eq!(details[0], "panicked: on purpose");
    assert!(details[1].len() < MAX_DETAIL + 100 && details[1].ends_with("(4000 bytes in all)"));
    assert_eq!(details[2], "well");
    assert!(
        records
            .iter()
            .all(|r| r.started_at.is_some() && r.ended_at >= r.started_at)
    );
    assert!(is_idle(&store).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_only_another_node_has_is_run_there() {
    let (store, log) = (store(), Log::default());
    put(&store, [job("j", "note", json!({}))]).await;
    let mut without = Node::start(&store, "without", &Tasks::new(), timing());
    without.leads().await;
    run_now(&store, "j").await;
    without
        .sees("the run put aside", |event| match event {
            Event::Ended(record) if record.outcome == Outcome::Retrying => Some(()),
            _ => None,
        })
        .await;
    let with = Node::start(&store, "with", &noting(&log), timing());
    until("it ran", || async { is_idle(&store).await }).await;
    with.stop().await;
    without.stop().await;
    log.assert_once();
    let ran: Vec<_> = log.read().into_iter().collect();
    assert!(matches!(ran[0].0.0.cause, Cause::Request(_)));
    assert_eq!(
        (ran[0].0.1, ran[0].1.as_slice()),
        (1, &["with".to_owned()][..])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_never_executes_more_than_its_slots_at_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let store = store();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Tasks::new();
    let counters = (Arc::clone(&now), Arc::clone(&most));
    let count = move |_: Context, (): ()| {
        let (now, most) = counters.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<(), std::io::Error>(())
        }
    };
    tasks.register("count", count).unwrap();
    put(
        &store,
        (0..100).map(|n| job(&format!("{n}"), "count", json!({}))),
    )
    .await;
    for n in 0..100 {
        run_now(&store, &format!("{n}")).await;
    }
    let node = Node::start_with(&store, "a", &tasks, timing(), 3);
    until("all ran", || async { is_idle(&store).await }).await;
    node.stop().await;
    assert_eq!(run_records(&store).await.len(), 100);
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_put_with_an_earlier_due_time_wakes_the_leader() {
    let (store, log) = (store(), Log::default());
    put(&store, [job("far", "note", json!({}))]).await;
    let mut node = Node::start(&store, "a", &noting(&log), timing());
    node.leads().await;
    put(&store, [job("near", "note", every(0.05))]).await;
    let begun = node
        .sees("its first run", |event| match event {
            Event::RunStarted { run, .. } => Some(run.clone()),
            _ => None,
        })
        .await;
    assert_eq!(begun.job.as_str(), "near");
    node.stop().await;
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_slots_leads_and_executes_nothing() {
    let (store, log) = (store(), Log::default());
    let tasks = noting(&log);
    put(&store, [job("j", "note", every(0.1))]).await;
    let mut leader = Node::start_with(&store, "leader", &tasks, timing(), 0);
    leader.leads().await;
    let worker = Node::start(&store, "worker", &tasks, timing());
    until("some runs", || async { log.read().len() >= 5 }).await;
    let led = leader.stop_and_count().await;
    worker.stop().await;
    log.assert_once();
    assert!(led.dispatched >= 5);
    assert_eq!(led.settled, 0);
}

#[tokio::test]
async fn a_node_that_shall_not_wait_for_the_store_gives_up_with_its_address() {
    let faulty = Faulty::new(store());
    faulty.faults().cut(&[ALL]);
    let scheduler = Scheduler::builder(faulty)
        .at_start(AtStart::GiveUp)
        .build()
        .unwrap();
    let error = scheduler.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "could not register with faulty memory");
    assert!(error.store_error().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_lives_by_the_store_s_clock_whatever_its_own_says() {
    let long_ago = "2001-02-03T04:05:06Z".parse().unwrap();
    let clock = Arc::new(ManualClock::new(long_ago));
    let (store, log) = (MemoryStore::new(clock.clone()), Log::default());
    put(&store, [job("j", "note", every(60.0))]).await;
    // Nobody was there for an hour: one run stands for all of them.
    clock.advance(Duration::from_secs(3600));
    let mut node = Node::start(&store, "a", &noting(&log), timing());
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = node
            .sees("a run's end", |event| match event {
                Event::Ended(record) => Some(record.run.clone()),
                _ => None,
            })
            .await;
        runs.push(run.scheduled_at().to_string());
        clock.advance(Duration::from_secs(60));
    }
    node.stop().await;
    assert_eq!(
        runs,
        [
            "2001-02-03T05:05:06Z",
            "2001-02-03T05:06:06Z",
            "2001-02-03T05:07:06Z"
        ]
    );
    let started: Vec<_> = run_records(&store).await;
    let started = started.iter().map(|r| r.started_at.unwrap());
    assert!(
        started
            .zip(&runs)
            .all(|(at, due)| at.to_string()[..15] == due[..15])
    );
}
