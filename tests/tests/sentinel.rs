//! A primary that sentinels watch: whichever way it goes, the store follows by itself.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use carillon::Jobs;
use carillon::jobs::OnConflict;
use rustix::process::Signal;
use scheduler_core::job::{JobDefaults, JobSpec};
use scheduler_core::{Job, JobId, Namespace};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::node::{Node, until};
use tests::oracle::{self, STREAM, Start};
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

/// Workers on a store that sentinels watch.
struct Workers {
    nodes: Vec<Node>,
    _dir: tempfile::TempDir,
}

impl Workers {
    fn start(url: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = dir.path().join("carillon.toml");
        let text = format!(
            "[store]\nurl = \"{url}\"\n[[jobs]]\nid = \"tick\"\ntask = \"stream\"\n\
             args = {{ stream = \"{STREAM}\" }}\n\
             trigger = {{ type = \"interval\", seconds = 0.2 }}\n"
        );
        std::fs::write(&config, text)?;
        let config = config.to_str().context("a path")?;
        let nodes = ["one", "two", "three"];
        let nodes = nodes.map(|name| Node::start(name, &["--config", config]));
        Ok(Self {
            nodes: nodes.into_iter().collect::<Result<_>>()?,
            _dir: dir,
        })
    }
}

/// Starts of handlers that a server knows of.
async fn starts(all: &Sentinels, server: usize) -> Result<Vec<Start>> {
    oracle::starts(&mut all.servers[server].connect().await?).await
}

/// Lets the primary go while workers work, and says how long after the next one was promoted the next
/// handler began there, in milliseconds.
async fn go_on(go: impl AsyncFnOnce(&mut Sentinels, usize) -> Result<()>) -> Result<i64> {
    let mut all = Sentinels::start().await?;
    let workers = Workers::start(&all.url())?;
    let old = all.primary().await?;
    until("fires", || async {
        Ok(starts(&all, old).await?.len() >= 10)
    })
    .await?;
    go(&mut all, old).await?;
    let new = all.moved_from(old).await?;
    let promoted_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let later = |starts: Vec<Start>| {
        let later = starts.into_iter().map(|start| start.started_ms);
        later.filter(|at| *at > promoted_ms).collect::<Vec<_>>()
    };
    until("fires on the new primary", || async {
        Ok(later(starts(&all, new).await?).len() >= 10)
    })
    .await?;
    let all_starts = starts(&all, new).await?;
    let mut runs = BTreeSet::new();
    for start in &all_starts {
        assert!(runs.insert((&start.run, start.attempt)), "twice: {start:?}");
    }
    let told = workers.nodes.iter().map(|node| {
        let log = node.log();
        ensure!(
            log.contains("told the store what this node holds"),
            "{}:\n{log}",
            node.name()
        );
        Ok(())
    });
    told.collect::<Result<Vec<()>>>()?;
    let first = later(all_starts).into_iter().min().context("a start")?;
    Ok(first - promoted_ms)
}

#[tokio::test]
async fn workers_go_on_soon_after_a_promotion_and_execute_nothing_twice() -> Result<()> {
    let silence_ms = go_on(async |all, old| all.servers[old].kill()).await?;
    eprintln!("{silence_ms} ms after the promotion");
    // On a machine that does nothing else it is well below a second.
    ensure!(silence_ms < 5_000, "{silence_ms} ms of silence");
    Ok(())
}
