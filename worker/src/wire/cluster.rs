//! Workers, who leads, and the namespace in numbers.

use std::iter;

use scheduler_core::lease::LeaseToken;
use scheduler_core::store::{NodeInfo, NodeView, Overview};
use scheduler_core::{Namespace, Timestamp};
use serde::{Deserialize, Serialize};

use super::{HoldView, shown};

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct WorkerView {
    /// Its name.
    pub node: String,
    /// Its life in the store.
    pub session: String,
    /// How it stands.
    pub state: WorkerState,
    /// Whether it leads.
    pub leads: bool,
    /// Which shards it leads, where the namespace has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leads_shards: Vec<u16>,
    /// How many runs it executes.
    pub running: usize,
    /// How many it executes at most.
    pub concurrency: Option<u32>,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// The weight of each.
    pub weights: Vec<u32>,
    /// Its machine.
    pub host: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Which version it is.
    pub version: Option<String>,
    /// When its session began.
    pub since: Option<String>,
    /// When its session ends without another sign of life.
    pub deadline: String,
}

/// How a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It shows that it lives.
    Alive,
    /// It did not, for longer than it said it would.
    Silent,
    /// It was declared dead, and is being cleared up after.
    Dead,
}

impl WorkerState {
    /// The state as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::Dead => "dead",
        }
    }
}

impl WorkerView {
    /// The view of a worker, by the store's clock.
    #[must_use]
    pub fn new(view: &NodeView, now: Timestamp) -> Self {
        let info = view.info.as_ref();
        let queues = info.map(|info| info.queues.iter().map(ToString::to_string).collect());
        Self {
            node: view.session.node().to_owned(),
            session: view.session.to_string(),
            state: match view.dead {
                true => WorkerState::Dead,
                false if view.deadline < now => WorkerState::Silent,
                false => WorkerState::Alive,
            },
            leads: view.leads,
            leads_shards: view.led.iter().map(|shard| shard.0).collect(),
            running: view.running,
            concurrency: info.map(|info| info.concurrency),
            queues: queues.unwrap_or_default(),
            weights: info.map(weights).unwrap_or_default(),
            host: info.map(|info| info.host.clone()),
            pid: info.map(|info| info.pid),
            version: info.map(|info| info.carillon.clone()),
            since: shown(view.since),
            deadline: view.deadline.to_string(),
        }
    }
}

/// A weight for each of its queues, in their order.
fn weights(info: &NodeInfo) -> Vec<u32> {
    let told = info.weights.iter().map(|weight| weight.get());
    told.chain(iter::repeat(1))
        .take(info.queues.len())
        .collect()
}

/// All workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Workers {
    /// The workers, by name.
    pub items: Vec<WorkerView>,
}

impl Workers {
    /// The view of all workers, by the store's clock.
    #[must_use]
    pub fn new(views: &[NodeView], now: Timestamp) -> Self {
        let mut items: Vec<_> = views
            .iter()
            .map(|view| WorkerView::new(view, now))
            .collect();
        items.sort_by(|a, b| (&a.node, &a.session).cmp(&(&b.node, &b.session)));
        Self { items }
    }
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct LeaderView {
    /// The shard that it leads, where the namespace has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u16>,
    /// The worker.
    pub node: String,
    /// Its session.
    pub session: String,
    /// The number of its lease.
    pub epoch: u64,
    /// Since when it leads.
    pub since: String,
}

impl LeaderView {
    /// The view of a lease.
    #[must_use]
    pub fn new(token: &LeaseToken) -> Self {
        Self {
            shard: None,
            node: token.session.node().to_owned(),
            session: token.session.to_string(),
            epoch: token.epoch.0,
            since: token.since.to_string(),
        }
    }
}

/// All leaders: one of each shard that has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Leaders {
    /// The leaders; none where nobody leads.
    pub items: Vec<LeaderView>,
}

impl Leaders {
    /// The view of all leases.
    #[must_use]
    pub fn new(overview: &Overview) -> Self {
        let is_split = overview.leaders.len() > 1;
        let leaders = (0..).zip(&overview.leaders);
        let items = leaders.filter_map(|(shard, token)| {
            Some(LeaderView {
                shard: Some(shard).filter(|_| is_split),
                ..LeaderView::new(token.as_ref()?)
            })
        });
        Self {
            items: items.collect(),
        }
    }
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct NamespaceView {
    /// Its name.
    pub namespace: String,
    /// Its pause.
    #[serde(flatten)]
    pub hold: HoldView,
}

impl NamespaceView {
    /// The view of a namespace.
    #[must_use]
    pub fn new(namespace: &Namespace, hold: HoldView) -> Self {
        Self {
            namespace: namespace.to_string(),
            hold,
        }
    }
}

/// All namespaces that are served here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Namespaces {
    /// The namespaces. A worker serves one.
    pub items: Vec<NamespaceView>,
}

/// The namespace in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Stats {
    /// The store's clock.
    pub now: String,
    /// Stored jobs.
    pub jobs: u64,
    /// Jobs with a due time.
    pub scheduled: u64,
    /// Jobs that are due and not dispatched yet.
    pub due: u64,
    /// Runs that wait or are executed.
    pub in_flight: u64,
    /// Those of them that wait behind others of their job.
    pub lined_up: u64,
    /// Runs that wait for their next attempt.
    pub retries: u64,
    /// The queues.
    pub queues: Vec<QueueCount>,
}

/// A queue in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct QueueCount {
    /// Its name.
    pub queue: String,
    /// Runs that wait for a worker.
    pub ready: u64,
}

impl Stats {
    /// The view of these numbers.
    #[must_use]
    pub fn new(overview: &Overview) -> Self {
        let queues = overview.queues.iter().map(|queue| QueueCount {
            queue: queue.queue.to_string(),
            ready: queue.ready,
        });
        Self {
            now: overview.now.to_string(),
            jobs: overview.jobs,
            scheduled: overview.scheduled,
            due: overview.due,
            in_flight: overview.busy,
            lined_up: overview.lined_up,
            retries: overview.retries,
            queues: queues.collect(),
        }
    }
}
