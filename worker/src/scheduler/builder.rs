//! Putting a scheduler together.

use std::collections::BTreeSet;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use scheduler_core::share::{QueueOrder, Served, Shares};
use scheduler_core::store::NodeInfo;
use scheduler_core::{JobDefaults, NameError, NodeName, QueueName, Sharded};

use crate::clock::StoreClock;
use crate::jobs::{OnConflict, PutWish};
use crate::node::settings::Settings;
use crate::node::shared::Node;
use crate::node::{AtStart, Retention, Timing, Tracing};
use crate::scheduler::{BuildError, NewJob, Scheduler};
use crate::task::{
    BlockingFunction, BlockingSlots, Layer, Layers, Parameters, Secrets, States, TaskFunction,
    Tasks,
};

/// Puts together a [`Scheduler`].
#[must_use = "a builder does nothing until `build`"]
pub struct SchedulerBuilder<S> {
    store: S,
    node: Option<NodeName>,
    tasks: Tasks,
    states: States,
    layers: Vec<Arc<dyn Layer>>,
    blocking_limit: usize,
    /// Put when the node begins to run.
    jobs: Vec<NewJob>,
    #[cfg(feature = "macros")]
    declared_tasks: BTreeSet<&'static str>,
    job_defaults: JobDefaults,
    clock: Option<StoreClock>,
    /// The first thing that was wrong.
    wrong: Option<BuildError>,
    concurrency: usize,
    queues: Vec<Served>,
    queue_order: QueueOrder,
    timing: Timing,
    retention: Retention,
    at_start: AtStart,
    secrets: Secrets,
    tracing: Tracing,
}

