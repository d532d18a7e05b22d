//! The scheduler: one node, and what may be asked of it.

use std::sync::Arc;

use scheduler_core::{MemoryStore, NodeName, Store};
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::event::Events;
use crate::node::shared::Shared;
use crate::node::{Counts, NodeError, NodeStatus, life};
use crate::scheduler::SchedulerBuilder;

/// A node of the cluster that shares one store: it executes runs, and leads when it is its turn.
///
/// ```no_run
/// use carillon::core::Store;
/// use carillon::{Args, Context, Scheduler, shutdown_signal};
///
/// # async fn example<S: Store>(store: S) -> Result<(), Box<dyn std::error::Error>> {
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
#[derive(Debug)]
pub struct Scheduler<S> {
    pub(super) shared: Arc<Shared<S>>,
}

impl Scheduler<MemoryStore> {
    /// Begins to put together a node of its own: its store lives in this process, by this machine's
    /// clock, and what it holds ends with it.
    pub fn in_memory() -> SchedulerBuilder<MemoryStore> {
        Self::builder(MemoryStore::new(Arc::new(SystemClock)))
    }
}

impl<S: Store> Scheduler<S> {
    /// Begins to put together a node on this store.
    pub fn builder(store: S) -> SchedulerBuilder<S> {
        SchedulerBuilder::new(store)
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.shared.settings.info.node
    }

    /// What happens on this node from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.events.listen()
    }

    /// What this node has counted, also while it runs.
    pub fn counters(&self) -> impl Fn() -> Counts + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.counters.read()
    }

    /// Whether the node takes part in the cluster, to be looked at while it runs.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.shared.status.clone()
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
    /// A store that does not let the node begin, where it shall not wait for that
    /// ([`AtStart::GiveUp`]); a thread that could not be started. Trouble with the store later on
    /// is no error: the node tells it, and waits for its end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        life::run(self.shared, shutdown).await
    }
}
