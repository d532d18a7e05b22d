//! Each operation of the Redis store is done, its answer is lost on the way, and it is asked again:
//! nothing is doubled, nothing is stuck. The answers are lost for real, by a proxy that cuts the
//! connection after the command was done.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod attending;
mod world;

use std::time::Duration;

use anyhow::{Result, bail};
use carillon::{Event, Scheduler, Timing};
use scheduler_core::change;
use scheduler_core::run::Verdict;
use scheduler_core::store::{
    AcquireAnswer, Changed, DispatchAnswer, Drain, ExchangeAnswer, Exchanged, FenceAnswer,
    FenceSession, HeartbeatAnswer, PutJob, Refusal, RemoveJob, RequestId, Resync, ResyncAnswer,
    RunNow, RunNowAnswer, Settled, Shard, Store,
};
use scheduler_core::{Cause, Generation, JobId, NodeName, SessionId};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::node::until;
use tests::proxy::Proxy;
use tests::redis_server::RedisServer;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use world::{World, acquire, at, heartbeat, job, register, settled};

#[tokio::test]
async fn register_and_acquire() -> Result<()> {
    let mut world = World::new().await?;
    world.store.release(&world.token).await?;
    let session = SessionId::of(&NodeName::new("b")?, Uuid::now_v7());
    let request = register(&session);
    world
        .twice(|store| {
            let request = request.clone();
            async move { store.register(&request).await }
        })
        .await?;
    let request = acquire(&session);
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.acquire(&request).await }
        })
        .await?;
    let AcquireAnswer::Acquired(token) = answer else {
        bail!("the lease is the session's own: {answer:?}");
    };
    // The epoch that was won by the request whose answer was lost, not another.
    assert_eq!(token.session, session);
    let again = world.store.acquire(&request).await?;
    assert_eq!(again, AcquireAnswer::Acquired(token.clone()));
    world.attended(&session).await?;
    world
        .twice(|store| {
            let token = token.clone();
            async move { store.release(&token).await }
        })
        .await?;
    assert_eq!(world.store.observe(&session).await?.token, None);
    world
        .twice(|store| {
            let session = session.clone();
            async move { store.leave(&session).await }
        })
        .await?;
    let nodes = world.store.nodes().await?;
    assert_eq!(nodes.len(), 1, "only the first is left: {nodes:?}");
    Ok(())
}

#[tokio::test]
async fn heartbeat_keeps_the_session() -> Result<()> {
    let mut world = World::new().await?;
    let request = heartbeat(&world.session, 1);
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.heartbeat(&request).await }
        })
        .await?;
    assert_eq!(
        answer,
        HeartbeatAnswer::Alive {
            now: at(0),
            claims: 0,
            cancelled: Vec::new(),
        }
    );
    Ok(())
}

#[tokio::test]
async fn a_caller_that_gives_up_is_not_left_with_a_dead_connection() -> Result<()> {
    let world = World::new().await?;
    let patience = Duration::from_millis(500);
    world.proxy.stall();
    let request = heartbeat(&world.session, 1);
    let answer = tokio::time::timeout(patience, world.store.heartbeat(&request)).await;
    assert!(answer.is_err(), "the connection stands still: {answer:?}");
    let request = heartbeat(&world.session, 2);
    let answer = tokio::time::timeout(patience, world.store.heartbeat(&request)).await;
    assert!(matches!(answer?, Ok(HeartbeatAnswer::Alive { .. })));
    Ok(())
}

