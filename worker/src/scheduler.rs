//! The scheduler: one node, put together and run.

use std::future::Future;
use std::sync::Arc;

use scheduler_core::store::NodeInfo;
use scheduler_core::{NameError, NodeName, QueueName, Store};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::event::{EventSender, Events};
use crate::node::settings::Settings;
use crate::node::shared::Shared;
use crate::node::{AtStart, Counts, NodeError, Retention, Timing, life};
use crate::task::{BoxError, Context, IntoOutput, Tasks};

/// A node of the cluster that shares one store: it executes runs, and leads when it is its turn.
///
/// ```no_run
/// use carillon::core::Store;
/// use carillon::{Context, Scheduler, shutdown_signal};
///
/// # async fn example<S: Store>(store: S) -> Result<(), Box<dyn std::error::Error>> {
/// async fn send_report(context: Context, recipient: String) -> Result<(), std::io::Error> {
///     println!("{} to {recipient}", context.run_id());
///     Ok(())
/// }
///
/// let scheduler = Scheduler::builder(store)
///     .task("send_report", send_report)?
///     .concurrency(16)
///     .build();
/// scheduler.run(shutdown_signal()?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Scheduler<S> {
    shared: Arc<Shared<S>>,
}

impl<S: Store> Scheduler<S> {
    /// Begins to put together a node on this store.
    pub fn builder(store: S) -> SchedulerBuilder<S> {
        SchedulerBuilder {
            store,
            node: None,
            tasks: Tasks::new(),
            concurrency: 64,
            queues: vec![QueueName::default_queue()],
            timing: Timing::default(),
            retention: Retention::default(),
            at_start: AtStart::default(),
        }
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

/// Puts together a [`Scheduler`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SchedulerBuilder<S> {
    store: S,
    node: Option<NodeName>,
    tasks: Tasks,
    concurrency: usize,
    queues: Vec<QueueName>,
    timing: Timing,
    retention: Retention,
    at_start: AtStart,
}

impl<S: Store> SchedulerBuilder<S> {
    /// The node's name, for people. Defaults to the host's name and the process id.
    pub fn node(mut self, node: NodeName) -> Self {
        self.node = Some(node);
        self
    }

    /// All tasks that the node can execute, in place of those registered so far.
    pub fn tasks(mut self, tasks: Tasks) -> Self {
        self.tasks = tasks;
        self
    }

    /// One more task: an async function of typed args, see [`Tasks::register`].
    ///
    /// # Errors
    ///
    /// A name that breaks the rule for task names.
    pub fn task<A, F, Fut, T, E>(mut self, name: &str, function: F) -> Result<Self, NameError>
    where
        A: DeserializeOwned + Send + 'static,
        F: Fn(Context, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoOutput + 'static,
        E: Into<BoxError> + 'static,
    {
        self.tasks.register(name, function)?;
        Ok(self)
    }

    /// How many runs the node executes at once; with 0 it only leads. Defaults to 64.
    pub const fn concurrency(mut self, runs: usize) -> Self {
        self.concurrency = runs;
        self
    }

    /// The queues that the node serves, the first first. Defaults to the queue `default`.
    pub fn queues(mut self, queues: Vec<QueueName>) -> Self {
        self.queues = queues;
        self
    }

    /// How long things live. Defaults to [`Timing::default`].
    pub const fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// How long the store remembers what is over. Defaults to [`Retention::default`].
    pub const fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// What to do where the store cannot be reached at the start. Defaults to waiting for it.
    pub const fn at_start(mut self, at_start: AtStart) -> Self {
        self.at_start = at_start;
        self
    }

    /// The scheduler, ready to run.
    #[must_use]
    pub fn build(self) -> Scheduler<S> {
        let host = host_name();
        let pid = std::process::id();
        let node = self.node.unwrap_or_else(|| default_node(&host, pid));
        let settings = Settings {
            info: NodeInfo {
                node,
                host,
                pid,
                carillon: env!("CARGO_PKG_VERSION").to_owned(),
                concurrency: u32::try_from(self.concurrency).unwrap_or(u32::MAX),
                queues: self.queues,
            },
            slots: self.concurrency,
            timing: self.timing.bounded(),
            retention: self.retention,
            at_start: self.at_start,
        };
        let shared = Shared::new(self.store, settings, self.tasks, EventSender::new());
        Scheduler {
            shared: Arc::new(shared),
        }
    }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// `<host>-<pid>`, with what a node's name cannot hold left out.
fn default_node(host: &str, pid: u32) -> NodeName {
    let host: String = host
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_-.:".contains(*c))
        .take(80)
        .collect();
    let host = if host.is_empty() { "node" } else { &host };
    NodeName::new(format!("{host}-{pid}")).unwrap_or_else(|_| {
        unreachable!("letters, digits and _ - . : in fewer than 100 bytes are a node's name")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_after_any_host() {
        assert_eq!(default_node("web 1.täglich", 7).as_str(), "web1.tglich-7");
        assert_eq!(default_node("", 7).as_str(), "node-7");
        assert_eq!(default_node(&"x".repeat(300), 7).as_str().len(), 82);
    }
}
