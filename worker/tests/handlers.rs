//! Handlers: what they take, what stands around them, and where they run.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use carillon::core::run::Outcome;
use carillon::core::{Job, MemoryStore};
use carillon::task::{BoxError, Call, FromRun, Next, TaskResult};
use carillon::{Args, Context, Event, Scheduler, SchedulerBuilder, State, Timing};
use serde::Deserialize;
use serde_json::{Value, json};
use support::*;
use tokio_util::sync::CancellationToken;

/// Runs the jobs once each, one after the other, and answers with the outcome and the detail of
/// each.
async fn run_each(
    scheduler: SchedulerBuilder<MemoryStore>,
    store: &MemoryStore,
    ids: &[&str],
) -> Vec<(Outcome, Option<String>)> {
    let scheduler = scheduler.build().unwrap();
    let mut events = scheduler.events();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(scheduler.run(shutdown.clone()));
    for id in ids {
        let run = run_now(store, id).await;
        let ended = |event: &Event| match event {
            Event::Ended(record) => (record.run == run).then_some(()),
            _ => None,
        };
        events.find(LIMIT, ended).await.unwrap();
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let records = run_records(store).await;
    records.into_iter().map(|r| (r.outcome, r.detail)).collect()
}

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

#[derive(Clone)]
struct Pool(Arc<Mutex<Vec<String>>>);

struct Tenant(String);

impl FromRun for Tenant {
    async fn from_run(call: &Call) -> Result<Self, BoxError> {
        match call.context().job_id().as_str().split_once('/') {
            Some((tenant, _)) => Ok(Self(tenant.to_owned())),
            None => Err("no tenant".into()),
        }
    }
}

async fn greet(
    State(pool): State<Pool>,
    tenant: Tenant,
    context: Context,
    job: Arc<Job>,
    Args(greeting): Args<Greeting>,
) -> Result<String, std::fmt::Error> {
    assert_eq!(job.id(), context.job_id());
    pool.0.lock().unwrap().push(greeting.name.clone());
    Ok(format!("{} of {}", greeting.name, tenant.0))
}

#[tokio::test]
async fn a_handler_gets_what_its_parameters_ask_for() {
    let store = store();
    let args = json!({ "args": { "name": "Ada" } });
    put(
        &store,
        [
            job("acme/greet", "greet", args.clone()),
            job("greet", "greet", args),
            job("acme/wrong", "greet", json!({ "args": { "name": 7 } })),
            job("raw", "raw", json!({ "args": [1, 2] })),
            job("unit", "unit", json!({})),
        ],
    )
    .await;
    let pool = Pool(Arc::default());
    let scheduler = Scheduler::builder(store.clone())
        .state(pool.clone())
        .task("greet", greet)
        .task("raw", |args: Value| async move {
            Ok::<_, BoxError>(args.to_string())
        })
        .task("unit", || async {});
    let ids = ["acme/greet", "greet", "acme/wrong", "raw", "unit"];
    let ended = run_each(scheduler, &store, &ids).await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        ended,
        [
            (Outcome::Succeeded, text("Ada of acme")),
            (Outcome::Failed, text("no tenant")),
            (
                Outcome::Failed,
                text(
                    "args do not fit task \"greet\": invalid type: integer `7`, expected a string"
                )
            ),
            (Outcome::Succeeded, text("[1,2]")),
            (Outcome::Succeeded, None),
        ]
    );
    assert_eq!(*pool.0.lock().unwrap(), ["Ada"]);
}

#[test]
fn a_scheduler_without_a_state_that_a_task_takes_is_refused() {
    let build = || Scheduler::in_memory().task("greet", greet);
    let error = build().build().unwrap_err().to_string();
    assert!(
        error.starts_with("task \"greet\" takes State<handlers::Pool>, and the scheduler has none"),
        "{error}"
    );
    build().state(Pool(Arc::default())).build().unwrap();
}

#[test]
fn a_task_by_a_bad_name_is_refused_by_it() {
    let bad = Scheduler::in_memory().task("no\nname", || async {});
    let error = bad.build().unwrap_err().to_string();
    assert!(error.starts_with("task \"no\\nname\": "), "{error}");
}

