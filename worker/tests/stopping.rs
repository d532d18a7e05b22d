//! Nodes that stop: in order, out of time, or because their session is over.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon::core::run::Outcome;
use carillon::core::store::{ClaimWish, Exchange, ExchangeAnswer, FenceAnswer, FenceSession};
use carillon::core::{Generation, QueueName, SessionId, Shard, Store};
use carillon::{Context, Event, Tasks, Timing};
use serde_json::json;
use support::faulty::{ALL, Faulty};
use support::*;
use tokio::sync::Semaphore;

/// Tasks with one that notes that it was begun and then waits at a gate: on nodes named `slow`,
/// with or without listening to its token; on others it ends at once.
fn gated(log: &Log, gate: &Arc<Semaphore>, listens: bool) -> Tasks {
    let mut tasks = Tasks::new();
    let (log, gate) = (log.clone(), Arc::clone(gate));
    let wait = move |context: Context, (): ()| {
        let (log, gate) = (log.clone(), Arc::clone(&gate));
        async move {
            log.note(&context);
            if context.node().as_str() != "slow" || context.attempt() > 1 {
                return Ok(());
            }
            tokio::select! {
                _ = gate.acquire() => Ok(()),
                () = context.cancellation().cancelled(), if listens => Err("told to stop"),
            }
        }
    };
    tasks.register("wait", wait).unwrap();
    tasks
}

fn impatient() -> Timing {
    Timing {
        shutdown_grace: Duration::from_millis(100),
        last_grace: Duration::from_millis(100),
        ..timing()
    }
}

