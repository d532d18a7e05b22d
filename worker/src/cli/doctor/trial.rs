//! One job runs, in a namespace of its own: that all commands of the scripts are allowed, that wake-ups
//! arrive, and that nothing is too slow.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use carillon::config::{Settings, StoreSettings};
use carillon::core::shard::ShardCount;
use carillon::core::{JobId, Namespace, NodeName, QueueName};
use carillon::redis::RedisStore;
use carillon::redis::checkup::Finding;
use carillon::{NewJob, Scheduler, Wait};
use tokio::sync::mpsc;
use uuid::Uuid;

const CHECK: &str = "trial";

/// How long the job may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The job, its task, and its node.
const NAME: &str = "doctor";

pub(super) async fn run(settings: &Settings) -> Option<Finding> {
    let StoreSettings::Redis(config) = &settings.store else {
        return None;
    };
    let namespace = Namespace::new(format!("doctor-{}", Uuid::now_v7().simple())).ok()?;
    let config = config.as_ref().clone().with_shards(ShardCount::ONE);
    let store = RedisStore::new(config, namespace);
    let rung = ring(store.clone()).await;
    let jobs: Vec<JobId> = JobId::new(NAME).into_iter().collect();
    let erased = store.erase(&jobs, &[QueueName::default_queue()]).await;
    let failed = |error: String| {
        Finding::problem(
            CHECK,
            error,
            "workers need what was refused here: jobs do not run, or not all of them",
            "give the user the rights of deploy/redis/users.acl, or look into the server's log",
        )
    };
    Some(match (rung, erased) {
        (Ok(took), Ok(())) => Finding::fine(
            CHECK,
            format!("a job ran {} ms after it was put", took.as_millis()),
        ),
        (Err(error), _) => failed(format!("{error:#}")),
        (Ok(_), Err(error)) => failed(error.to_string()),
    })
}

/// Has a job run, and says how long that took.
async fn ring(store: RedisStore) -> Result<Duration> {
    store.load_scripts().await?;
    let (rang, mut heard) = mpsc::unbounded_channel();
    let scheduler = Scheduler::builder(store)
        .node(NodeName::new(NAME)?)
        .task(NAME, move || {
            // Nobody listens any more once it has been heard.
            let _ = rang.send(Instant::now());
            async {}
        })
        .build()?;
    let running = scheduler.start()?;
    let asked = Instant::now();
    let now = running.jobs().now().await?;
    running
        .add_job(NewJob::new(NAME, NAME).at(now.to_string()))
        .await?;
    let heard = tokio::time::timeout(WITHIN, heard.recv()).await;
    let shut = running.shutdown(Wait::ForRuns).await;
    let Ok(heard) = heard else {
        bail!("a job did not run within {} s", WITHIN.as_secs());
    };
    shut?;
    Ok(heard.context("no handler")?.duration_since(asked))
}
