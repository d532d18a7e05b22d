//! Nodes and queues: what waits behind what.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use carillon::core::queue::{QueueLimits, SetBy};
use carillon::core::store::{RequestId, Steer, Steering};
use carillon::core::{Priority, QueueName, Store};
use carillon::{Context, Scheduler};
use serde_json::{Value, json};
use support::*;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_line_up_are_executed_one_by_one_in_their_order() {
    let store = store();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let order = Arc::new(Mutex::new(Vec::new()));
    let shared = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&order));
    let mut tasks = carillon::Tasks::new();
    let one_by_one = move |context: Context, (): ()| {
        let (now, most, order) = shared.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            order.lock().unwrap().push(context.run_id().clone());
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<(), std::io::Error>(())
        }
    };
    tasks.register("line", one_by_one).unwrap();
    put(&store, [job("j", "line", json!({ "overlap": "queue" }))]).await;
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(run_now(&store, "j").await);
    }
    let nodes = ["a", "b"].map(|name| Node::start(&store, name, &tasks, timing()));
    until("all have run", || async { is_idle(&store).await }).await;
    for node in nodes {
        node.stop().await;
    }
    assert_eq!(*order.lock().unwrap(), runs);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

const SLOTS: usize = 4;

/// How many runs of a herd end before a run goes that was asked for when the herd had all slots.
async fn runs_of_a_herd_before(one_off: Value) -> usize {
    const HERD: usize = 100;
    let (store, log) = (store(), Log::default());
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = noting(&log);
    let shared = (Arc::clone(&gate), Arc::clone(&begun));
    let herd = move |_: Context, (): ()| {
        let (gate, begun) = shared.clone();
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.map(|permit| permit.forget())
        }
    };
    tasks.register("herd", herd).unwrap();
    let many = json!({ "max_instances": 1000 });
    put(
        &store,
        [job("herd", "herd", many), job("one", "note", one_off)],
    )
    .await;
    for _ in 0..HERD {
        run_now(&store, "herd").await;
    }
    let scheduler = Scheduler::builder(store.clone())
        .tasks(tasks)
        .concurrency(SLOTS)
        .queues(["default", "urgent"].map(|name| QueueName::new(name).unwrap()))
        .timing(timing())
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(scheduler.run(shutdown.clone()));
    let count = || begun.load(Ordering::SeqCst);
    until("the herd has all slots", || async { count() == SLOTS }).await;
    run_now(&store, "one").await;
    let mut ended = 0;
    while log.read().is_empty() && ended < HERD {
        ended += 1;
        gate.add_permits(1);
        until("what goes next", || async {
            count() == SLOTS + ended || !log.read().is_empty()
        })
        .await;
    }
    gate.add_permits(HERD);
    until("all have run", || async { is_idle(&store).await }).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_in_one_queue_does_not_hold_up_another() {
    let before = runs_of_a_herd_before(json!({ "queue": "urgent" })).await;
    assert!(before <= 2 * SLOTS, "behind {before} of a herd");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_does_not_hold_up_what_is_more_urgent_in_the_same_queue() {
    let before = runs_of_a_herd_before(json!({ "priority": Priority::High })).await;
    assert!(before <= 2 * SLOTS, "behind {before} of a herd");
    // As urgent as the herd, it waits for all that was there before.
    let behind = runs_of_a_herd_before(json!({})).await;
    assert!(behind > 90, "before {behind} of a herd");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_queue_lets_one_run_through_at_a_time_nobody_starves() {
    let (store, order) = (store(), Arc::new(Mutex::new(Vec::new())));
    let limit = Steer {
        request: RequestId(uuid::Uuid::now_v7()),
        what: Steering::Limit {
            queue: QueueName::default_queue(),
            limits: QueueLimits {
                concurrency: std::num::NonZeroU32::new(1),
                rate: None,
            },
            by: SetBy::Operator,
        },
    };
    store.steer(&limit).await.unwrap();
    let mut tasks = carillon::Tasks::new();
    let shared = Arc::clone(&order);
    let note = move |context: Context, (): ()| {
        let order = Arc::clone(&shared);
        async move {
            let priority = context.job().policy().priority;
            order.lock().unwrap().push(priority);
            Ok::<(), std::io::Error>(())
        }
    };
    tasks.register("note", note).unwrap();
    for (id, priority) in [("often", Priority::High), ("seldom", Priority::Low)] {
        let many = json!({ "priority": priority, "max_instances": 100 });
        put(&store, [job(id, "note", many)]).await;
    }
    for number in 0..70 {
        run_now(&store, if number < 60 { "often" } else { "seldom" }).await;
    }
    let node = Node::start(&store, "a", &tasks, timing());
    until("all have run", || async { is_idle(&store).await }).await;
    node.stop().await;
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 70);
    let first = order.iter().position(|priority| *priority == Priority::Low);
    assert!(first.unwrap() <= 10, "{order:?}");
    let among_first = order[..35].iter().filter(|p| **p == Priority::Low);
    assert!(among_first.count() >= 3, "{order:?}");
}
