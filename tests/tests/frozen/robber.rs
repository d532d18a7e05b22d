//! Who takes the lease from a frozen leader: at once, for it knows that the leader is frozen.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use scheduler_core::lease::{LeaseToken, Proof, Steal};
use scheduler_core::plan::plan;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Dispatch, DispatchAnswer, DispatchItem, NodeInfo, Peek, PeekAnswer,
    Register,
};
use scheduler_core::{Job, Namespace, NodeName, QueueName, SessionId, Shard, Timestamp};
use scheduler_redis::RedisStore;
use uuid::Uuid;

const NAME: &str = "robber";

pub(crate) fn session(id: Uuid) -> Result<SessionId> {
    Ok(SessionId::of(&NodeName::new(NAME)?, id))
}

/// What is settled: highest fire time and next due time of each job, as they are stored.
pub(crate) type Settled = (BTreeMap<String, String>, BTreeMap<String, f64>);

pub(crate) struct Robber {
    store: RedisStore,
    redis: MultiplexedConnection,
    keys: String,
    session: SessionId,
    jobs: Vec<Job>,
    token: Option<LeaseToken>,
}

impl Robber {
    pub(crate) async fn new(
        store: RedisStore,
        redis: MultiplexedConnection,
        namespace: &Namespace,
        jobs: Vec<Job>,
    ) -> Result<Self> {
        let session = session(Uuid::now_v7())?;
        let info = NodeInfo {
            node: NodeName::new(NAME)?,
            host: "here".to_owned(),
            pid: 1,
            carillon: "0".to_owned(),
            concurrency: 1,
            queues: vec![QueueName::default_queue()],
            weights: Vec::new(),
        };
        let ttl = super::LONG;
        let register = Register {
            session: session.clone(),
            ttl,
            info,
        };
        store.register(&register).await?;
        Ok(Self {
            store,
            redis,
            keys: format!("carillon:{{{namespace}/0}}"),
            session,
            jobs,
            token: None,
        })
    }

    pub(crate) async fn now(&self) -> Result<Timestamp> {
        Ok(self.store.observe(&self.session).await?.now)
    }

    /// Takes the lease as soon as anything is due. A term of its own that is short protects no leader for long.
    pub(crate) async fn takes_the_lease(&mut self) -> Result<()> {
        let mut tick = tokio::time::interval(Duration::from_millis(3));
        for _ in 0..2_000 {
            tick.tick().await;
            let view = self.store.observe(&self.session).await?;
            let beat = view.beat;
            let steal = view.token.map(|token| Steal {
                token,
                proof: Proof::StoodStill { beat },
            });
            if matches!(
                self.acquire(Duration::from_millis(1), steal).await?,
                AcquireAnswer::Acquired(_)
            ) {
                let AcquireAnswer::Acquired(token) = self.acquire(super::LONG, None).await? else {
                    bail!("somebody else took it, and all others are frozen");
                };
                self.token = Some(token);
                return Ok(());
            }
        }
        bail!("the lease could not be taken")
    }

    async fn acquire(&self, ttl: Duration, steal: Option<Steal>) -> Result<AcquireAnswer> {
        let request = Acquire {
            session: self.session.clone(),
            ttl,
            steal,
            floor: 0,
        };
        Ok(self.store.acquire(&request).await?)
    }

    /// Settles what is due: nobody else has settled any of it meanwhile.
    pub(crate) async fn dispatches(&self) -> Result<()> {
        let token = self.token.clone().context("the lease")?;
        let peek = Peek {
            token: token.clone(),
            ttl: super::LONG,
            ahead: Duration::ZERO,
            limit: 100,
            queues: vec![QueueName::default_queue()],
        };
        let PeekAnswer::Peeked(peeked) = self.store.peek(&peek).await? else {
            bail!("it has the lease");
        };
        let mut items = Vec::new();
        for due in &peeked.due {
            let job = self.jobs.iter().find(|job| *job.id() == due.job);
            let job = job.context("a job of ours")?;
            items.push(DispatchItem {
                job: due.job.clone(),
                due: due.due,
                version: due.version,
                queue: job.queue().clone(),
                priority: job.policy().priority,
                max_instances: usize::try_from(job.policy().max_instances.get())?,
                max_lined_up: job.policy().max_lined_up(),
                plan: plan(job, due.due, peeked.now, due.in_flight),
                note: None,
            });
        }
        let dispatch = Dispatch {
            token,
            planned_at: peeked.now,
            items,
        };
        match self.store.dispatch(&dispatch).await? {
            DispatchAnswer::Dispatched { refused } => {
                ensure!(refused.is_empty(), "somebody else was there: {refused:?}");
                Ok(())
            }
            // The machine was busy with other things for a second.
            DispatchAnswer::Stale => Ok(()),
            DispatchAnswer::LeaseLost => bail!("it has the lease"),
        }
    }

    /// What is settled by now.
    pub(crate) async fn settled(&mut self) -> Result<Settled> {
        let fired = self.redis.hgetall(format!("{}:fired", self.keys)).await?;
        let due: Vec<(String, f64)> = self
            .redis
            .zrange_withscores(format!("{}:due", self.keys), 0, -1)
            .await?;
        Ok((fired, due.into_iter().collect()))
    }

    pub(crate) async fn gives_back(&mut self) -> Result<()> {
        let token = self.token.take().context("the lease")?;
        Ok(self.store.release(&token).await?)
    }
}
