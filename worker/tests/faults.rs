//! A store that loses answers, stands still, or is away: nothing is doubled, nothing is stuck.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::{Duration, Instant};

use carillon::core::run::Outcome;
use carillon::core::store::{Changed, RemoveJob, RequestId};
use carillon::core::{JobId, Store, change};
use carillon::{Event, Retention, Scheduler, Tasks};
use serde_json::json;
use support::faulty::{ALL, Faulty};
use support::*;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Removes a job, so that nothing new comes of it.
async fn remove(store: &impl Store, id: &JobId) {
    loop {
        let read = store
            .jobs(std::slice::from_ref(id))
            .await
            .unwrap()
            .remove(0);
        let Some(stored) = read.stored else {
            return;
        };
        let removal = change::remove(&stored, read.now);
        let request = RemoveJob {
            request: RequestId(Uuid::now_v7()),
            job: id.clone(),
            version: stored.version,
            next_fire: stored.next_fire,
            skips: removal.skips,
            next: removal.next,
            detail: None,
        };
        if let Changed::Done(_) = store.remove(&request).await.unwrap() {
            return;
        }
    }
}

/// When a node comes to an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    AtTheStart,
    Always,
    AtTheEnd,
}

/// Runs jobs on a node that loses three answers of an operation, and sees that each run was begun
/// once and that nothing is in flight at the end.
async fn loses_answers_of(operation: &'static str, when: When) {
    let (store, log) = (store(), Log::default());
    let faulty = Faulty::new(store.clone());
    let faults = faulty.faults();
    let jobs: Vec<_> = (0..5)
        .map(|n| job(&format!("job {n}"), "note", every(0.1)))
        .collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id().clone()).collect();
    put(&store, jobs).await;
    if when == When::AtTheStart {
        faults.lose(operation, 3);
    }
    let node = Node::start(&faulty, "a", &noting(&log), timing());
    let more_runs = async |count: usize| {
        let before = log.read().len();
        until("more runs", || async { log.read().len() >= before + count }).await;
    };
    more_runs(5).await;
    for lost in 1..=3 {
        if when != When::Always {
            break;
        }
        // One by one, in the middle of work: each time something else is lost.
        faults.lose(operation, 1);
        until(operation, || async { faults.lost(operation) == lost }).await;
        more_runs(5).await;
    }
    for id in &ids {
        remove(&store, id).await;
    }
    until("nothing in flight", || async { is_idle(&store).await }).await;
    if when == When::AtTheEnd {
        faults.lose(operation, 3);
    }
    let counts = node.stop_and_count().await;
    assert_eq!(faults.lost(operation), 3, "{operation}");
    log.assert_once();
    assert_eq!(counts.stale, 0, "{operation}");
    assert_eq!(
        counts.found, 0,
        "{operation}: asked again, it answers as before"
    );
    let records = run_records(&store).await;
    let succeeded = records.iter().filter(|r| r.outcome == Outcome::Succeeded);
    assert_eq!(succeeded.count(), log.read().len(), "{operation}");
    assert!(store.nodes().await.unwrap().is_empty(), "{operation}");
    assert_eq!(
        store.overview().await.unwrap().leader(),
        None,
        "{operation}"
    );
}

macro_rules! lost_answers {
    ($($operation:ident: $when:ident,)*) => {
        mod lost_answers_of {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $operation() {
                    super::loses_answers_of(stringify!($operation), super::When::$when).await;
                }
            )*
        }
    };
}