#[tokio::test]
async fn a_node_with_a_short_session_outlives_a_connection_that_stands_still() -> Result<()> {
    let server = RedisServer::start()?;
    let proxy = Proxy::start(server.port()).await?;
    let config = RedisConfig::from_url(&server.url_on(proxy.port()))?;
    let store = RedisStore::new(config, "lost".parse()?);
    let timing = Timing {
        session_ttl: Duration::from_secs(2),
        ..Timing::default()
    };
    let scheduler = Scheduler::builder(store).timing(timing).build()?;
    let (mut events, counts) = (scheduler.events(), scheduler.counters());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(scheduler.run(shutdown.clone()));
    let leads = |event: &Event| matches!(event, Event::LeaseWon { .. }).then_some(());
    let led = events.find(Duration::from_secs(30), leads).await;
    assert_eq!(led, Some(()));
    // Seen past the proxy: how often the session has shown that it lives.
    let direct = server.store("lost");
    let beats = || async {
        let sessions = direct.sessions().await?;
        anyhow::Ok(sessions.first().map_or(0, |session| session.beat))
    };
    let before = beats().await?;
    // The heart's connection and all others. The beats go on by another, for a ttl and more.
    proxy.stall();
    until("more heartbeats", || async {
        Ok(beats().await? >= before + 6)
    })
    .await?;
    assert_eq!(counts().trust_lost, 0);
    shutdown.cancel();
    running.await??;
    Ok(())
}

#[tokio::test]
async fn put_writes_one_version() -> Result<()> {
    let mut world = World::new().await?;
    let changes = vec![(None, change::put_new(job("report"), None, at(0))?)];
    let request = PutJob {
        request: RequestId(Uuid::now_v7()),
        all_or_none: false,
        changes,
    };
    let answers = world
        .twice(|store| {
            let request = request.clone();
            async move { store.put(&request).await }
        })
        .await?;
    let [Changed::Done(version)] = answers[..] else {
        bail!("it was put: {answers:?}")
    };
    let found = world.store.jobs(&[JobId::new("report")?]).await?;
    assert_eq!(
        found[0].stored.as_ref().map(|stored| stored.version),
        Some(version)
    );
    Ok(())
}

#[tokio::test]
async fn dispatch_makes_one_run_which_ends_once() -> Result<()> {
    let mut world = World::new().await?;
    let job = job("report");
    world.put(job.clone()).await?;
    world.store.set_pinned_clock(at(10)).await?;
    let request = world.dispatch_of(&job).await?;
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.dispatch(&request).await }
        })
        .await?;
    let DispatchAnswer::Dispatched { refused } = answer else {
        bail!("{answer:?}")
    };
    assert!(
        matches!(refused[0].why, Refusal::Changed | Refusal::Fired(_)),
        "{refused:?}"
    );
    assert_eq!(world.store.overview().await?.queues[0].ready, 1);
    assert_eq!(world.peeked().await?.next_due, Some(at(20)));

    // Claimed, with a lost answer: the very same claims come back.
    let request = world.exchange(vec![], 10);
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.exchange(&request).await }
        })
        .await?;
    let ExchangeAnswer::Exchanged(Exchanged { claims, stale }) = answer else {
        bail!("gone")
    };
    assert_eq!((claims.len(), stale.len()), (1, 0));
    assert_eq!(world.claims().await?, 1);

    // Handed in, with a lost answer: it ended once, and nothing counts as stale.
    let request = world.exchange(vec![settled(claims[0].clone())], 10);
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.exchange(&request).await }
        })
        .await?;
    assert_eq!(answer, ExchangeAnswer::Exchanged(Exchanged::default()));
    assert_eq!(world.ended().await?, 1);
    world.assert_idle().await
}

#[tokio::test]
async fn claims_that_came_with_a_lost_answer_are_found_by_a_resync() -> Result<()> {
    let mut world = World::new().await?;
    let claim = world.claimed().await?;
    world.requests += 1;
    let request = Resync {
        generation: Generation(1),
        session: world.session.clone(),
        lane: 0,
        request: world.requests,
    };
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.resync(&request).await }
        })
        .await?;
    assert_eq!(answer, ResyncAnswer::Claims(vec![claim.clone()]));
    // A request from before, that was delayed on its way, changes nothing any more.
    let mut late = world.exchange(vec![settled(claim.clone())], 10);
    late.request = 1;
    assert_eq!(
        world.store.exchange(&late).await?,
        ExchangeAnswer::Superseded
    );
    let request = world.exchange(vec![settled(claim)], 0);
    world.store.exchange(&request).await?;
    world.assert_idle().await
}

