//! A Redis Cluster: wherever the slot goes, the store and its nodes follow by themselves.

use anyhow::{Context, Result, ensure};
use carillon::Jobs;
use carillon::jobs::OnConflict;
use rustix::process::Signal;
use scheduler_core::job::{JobDefaults, JobSpec};
use scheduler_core::{Job, JobId, Namespace};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::cluster::Cluster;
use tests::node::until;
use tests::oracle::STREAM;
use tests::redis_cluster::RedisCluster;

fn job(id: &str) -> Result<Job> {
    let spec: JobSpec = serde_json::from_value(serde_json::json!({
        "id": id, "task": "log", "trigger": { "type": "interval", "hours": 1 },
    }))?;
    Ok(spec.resolve(&JobDefaults::default())?)
}

/// Has a job stored, lets the slot go in this way, and works on where it is then.
async fn follow(go: impl AsyncFnOnce(&mut RedisCluster, usize) -> Result<()>) -> Result<()> {
    let mut all = RedisCluster::start().await?;
    let config = RedisConfig::from_url(&all.url().await?)?;
    let store = RedisStore::new(config, Namespace::default_namespace());
    let jobs = Jobs::new(store.clone());
    jobs.put(job("before")?, OnConflict::Refuse).await?;
    let mut connection = store.connection().await?;
    let mut wait = redis::cmd("WAIT");
    let replicas: u32 = wait.arg(1).arg(10_000).query_async(&mut connection).await?;
    ensure!(replicas == 1, "{replicas} replicas");
    let old = all.owner().await?;
    go(&mut all, old).await?;
    let new = all.moved_from(old).await?;
    until("an answer", || async {
        Ok(jobs.get(&JobId::new("before")?).await.is_ok())
    })
    .await?;
    jobs.put(job("after")?, OnConflict::Refuse).await?;
    // On the new server, and nowhere else.
    let there = Jobs::new(all.servers[new].store("default"));
    for id in ["before", "after"] {
        let found = there.get(&JobId::new(id)?).await?;
        found.with_context(|| format!("{id} on the new server"))?;
    }
    Ok(())
}

#[tokio::test]
async fn the_store_follows_a_planned_failover_in_a_cluster() -> Result<()> {
    follow(async |all, _| all.fail_over().await).await
}

#[tokio::test]
async fn the_store_follows_when_its_server_in_a_cluster_crashes() -> Result<()> {
    follow(async |all, old| all.servers[old].kill()).await
}

#[tokio::test]
async fn the_store_follows_when_its_server_in_a_cluster_hangs() -> Result<()> {
    follow(async |all, old| all.servers[old].signal(Signal::STOP)).await
}

#[tokio::test]
async fn the_store_follows_when_its_slot_is_moved() -> Result<()> {
    follow(async |all, _| all.move_slot().await).await
}

#[tokio::test]
async fn nodes_ring_on_through_a_failover_and_a_moved_slot() -> Result<()> {
    let all = RedisCluster::start().await?;
    let url = all.url().await?;
    // On another server than the shard is: each stream has a slot of its own.
    let stream = all.connect_to(STREAM).await?;
    let mut cluster = Cluster::on(all, &url, stream, 10, "")?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?, cluster.node("c")?];
    cluster.ring(2).await?;
    let old = cluster.server.owner().await?;
    cluster.server.fail_over().await?;
    let new = cluster.server.moved_from(old).await?;
    cluster.ring(3).await?;
    cluster.server.move_slot().await?;
    let newest = cluster.server.moved_from(new).await?;
    ensure!(newest != old, "a replica cannot have the slot");
    cluster.ring(3).await?;
    cluster.check(&mut nodes).await?;
    Ok(())
}
