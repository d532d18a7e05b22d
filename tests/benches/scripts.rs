//! What a fire costs Redis: `cargo bench -p tests --bench scripts`.
//!
//! One leader and one node do nothing but call the scripts of a fire's life, in batches of a size,
//! on a server of their own: peek, dispatch, and an exchange that hands in the batch before and
//! claims the next. The figures are the server's own (`INFO commandstats`), and medians of all calls,
//! so that a busy machine or a slow build of this program hardly shows in them. "Inside" is the time
//! of the commands that scripts called, on average; the rest is Lua. Jobs: the first argument, or
//! 10,000.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use redis::aio::MultiplexedConnection;
use scheduler_core::plan::plan;
use scheduler_core::run::{Claim, Ending, settle};
use scheduler_core::store::{
    AcquireAnswer, Changed, Dispatch, DispatchAnswer, DispatchItem, Exchange, ExchangeAnswer, Peek,
    PeekAnswer, PutJob, RequestId, Settled, Tidy,
};
use scheduler_core::{Job, JobId, QueueName, SessionId, Shard, Store, Timestamp, Version, change};
use scheduler_redis::RedisStore;
use tests::conformance::{self, EVERY, LEASE, Node, START, settled_as};
use tests::redis_server::RedisServer;
use uuid::Uuid;

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let jobs = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(10_000);
    eprintln!(
        "{jobs} jobs, {ROUNDS} rounds; us of Redis per fire (inside: in the commands called)"
    );
    eprintln!("batch      peek  dispatch  exchange     whole    inside  commands   history bytes");
    for batch in [50, 200, 500] {
        let server = RedisServer::start()?;
        Bench::new(&server, jobs, batch).await?.run().await?;
    }
    Ok(())
}

/// What the server has spent so far.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// In scripts.
    us: f64,
    /// In the commands that scripts called.
    inside_us: f64,
    /// How many those are.
    inside: f64,
    /// On how many fires.
    fires: f64,
}

impl Spent {
    async fn so_far(redis: &mut MultiplexedConnection) -> Result<Self> {
        let info: String = redis::cmd("INFO")
            .arg("commandstats")
            .query_async(redis)
            .await?;
        let mut spent = Self::default();
        for line in info.lines() {
            let Some((name, figures)) = line
                .strip_prefix("cmdstat_")
                .and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let figures: BTreeMap<_, _> = figures
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .collect();
            let (us, calls): (f64, f64) = (figures["usec"].parse()?, figures["calls"].parse()?);
            match name {
                "evalsha" => spent.us += us,
                "info" => {}
                _ => {
                    spent.inside_us += us;
                    spent.inside += calls;
                }
            }
        }
        Ok(spent)
    }
}

struct Bench {
    store: RedisStore,
    redis: MultiplexedConnection,
    node: Node,
    jobs: BTreeMap<JobId, Arc<Job>>,
    batch: usize,
    now: Timestamp,
    peek: Peek,
}

impl Bench {
    async fn new(server: &RedisServer, jobs: usize, batch: usize) -> Result<Self> {
        let store = server.pinned_store(&conformance::name("bench"));
        store.set_pinned_clock(START).await?;
        let node = Node::new(SessionId::of(&conformance::name("node"), Uuid::now_v7()));
        store.register(&node.register()).await?;
        let AcquireAnswer::Acquired(token) = store.acquire(&node.acquire()).await? else {
            bail!("no lease");
        };
        let mut bench = Self {
            store,
            redis: server.connect().await?,
            node,
            jobs: BTreeMap::new(),
            batch,
            now: START,
            peek: Peek {
                token,
                ttl: LEASE,
                ahead: Duration::ZERO,
                limit: batch,
                queues: vec![QueueName::default_queue()],
            },
        };
        bench.put(jobs).await?;
        Ok(bench)
    }

    async fn put(&mut self, jobs: usize) -> Result<()> {
        let numbers: Vec<_> = (0..jobs).collect();
        for numbers in numbers.chunks(200) {
            let mut changes = Vec::new();
            for number in numbers {
                let job = conformance::job(&format!("job-{number}")).build();
                self.jobs.insert(job.id().clone(), Arc::new(job.clone()));
                changes.push((None, change::put_new(job, None, START)?));
            }
            let request = RequestId(Uuid::now_v7());
            let put = PutJob {
                request,
                changes,
                all_or_none: false,
            };
            if self.store.put(&put).await?.contains(&Changed::Conflict) {
                bail!("a job was there");
            }
        }
        Ok(())
    }

