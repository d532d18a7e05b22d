//! What nobody can read is set aside, and keeps nobody from the rest.

use std::time::Duration;

use anyhow::{Result, bail};
use redis::AsyncCommands;
use scheduler_core::store::{
    Acquire, AcquireAnswer, ClaimWish, Exchange, ExchangeAnswer, FenceSession, NodeInfo, Peek,
    PeekAnswer, Register, Resync, ResyncAnswer, Shard,
};
use scheduler_core::{Generation, NodeName, QueueName, SessionId};
use tests::redis_server::RedisServer;
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(60);

fn key(name: &str) -> String {
    format!("carillon:{{strange/0}}:{name}")
}

#[tokio::test]
async fn entries_of_others_are_parked() -> Result<()> {
    let server = RedisServer::start()?;
    let store = server.store("strange");
    let mut redis = server.connect().await?;
    let session = SessionId::of(&NodeName::new("a")?, Uuid::now_v7());
    let info = NodeInfo {
        node: NodeName::new("a")?,
        host: "here".to_owned(),
        pid: 1,
        carillon: "0".to_owned(),
        concurrency: 1,
        queues: vec![QueueName::default_queue()],
        weights: Vec::new(),
    };
    store
        .register(&Register {
            session: session.clone(),
            ttl: TTL,
            info,
        })
        .await?;
    let acquire = Acquire {
        session: session.clone(),
        ttl: TTL,
        steal: None,
        floor: 0,
    };
    let AcquireAnswer::Acquired(token) = store.acquire(&acquire).await? else {
        bail!("the lease is free");
    };

    let _: () = redis.zadd(key("due"), " no job id", 5).await?;
    let _: () = redis.zadd(key("due"), "no-number", 5).await?;
    let _: () = redis.hset(key("versions"), "no-number", "x").await?;
    let _: () = redis.zadd(key("retry"), "not a retry", 5).await?;
    let _: () = redis.zadd(key("finished"), " no job id either", 5).await?;
    let _: () = redis.zadd(key("resume"), "no\njob id", 5).await?;
    for n in 0..16 {
        let _: () = redis
            .zadd(key("dead"), format!("no session {n}"), 5)
            .await?;
    }
    let ready = ["nonsense", "1 - 0 tick@abc", "1 x 0 tick@5", "1 7 0 tick@5"];
    let _: () = redis.rpush(key("ready:default"), &ready).await?;

    let peek = Peek {
        token,
        ttl: TTL,
        ahead: Duration::ZERO,
        limit: 10,
        queues: vec![],
    };
    let PeekAnswer::Peeked(peeked) = store.peek(&peek).await? else {
        bail!("it leads")
    };
    assert_eq!((peeked.due.len(), peeked.retries.len()), (0, 0));
    let queues = vec![QueueName::default_queue()];
    let exchange = Exchange {
        generation: Generation(1),
        session: session.clone(),
        lane: 0,
        request: 1,
        floor: 0,
        settled: vec![],
        wish: Some(ClaimWish::in_order(&queues, 10)),
    };
    let ExchangeAnswer::Exchanged(exchanged) = store.exchange(&exchange).await? else {
        bail!("the session lives");
    };
    assert_eq!(exchanged.claims.len(), 1, "the readable one: {exchanged:?}");
    assert_eq!(redis.zcard::<_, usize>(key("parked")).await?, 8);

    // A claim that nobody can read: neither a resync nor the clearing up stops at it.
    let _: () = redis
        .hset(key(&format!("claims:{session}")), "nonsense", "nonsense")
        .await?;
    let resync = Resync {
        generation: Generation(1),
        session: session.clone(),
        lane: 0,
        request: 2,
    };
    let ResyncAnswer::Claims(claims) = store.resync(&resync).await? else {
        bail!("it lives")
    };
    assert_eq!(claims.len(), 1);
    store
        .fence_session(&FenceSession { session, beat: 0 })
        .await?;
    // As many that are none stand before it as are looked at together.
    assert_eq!(store.dead_claims(100).await?, []);
    let dead = store.dead_claims(100).await?;
    assert_eq!((dead.len(), dead[0].1.len()), (1, 1));
    assert_eq!(redis.zcard::<_, usize>(key("parked")).await?, 25);
    Ok(())
}

#[tokio::test]
async fn history_that_was_trimmed_by_hand_is_counted_anew() -> Result<()> {
    let server = RedisServer::start()?;
    let store = server.store("strange");
    let mut redis = server.connect().await?;
    let session = SessionId::of(&NodeName::new("a")?, Uuid::now_v7());
    let info = NodeInfo {
        node: NodeName::new("a")?,
        host: "here".to_owned(),
        pid: 1,
        carillon: "0".to_owned(),
        concurrency: 1,
        queues: vec![],
        weights: Vec::new(),
    };
    store
        .register(&Register {
            session: session.clone(),
            ttl: TTL,
            info,
        })
        .await?;
    let acquire = Acquire {
        session,
        ttl: TTL,
        steal: None,
        floor: 0,
    };
    let AcquireAnswer::Acquired(token) = store.acquire(&acquire).await? else {
        bail!("the lease is free");
    };
    for n in 1..=10 {
        let _: () = redis
            .xadd(key("history"), "*", &[("n", "2"), ("records", "x")])
            .await?;
        let _: () = redis.rpush(key("packed"), 2).await?;
        let _: () = redis.set(key("lines"), 2 * n).await?;
    }
    let _: () = redis::cmd("XTRIM")
        .arg(key("history"))
        .arg("MAXLEN")
        .arg(4)
        .query_async(&mut redis)
        .await?;
    let tidy = scheduler_core::store::Tidy {
        token,
        keep_history_for: None,
        keep_history: 6,
        keep_requests: TTL,
        keep_fired: TTL,
        keep_failed: 100,
        keep_failed_for: Duration::from_secs(3600),
    };
    store.tidy(&tidy).await?;
    assert_eq!(
        redis.xlen::<_, usize>(key("history")).await?,
        3,
        "six records in three entries"
    );
    assert_eq!(redis.llen::<_, usize>(key("packed")).await?, 3);
    assert_eq!(redis.get::<_, usize>(key("lines")).await?, 6);
    Ok(())
}
