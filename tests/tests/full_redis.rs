//! A Redis whose memory is full refuses what would make more of it, and nothing that keeps nodes
//! alive or frees memory: heartbeats, the lease, hand-ins, recovery and forgetting go on.

use anyhow::{Result, bail};
use scheduler_core::change;
use scheduler_core::history::{Record, RunRecord};
use scheduler_core::job::{JobDefaults, JobSpec};
use scheduler_core::plan::plan;
use scheduler_core::run::{Outcome, Verdict};
use scheduler_core::store::{
    Acquire, AcquireAnswer, ClaimWish, Dispatch, DispatchItem, Exchange, ExchangeAnswer, Exchanged,
    Heartbeat, HeartbeatAnswer, NodeInfo, Peek, PeekAnswer, PutJob, Register, RequestId, Retire,
    Settled, Shard, Store, StoreErrorKind, Tidy,
};
use scheduler_core::{Generation, Job, NodeName, QueueName, SessionId, Timestamp};
use std::time::Duration;
use tests::redis_server::RedisServer;
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(60);

fn job(id: &str) -> Result<Job> {
    let spec: JobSpec = serde_json::from_value(serde_json::json!({
        "id": id, "task": "log", "trigger": { "type": "interval", "seconds": 10 },
    }))?;
    Ok(spec.resolve(&JobDefaults::default())?)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(1_900_000_000_000 + seconds * 1000)
}

fn register(session: &SessionId) -> Result<Register> {
    let info = NodeInfo {
        node: NodeName::new("a")?,
        host: "here".to_owned(),
        pid: 1,
        carillon: "0".to_owned(),
        concurrency: 1,
        queues: vec![QueueName::default_queue()],
        weights: Vec::new(),
    };
    Ok(Register {
        session: session.clone(),
        ttl: TTL,
        info,
    })
}

#[tokio::test]
async fn nodes_live_on_and_hand_in_while_the_memory_is_full() -> Result<()> {
    let server = RedisServer::start()?;
    let store = server.pinned_store(&"full".parse()?);
    store.set_pinned_clock(at(0)).await?;
    store.load_scripts().await?;
    let session = SessionId::of(&NodeName::new("a")?, Uuid::now_v7());
    store.register(&register(&session)?).await?;
    let acquire = Acquire {
        session: session.clone(),
        ttl: TTL,
        steal: None,
        floor: 0,
    };
    let AcquireAnswer::Acquired(token) = store.acquire(&acquire).await? else {
        bail!("the lease is free");
    };
    let (first, second) = (job("first")?, job("second")?);
    let changes = vec![
        (None, change::put_new(first.clone(), None, at(0))?),
        (None, change::put_new(second.clone(), None, at(0))?),
    ];
    store
        .put(&PutJob {
            request: RequestId(Uuid::now_v7()),
            all_or_none: false,
            changes,
        })
        .await?;
    store.set_pinned_clock(at(10)).await?;
    let peek = Peek {
        token: token.clone(),
        ttl: TTL,
        ahead: Duration::ZERO,
        limit: 10,
        queues: vec![],
    };
    let dispatch = |job: &Job, due: &scheduler_core::store::DueJob| Dispatch {
        token: token.clone(),
        planned_at: at(10),
        items: vec![DispatchItem {
            job: due.job.clone(),
            due: due.due,
            version: due.version,
            queue: QueueName::default_queue(),
            priority: scheduler_core::Priority::Normal,
            max_instances: 1,
            max_lined_up: 0,
            note: None,
            plan: plan(job, due.due, at(10), due.in_flight),
        }],
    };
    let PeekAnswer::Peeked(peeked) = store.peek(&peek).await? else {
        bail!("it leads")
    };
    let [one, two] = &peeked.due[..] else {
        bail!("two are due: {peeked:?}")
    };
    store.dispatch(&dispatch(&first, one)).await?;
    let wish = Some(ClaimWish::in_order(&[QueueName::default_queue()], 10));
    let mut exchange = Exchange {
        generation: Generation(1),
        session: session.clone(),
        lane: 0,
        request: 1,
        floor: 0,
        settled: vec![],
        wish,
    };
    let ExchangeAnswer::Exchanged(Exchanged { claims, .. }) = store.exchange(&exchange).await?
    else {
        bail!("the session lives");
    };

    let mut redis = server.connect().await?;
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("1mb")
        .query_async::<()>(&mut redis)
        .await?;

    // What would make more of it is refused, as a whole.
    let refused = store.dispatch(&dispatch(&second, two)).await;
    assert_eq!(
        refused.expect_err("memory is full").kind(),
        StoreErrorKind::Refused
    );
    let changes = vec![(None, change::put_new(job("third")?, None, at(10))?)];
    let refused = store
        .put(&PutJob {
            request: RequestId(Uuid::now_v7()),
            all_or_none: false,
            changes,
        })
        .await;
    assert_eq!(
        refused.expect_err("memory is full").kind(),
        StoreErrorKind::Refused
    );
    let overview = store.overview().await?;
    assert_eq!(
        (overview.jobs, overview.due, overview.busy),
        (2, 1, 1),
        "nothing half-written"
    );

    // What keeps nodes alive, and what frees memory, goes on.
    let beat = Heartbeat {
        generation: Generation(1),
        session: session.clone(),
        beat: 1,
        ttl: TTL,
        running: 1,
    };
    let alive = store.heartbeat(&beat).await?;
    assert_eq!(
        alive,
        HeartbeatAnswer::Alive {
            now: at(10),
            claims: 1,
            cancelled: Vec::new(),
        }
    );
    assert!(matches!(store.peek(&peek).await?, PeekAnswer::Peeked(_)));
    assert_eq!(
        store.acquire(&acquire).await?,
        AcquireAnswer::Acquired(token.clone())
    );
    let claim = claims[0].clone();
    let record = Record::Run(RunRecord {
        run: claim.run.clone(),
        outcome: Outcome::Succeeded,
        attempt: 1,
        fence: claim.fence,
        node: "a".to_owned(),
        task: None,
        queue: claim.queue.clone(),
        started_at: None,
        ended_at: None,
        next_at: None,
        detail: None,
    });
    exchange.request = 2;
    let verdict = Verdict::End(Outcome::Succeeded);
    exchange.settled = vec![Settled {
        claim,
        verdict,
        record: Some(record),
        definition: None,
    }];
    let done = store.exchange(&exchange).await?;
    assert_eq!(done, ExchangeAnswer::Exchanged(Exchanged::default()));
    store
        .retire(&Retire {
            token: token.clone(),
            jobs: vec![],
        })
        .await?;
    let tidy = Tidy {
        token: token.clone(),
        keep_history_for: None,
        keep_history: 0,
        keep_requests: Duration::ZERO,
        keep_fired: Duration::ZERO,
        keep_failed: 100,
        keep_failed_for: Duration::from_secs(3600),
    };
    store.tidy(&tidy).await?;
    let other = SessionId::of(&NodeName::new("b")?, Uuid::now_v7());
    store.register(&register(&other)?).await?;
    store.leave(&session).await?;
    store.release(&token).await?;
    let acquire = Acquire {
        session: other,
        ttl: TTL,
        steal: None,
        floor: 0,
    };
    assert!(matches!(
        store.acquire(&acquire).await?,
        AcquireAnswer::Acquired(_)
    ));
    assert_eq!(store.overview().await?.busy, 0);
    Ok(())
}
