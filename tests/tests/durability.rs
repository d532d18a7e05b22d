//! Writes that count when replicas have them: what they have not acknowledged, no handler acts on.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use scheduler_core::run::Ending;
use scheduler_core::store::{
    Begin, BeginAnswer, ExchangeAnswer, Exchanged, Shard, Store, StoreErrorKind,
};
use scheduler_core::{Namespace, SessionId, Timestamp};
use scheduler_redis::{Durability, RedisConfig, RedisStore};
use tests::conformance::{self, ClockHand, Fresh, Harness, World, job, name};
use tests::node::{Node, until};
use tests::oracle::{self, STREAM};
use tests::redis_server::{Persistence, RedisServer};
use uuid::Uuid;

/// A primary with one replica.
struct Pair {
    primary: RedisServer,
    replica: RedisServer,
}

impl Pair {
    async fn start() -> Result<Self> {
        let common = ["--repl-diskless-sync-delay", "0"];
        let primary = RedisServer::with_arguments(Persistence::None, None, &common)?;
        let port = primary.port().to_string();
        let replicaof = ["--replicaof", "127.0.0.1", &port];
        let replica = RedisServer::with_arguments(Persistence::None, None, &replicaof)?;
        let pair = Self { primary, replica };
        pair.in_step().await?;
        Ok(pair)
    }

    /// Waits until the replica follows.
    async fn in_step(&self) -> Result<()> {
        until("a replica that follows", || async {
            let mut connection = self.primary.connect().await?;
            let mut wait = redis::cmd("WAIT");
            let have: u32 = wait.arg(1).arg(100).query_async(&mut connection).await?;
            Ok(have == 1)
        })
        .await
    }

    fn config(&self, durability: Durability) -> Result<RedisConfig> {
        Ok(RedisConfig::from_url(&self.primary.url())?.with_durability(durability))
    }

    fn freeze(&self) -> Result<()> {
        self.replica.signal(Signal::STOP)
    }

    fn thaw(&self) -> Result<()> {
        self.replica.signal(Signal::CONT)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // A stopped process does not end.
        drop(self.replica.signal(Signal::CONT));
    }
}

struct Waits(RedisConfig);

struct Hand(RedisStore);

impl ClockHand for Hand {
    async fn set(&self, to: Timestamp) {
        self.0.set_pinned_clock(to).await.expect("an answer");
    }
}

impl Harness for Waits {
    type Store = RedisStore;
    type Clock = Hand;

    async fn fresh(&self, start: Timestamp) -> Fresh<RedisStore, Hand> {
        let namespace = Namespace::new(Uuid::now_v7().simple().to_string()).expect("a namespace");
        let store = RedisStore::with_pinned_clock(self.0.clone(), namespace);
        let clock = Hand(store.clone());
        clock.set(start).await;
        Fresh { store, clock }
    }
}

fn one() -> Durability {
    "replicas:1".parse().expect("a durability")
}

#[tokio::test]
async fn what_no_replica_has_is_unknown_until_one_does() -> Result<()> {
    let pair = Pair::start().await?;
    let world = World::fresh(&Waits(pair.config(one())?)).await;
    let store = &world.store;
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    pair.freeze()?;

    let request = a.exchange(Vec::new(), 1);
    for _ in 0..2 {
        // Asked again it is answered as before, and waited for again, also on a new connection.
        let error = store
            .exchange(&request)
            .await
            .expect_err("nobody has acknowledged it");
        assert!(error.is_unknown(), "{error}");
        ensure!(error.to_string().contains("0 of 1 replicas"), "{error}");
    }
    pair.thaw()?;
    let claims = loop {
        match store.exchange(&request).await {
            Ok(ExchangeAnswer::Exchanged(exchanged)) => break exchanged.claims,
            Ok(other) => anyhow::bail!("{other:?}"),
            Err(error) => ensure!(error.is_unknown(), "{error}"),
        }
    };
    assert_eq!(claims.len(), 1);

    // That it begins is waited for; that it has ended is not.
    pair.freeze()?;
    let begin = Begin {
        session: a.session.clone(),
        claims: claims.iter().map(|c| (c.run.clone(), c.fence)).collect(),
        generation: a.generation,
    };
    let error = store
        .begin(&begin)
        .await
        .expect_err("nobody has acknowledged it");
    assert!(error.is_unknown(), "{error}");
    let settled = world.settled(&claims[0], &Ending::Succeeded(None)).await;
    let request = a.exchange(vec![settled], 0);
    assert_eq!(world.exchange(&request).await, Exchanged::default());

    // What clients change is waited for.
    let request = world.run_request("j").await;
    let error = store
        .run_now(&request)
        .await
        .expect_err("nobody has acknowledged it");
    assert_eq!(error.kind(), StoreErrorKind::Unknown, "{error}");
    pair.thaw()?;
    pair.in_step().await?;
    store.run_now(&request).await?;
    let stale = claims.iter().map(|claim| claim.run.clone()).collect();
    assert_eq!(store.begin(&begin).await?, BeginAnswer::Begun { stale });
    Ok(())
}

#[tokio::test]
async fn no_handler_starts_while_the_replica_is_frozen() -> Result<()> {
    let pair = Pair::start().await?;
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("carillon.toml");
    let text = format!(
        "[store]\nurl = \"{}\"\ndurability = \"replicas:1\"\n\
         [[jobs]]\nid = \"tick\"\ntask = \"stream\"\nargs = {{ stream = \"{STREAM}\" }}\n\
         trigger = {{ type = \"interval\", seconds = 0.2 }}\n",
        pair.primary.url()
    );
    std::fs::write(&config, text)?;
    let node = Node::start("one", &["--config", config.to_str().context("a path")?])?;
    let connection = pair.primary.connect().await?;
    let starts = || async {
        let starts = oracle::starts(&mut connection.clone()).await?;
        Ok::<_, anyhow::Error>(starts.len())
    };
    until("starts", || async { Ok(starts().await? >= 5) }).await?;

    pair.freeze()?;
    node.says("0 of 1 replicas have acknowledged it").await?;
    let before = starts().await?;
    // The claimed run stands in the way of the next ones: several fire times pass.
    let store = RedisStore::new(pair.config(Durability::None)?, "default".parse()?);
    let skips = || async {
        let ledger = oracle::ledger(&store).await?;
        Ok::<_, anyhow::Error>(ledger.skips.iter().map(|(.., count)| count).sum::<u64>())
    };
    let skipped = skips().await?;
    until("fire times that pass", || async {
        Ok(skips().await? >= skipped + 5)
    })
    .await?;
    assert_eq!(
        starts().await?,
        before,
        "a handler began that no replica knows of"
    );

    pair.thaw()?;
    until("more starts", || async { Ok(starts().await? > before) }).await
}

#[tokio::test]
async fn a_server_that_cannot_tell_when_writes_are_on_disk_is_refused() -> Result<()> {
    let server = RedisServer::start()?;
    let config = RedisConfig::from_url(&server.url())?.with_durability(Durability::Aof);
    let store = RedisStore::new(config, "default".parse()?);
    let node = conformance::Node::new(SessionId::of(&name("a"), Uuid::now_v7()));
    let registered = store.register(&node.register()).await;
    let error = registered.expect_err("it has no append-only file, or no WAITAOF");
    assert_eq!(error.kind(), StoreErrorKind::Unreachable);
    ensure!(error.to_string().contains("needs WAITAOF"), "{error}");
    Ok(())
}
