//! `carillon run`: a worker.

use std::sync::Arc;
use std::time::Duration;

use carillon::audit::{Author, Via, acting_as};
use carillon::config::{Settings, StoreSettings};
use carillon::core::store::Steered;
use carillon::core::{MemoryStore, Sharded, Store};
use carillon::jobs::{Jobs, JobsError, OnConflict, Put, PutWish};
use carillon::task::builtin::{Builtins, Streams};
use carillon::{
    AtStart, Queues, Retention, Scheduler, SystemClock, Tasks, Timing, shutdown_signal,
};
use scheduler_redis::RedisStore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::args::{Global, RunArgs};
use super::failure::Failure;
use super::logging;

/// How long to wait before a store that could not be reached is tried again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

pub(super) fn run(global: &Global, args: &RunArgs) -> Result<(), Failure> {
    logging::begin(args.log_format)?;
    let settings = Settings::load(&args.overrides(global))?;
    let at_start = if args.no_wait {
        AtStart::GiveUp
    } else {
        AtStart::Wait
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(async {
        let shutdown = shutdown_signal()?;
        // The one place where the kind of store matters.
        match settings.store.clone() {
            StoreSettings::Memory => {
                let store = MemoryStore::new(Arc::new(SystemClock));
                work(store, None, settings, at_start, shutdown).await
            }
            StoreSettings::Redis(config) => {
                let store = RedisStore::shards(*config, settings.namespace.clone());
                let streams: Arc<dyn Streams> = Arc::new(store.first().clone());
                work(store, Some(streams), settings, at_start, shutdown).await
            }
        }
    });
    // Whatever a handler left running on the blocking threads must not hold up the end.
    runtime.shutdown_background();
    done
}

/// Puts the configured jobs, and works until it is told to stop.
async fn work<S: Sharded>(
    store: S,
    streams: Option<Arc<dyn Streams>>,
    settings: Settings,
    at_start: AtStart,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let mut builtins = Builtins::new()
        .shell(settings.shell_enabled)
        .http(settings.http_targets.clone());
    if let Some(streams) = streams {
        builtins = builtins.streams(streams);
    }
    let tasks = Tasks::builtin(builtins);
    tell_unknown_tasks(&settings, &tasks);
    let worker = settings.worker.clone();
    let mut scheduler = Scheduler::builder(store.clone())
        .tasks(tasks)
        .concurrency(worker.concurrency.get())
        .queues(worker.queues)
        .queue_order(worker.queue_order)
        .timing(Timing {
            lease_ttl: worker.lease_ttl,
            session_ttl: worker.session_ttl,
            shutdown_grace: worker.shutdown_grace,
            ..Timing::default()
        })
        .retention(settings.retention)
        .secrets(settings.secrets.clone())
        .tracing(settings.tracing.clone())
        .at_start(at_start);
    if let Some(node) = worker.node {
        scheduler = scheduler.node(node);
    }
    let scheduler = scheduler.build()?;
    // From the beginning, so that probes see a node that waits for its store.
    #[cfg(feature = "http")]
    let serving = super::http::serve(&settings.http, &scheduler)?;
    #[cfg(feature = "otlp")]
    let exporting = super::otlp::export(&settings, &scheduler)?;
    let done = begin(scheduler, &store, &settings, at_start, shutdown).await;
    #[cfg(feature = "otlp")]
    if let Some(exporting) = exporting {
        exporting.stop().await;
    }
    // To the last, so that probes see the node drain.
    #[cfg(feature = "http")]
    if let Some(serving) = serving {
        serving.stop().await;
    }
    done
}

/// Puts the configured jobs as soon as the store answers, and lives the node's life.
async fn begin<S: Sharded>(
    scheduler: Scheduler<S>,
    store: &S,
    settings: &Settings,
    at_start: AtStart,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let author = Author::new(scheduler.node().as_str(), Via::Config);
    let put = acting_as(author, async {
        put_jobs(store, settings, at_start).await?;
        limit_queues(store, settings).await?;
        tell_if_idle(store, settings).await;
        Ok::<_, Failure>(())
    });
    tokio::select! {
        put = put => put?,
        // Told to stop while still waiting for the store: nothing has begun.
        () = shutdown.cancelled() => return Ok(()),
    }
    Ok(scheduler.run(shutdown).await?)
}

/// Puts the jobs of the configuration, as soon as the store answers.
async fn put_jobs<S: Store>(
    store: &S,
    settings: &Settings,
    at_start: AtStart,
) -> Result<(), Failure> {
    let wishes: Vec<PutWish> = settings
        .jobs
        .iter()
        .map(|configured| PutWish {
            job: configured.job.clone(),
            on_conflict: match configured.replace_existing {
                Some(false) => OnConflict::Keep,
                // The file is the source of truth.
                Some(true) | None => OnConflict::Replace,
            },
        })
        .collect();
    let jobs = Jobs::new(store.clone()).put_repeatedly(Retention::default().fired);
    let (mut delay, longest) = RETRY;
    let outcomes = loop {
        // Without any jobs, it is asked for one that there need not be: whether it answers at all.
        let put = async {
            if wishes.is_empty() {
                store.overview().await.map_err(JobsError::from)?;
            }
            jobs.put_all(&wishes).await
        };
        match put.await {
            Ok(outcomes) => break outcomes,
            Err(JobsError::Store(error)) if error.is_transient() && at_start == AtStart::Wait => {
                warn!("{}: {error}; trying again in {delay:?}", store.describe());
                sleep(delay).await;
                delay = (delay * 2).min(longest);
            }
            Err(error) => return Err(Failure::of_jobs(&store.describe(), &error)),
        }
    };
    tell_outcomes(&wishes, &outcomes);
    Ok(())
}

/// Limits queues as the configuration says, where no operator has said otherwise.
async fn limit_queues<S: Store>(store: &S, settings: &Settings) -> Result<(), Failure> {
    let queues = Queues::new(store.clone());
    for (queue, limits) in &settings.queues {
        let done = queues.configure(queue, *limits).await;
        match done.map_err(|error| Failure::of_store(&store.describe(), &error))? {
            Steered::Done => info!(%queue, "limited as the configuration says"),
            Steered::Already => {}
            Steered::Kept => info!(
                %queue,
                "an operator has set its limits, and they stay: `carillon queue reset` ends that"
            ),
        }
    }
    Ok(())
}

fn tell_outcomes(wishes: &[PutWish], outcomes: &[Put]) {
    let (mut added, mut replaced, mut kept) = (0, 0, 0);
    for (wish, outcome) in wishes.iter().zip(outcomes) {
        match outcome {
            Put::Added => added += 1,
            Put::Replaced => replaced += 1,
            Put::Superseded(by) => {
                info!(job = %wish.job.id(), "put in place of {by}, which held its unique key");
                added += 1;
            }
            Put::Ignored(by) => {
                info!(job = %wish.job.id(), "not put: {by} holds its unique key");
                kept += 1;
            }
            Put::KeyTaken(by) => {
                warn!(job = %wish.job.id(), "not put: its unique key is held by {by}");
                kept += 1;
            }
            Put::Unchanged | Put::Kept | Put::Exists | Put::ChangedMeanwhile => kept += 1,
            Put::Unreadable(why) => {
                warn!(job = %wish.job.id(), "left as it is, and it cannot be read: {why}");
                kept += 1;
            }
            Put::Over(why) => info!(job = %wish.job.id(), "not put: {why}"),
        }
    }
    if !wishes.is_empty() {
        info!(
            "jobs of the configuration: {added} added, {replaced} replaced, {kept} left as they are"
        );
    }
}

/// Such runs would wait for another node, which there may never be.
fn tell_unknown_tasks(settings: &Settings, tasks: &Tasks) {
    for configured in &settings.jobs {
        let job = &configured.job;
        if tasks.get(job.task()).is_some() {
            continue;
        }
        let hint = match job.task().as_str() {
            "shell" => ": allow it with [tasks.shell] enabled = true",
            _ => "",
        };
        warn!(job = %job.id(), "this node has no task {:?}{hint}", job.task().as_str());
    }
}

/// Says what to do next where there is nothing to do.
async fn tell_if_idle<S: Store>(store: &S, settings: &Settings) {
    let is_empty = store.overview().await.is_ok_and(|view| view.jobs == 0);
    if !is_empty {
        return;
    }
    match settings.store {
        StoreSettings::Memory => warn!("{NOTHING_TO_DO}"),
        StoreSettings::Redis(_) => info!(
            "there are no jobs yet: add one with `carillon job add` on the same store (see \
             `carillon job add --help`)"
        ),
    }
}

const NOTHING_TO_DO: &str = r#"there is nothing to do: the embedded store is empty, and it lives inside this process only
Either write a file carillon.toml and start `carillon run --config carillon.toml`:
    [[jobs]]
    id = "hello"
    task = "log"
    args = { message = "hello" }
    trigger = { type = "interval", seconds = 10 }
or share a Redis, and add jobs from anywhere:
    carillon run --store redis://localhost:6379
    carillon job add --store redis://localhost:6379 --id hello --every 10s --task log --args '{"message": "hello"}'"#;
