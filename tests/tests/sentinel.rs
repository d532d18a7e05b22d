//! A primary that sentinels watch: whichever way it goes, the store follows by itself.

use anyhow::{Context, Result, ensure};
use carillon::Jobs;
use carillon::jobs::OnConflict;
use rustix::process::Signal;
use scheduler_core::job::{JobDefaults, JobSpec};
use scheduler_core::{Job, JobId, Namespace};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::node::until;
use tests::sentinels::Sentinels;

fn job(id: &str) -> Result<Job> {
    let spec: JobSpec = serde_json::from_value(serde_json::json!({
        "id": id, "task": "log", "trigger": { "type": "interval", "hours": 1 },
    }))?;
    Ok(spec.resolve(&JobDefaults::default())?)
}

/// Puts a job, and waits until it is on both replicas.
async fn put(store: &RedisStore, jobs: &Jobs<RedisStore>, id: &str) -> Result<()> {
    jobs.put(job(id)?, OnConflict::Refuse).await?;
    let mut connection = store.connection().await?;
    let mut wait = redis::cmd("WAIT");
    let replicas: u32 = wait.arg(2).arg(10_000).query_async(&mut connection).await?;
    ensure!(replicas == 2, "{replicas} replicas");
    Ok(())
}

/// Has a job stored, lets the primary go in this way, and works on with the next one.
async fn follow(go: impl AsyncFnOnce(&mut Sentinels, usize) -> Result<()>) -> Result<()> {
    let mut all = Sentinels::start().await?;
    let config = RedisConfig::from_url(&all.url())?;
    let store = RedisStore::new(config, Namespace::default_namespace());
    let jobs = Jobs::new(store.clone());
    put(&store, &jobs, "before").await?;
    let old = all.primary().await?;
    go(&mut all, old).await?;
    let new = all.moved_from(old).await?;
    until("an answer", || async { Ok(store.ping().await.is_ok()) }).await?;
    jobs.put(job("after")?, OnConflict::Refuse).await?;
    // On the new primary, and nowhere else.
    let there = all.servers[new].store("default");
    let there = Jobs::new(there);
    for id in ["before", "after"] {
        let found = there.get(&JobId::new(id)?).await?;
        found.with_context(|| format!("{id} on the new primary"))?;
    }
    Ok(())
}

#[tokio::test]
async fn the_store_follows_a_planned_failover() -> Result<()> {
    follow(async |all, old| {
        all.fail_over().await?;
        // Until it is told that it is a replica, the old primary takes writes, and loses them.
        until("a primary that has stepped down", || async {
            Ok(!all.is_primary(old).await)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn the_store_follows_when_the_primary_crashes() -> Result<()> {
    follow(async |all, old| all.servers[old].kill()).await
}

#[tokio::test]
async fn the_store_follows_when_the_primary_hangs() -> Result<()> {
    follow(async |all, old| all.servers[old].signal(Signal::STOP)).await
}
