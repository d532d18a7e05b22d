//! How jobs are stored: what they cost, and that those of an earlier layout go on.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]
#![allow(clippy::print_stdout, reason = "it tells what it measured")]

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use carillon::Scheduler;
use carillon::jobs::{Jobs, Modified, OnConflict, Put, PutWish};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use scheduler_core::{Edit, Job, JobDefaults, JobId, JobPatch, JobSpec, Store as _};
use scheduler_redis::RedisStore;
use serde_json::{Value, json};
use tests::node::until;
use tests::redis_server::RedisServer;
use tokio_util::sync::CancellationToken;

const JOBS: &str = "carillon:{stored/0}:jobs";

/// How many jobs are stored to see what one costs.
const MANY: usize = 10_000;

/// What a stored job may cost, in bytes of the server's memory.
const BOUND: f64 = 500.0;

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}

fn job(spec: &Value) -> Job {
    let spec: JobSpec = serde_json::from_value(spec.clone()).unwrap();
    spec.resolve(&JobDefaults::default()).unwrap()
}

fn hourly(id: &str) -> Job {
    job(&json!({ "id": id, "task": "log", "trigger": { "type": "interval", "hours": 1 } }))
}

fn own_key(job: &str) -> String {
    format!("carillon:{{stored/0}}:job:{job}")
}

async fn used_memory(redis: &mut MultiplexedConnection) -> Result<f64> {
    let info: String = redis::cmd("INFO").arg("memory").query_async(redis).await?;
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used.unwrap().parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_job_costs_five_hundred_bytes_at_most() -> Result<()> {
    let server = RedisServer::start()?;
    let jobs = Jobs::new(server.store("stored"));
    let args = json!({ "text": "x".repeat(53) });
    assert_eq!(args.to_string().len(), 64);
    let job = |number: usize| {
        job(&json!({
            "id": format!("report-{number:05}"), "task": "send_report", "args": args,
            "trigger": { "type": "cron", "expression": "*/5 * * * *" },
        }))
    };
    let mut redis = server.connect().await?;
    let mut wishes: Vec<_> = (0..=MANY)
        .map(|number| PutWish {
            job: job(number),
            on_conflict: OnConflict::Refuse,
        })
        .collect();
    // The first brings the scripts with it.
    jobs.put_all(&wishes.split_off(MANY)).await?;
    let before = used_memory(&mut redis).await?;
    jobs.put_all(&wishes).await?;
    let stored: usize = redis.hlen(JOBS).await?;
    assert_eq!(stored, MANY + 1);
    let each = (used_memory(&mut redis).await? - before) / 10_000.0;
    println!("{each:.0} bytes a job");
    assert!(each <= BOUND, "{each:.0} bytes a job");
    Ok(())
}

/// Writes a job as it once was kept: in a hash of its own.
async fn as_once_kept(redis: &mut MultiplexedConnection, job: &str, keep: bool) -> Result<()> {
    let text: Vec<u8> = redis.hget(JOBS, job).await?;
    let end = text.iter().position(|byte| *byte == b'\n').unwrap();
    let head = std::str::from_utf8(&text[..end])?;
    let mut words = head.split(' ');
    let (version, state) = (words.next().unwrap(), words.next().unwrap());
    let fields = [
        ("version", version.as_bytes()),
        ("state", state.as_bytes()),
        ("record", &text[end + 1..]),
        ("name", job.as_bytes()),
        ("task", b"log"),
        ("trigger", b"interval[seconds=1]"),
        ("queue", b"default"),
        ("keep", if keep { b"1" } else { b"0" }),
    ];
    let () = redis.hset_multiple(own_key(job), &fields).await?;
    let () = redis.hdel(JOBS, job).await?;
    Ok(())
}

struct Old {
    server: RedisServer,
    store: RedisStore,
    jobs: Jobs<RedisStore>,
    redis: MultiplexedConnection,
}

impl Old {
    async fn new() -> Result<Self> {
        let server = RedisServer::start()?;
        let store = server.store("stored");
        let redis = server.connect().await?;
        Ok(Self {
            jobs: Jobs::new(store.clone()),
            server,
            store,
            redis,
        })
    }

    async fn put(&mut self, job: Job) -> Result<()> {
        let (id, keep) = (job.id().to_string(), job.policy().keep);
        let put = self.jobs.put(job, OnConflict::Refuse).await?;
        assert_eq!(put, Put::Added);
        as_once_kept(&mut self.redis, &id, keep).await
    }

    async fn own_fields(&mut self, job: &str) -> Result<HashMap<String, Vec<u8>>> {
        Ok(self.redis.hgetall(own_key(job)).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_were_kept_in_hashes_of_their_own_run_and_leave() -> Result<()> {
    let mut old = Old::new().await?;
    let soon = old
        .jobs
        .now()
        .await?
        .after(Duration::from_secs(1))
        .to_string();
    let once = |id: &str, keep: bool| {
        job(&json!({
            "id": id, "task": "log", "keep": keep,
            "trigger": { "type": "date", "run_date": soon },
        }))
    };
    old.put(hourly("hourly")).await?;
    old.put(once("once", false)).await?;
    old.put(once("kept", true)).await?;
    let listed = old.jobs.list().await?;
    assert_eq!((listed.jobs.len(), listed.unreadable.len()), (3, 0));

    let stop = CancellationToken::new();
    let node = Scheduler::builder(old.store.clone())
        .task("log", || async {})
        .build()?;
    let running = tokio::spawn(node.run(stop.clone()));
    let (jobs, store) = (&old.jobs, &old.store);
    until("the runs have ended", || async move {
        let overview = store.overview().await?;
        Ok(overview.jobs == 2 && overview.busy == 0 && overview.due == 0)
    })
    .await?;
    jobs.run_now(&id("hourly")).await?;
    until("it has run", || async move {
        Ok(store.overview().await?.busy == 0)
    })
    .await?;
    stop.cancel();
    running.await??;
    assert!(jobs.get(&id("kept")).await?.is_some());
    assert_eq!(old.own_fields("once").await?.len(), 0);
    drop(old.server);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_were_kept_in_hashes_of_their_own_move_when_they_are_changed() -> Result<()> {
    let mut old = Old::new().await?;
    old.put(hourly("a")).await?;
    old.put(hourly("b")).await?;
    let patch = JobPatch {
        name: Edit::To("A".to_owned()),
        ..JobPatch::default()
    };
    let defaults = JobDefaults::default();
    let modified = old.jobs.modify(&id("a"), &patch, &defaults).await?;
    assert!(matches!(modified, Modified::Done(_)), "{modified:?}");
    old.jobs.pause(&id("b")).await?;
    as_once_kept(&mut old.redis, "b", false).await?;
    assert!(old.jobs.get(&id("b")).await?.unwrap().state.is_paused());
    old.jobs.resume(&id("b")).await?;
    for job in ["a", "b"] {
        let stored = old.jobs.get(&id(job)).await?.unwrap();
        assert!(!stored.state.is_paused());
        let moved: bool = old.redis.hexists(JOBS, job).await?;
        assert!(moved && old.own_fields(job).await?.is_empty(), "{job}");
    }
    as_once_kept(&mut old.redis, "a", false).await?;
    old.jobs.remove(&id("a")).await?;
    assert_eq!(old.own_fields("a").await?.len(), 0);
    assert_eq!(old.jobs.get(&id("a")).await?, None);
    drop(old.server);
    Ok(())
}
