//! The scheduler: one node, and what may be asked of it.

use std::sync::Arc;

#[cfg(feature = "redis")]
use scheduler_core::shard::Shards;
use scheduler_core::{JobDefaults, MemoryStore, NodeName, Sharded};
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::jobs::PutWish;
use crate::node::shared::{Node, Shared};
use crate::node::{Counts, NodeError, NodeStatus, life};
use crate::scheduler::{Running, SchedulerBuilder, declared};

/// A node of the cluster that shares one store: it executes runs, and leads when it is its turn.
///
/// ```no_run
/// use carillon::core::Sharded;
/// use carillon::{Args, Context, Scheduler, shutdown_signal};
///
/// # async fn example<S: Sharded>(store: S) -> Result<(), Box<dyn std::error::Error>> {
/// async fn send_report(context: Context, Args(recipient): Args<String>) -> std::io::Result<()> {
///     println!("{} to {recipient}", context.run_id());
///     Ok(())
/// }
///
/// let scheduler = Scheduler::builder(store)
///     .task("send_report", send_report)
///     .concurrency(16)
///     .build()?;
/// scheduler.run(shutdown_signal()?).await?;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone: clones are the same node. What it can do with jobs, it can do whether it runs or
/// not.
#[derive(Debug)]
pub struct Scheduler<S> {
    pub(crate) store: S,
    pub(crate) node: Arc<Node>,
    /// Put when it begins to run.
    pub(super) declared: Arc<[PutWish]>,
    pub(super) defaults: Arc<JobDefaults>,
}

impl<S: Clone> Clone for Scheduler<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            node: Arc::clone(&self.node),
            declared: Arc::clone(&self.declared),
            defaults: Arc::clone(&self.defaults),
        }
    }
}

/// A node's life: over when this is dropped, also where the future that was to live it is.
pub(super) struct Life(Arc<Node>);

impl Life {
    /// Begins it, unless the node lives already.
    fn begin(node: &Arc<Node>) -> Result<Self, NodeError> {
        match node.begin_life() {
            true => Ok(Self(Arc::clone(node))),
            false => Err(NodeError::runs_already()),
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.end_life();
    }
}

impl Scheduler<MemoryStore> {
    /// Begins to put together a node of its own: its store lives in this process, by this machine's
    /// clock, and what it holds ends with it.
    pub fn in_memory() -> SchedulerBuilder<MemoryStore> {
        Self::builder(MemoryStore::new(Arc::new(SystemClock)))
    }
}

#[cfg(feature = "redis")]
impl Scheduler<Shards<scheduler_redis::RedisStore>> {
    /// Begins to put together a node on the Redis at this URL, in the namespace `default`: one of all
    /// the processes that share it.
    ///
    /// ```no_run
    /// use carillon::{Scheduler, shutdown_signal};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::redis("redis://localhost:6379")?
    ///     .task("hello", || async { println!("hello") })
    ///     .build()?;
    /// scheduler.run(shutdown_signal()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// For another namespace, put [`RedisStore::shards`](crate::redis::RedisStore::shards) into
    /// [`builder`](Self::builder). With `?shards=4` at its end, the URL is that of a namespace in 4
    /// [shards](scheduler_core::shard). The server is asked for nothing before the scheduler runs.
    ///
    /// # Errors
    ///
    /// No URL of a Redis.
    pub fn redis(
        url: &str,
    ) -> Result<SchedulerBuilder<Shards<scheduler_redis::RedisStore>>, scheduler_redis::UrlError>
    {
        let config = scheduler_redis::RedisConfig::from_url(url)?;
        let namespace = scheduler_core::Namespace::default_namespace();
        Ok(Self::builder(scheduler_redis::RedisStore::shards(
            config, namespace,
        )))
    }
}

impl<S: Sharded> Scheduler<S> {
    /// Begins to put together a node on this store.
    pub fn builder(store: S) -> SchedulerBuilder<S> {
        SchedulerBuilder::new(store)
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node.settings.info.node
    }

    /// What this node has counted, also while it runs.
    pub fn counters(&self) -> impl Fn() -> Counts + Send + Sync + 'static {
        let node = Arc::clone(&self.node);
        move || node.counters.read()
    }

    /// Whether the node takes part in the cluster, to be looked at while it runs.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.node.status.clone()
    }

    /// Runs the node in the background, on the tokio runtime that this is called on.
    ///
    /// ```
    /// use carillon::{NewJob, Scheduler, Wait};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let running = Scheduler::in_memory()
    ///     .task("hello", || async { println!("hello") })
    ///     .build()?
    ///     .start()?;
    /// running.add_job(NewJob::new("hello", "hello").every(Duration::from_secs(10))).await?;
    /// // ... and at the end of the service:
    /// running.shutdown(Wait::ForRuns).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The scheduler, or a clone of it, runs already.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(&self) -> Result<Running<S>, NodeError> {
        let life = Life::begin(&self.node)?;
        Ok(Running::begin(self.clone(), life))
    }

    /// Runs the node until `shutdown` is cancelled, and then until it has shut down in order: the
    /// lease goes back at once, handlers may end within their grace, claims that were not begun are
    /// given back.
    ///
    /// Not cancel-safe: a node whose future is dropped stops without any of that, as if its process
    /// had died.
    ///
    /// # Errors
    ///
    /// The scheduler, or a clone of it, runs already; a store that does not let the node begin, where
    /// it shall not wait for that ([`AtStart::GiveUp`](crate::AtStart::GiveUp)); a thread that could not be started. Trouble with the store later on
    /// is no error: the node tells it, and waits for its end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        let life = Life::begin(&self.node)?;
        self.live(life, shutdown).await
    }

    /// Lives the life that was begun.
    pub(super) async fn live(
        self,
        life: Life,
        shutdown: CancellationToken,
    ) -> Result<(), NodeError> {
        self.put_declared(&shutdown).await?;
        let shards = self.store.shards().iter().cloned().enumerate();
        let shards = shards.map(|(number, shard)| Shared::new(Arc::clone(&life.0), number, shard));
        life::run(shards.map(Arc::new).collect(), shutdown).await
    }

    /// Puts the jobs that were declared, as a start does.
    pub(crate) async fn put_declared(&self, stop: &CancellationToken) -> Result<(), NodeError> {
        declared::put(&self.node, &self.store, &self.declared, stop).await
    }
}