#[tokio::test]
async fn run_now_makes_one_run() -> Result<()> {
    let mut world = World::new().await?;
    let job = job("report");
    world.put(job.clone()).await?;
    let found = world.store.jobs(&[job.id().clone()]).await?;
    let version = found[0]
        .stored
        .as_ref()
        .map(|stored| stored.version)
        .unwrap();
    let request = RequestId(Uuid::now_v7());
    let request = RunNow {
        request,
        cause: Cause::Request(request.0),
        job,
        version,
    };
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.run_now(&request).await }
        })
        .await?;
    assert_eq!(answer, RunNowAnswer::Made);
    assert_eq!(world.store.overview().await?.queues[0].ready, 1);
    let request = world.exchange(vec![], 10);
    let ExchangeAnswer::Exchanged(Exchanged { claims, .. }) =
        world.store.exchange(&request).await?
    else {
        bail!("gone")
    };
    let request = world.exchange(claims.into_iter().map(settled).collect(), 0);
    world.store.exchange(&request).await?;
    assert_eq!(world.ended().await?, 1);
    world.assert_idle().await
}

#[tokio::test]
async fn remove_removes_once() -> Result<()> {
    let mut world = World::new().await?;
    let id = JobId::new("report")?;
    world.put(job("report")).await?;
    let found = world.store.jobs(std::slice::from_ref(&id)).await?;
    let stored = found[0].stored.clone().unwrap();
    let removal = change::remove(&stored, at(0));
    let request = RemoveJob {
        request: RequestId(Uuid::now_v7()),
        job: id.clone(),
        version: stored.version,
        next_fire: stored.next_fire,
        skips: removal.skips,
        next: removal.next,
        detail: None,
    };
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.remove(&request).await }
        })
        .await?;
    assert_eq!(answer, Changed::Done(stored.version));
    assert_eq!(world.store.jobs(&[id]).await?[0].stored, None);
    assert_eq!(world.store.overview().await?.jobs, 0);
    Ok(())
}

#[tokio::test]
async fn recovery_settles_each_claim_of_the_dead_once() -> Result<()> {
    let mut world = World::new().await?;
    let claim = world.claimed().await?;
    let request = FenceSession {
        session: world.session.clone(),
        beat: 0,
    };
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.fence_session(&request).await }
        })
        .await?;
    assert_eq!(answer, FenceAnswer::Fenced);
    let again = Verdict::Again {
        after: Duration::ZERO,
        attempt: 2,
        losses: 1,
    };
    let items = vec![Settled {
        claim: claim.clone(),
        verdict: again,
        record: None,
        definition: None,
    }];
    let request = Drain {
        session: world.session.clone(),
        items,
    };
    let answer = world
        .twice(|store| {
            let request = request.clone();
            async move { store.drain(&request).await }
        })
        .await?;
    assert_eq!(answer.left, 0);
    assert_eq!(
        world.store.overview().await?.queues[0].ready,
        1,
        "once in its queue"
    );

    // What the dead node hands in late is refused; another node executes the second attempt.
    let late = world.exchange(vec![settled(claim)], 10);
    assert_eq!(world.store.exchange(&late).await?, ExchangeAnswer::Gone);
    world.session = SessionId::of(&NodeName::new("b")?, Uuid::now_v7());
    world.store.register(&register(&world.session)).await?;
    let request = world.exchange(vec![], 10);
    let ExchangeAnswer::Exchanged(Exchanged { claims, .. }) =
        world.store.exchange(&request).await?
    else {
        bail!("gone")
    };
    assert_eq!(claims[0].attempt, 2);
    let request = world.exchange(claims.into_iter().map(settled).collect(), 0);
    world.store.exchange(&request).await?;
    assert_eq!(world.ended().await?, 1);
    world.assert_idle().await
}
