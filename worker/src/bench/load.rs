//! The load: jobs that are all due on the same second.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::BoxFuture;
use hdrhistogram::Histogram;
use scheduler_core::store::{Changed, PutJob, RequestId};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, JobId, Namespace, NodeName, Store, TaskName, change};
use scheduler_redis::{RedisConfig, RedisStore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bench::report::Report;
use crate::bench::server::{self, Work};
use crate::scheduler::Scheduler;
use crate::task::{Call, Handler, TaskResult, Tasks};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Recurring {
    /// How many jobs.
    pub jobs: usize,
    /// How often each of them is due, in whole seconds.
    pub every: u32,
    /// How many nodes share the work.
    pub nodes: usize,
    /// How many runs each node executes at once.
    pub concurrency: usize,
    /// For how long to measure.
    pub measure: Duration,
}

/// How many jobs are put by one request.
const PUT_AT_ONCE: usize = 200;

/// How long the nodes run before anything is measured: leases, caches and scripts settle.
const WARM_UP: Duration = Duration::from_secs(3);

/// What the handlers have seen.
#[derive(Debug)]
struct Tally {
    counting: AtomicBool,
    fires: AtomicU64,
    /// Lateness in microseconds.
    lateness: Mutex<Histogram<u64>>,
}

impl Tally {
    fn new() -> Result<Self> {
        // A minute at most, to three digits.
        let lateness = Mutex::new(Histogram::new_with_bounds(1, 60_000_000, 3)?);
        Ok(Self {
            counting: AtomicBool::new(false),
            fires: AtomicU64::new(0),
            lateness,
        })
    }
}

/// Does nothing but being counted.
struct Noop(Arc<Tally>);

impl Handler for Noop {
    fn call(&self, call: Call) -> BoxFuture<'static, TaskResult> {
        let context = call.context();
        if self.0.counting.load(Ordering::Relaxed) {
            self.0.fires.fetch_add(1, Ordering::Relaxed);
            let late = context.started_at().since(context.scheduled_at());
            let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
            let mut lateness = self
                .0
                .lateness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            lateness.saturating_record(us.max(1));
        }
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Runs `load` on the Redis at `config`, and tells how it went; `progress` is called with what is
/// being done.
///
/// # Errors
///
/// Where the server cannot be reached, or a node fails.
pub async fn recurring(
    config: &RedisConfig,
    load: &Recurring,
    mut progress: impl FnMut(&str),
) -> Result<Report> {
    let name = format!("bench-{}", Uuid::now_v7().simple());
    let namespace = Namespace::new(&name)?;
    let store = RedisStore::new(config.clone(), namespace.clone());
    store.load_scripts().await?;
    let mut redis = store.connection().await?;

    progress(&format!("putting {} jobs", load.jobs));
    put_jobs(&store, load).await?;

    progress(&format!("warming up {} nodes", load.nodes));
    let tally = Arc::new(Tally::new()?);
    let stop = CancellationToken::new();
    let mut nodes = JoinSet::new();
    for number in 1..=load.nodes {
        let mut tasks = Tasks::new();
        tasks.insert(TaskName::new("noop")?, Arc::new(Noop(Arc::clone(&tally))));
        let scheduler = Scheduler::builder(RedisStore::new(config.clone(), namespace.clone()))
            .node(NodeName::new(format!("bench-{number}"))?)
            .tasks(tasks)
            .concurrency(load.concurrency)
            .build()?;
        nodes.spawn(scheduler.run(stop.clone()));
    }
    tokio::time::sleep(WARM_UP).await;

    // From half past a second to half past a later one: each measured second is whole.
    let half_past = Duration::from_millis(500);
    tokio::time::sleep(until_next_second(&store).await? + half_past).await;
    progress(&format!("measuring for {} s", load.measure.as_secs()));
    let before = Work::read(&mut redis).await?;
    tally.counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(load.measure).await;
    tally.counting.store(false, Ordering::Relaxed);
    let after = Work::read(&mut redis).await?;
    let overview = store.overview().await?;

    progress("shutting down");
    stop.cancel();
    while let Some(node) = nodes.join_next().await {
        node.context("a node panicked")??;
    }
    server::clean_up(&mut redis, &name).await?;

    let lateness = tally
        .lateness
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let rounds = load.measure.as_secs() / u64::from(load.every);
    Ok(Report {
        load: load.clone(),
        expected: rounds * u64::try_from(load.jobs)?,
        fires: tally.fires.load(Ordering::Relaxed),
        left: overview.queues.iter().map(|queue| queue.ready).sum::<u64>() + overview.due,
        lateness,
        work: after.since(before),
    })
}

async fn until_next_second(store: &RedisStore) -> Result<Duration> {
    let now = store.overview().await?.now.as_ms();
    Ok(Duration::from_millis(u64::try_from(
        1000 - now.rem_euclid(1000),
    )?))
}

async fn put_jobs(store: &RedisStore, load: &Recurring) -> Result<()> {
    let spec = serde_json::json!({ "type": "cron", "second": format!("*/{}", load.every) });
    let spec = if load.every == 1 {
        serde_json::json!({ "type": "cron", "second": "*" })
    } else {
        spec
    };
    let spec: TriggerSpec = serde_json::from_value(spec)?;
    let trigger = spec.resolve(chrono_tz::Tz::UTC)?;
    let task = TaskName::new("noop")?;
    let now = store.overview().await?.now;
    let numbers: Vec<_> = (0..load.jobs).collect();
    for chunk in numbers.chunks(PUT_AT_ONCE) {
        let mut changes = Vec::with_capacity(chunk.len());
        for number in chunk {
            let id = JobId::new(format!("job-{number}"))?;
            let job = Job::builder(id, task.clone(), trigger.clone()).build();
            changes.push((None, change::put_new(job, None, now)?));
        }
        let request = PutJob {
            request: RequestId(Uuid::now_v7()),
            changes,
        };
        let answers = store.put(&request).await?;
        if answers.contains(&Changed::Conflict) {
            bail!("a job of the benchmark was there already");
        }
    }
    Ok(())
}