async fn begun(node: &mut Node) {
    node.sees("a run begun", |event| {
        matches!(event, Event::RunStarted { .. }).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_goes_over_at_once_while_handlers_may_end_within_their_grace() {
    let (store, log) = (store(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let tasks = gated(&log, &gate, true);
    put(&store, [job("j", "wait", json!({}))]).await;
    let mut slow = Node::start(&store, "slow", &tasks, timing());
    slow.leads().await;
    run_now(&store, "j").await;
    begun(&mut slow).await;
    let mut next = Node::start(&store, "next", &tasks, timing());
    next.is_registered().await;
    let told = Instant::now();
    slow.shutdown.cancel();
    next.leads().await;
    // Far less than what a takeover or the lease's end would take.
    assert!(
        told.elapsed() < Duration::from_millis(700),
        "{:?}",
        told.elapsed()
    );
    assert!(
        !slow.running.is_finished(),
        "its handler is still at the gate"
    );
    gate.add_permits(1);
    slow.stop().await;
    next.stop().await;
    let records = run_records(&store).await;
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].outcome, records[0].node.as_str()),
        (Outcome::Succeeded, "slow")
    );
    assert!(is_idle(&store).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_and_not_begun_is_given_back() {
    let (store, log) = (store(), Log::default());
    put(
        &store,
        (0..10).map(|n| job(&format!("{n}"), "note", json!({}))),
    )
    .await;
    let faulty = Faulty::new(store.clone());
    // Without definitions nothing can be begun.
    faulty.faults().freeze(&["definitions"]);
    let node = Node::start(&faulty, "a", &noting(&log), timing());
    for n in 0..10 {
        run_now(&store, &format!("{n}")).await;
    }
    let ready = || async {
        let queues = store.overview().await.unwrap().queues;
        queues.iter().map(|queue| queue.ready).sum::<u64>()
    };
    until("all slots are claimed", || async { ready().await == 2 }).await;
    node.stop().await;
    assert_eq!(ready().await, 10);
    assert_eq!(run_records(&store).await, []);
    let node = Node::start(&store, "b", &noting(&log), timing());
    until("all ran", || async { is_idle(&store).await }).await;
    node.stop().await;
    assert!(log.read().keys().all(|(_, attempt)| *attempt == 1));
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_come_with_the_last_answer_are_given_back() {
    let (store, log) = (store(), Log::default());
    put(&store, [job("j", "note", json!({ "on_lost": "fail" }))]).await;
    let faulty = Faulty::new(store.clone());
    let mut node = Node::start(&faulty, "a", &noting(&log), timing());
    node.is_registered().await;
    // The run is claimed, and the node does not hear of it before it is told to stop.
    faulty.faults().lose("exchange", usize::MAX);
    run_now(&store, "j").await;
    let ready = || async {
        let queues = store.overview().await.unwrap().queues;
        queues.iter().map(|queue| queue.ready).sum::<u64>()
    };
    until("it is claimed", || async { ready().await == 0 }).await;
    node.shutdown.cancel();
    tokio::task::yield_now().await;
    faulty.faults().lose("exchange", 0);
    node.stop().await;
    assert_eq!(ready().await, 1);
    let node = Node::start(&store, "b", &noting(&log), timing());
    until("it ran", || async { is_idle(&store).await }).await;
    node.stop().await;
    let records = run_records(&store).await;
    let told: Vec<_> = records.iter().map(|r| (r.outcome, r.attempt)).collect();
    assert_eq!(told, [(Outcome::Succeeded, 1)]);
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_outlive_the_grace_are_stopped_and_run_again_elsewhere() {
    for listens in [true, false] {
        let (store, log) = (store(), Log::default());
        let gate = Arc::new(Semaphore::new(0));
        let tasks = gated(&log, &gate, listens);
        put(&store, [job("j", "wait", json!({}))]).await;
        let mut slow = Node::start(&store, "slow", &tasks, impatient());
        run_now(&store, "j").await;
        begun(&mut slow).await;
        let counts = slow.stop_and_count().await;
        assert_eq!(counts.overruns, u64::from(!listens));
        let node = Node::start(&store, "b", &tasks, timing());
        until("it ran again", || async { is_idle(&store).await }).await;
        node.stop().await;
        let records = run_records(&store).await;
        let told: Vec<_> = records
            .iter()
            .map(|r| (r.outcome, r.attempt, r.node.as_str()))
            .collect();
        assert_eq!(
            told,
            [(Outcome::Retrying, 1, "slow"), (Outcome::Succeeded, 2, "b")]
        );
        log.assert_once();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_does_not_keep_the_node_from_stopping() {
    let (store, log) = (store(), Log::default());
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let mut tasks = Tasks::new();
    let noted = log.clone();
    let block = move |context: Context, (): ()| {
        let (noted, blocked) = (noted.clone(), Arc::clone(&blocked));
        async move {
            noted.note(&context);
            if context.attempt() == 1 {
                let _ = blocked.lock().unwrap().recv();
            }
            Ok::<(), String>(())
        }
    };
    tasks.register("block", block).unwrap();
    put(&store, [job("j", "block", json!({}))]).await;
    let mut slow = Node::start(&store, "slow", &tasks, impatient());
    run_now(&store, "j").await;
    begun(&mut slow).await;
    slow.stop().await;
    let records = run_records(&store).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].outcome, Outcome::Retrying);
    drop(release);
    let node = Node::start(&store, "b", &tasks, timing());
    until("it ran again", || async { is_idle(&store).await }).await;
    node.stop().await;
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_stop_when_trust_ends_and_run_again_when_it_is_back() {
    let (store, log) = (store(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let tasks = gated(&log, &gate, true);
    put(&store, [job("j", "wait", json!({}))]).await;
    let faulty = Faulty::new(store.clone());
    let mut slow = Node::start(&faulty, "slow", &tasks, timing());
    run_now(&store, "j").await;
    begun(&mut slow).await;
    faulty.faults().freeze(&["heartbeat"]);
    slow.sees("trust lost", |event| {
        matches!(event, Event::TrustLost { .. }).then_some(())
    })
    .await;
    let ended = slow
        .sees("the handler stopped", |event| match event {
            Event::Ended(record) => Some((record.outcome, record.attempt)),
            _ => None,
        })
        .await;
    assert_eq!(ended, (Outcome::Retrying, 1));
    assert_eq!(log.read().len(), 1, "nothing is begun without trust");
    faulty.faults().thaw();
    until("it ran again", || async { is_idle(&store).await }).await;
    assert_eq!((slow.counts)().trust_lost, 1);
    slow.stop().await;
    let outcomes: Vec<_> = run_records(&store)
        .await
        .iter()
        .map(|r| r.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Retrying, Outcome::Succeeded]);
    log.assert_once();
}

/// Declares a session dead, as a sweeper would.
async fn fence(store: &impl Shard, session: &SessionId) {
    loop {
        let sessions = store.sessions().await.unwrap();
        let beat = sessions
            .iter()
            .find(|s| s.session == *session)
            .unwrap()
            .beat;
        let session = session.clone();
        let request = FenceSession { session, beat };
        if store.fence_session(&request).await.unwrap() == FenceAnswer::Fenced {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_session_is_gone_begins_another_and_its_runs_come_back() {
    let (store, log) = (store(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let tasks = gated(&log, &gate, true);
    put(&store, [job("j", "wait", json!({}))]).await;
    let mut slow = Node::start(&store, "slow", &tasks, timing());
    let first = slow.is_registered().await;
    run_now(&store, "j").await;
    begun(&mut slow).await;
    fence(&store, &first).await;
    let gone = slow
        .sees("its end", |event| match event {
            Event::SessionGone { session } => Some(session.clone()),
            _ => None,
        })
        .await;
    assert_eq!(gone, first);
    assert_ne!(slow.is_registered().await, first);
    until("it ran again", || async { is_idle(&store).await }).await;
    slow.stop().await;
    let told: Vec<_> = run_records(&store).await;
    let told: Vec<_> = told.iter().map(|r| (r.outcome, r.attempt)).collect();
    assert_eq!(told, [(Outcome::Retrying, 1), (Outcome::Succeeded, 2)]);
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_heart_reaches_nobody_learns_that_its_session_is_gone() {
    let (store, log) = (store(), Log::default());
    for leads in [true, false] {
        let faulty = Faulty::new(store.clone());
        let mut other = None;
        if !leads {
            let mut node = Node::start(&store, "other", &noting(&log), timing());
            node.leads().await;
            other = Some(node);
        }
        let mut node = Node::start(&faulty, "cut-off", &noting(&log), timing());
        let first = node.is_registered().await;
        if leads {
            node.leads().await;
        }
        faulty.faults().freeze(&["heartbeat"]);
        node.sees("trust lost", |event| {
            matches!(event, Event::TrustLost { .. }).then_some(())
        })
        .await;
        if leads {
            fence(&store, &first).await;
        }
        node.sees("its end", |event| {
            matches!(event, Event::SessionGone { .. }).then_some(())
        })
        .await;
        assert_ne!(node.is_registered().await, first);
        faulty.faults().thaw();
        node.stop().await;
        if let Some(other) = other {
            other.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runs_of_a_node_that_fell_silent_are_recovered_after_its_handlers_stopped() {
    let (store, log) = (store(), Log::default());
    let (stopped, again) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut tasks = Tasks::new();
    let (noted, flags) = (log.clone(), (Arc::clone(&stopped), Arc::clone(&again)));
    let run = move |context: Context, (): ()| {
        let (log, (stopped, again)) = (noted.clone(), flags.clone());
        async move {
            log.note(&context);
            if context.attempt() == 1 {
                context.cancellation().cancelled().await;
                assert_eq!(again.available_permits(), 0, "two attempts at once");
                stopped.add_permits(1);
            } else {
                again.add_permits(1);
                assert_eq!(stopped.available_permits(), 1, "two attempts at once");
            }
            Ok::<(), String>(())
        }
    };
    tasks.register("run", run).unwrap();
    let on_lost = |what: &str| json!({ "on_lost": what });
    put(&store, [job("retry", "run", on_lost("retry"))]).await;
    let faulty = Faulty::new(store.clone());
    let mut silent = Node::start(&faulty, "silent", &tasks, timing());
    silent.leads().await;
    let run = run_now(&store, "retry").await;
    begun(&mut silent).await;
    let mut other = Node::start(&store, "other", &tasks, timing());
    let session = other.is_registered().await;
    faulty.faults().freeze(&[ALL]);
    let fenced = other
        .sees("the silent node's end", |event| match event {
            Event::SessionFenced { session, .. } => Some(session.clone()),
            _ => None,
        })
        .await;
    assert_ne!(fenced, session);
    until("it ran again", || async { is_idle(&store).await }).await;
    faulty.faults().thaw();
    silent
        .sees("its end", |event| {
            matches!(event, Event::SessionGone { .. }).then_some(())
        })
        .await;
    silent.stop().await;
    other.stop().await;
    let told: Vec<_> = run_records(&store).await;
    let told: Vec<_> = told
        .iter()
        .map(|r| (r.run.clone(), r.outcome, r.attempt, r.node.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (run.clone(), Outcome::Retrying, 1, "silent"),
            (run, Outcome::Succeeded, 2, "other")
        ]
    );
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_the_node_does_not_know_of_is_found_and_run() {
    let (store, log) = (store(), Log::default());
    put(&store, [job("j", "note", json!({}))]).await;
    let faulty = Faulty::new(store.clone());
    faulty.faults().freeze(&["exchange"]);
    faulty.faults().lose("resync", 2);
    let mut node = Node::start(&faulty, "a", &noting(&log), timing());
    let session = node.is_registered().await;
    run_now(&store, "j").await;
    // Claimed for this node's session behind its back.
    let wish = ClaimWish::in_order(&[QueueName::default_queue()], 1);
    let request = Exchange {
        generation: Generation(1),
        session,
        lane: 1,
        request: 1,
        floor: 0,
        settled: Vec::new(),
        wish: Some(wish),
    };
    let answer = store.exchange(&request).await.unwrap();
    assert!(matches!(answer, ExchangeAnswer::Exchanged(e) if e.claims.len() == 1));
    faulty.faults().thaw();
    until("it ran", || async { is_idle(&store).await }).await;
    assert_eq!((node.counts)().found, 1);
    assert_eq!(faulty.faults().lost("resync"), 2);
    node.stop().await;
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_dropped_stops_its_handlers_and_its_heart() {
    let (store, log) = (store(), Log::default());
    let stopped = Arc::new(Semaphore::new(0));
    let mut tasks = Tasks::new();
    let (noted, told) = (log.clone(), Arc::clone(&stopped));
    let run = move |context: Context, (): ()| {
        let (log, stopped) = (noted.clone(), Arc::clone(&told));
        async move {
            log.note(&context);
            if context.attempt() == 1 {
                context.cancellation().cancelled().await;
                stopped.add_permits(1);
            }
            Ok::<(), String>(())
        }
    };
    tasks.register("run", run).unwrap();
    put(&store, [job("j", "run", json!({}))]).await;
    let mut dropped = Node::start(&store, "dropped", &tasks, timing());
    run_now(&store, "j").await;
    begun(&mut dropped).await;
    dropped.running.abort();
    let stopping = tokio::time::timeout(LIMIT, stopped.acquire());
    assert!(stopping.await.is_ok(), "its handler was told to stop");
    let other = Node::start(&store, "other", &tasks, timing());
    until("it ran again", || async { is_idle(&store).await }).await;
    other.stop().await;
    log.assert_once();
    assert_eq!(log.read().len(), 2);
}
