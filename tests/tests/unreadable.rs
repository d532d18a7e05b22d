//! Records that cannot be read: they hold up no other job, and can be replaced or removed.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::time::Duration;

use anyhow::Result;
use carillon::Scheduler;
use carillon::jobs::{Jobs, JobsError, OnConflict, PauseEnd, PauseWish, Put, PutWish, Removed};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use scheduler_core::history::Record;
use scheduler_core::store::{HistoryQuery, Store};
use scheduler_core::{Job, JobDefaults, JobId, JobSpec, Timestamp};
use scheduler_redis::RedisStore;
use tests::redis_server::RedisServer;
use tokio_util::sync::CancellationToken;

/// A record of a format that is still to come: `{"format": 2, "job": null}`.
const NEWER: &[u8] = b"\x82\xa6format\x02\xa3job\xc0";

const START: Timestamp = Timestamp::from_ms(1_900_000_000_000);

/// Where heads and records of the jobs stand.
const JOBS: &str = "carillon:{spoilt/0}:jobs";

struct World {
    _server: RedisServer,
    store: RedisStore,
    jobs: Jobs<RedisStore>,
    redis: MultiplexedConnection,
}

fn job(id: &str) -> Job {
    let spec: JobSpec = serde_json::from_value(serde_json::json!({
        "id": id, "task": "log", "trigger": { "type": "interval", "seconds": 10 },
    }))
    .unwrap();
    spec.resolve(&JobDefaults::default()).unwrap()
}

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}

fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

/// Writes something else in the place of a job's record.
async fn spoil(redis: &mut MultiplexedConnection, job: &str, record: &[u8]) -> Result<()> {
    let text: Vec<u8> = redis.hget(JOBS, job).await?;
    let head = text.split(|byte| *byte == b'\n').next().unwrap();
    Ok(redis
        .hset(JOBS, job, [head, b"\n", record].concat())
        .await?)
}

impl World {
    async fn new() -> Result<Self> {
        let server = RedisServer::start()?;
        let store = server.pinned_store(&"spoilt".parse()?);
        store.set_pinned_clock(at(0)).await?;
        let redis = server.connect().await?;
        let jobs = Jobs::new(store.clone());
        for name in ["a", "b"] {
            assert_eq!(jobs.put(job(name), OnConflict::Refuse).await?, Put::Added);
        }
        Ok(Self {
            _server: server,
            store,
            jobs,
            redis,
        })
    }

    async fn spoil(&mut self, record: &[u8]) -> Result<()> {
        spoil(&mut self.redis, "a", record).await
    }

    /// Puts both jobs; answers with what became of the first, after the second was done.
    async fn put(&self, on_conflict: OnConflict) -> Result<Put> {
        let wishes = ["a", "b"].map(|name| PutWish {
            job: job(name),
            on_conflict,
        });
        let mut outcomes = self.jobs.put_all(&wishes).await?;
        assert_eq!(outcomes.pop(), Some(Put::Unchanged));
        Ok(outcomes.remove(0))
    }
}

#[tokio::test]
async fn a_damaged_job_can_be_replaced() -> Result<()> {
    let mut world = World::new().await?;
    world.spoil(b"spoilt").await?;
    let kept = world.put(OnConflict::Keep).await?;
    assert!(matches!(kept, Put::Unreadable(_)), "{kept:?}");
    for refused in [
        world.jobs.pause(&id("a")).await.err(),
        world.jobs.resume(&id("a")).await.err(),
        world.jobs.run_now(&id("a")).await.err(),
        world.jobs.get(&id("a")).await.err(),
    ] {
        let is_told = matches!(refused, Some(JobsError::Unreadable { .. }));
        assert!(is_told, "{refused:?}");
    }
    let list = world.jobs.list().await?;
    assert_eq!((list.jobs.len(), list.unreadable.len()), (1, 1));

    // Its fire time has come: it stays the job's.
    world.store.set_pinned_clock(at(15)).await?;
    assert_eq!(world.put(OnConflict::Replace).await?, Put::Replaced);
    let stored = world.jobs.get(&id("a")).await?.unwrap();
    assert_eq!((stored.job, stored.next_fire), (job("a"), Some(at(10))));
    Ok(())
}