impl<S: Sharded> SchedulerBuilder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            node: None,
            tasks: Tasks::new(),
            states: States::default(),
            layers: Vec::new(),
            blocking_limit: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            jobs: Vec::new(),
            #[cfg(feature = "macros")]
            declared_tasks: BTreeSet::new(),
            job_defaults: JobDefaults::default(),
            clock: None,
            wrong: None,
            concurrency: 64,
            queues: vec![QueueName::default_queue().into()],
            queue_order: QueueOrder::default(),
            timing: Timing::default(),
            retention: Retention::default(),
            at_start: AtStart::default(),
            secrets: Secrets::new(),
            tracing: Tracing::default(),
        }
    }

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

    /// One more task: an async function, see [`Tasks::register`].
    pub fn task<Parts: Parameters>(
        mut self,
        name: &str,
        function: impl TaskFunction<Parts>,
    ) -> Self {
        let registered = self.tasks.register(name, function);
        self.note_name(name, registered)
    }

    /// One more task: a function that blocks its thread, see [`Tasks::register_blocking`].
    pub fn blocking_task<Parts: Parameters>(
        mut self,
        name: &str,
        function: impl BlockingFunction<Parts>,
    ) -> Self {
        let registered = self.tasks.register_blocking(name, function);
        self.note_name(name, registered)
    }

    fn note_name(mut self, name: &str, registered: Result<(), NameError>) -> Self {
        if let (Err(error), None) = (registered, &self.wrong) {
            self.wrong = Some(BuildError::task_name(name, error));
        }
        self
    }

    /// One more job, which is put when the node begins to run: each node of a service may declare the
    /// same. One that is stored with another definition is replaced, unless the job says to
    /// [keep](NewJob::keep_existing) it.
    pub fn job(mut self, job: impl Into<NewJob>) -> Self {
        self.jobs.push(job.into());
        self
    }

    /// All that was declared with [`#[scheduled]`](macro@crate::scheduled) and
    /// [`#[task]`](macro@crate::task), anywhere in this program.
    #[cfg(feature = "macros")]
    pub fn declared(mut self) -> Self {
        for declared in crate::task::declarations() {
            if !self.declared_tasks.insert(declared.task()) {
                self.wrong
                    .get_or_insert(BuildError::declared_twice("task", declared.task()));
            }
            let registered = declared.register(&mut self.tasks);
            self = self.note_name(declared.task(), registered);
            self.jobs.extend(declared.job());
        }
        self
    }

    /// What jobs take where they are silent. Defaults to [`JobDefaults::default`].
    pub fn job_defaults(mut self, defaults: JobDefaults) -> Self {
        self.job_defaults = defaults;
        self
    }

    /// The zone of triggers that name none: `Europe/Berlin`. Defaults to UTC.
    pub fn timezone(mut self, name: &str) -> Self {
        match name.parse() {
            Ok(zone) => self.job_defaults.timezone = zone,
            Err(_) => {
                self.wrong.get_or_insert(BuildError::timezone(name));
            }
        }
        self
    }

    /// A clock in place of this machine's, where the store's is known.
    pub(crate) fn clock(mut self, clock: StoreClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Something that handlers share, found by its type: see [`State`](crate::State). A second
    /// value of one type takes the place of the first.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// One more layer around all tasks, within those that were added before: see [`Layer`].
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// How many blocking handlers the node calls at once; the others wait for a thread. Defaults to
    /// the number of processors.
    pub const fn blocking_limit(mut self, handlers: usize) -> Self {
        self.blocking_limit = handlers;
        self
    }

    /// How many runs the node executes at once; with 0 it only leads. Defaults to 64. The shards of a store
    /// share them, and each needs one at least.
    pub const fn concurrency(mut self, runs: usize) -> Self {
        self.concurrency = runs;
        self
    }

    /// The queues that the node serves, each with a weight: none starves another. Names alone will
    /// do; these weigh the same. Defaults to the queue `default`.
    pub fn queues<Q: Into<Served>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// Which of several queues goes first. Defaults to all of them, by their weights.
    pub const fn queue_order(mut self, order: QueueOrder) -> Self {
        self.queue_order = order;
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

    /// Where the secrets are found that args refer to (`{ "secret": "name" }`). Defaults to the environment
    /// alone.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// How runs are traced: see [`Context::traceparent`](crate::Context::traceparent). Defaults to
    /// [`Tracing::default`].
    pub fn tracing(mut self, tracing: Tracing) -> Self {
        self.tracing = tracing;
        self
    }

    /// The scheduler, ready to run.
    ///
    /// # Errors
    ///
    /// Fewer slots than shards; a task's name that breaks the rule for names; a job that breaks a rule, or is declared twice; a
    /// task that takes a [`State`](crate::State)
    /// that there is none of.
    pub fn build(mut self) -> Result<Scheduler<S>, BuildError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        self.states.insert(BlockingSlots::new(self.blocking_limit));
        for (task, handler) in self.tasks.iter() {
            let needed = handler.state_types();
            if let Some(missing) = needed.into_iter().find(|state| !self.states.has(*state)) {
                return Err(BuildError::missing_state(task, missing));
            }
        }
        let declared = checked(self.jobs, &self.job_defaults)?;
        self.tasks.layered(&Layers::from(self.layers));
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
                queues: self.queues.iter().map(|q| q.queue.clone()).collect(),
                weights: weights(&self.queues, self.queue_order),
            },
            slots: self.concurrency,
            shares: Shares::new(&self.queues, self.queue_order),
            timing: self.timing.bounded(),
            retention: self.retention,
            at_start: self.at_start,
            secrets: self.secrets,
            tracing: Arc::new(self.tracing),
        };
        let shards = self.store.shard_count();
        if (1..usize::from(shards.get())).contains(&self.concurrency) {
            return Err(BuildError::concurrency(self.concurrency, shards));
        }
        let node = Node::new(shards, settings, self.tasks, self.states, self.clock);
        Ok(Scheduler {
            store: self.store,
            node: Arc::new(node),
            declared: declared.into(),
            defaults: Arc::new(self.job_defaults),
        })
    }
}

impl<S> fmt::Debug for SchedulerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerBuilder")
            .field("tasks", &self.tasks)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

fn checked(jobs: Vec<NewJob>, defaults: &JobDefaults) -> Result<Vec<PutWish>, BuildError> {
    let mut ids = BTreeSet::new();
    let mut wishes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let id = job.id().to_owned();
        let wish = job
            .checked(defaults, OnConflict::Replace)
            .map_err(|error| BuildError::job(id.clone(), error))?;
        if !ids.insert(wish.job.id().clone()) {
            return Err(BuildError::declared_twice("job", &id));
        }
        wishes.push(wish);
    }
    Ok(wishes)
}

/// The weights of queues, where they mean something.
fn weights(queues: &[Served], order: QueueOrder) -> Vec<NonZeroU32> {
    let are_equal = queues.windows(2).all(|two| two[0].weight == two[1].weight);
    if are_equal || order == QueueOrder::Strict {
        return Vec::new();
    }
    queues.iter().map(|served| served.weight).collect()
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
