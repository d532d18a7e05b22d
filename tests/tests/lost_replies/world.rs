//! A store behind a proxy that loses its answers.

use std::time::Duration;

use anyhow::{Result, bail};
use scheduler_core::change;
use scheduler_core::job::{JobDefaults, JobSpec};
use scheduler_core::lease::{LeaseToken, Presence};
use scheduler_core::plan::plan;
use scheduler_core::run::{Claim, Outcome, Verdict};
use scheduler_core::store::{
    Acquire, AcquireAnswer, Changed, ClaimWish, Dispatch, DispatchItem, Exchange, ExchangeAnswer,
    Exchanged, Heartbeat, HeartbeatAnswer, HistoryQuery, NodeInfo, Peek, PeekAnswer, Peeked,
    PutJob, Register, RequestId, Settled, Shard, Store, StoreResult,
};
use scheduler_core::{Generation, Job, NodeName, QueueName, SessionId, Timestamp};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::node::until;
use tests::proxy::Proxy;
use tests::redis_server::RedisServer;
use uuid::Uuid;

/// A store behind a proxy, with one session that leads and one job that is due.
pub(crate) struct World {
    _server: RedisServer,
    pub(crate) proxy: Proxy,
    pub(crate) store: RedisStore,
    pub(crate) session: SessionId,
    pub(crate) token: LeaseToken,
    pub(crate) requests: u64,
    pub(crate) losses: usize,
}

pub(crate) const TTL: Duration = Duration::from_secs(60);
pub(crate) const START: i64 = 1_900_000_000_000;