#[tokio::test]
async fn a_damaged_job_stays_paused() -> Result<()> {
    let mut world = World::new().await?;
    world.jobs.pause(&id("a")).await?;
    world.spoil(b"spoilt").await?;
    assert_eq!(world.put(OnConflict::Replace).await?, Put::Replaced);
    let stored = world.jobs.get(&id("a")).await?.unwrap();
    assert_eq!(stored.next_fire, None);
    world.jobs.resume(&id("a")).await?;
    let stored = world.jobs.get(&id("a")).await?.unwrap();
    assert_eq!(stored.next_fire, Some(at(10)));
    Ok(())
}

#[tokio::test]
async fn damaged_jobs_whose_pause_has_ended_hold_up_nobody() -> Result<()> {
    let server = RedisServer::start()?;
    let store = server.store("spoilt");
    let mut redis = server.connect().await?;
    let jobs = Jobs::new(store.clone());
    let wish = PauseWish {
        end: Some(PauseEnd::For(Duration::from_millis(200))),
        ..PauseWish::default()
    };
    // More than a leader looks at together, and their pauses end before the last one's.
    for number in 0..=200 {
        let name = format!("{number:03}");
        jobs.put(job(&name), OnConflict::Refuse).await?;
        jobs.pause_with(&id(&name), &wish).await?;
        if number < 200 {
            spoil(&mut redis, &name, b"spoilt").await?;
        }
    }
    let stop = CancellationToken::new();
    let node = Scheduler::builder(store).build()?;
    let running = tokio::spawn(node.run(stop.clone()));
    tokio::time::timeout(Duration::from_secs(30), async {
        while jobs
            .get(&id("200"))
            .await?
            .is_none_or(|job| job.state.is_paused())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    })
    .await??;
    assert_eq!(jobs.list().await?.unreadable.len(), 200);
    assert_eq!(
        redis
            .zcard::<_, usize>("carillon:{spoilt/0}:parked")
            .await?,
        200
    );
    stop.cancel();
    running.await??;
    Ok(())
}

#[tokio::test]
async fn a_damaged_job_can_be_removed() -> Result<()> {
    let mut world = World::new().await?;
    world.spoil(b"spoilt").await?;
    world.store.set_pinned_clock(at(15)).await?;
    assert_eq!(world.jobs.remove(&id("a")).await?, Removed::Done);
    assert_eq!(world.jobs.get(&id("a")).await?, None);
    let query = HistoryQuery {
        limit: 10,
        ..HistoryQuery::default()
    };
    let records = world.store.history(&query).await?.entries;
    let Some(Record::Skip(skip)) = records.first().map(|entry| &entry.record) else {
        panic!("{records:?}");
    };
    assert_eq!(
        (skip.job.as_str(), skip.first, skip.count),
        ("a", at(10), 1)
    );
    // And what it had settled is not settled again.
    world.jobs.put(job("a"), OnConflict::Refuse).await?;
    let stored = world.jobs.get(&id("a")).await?.unwrap();
    assert_eq!(
        (stored.fired, stored.next_fire),
        (Some(at(10)), Some(at(25)))
    );
    Ok(())
}

#[tokio::test]
async fn a_job_whose_record_is_gone_can_be_put() -> Result<()> {
    let mut world = World::new().await?;
    let () = world.redis.hdel(JOBS, "a").await?;
    assert_eq!(world.put(OnConflict::Replace).await?, Put::Replaced);
    assert!(world.jobs.get(&id("a")).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_left_alone() -> Result<()> {
    let mut world = World::new().await?;
    world.spoil(NEWER).await?;
    for on_conflict in [OnConflict::Keep, OnConflict::Replace] {
        let left = world.put(on_conflict).await?;
        let is_told = matches!(&left, Put::Unreadable(why) if why.contains("format 2"));
        assert!(is_told, "{left:?}");
    }
    let text: Vec<u8> = world.redis.hget(JOBS, "a").await?;
    assert!(text.ends_with(NEWER));
    assert_eq!(world.jobs.remove(&id("a")).await?, Removed::Done);
    assert_eq!(world.put(OnConflict::Replace).await?, Put::Added);
    Ok(())
}