    async fn run(mut self) -> Result<()> {
        // Once for all: scripts are loaded, hashes have grown.
        self.round(&mut Spending::default()).await?;
        let mut spending = Spending::default();
        for _ in 0..ROUNDS {
            self.round(&mut spending).await?;
        }
        let bytes: f64 = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg("carillon:{bench/0}:history")
            .query_async(&mut self.redis)
            .await?;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let fires = (self.jobs.len() * ROUNDS) as f64;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let recorded = (self.jobs.len() * (ROUNDS + 1)) as f64;
        let Spending {
            peek,
            dispatch,
            exchange,
        } = &spending;
        let all = [peek, dispatch, exchange];
        let medians = all.map(|calls| Spending::median(calls));
        let inside = all
            .iter()
            .map(|calls| calls.iter().map(|c| c.inside_us).sum::<f64>());
        let commands = all
            .iter()
            .map(|calls| calls.iter().map(|c| c.inside).sum::<f64>());
        eprintln!(
            "{:>5}  {:>8.2}  {:>8.2}  {:>8.2}  {:>8.2}  {:>8.2}  {:>8.3}  {:>14.0}",
            self.batch,
            medians[0],
            medians[1],
            medians[2],
            medians.iter().sum::<f64>(),
            inside.sum::<f64>() / fires,
            commands.sum::<f64>() / fires,
            bytes / recorded,
        );
        Ok(())
    }

    /// Each job fires once.
    async fn round(&mut self, spending: &mut Spending) -> Result<()> {
        self.now = self.now.after(EVERY);
        self.store.set_pinned_clock(self.now).await?;
        let mut fires = 0;
        loop {
            let before = Spent::so_far(&mut self.redis).await?;
            let PeekAnswer::Peeked(peeked) = self.store.peek(&self.peek).await? else {
                bail!("the lease is lost");
            };
            let spent = before.until_now(&mut self.redis, peeked.due.len()).await?;
            if peeked.due.is_empty() {
                break;
            }
            spending.peek.push(spent);
            let items = peeked.due.into_iter().map(|due| {
                let job = &self.jobs[&due.job];
                DispatchItem {
                    plan: plan(job, due.due, peeked.now, due.in_flight),
                    queue: job.queue().clone(),
                    priority: job.policy().priority,
                    max_instances: 1,
                    max_lined_up: 0,
                    note: None,
                    job: due.job,
                    due: due.due,
                    version: due.version,
                }
            });
            let dispatch = Dispatch {
                token: self.peek.token.clone(),
                planned_at: peeked.now,
                items: items.collect(),
            };
            fires += dispatch.items.len();
            let before = Spent::so_far(&mut self.redis).await?;
            let DispatchAnswer::Dispatched { refused } = self.store.dispatch(&dispatch).await?
            else {
                bail!("the lease is lost");
            };
            let spent = before
                .until_now(&mut self.redis, dispatch.items.len())
                .await?;
            spending.dispatch.push(spent);
            if !refused.is_empty() {
                bail!("refused: {refused:?}");
            }
        }
        if fires != self.jobs.len() {
            bail!("{fires} fires of {} jobs", self.jobs.len());
        }
        self.work(spending).await?;
        let tidy = Tidy {
            token: self.peek.token.clone(),
            keep_history: 1_000_000,
            keep_history_for: None,
            keep_requests: Duration::ZERO,
            keep_fired: Duration::from_secs(3600),
            keep_failed: 10_000,
            keep_failed_for: Duration::from_secs(3600),
        };
        self.store.tidy(&tidy).await?;
        Ok(())
    }

    /// Claims and hands in until nothing is left.
    async fn work(&mut self, spending: &mut Spending) -> Result<()> {
        let mut claims: Vec<Claim> = Vec::new();
        loop {
            let settled = claims.drain(..).map(|claim| self.settled(&claim)).collect();
            let request: Exchange = self.node.exchange(settled, self.batch);
            let before = Spent::so_far(&mut self.redis).await?;
            let ExchangeAnswer::Exchanged(exchanged) = self.store.exchange(&request).await? else {
                bail!("the session is gone");
            };
            let fires = request.settled.len().max(exchanged.claims.len());
            let spent = before.until_now(&mut self.redis, fires).await?;
            if fires > 0 {
                spending.exchange.push(spent);
            }
            if !exchanged.stale.is_empty() {
                bail!("stale: {:?}", exchanged.stale);
            }
            claims = exchanged.claims;
            if claims.is_empty() {
                return Ok(());
            }
        }
    }

    fn settled(&self, claim: &Claim) -> Settled {
        let job = &self.jobs[&claim.run.job];
        debug_assert!(claim.version > Version(0));
        let ending = Ending::Succeeded(None);
        settled_as(claim, settle(job.policy(), claim, &ending, 0.5), &ending)
    }
}

/// What was spent in each call.
#[derive(Debug, Default)]
struct Spending {
    peek: Vec<Spent>,
    dispatch: Vec<Spent>,
    exchange: Vec<Spent>,
}

impl Spending {
    /// Microseconds per fire.
    fn median(calls: &[Spent]) -> f64 {
        let mut each: Vec<_> = calls.iter().map(|call| call.us / call.fires).collect();
        each.sort_by(f64::total_cmp);
        each.get(each.len() / 2).copied().unwrap_or_default()
    }
}

impl Spent {
    /// What was spent since, on so many fires.
    async fn until_now(self, redis: &mut MultiplexedConnection, fires: usize) -> Result<Self> {
        let now = Self::so_far(redis).await.context("INFO")?;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let fires = fires as f64;
        Ok(Self {
            us: now.us - self.us,
            inside_us: now.inside_us - self.inside_us,
            inside: now.inside - self.inside,
            fires,
        })
    }
}