pub(crate) fn job(id: &str) -> Job {
    let spec: JobSpec = serde_json::from_value(serde_json::json!({
        "id": id, "task": "log", "trigger": { "type": "interval", "seconds": 10 },
    }))
    .unwrap();
    spec.resolve(&JobDefaults::default()).unwrap()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(START + seconds * 1000)
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        let server = RedisServer::start()?;
        let proxy = Proxy::start(server.port()).await?;
        let config = RedisConfig::from_url(&server.url_on(proxy.port()))?;
        let store = RedisStore::with_pinned_clock(config, "lost".parse()?);
        store.set_pinned_clock(at(0)).await?;
        // Or the answer that is lost would be "no such script", and nothing would have been done.
        store.load_scripts().await?;
        let session = SessionId::of(&NodeName::new("a")?, Uuid::now_v7());
        let register = register(&session);
        store.register(&register).await?;
        let AcquireAnswer::Acquired(token) = store.acquire(&acquire(&session)).await? else {
            bail!("the lease is free");
        };
        let world = Self {
            _server: server,
            proxy,
            store,
            session,
            token,
            requests: 0,
            losses: 0,
        };
        world.attended(&world.session).await?;
        Ok(world)
    }

    /// Waits until the leader's own subscription stands, which goes the same way: none of its answers
    /// shall be the lost one.
    pub(crate) async fn attended(&self, session: &SessionId) -> Result<()> {
        until("the leader's attendance", || async {
            Ok(self.store.observe(session).await?.presence == Presence::Here)
        })
        .await
    }

    /// Asks twice: the first answer is lost.
    pub(crate) async fn twice<T, Fut>(&mut self, ask: impl Fn(RedisStore) -> Fut) -> Result<T>
    where
        Fut: Future<Output = StoreResult<T>>,
    {
        self.proxy.cut_next_reply();
        match ask(self.store.clone()).await {
            Err(error) if error.is_unknown() => {}
            Err(error) => bail!("a lost answer must count as unknown: {error}"),
            Ok(_) => bail!("the answer was not lost"),
        }
        self.losses += 1;
        assert_eq!(self.proxy.cuts(), self.losses);
        Ok(ask(self.store.clone()).await?)
    }

    pub(crate) async fn put(&self, job: Job) -> Result<()> {
        let changes = vec![(None, change::put_new(job, None, at(0))?)];
        let request = PutJob {
            request: RequestId(Uuid::now_v7()),
            all_or_none: false,
            changes,
        };
        let answers = self.store.put(&request).await?;
        assert!(matches!(answers[..], [Changed::Done(_)]));
        Ok(())
    }

    pub(crate) async fn peeked(&self) -> Result<Peeked> {
        let peek = Peek {
            token: self.token.clone(),
            ttl: TTL,
            ahead: Duration::ZERO,
            limit: 100,
            queues: vec![],
        };
        match self.store.peek(&peek).await? {
            PeekAnswer::Peeked(peeked) => Ok(peeked),
            PeekAnswer::LeaseLost => bail!("the lease is held"),
        }
    }

    pub(crate) async fn dispatch_of(&self, job: &Job) -> Result<Dispatch> {
        let peeked = self.peeked().await?;
        let items = peeked.due.iter().map(|due| DispatchItem {
            job: due.job.clone(),
            due: due.due,
            version: due.version,
            queue: QueueName::default_queue(),
            priority: scheduler_core::Priority::Normal,
            max_instances: 1,
            max_lined_up: 0,
            note: None,
            plan: plan(job, due.due, peeked.now, due.in_flight),
        });
        let items = items.collect();
        Ok(Dispatch {
            token: self.token.clone(),
            planned_at: peeked.now,
            items,
        })
    }

    pub(crate) fn exchange(&mut self, settled: Vec<Settled>, limit: usize) -> Exchange {
        self.requests += 1;
        let queues = vec![QueueName::default_queue()];
        Exchange {
            generation: Generation(1),
            session: self.session.clone(),
            lane: 0,
            request: self.requests,
            floor: 0,
            settled,
            wish: (limit > 0).then_some(ClaimWish::in_order(&queues, limit)),
        }
    }

    /// One run of one job, dispatched and claimed.
    pub(crate) async fn claimed(&mut self) -> Result<Claim> {
        let job = job("report");
        self.put(job.clone()).await?;
        self.store.set_pinned_clock(at(10)).await?;
        let dispatch = self.dispatch_of(&job).await?;
        self.store.dispatch(&dispatch).await?;
        let request = self.exchange(vec![], 10);
        match self.store.exchange(&request).await? {
            ExchangeAnswer::Exchanged(Exchanged { claims, .. }) if claims.len() == 1 => {
                Ok(claims[0].clone())
            }
            answer => bail!("one claim was expected: {answer:?}"),
        }
    }

    /// Nothing is in flight: no run waits, is claimed, or holds a slot of its job.
    pub(crate) async fn assert_idle(&self) -> Result<()> {
        let overview = self.store.overview().await?;
        assert_eq!(overview.busy, 0, "{overview:?}");
        assert_eq!(overview.retries, 0, "{overview:?}");
        assert!(
            overview.queues.iter().all(|queue| queue.ready == 0),
            "{overview:?}"
        );
        assert_eq!(self.claims().await?, 0);
        Ok(())
    }

    pub(crate) async fn claims(&self) -> Result<usize> {
        match self
            .store
            .heartbeat(&heartbeat(&self.session, 1000))
            .await?
        {
            HeartbeatAnswer::Alive { claims, .. } => Ok(claims),
            HeartbeatAnswer::Gone | HeartbeatAnswer::Behind => bail!("the session lives"),
        }
    }

    pub(crate) async fn ended(&self) -> Result<usize> {
        let query = HistoryQuery {
            limit: 100,
            ..HistoryQuery::default()
        };
        Ok(self.store.history(&query).await?.entries.len())
    }
}

pub(crate) fn register(session: &SessionId) -> Register {
    let info = NodeInfo {
        node: NodeName::new("a").unwrap(),
        host: "here".to_owned(),
        pid: 1,
        carillon: "0".to_owned(),
        concurrency: 1,
        queues: vec![QueueName::default_queue()],
        weights: Vec::new(),
    };
    Register {
        session: session.clone(),
        ttl: TTL,
        info,
    }
}

pub(crate) fn acquire(session: &SessionId) -> Acquire {
    Acquire {
        session: session.clone(),
        ttl: TTL,
        steal: None,
        floor: 0,
    }
}

pub(crate) fn heartbeat(session: &SessionId, beat: u64) -> Heartbeat {
    Heartbeat {
        generation: Generation(1),
        session: session.clone(),
        beat,
        ttl: TTL,
        running: 0,
    }
}

pub(crate) fn settled(claim: Claim) -> Settled {
    let record = scheduler_core::history::RunRecord {
        run: claim.run.clone(),
        outcome: Outcome::Succeeded,
        attempt: claim.attempt,
        fence: claim.fence,
        node: "a".to_owned(),
        task: None,
        queue: claim.queue.clone(),
        started_at: None,
        ended_at: None,
        next_at: None,
        detail: None,
    };
    let record = Some(scheduler_core::history::Record::Run(record));
    Settled {
        claim,
        verdict: Verdict::End(Outcome::Succeeded),
        record,
        definition: None,
    }
}