#[tokio::test]
async fn layers_stand_around_each_handler_the_first_outermost() {
    let store = store();
    put(
        &store,
        [job("a", "note", json!({})), job("b", "note", json!({}))],
    )
    .await;
    let seen: Arc<Mutex<Vec<&str>>> = Arc::default();
    let noting = |before: &'static str, after: &'static str| {
        let seen = Arc::clone(&seen);
        move |call: Call, next: Next| {
            let seen = Arc::clone(&seen);
            async move {
                seen.lock().unwrap().push(before);
                let result = next.run(call).await;
                seen.lock().unwrap().push(after);
                result
            }
        }
    };
    async fn refuse_b(call: Call, next: Next) -> TaskResult {
        if call.context().job_id().as_str() == "b" {
            return Err("b may not".into());
        }
        Ok(next.run(call).await?.map(|output| format!("<{output}>")))
    }
    let scheduler = Scheduler::builder(store.clone())
        .task("note", || async { Ok::<_, BoxError>("done") })
        .layer(noting("outer in", "outer out"))
        .layer(refuse_b)
        .layer(noting("inner in", "inner out"));
    let ended = run_each(scheduler, &store, &["a", "b"]).await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        ended,
        [
            (Outcome::Succeeded, text("<done>")),
            (Outcome::Failed, text("b may not"))
        ]
    );
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "outer in",
            "inner in",
            "inner out",
            "outer out",
            "outer in",
            "outer out"
        ]
    );
}

#[tokio::test]
async fn blocking_handlers_have_a_limit_of_their_own() {
    let store = store();
    put(
        &store,
        (0..6).map(|n| job(&format!("{n}"), "block", json!({ "args": n }))),
    )
    .await;
    for n in 0..6 {
        run_now(&store, &format!("{n}")).await;
    }
    // Each waits until another has come: so two are at work at once, and never three.
    let pairs = Arc::new(std::sync::Barrier::new(2));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (Arc::clone(&now), Arc::clone(&most));
    let block = move |Args(_): Args<u32>, _: Context| {
        let (now, most) = &counters;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        pairs.wait();
        now.fetch_sub(1, Ordering::SeqCst);
    };
    let scheduler = Scheduler::builder(store.clone())
        .blocking_task("block", block)
        .blocking_limit(2)
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(scheduler.run(shutdown.clone()));
    until("all ran", || async { is_idle(&store).await }).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(run_records(&store).await.len(), 6);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_panic_on_a_blocking_thread_is_told_as_one() {
    let store = store();
    put(&store, [job("j", "panic", json!({}))]).await;
    let panics = || -> Result<(), BoxError> { panic!("on purpose") };
    let scheduler = Scheduler::builder(store.clone()).blocking_task("panic", panics);
    let ended = run_each(scheduler, &store, &["j"]).await;
    assert_eq!(
        ended,
        [(Outcome::Failed, Some("panicked: on purpose".to_owned()))]
    );
}

/// A handler that computes and never awaits holds up every thread of the runtime. The heart has a
/// thread of its own, so the node lives through several ttls of it, and the run stays its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_compute_do_not_starve_the_heartbeats() {
    let store = store();
    put(
        &store,
        (0..4).map(|n| job(&format!("{n}"), "compute", json!({ "max_instances": 1 }))),
    )
    .await;
    let ttl = Duration::from_secs(1);
    let freed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&freed);
    let compute = move || {
        let seen = Arc::clone(&seen);
        async move {
            let begun = Instant::now();
            while begun.elapsed() < ttl * 3 && !seen.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
    };
    let timing = Timing {
        session_ttl: ttl,
        ..Timing::default()
    };
    let scheduler = Scheduler::builder(store.clone())
        .task("compute", compute)
        .timing(timing)
        .build()
        .unwrap();
    let (mut events, counts) = (scheduler.events(), scheduler.counters());
    for n in 0..4 {
        run_now(&store, &format!("{n}")).await;
    }
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(scheduler.run(shutdown.clone()));
    let begun = |event: &Event| matches!(event, Event::RunStarted { .. }).then_some(());
    events.find(LIMIT, begun).await.unwrap();
    until("all ran", || async { is_idle(&store).await }).await;
    freed.store(true, Ordering::Relaxed);
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let records = run_records(&store).await;
    assert_eq!(records.len(), 4);
    for record in records {
        assert_eq!((record.outcome, record.attempt), (Outcome::Succeeded, 1));
    }
    assert_eq!((counts().trust_lost, counts().stale), (0, 0));
}
