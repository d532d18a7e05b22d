//! What stands in Redis of history that is kept of single jobs.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, bail};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use scheduler_core::lease::LeaseToken;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Changed, HistoryQuery, NodeInfo, PutJob, Register, RequestId, Shard,
    Store, Tidy, TidyAnswer,
};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{
    HistoryPolicy, Job, JobDefaults, JobId, NodeName, QueueName, SessionId, TaskName, change,
};
use tests::redis_server::RedisServer;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(3600);

fn key(name: &str) -> String {
    format!("carillon:{{keeping/0}}:{name}")
}

fn job(id: &JobId, keep: u32) -> Result<Job> {
    let spec = serde_json::json!({ "type": "interval", "days": 1 });
    let spec: TriggerSpec = serde_json::from_value(spec)?;
    let trigger = spec.resolve(JobDefaults::default().timezone)?;
    let history = HistoryPolicy {
        keep: NonZeroU32::new(keep),
        keep_for: None,
    };
    let job = Job::builder(id.clone(), TaskName::new("log")?, trigger);
    Ok(job.history(history).build())
}

/// Puts a job, or puts it again, that keeps so many records; none for no policy.
async fn put(store: &impl Shard, id: &JobId, keep: u32) -> Result<()> {
    let job = job(id, keep)?;
    let read = store.jobs(std::slice::from_ref(id)).await?.remove(0);
    let version = read.stored.as_ref().map(|stored| stored.version);
    let change = match &read.stored {
        Some(stored) => change::replace(stored, job, read.now)?,
        None => change::put_new(job, read.fired, read.now)?,
    };
    let request = PutJob {
        request: RequestId(Uuid::now_v7()),
        all_or_none: false,
        changes: vec![(version, change)],
    };
    let answers = store.put(&request).await?;
    assert!(matches!(answers[..], [Changed::Done(_)]), "{answers:?}");
    Ok(())
}

async fn lead(store: &impl Shard) -> Result<LeaseToken> {
    let session = SessionId::of(&NodeName::new("a")?, Uuid::now_v7());
    let register = Register {
        session: session.clone(),
        ttl: LONG,
        info: NodeInfo {
            node: NodeName::new("a")?,
            host: "here".to_owned(),
            pid: 1,
            carillon: "0".to_owned(),
            concurrency: 1,
            queues: vec![QueueName::default_queue()],
            weights: Vec::new(),
        },
    };
    store.register(&register).await?;
    let acquire = Acquire {
        session,
        ttl: LONG,
        steal: None,
        floor: 0,
    };
    match store.acquire(&acquire).await? {
        AcquireAnswer::Acquired(token) => Ok(token),
        other => bail!("{other:?}"),
    }
}

/// Writes an entry of history, as scripts do.
async fn write(redis: &mut MultiplexedConnection, lines: &[String]) -> Result<()> {
    let (count, at) = (lines.len(), 1_767_225_600_000_i64);
    let fields = [
        ("n", count.to_string()),
        ("at", at.to_string()),
        ("records", lines.join("\n")),
    ];
    let _: () = redis.xadd(key("history"), "*", &fields).await?;
    let _: () = redis.rpush(key("packed"), format!("{count} {at}")).await?;
    let _: () = redis.incr(key("lines"), count).await?;
    Ok(())
}

fn skipped(job: &str, number: usize) -> String {
    let job = serde_json::Value::from(job);
    format!(
        r#"{{"job":{job},"skipped":"paused","first_ms":{number},"last_ms":{number},"count":1}}"#
    )
}

async fn tidy(store: &impl Shard, token: &LeaseToken) -> Result<()> {
    let tidy = Tidy {
        token: token.clone(),
        keep_history: 1,
        keep_history_for: None,
        keep_requests: LONG,
        keep_fired: LONG,
        keep_failed: 1,
        keep_failed_for: LONG,
    };
    for _ in 0..100 {
        match store.tidy(&tidy).await? {
            TidyAnswer::Done => return Ok(()),
            TidyAnswer::More => {}
            TidyAnswer::LeaseLost => bail!("the lease was lost"),
        }
    }
    bail!("tidying comes to no end")
}

/// How often the server has done a command.
async fn calls(redis: &mut MultiplexedConnection, command: &str) -> Result<u64> {
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(redis)
        .await?;
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    let calls = line.and_then(|line| line.split(',').next());
    Ok(calls.map_or(Ok(0), str::parse)?)
}

#[tokio::test]
async fn no_more_is_kept_of_a_job_than_it_says_and_nothing_when_it_says_nothing() -> Result<()> {
    let server = RedisServer::start()?;
    let store = server.store("keeping");
    let mut redis = server.connect().await?;
    let token = lead(&store).await?;
    // One is the beginning of another, and one has to be escaped.
    let ids = ["a", "a b", "a\"\\b/ä", "ab"];
    let keeping: Vec<JobId> = ids[..3]
        .iter()
        .map(|id| JobId::new(*id))
        .collect::<Result<_, _>>()?;
    for id in &keeping {
        put(&store, id, 2).await?;
    }
    for number in 0..5 {
        let lines: Vec<_> = ids.iter().map(|id| skipped(id, number)).collect();
        write(&mut redis, &lines).await?;
        write(
            &mut redis,
            &["no record".to_owned(), skipped("a", 10 + number)],
        )
        .await?;
    }
    tidy(&store, &token).await?;
    tidy(&store, &token).await?;
    let kept: Vec<String> = redis.zrange(key("kept"), 0, -1).await?;
    let column = |n: usize| {
        kept.iter()
            .map(move |line| line.split('\t').nth(n).unwrap_or(""))
    };
    assert_eq!(
        column(0).collect::<Vec<_>>(),
        ["a", "a", "a b", "a b", "a\"\\b/ä", "a\"\\b/ä"]
    );
    assert!(column(2).all(|at| at == "1767225600000"), "{kept:#?}");
    let of_a: Vec<_> = column(3).take(2).collect();
    assert_eq!(of_a, [skipped("a", 13), skipped("a", 4)]);
    // They are read back, after what is left of all jobs.
    for (id, expected) in keeping.iter().zip([2, 2, 2]) {
        let query = HistoryQuery {
            job: Some(id.clone()),
            limit: 10,
            ..HistoryQuery::default()
        };
        let page = store.history(&query).await?;
        assert_eq!(page.entries.len(), expected, "{id}");
    }
    for id in &keeping {
        put(&store, id, 0).await?;
    }
    tidy(&store, &token).await?;
    for name in ["kept", "kept-until", "keeping"] {
        let exists: bool = redis.exists(key(name)).await?;
        assert!(!exists, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn where_no_job_keeps_more_nothing_of_history_is_read_to_forget_it() -> Result<()> {
    let server = RedisServer::start()?;
    let store = server.store("keeping");
    let mut redis = server.connect().await?;
    let token = lead(&store).await?;
    for number in 0..50 {
        write(&mut redis, &[skipped("a", number)]).await?;
    }
    tidy(&store, &token).await?;
    assert_eq!(calls(&mut redis, "xrange").await?, 0);
    let left: u64 = redis.xlen(key("history")).await?;
    assert_eq!(left, 1);
    put(&store, &JobId::new("a")?, 5).await?;
    write(&mut redis, &[skipped("a", 50)]).await?;
    tidy(&store, &token).await?;
    assert_eq!(calls(&mut redis, "xrange").await?, 1);
    Ok(())
}
