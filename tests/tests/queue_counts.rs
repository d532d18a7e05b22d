//! What is claimed of a queue is counted anew where somebody changed the count by hand.

use std::time::Duration;

use anyhow::{Result, bail};
use redis::AsyncCommands;
use scheduler_core::store::{
    Acquire, AcquireAnswer, ClaimWish, Exchange, ExchangeAnswer, NodeInfo, Register, Shard, Store,
    Tidy, TidyAnswer,
};
use scheduler_core::{Generation, NodeName, QueueName, SessionId};
use tests::redis_server::RedisServer;
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(60);

fn key(name: &str) -> String {
    format!("carillon:{{counts/0}}:{name}")
}

#[tokio::test]
async fn the_leader_counts_anew_what_cannot_be_right() -> Result<()> {
    let server = RedisServer::start()?;
    let store = server.store("counts");
    let mut redis = server.connect().await?;
    let queues = vec![QueueName::default_queue()];
    let session = SessionId::of(&NodeName::new("a")?, Uuid::now_v7());
    let info = NodeInfo {
        node: NodeName::new("a")?,
        host: "here".to_owned(),
        pid: 1,
        carillon: "0".to_owned(),
        concurrency: 1,
        queues: queues.clone(),
        weights: Vec::new(),
    };
    let register = Register {
        session: session.clone(),
        ttl: TTL,
        info,
    };
    store.register(&register).await?;
    let acquire = Acquire {
        session: session.clone(),
        ttl: TTL,
        steal: None,
        floor: 0,
    };
    let AcquireAnswer::Acquired(token) = store.acquire(&acquire).await? else {
        bail!("the lease is free");
    };
    // Two runs of a job that is there.
    let _: () = redis.hset(key("versions"), "j", 1).await?;
    let _: () = redis.sadd(key("queues"), "default").await?;
    let ready = ["1 - 0 j@1", "1 - 0 j@2"];
    let _: () = redis.rpush(key("ready:default"), &ready).await?;
    let exchange = Exchange {
        generation: Generation(1),
        session,
        lane: 0,
        request: 1,
        floor: 0,
        settled: vec![],
        wish: Some(ClaimWish::in_order(&queues, 2)),
    };
    let ExchangeAnswer::Exchanged(exchanged) = store.exchange(&exchange).await? else {
        bail!("the session lives");
    };
    assert_eq!(exchanged.claims.len(), 2);

    let tidy = Tidy {
        keep_failed: 1000,
        keep_failed_for: Duration::from_secs(3600),
        token,
        keep_history: 1_000,
        keep_history_for: None,
        keep_requests: TTL,
        keep_fired: TTL,
    };
    for wrong in ["7", "-1", "0", "nonsense"] {
        let _: () = redis.hset(key("inuse"), "default", wrong).await?;
        assert_eq!(store.tidy(&tidy).await?, TidyAnswer::Done);
        let board = store.queues().await?.queues;
        assert_eq!(board[0].in_use, 2, "after {wrong}");
    }
    // Of a queue that nothing is claimed of.
    let _: () = redis.hset(key("inuse"), "other", 3).await?;
    store.tidy(&tidy).await?;
    let counts: Vec<(String, u64)> = redis.hgetall(key("inuse")).await?;
    assert_eq!(counts, [("default".to_owned(), 2)]);
    Ok(())
}