lost_answers! {
    register: AtTheStart,
    observe: AtTheStart,
    acquire: AtTheStart,
    definitions: AtTheStart,
    heartbeat: Always,
    peek: Always,
    dispatch: Always,
    exchange: Always,
    wait: Always,
    sessions: Always,
    dead_claims: Always,
    release: AtTheEnd,
    leave: AtTheEnd,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_while_putting_aside_and_promoting_leave_nothing_stuck() {
    let (store, log) = (store(), Log::default());
    let faulty = Faulty::new(store.clone());
    faulty.faults().lose("promote", 3);
    faulty.faults().lose("exchange", 3);
    put(&store, [job("j", "note", json!({}))]).await;
    run_now(&store, "j").await;
    let without = Node::start(&faulty, "without", &Tasks::new(), timing());
    until("it was put aside and promoted", || async {
        faulty.faults().lost("promote") == 3
    })
    .await;
    let with = Node::start(&store, "with", &noting(&log), timing());
    until("it ran", || async { is_idle(&store).await }).await;
    without.stop().await;
    with.stop().await;
    log.assert_once();
    assert_eq!(log.read().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_while_recovering_leave_nothing_stuck() {
    let (store, log) = (store(), Log::default());
    put(
        &store,
        (0..8).map(|n| job(&format!("{n}"), "note", json!({}))),
    )
    .await;
    for n in 0..8 {
        run_now(&store, &format!("{n}")).await;
    }
    // A node that claims and then never answers again.
    let dying = Faulty::new(store.clone());
    dying.faults().freeze(&["definitions"]);
    let dead = Node::start(&dying, "dead", &noting(&log), timing());
    until("all are claimed", || async {
        let queues = store.overview().await.unwrap().queues;
        queues.iter().all(|queue| queue.ready == 0)
    })
    .await;
    dying.faults().freeze(&[ALL]);
    let faulty = Faulty::new(store.clone());
    for operation in [
        "fence_session",
        "drain",
        "dead_claims",
        "sessions",
        "exchange",
    ] {
        faulty.faults().lose(operation, 2);
    }
    // It fences twice although the first answer is lost: the second time there is nothing to do.
    let node = Node::start(&faulty, "a", &noting(&log), timing());
    until("all ran", || async { is_idle(&store).await }).await;
    assert!(faulty.faults().lost("drain") >= 1);
    node.stop().await;
    dead.running.abort();
    log.assert_once();
    let ran = log.read();
    assert_eq!(ran.len(), 8);
    assert!(
        ran.iter()
            .all(|((_, attempt), nodes)| *attempt == 2 && nodes[0] == "a")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_from_a_leader_that_stands_still() {
    let (store, log) = (store(), Log::default());
    let tasks = noting(&log);
    put(&store, [job("j", "note", every(0.2))]).await;
    let frozen = Faulty::new(store.clone());
    let mut leader = Node::start(&frozen, "leader", &tasks, timing());
    leader.leads().await;
    let mut standby = Node::start(&store, "standby", &tasks, timing());
    standby.is_registered().await;
    until("it runs", || async { !log.read().is_empty() }).await;
    // A new leader is left alone for a moment, and must have had it.
    until("some fires", || async { log.read().len() >= 6 }).await;
    // The node lives, its loop does not: no heartbeat could tell.
    frozen.faults().freeze(&["peek", "dispatch"]);
    standby.leads().await;
    let before = log.read().len();
    until("it fires on", || async { log.read().len() >= before + 3 }).await;
    frozen.faults().thaw();
    leader
        .sees("its lease lost", |event| {
            matches!(event, Event::LeaseLost { .. }).then_some(())
        })
        .await;
    let before = log.read().len();
    until("it fires on", || async { log.read().len() >= before + 3 }).await;
    leader.stop().await;
    standby.stop().await;
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_at_the_start_and_later_is_waited_for() {
    let (store, log) = (store(), Log::default());
    put(&store, [job("j", "note", every(0.1))]).await;
    let faulty = Faulty::new(store.clone());
    faulty.faults().cut(&[ALL]);
    let mut node = Node::start(&faulty, "a", &noting(&log), timing());
    let nothing = node
        .events
        .find(Duration::from_millis(300), |_| Some(()))
        .await;
    assert_eq!(nothing, None);
    faulty.faults().mend();
    node.leads().await;
    until("it runs", || async { !log.read().is_empty() }).await;
    faulty.faults().cut(&[ALL]);
    node.sees("trust lost", |event| {
        matches!(event, Event::TrustLost { .. }).then_some(())
    })
    .await;
    faulty.faults().mend();
    let before = log.read().len();
    until("it runs on", || async { log.read().len() >= before + 3 }).await;
    node.stop().await;
    log.assert_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_be_stopped_while_the_store_is_away() {
    for frozen in [true, false] {
        let (store, log) = (store(), Log::default());
        put(&store, [job("j", "note", json!({}))]).await;
        let faulty = Faulty::new(store.clone());
        let mut node = Node::start(&faulty, "a", &noting(&log), timing());
        node.leads().await;
        let away = |operations: &[&'static str]| match frozen {
            true => faulty.faults().freeze(operations),
            false => faulty.faults().cut(operations),
        };
        // With something to hand in, and nobody to take it.
        faulty.faults().lose("exchange", usize::MAX);
        run_now(&store, "j").await;
        until("an answer is lost", || async {
            faulty.faults().lost("exchange") > 0
        })
        .await;
        away(&[ALL]);
        let told = Instant::now();
        node.stop().await;
        // Far less than the grace, for no handler needs it.
        assert!(
            told.elapsed() < Duration::from_secs(20),
            "{:?}",
            told.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_in_nothing_more_is_tidied_still() {
    let (store, log) = (store(), Log::default());
    let faulty = Faulty::new(store.clone());
    faulty.faults().refuse(&["dispatch", "promote"]);
    put(&store, [job("j", "note", every(0.1))]).await;
    until("it is due", || async {
        store.overview().await.unwrap().due > 0
    })
    .await;
    let mut node = Node::start(&faulty, "a", &noting(&log), timing());
    node.leads().await;
    until("it is tidied", || async {
        faulty.faults().done("tidy") > 0
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_past_keeping_is_forgotten_without_long_pauses() {
    let (store, log) = (store(), Log::default());
    let many = || json!({ "max_instances": 1_000 });
    put(&store, ["j", "k", "l"].map(|id| job(id, "note", many()))).await;
    // More than two calls forget: each forgets a thousand.
    for id in ["j", "k", "l"].into_iter().cycle().take(2_500) {
        run_now(&store, id).await;
    }
    let node = Node::start(&store, "a", &noting(&log), timing());
    until("all ran", || async { is_idle(&store).await }).await;
    node.stop().await;
    assert_eq!(run_records(&store).await.len(), 2_500);
    let retention = Retention {
        history: 10,
        ..Retention::default()
    };
    let scheduler = Scheduler::builder(store.clone())
        .retention(retention)
        .build()
        .unwrap();
    let (begun, shutdown) = (Instant::now(), CancellationToken::new());
    let running = tokio::spawn(scheduler.run(shutdown.clone()));
    until("the oldest are forgotten", || async {
        run_records(&store).await.len() <= 10
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_cannot_be_had_keeps_only_its_own_runs_waiting() {
    let (store, log) = (store(), Log::default());
    let ids = ["bad", "b", "c"];
    put(&store, ids.map(|id| job(id, "note", json!({})))).await;
    for id in ids {
        run_now(&store, id).await;
    }
    let faulty = Faulty::new(store.clone());
    faulty.faults().poison("bad".parse().unwrap());
    let node = Node::start(&faulty, "a", &noting(&log), timing());
    until("the others run", || async { log.read().len() == 2 }).await;
    faulty.faults().cure();
    until("all ran", || async { is_idle(&store).await }).await;
    node.stop().await;
    log.assert_once();
    assert_eq!(log.read().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_make_no_sense_are_asked_for_less_and_less_often() {
    for operation in ["exchange", "resync"] {
        let (store, log) = (store(), Log::default());
        put(&store, [job("j", "note", json!({}))]).await;
        let faulty = Faulty::new(store.clone());
        let mut node = Node::start(&faulty, "a", &noting(&log), timing());
        node.leads().await;
        faulty.faults().corrupt(operation);
        if operation == "resync" {
            // One exchange that makes no sense is enough to ask what the session holds.
            faulty.faults().garble("exchange");
        }
        run_now(&store, "j").await;
        until("trouble", || async {
            faulty.faults().failed(operation) > 0
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let failed = faulty.faults().failed(operation);
        assert!(failed <= 10, "{operation}: {failed} in two seconds");
        faulty.faults().refuse(&[]);
        until("it ran", || async { is_idle(&store).await }).await;
        node.stop().await;
        log.assert_once();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_versions_that_a_leader_sees_are_none_to_be_given_again() {
    let (store, log) = (store(), Log::default());
    let faulty = Faulty::new(store.clone());
    let mut node = Node::start(&faulty, "a", &noting(&log), timing());
    node.leads().await;
    // Its runs are for other nodes: no claim shows a higher number.
    let mut elsewhere = every(0.1);
    elsewhere["queue"] = json!("elsewhere");
    put(&store, [job("j", "note", elsewhere)]).await;
    let read = store.jobs(&["j".parse().unwrap()]).await.unwrap().remove(0);
    let version = read.stored.unwrap().version.0;
    until("it is seen", || async {
        faulty.faults().floor() >= version
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_job_that_cannot_be_read_holds_up_nobody() {
    let (store, log) = (store(), Log::default());
    let faulty = Faulty::new(store.clone());
    let spoilt: JobId = "spoilt".parse().unwrap();
    faulty.faults().spoil(spoilt.clone());
    faulty.faults().lose("park", 1);
    put(&store, [job("spoilt", "note", every(0.1))]).await;
    put(&store, [job("good", "note", every(0.2))]).await;
    let node = Node::start(&faulty, "a", &noting(&log), timing());
    until("the good one runs", || async { log.read().len() >= 5 }).await;
    node.stop().await;
    log.assert_once();
    assert!(log.read().keys().all(|(run, _)| run.job != spoilt));
    assert_eq!(faulty.faults().lost("park"), 1);
    let stored = store
        .jobs(&[spoilt])
        .await
        .unwrap()
        .remove(0)
        .stored
        .unwrap();
    assert_eq!(stored.next_fire, None, "it is no longer due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_over_is_retired_after_its_last_run() {
    let (store, log) = (store(), Log::default());
    let faulty = Faulty::new(store.clone());
    faulty.faults().lose("retire", 1);
    let once = json!({ "trigger": { "type": "date" } });
    put(
        &store,
        (0..3).map(|n| job(&format!("{n}"), "note", once.clone())),
    )
    .await;
    let node = Node::start(&faulty, "a", &noting(&log), timing());
    until("no jobs are left", || async {
        store.overview().await.unwrap().jobs == 0
    })
    .await;
    node.stop().await;
    log.assert_once();
    assert_eq!(log.read().len(), 3);
    assert_eq!(faulty.faults().lost("retire"), 1);
}
