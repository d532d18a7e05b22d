//! What all handlers share.

use std::sync::Arc;

use scheduler_core::store::{Overview, StoreResult};
use scheduler_core::{JobDefaults, Namespace, Sharded, Store};
use tokio_util::sync::CancellationToken;

use super::access::{Keys, Limits};
use super::api::Hub;
use super::glance::Glance;
use crate::config::{AllowedHosts, HttpSettings, TlsFiles};
use crate::jobs::Jobs;
use crate::node::meter::Meter;
use crate::node::shared::Node;
use crate::task::Tasks;
use crate::{Counts, NodeStatus, Scheduler};

/// What is served: the store that all nodes share, and this node.
#[derive(Debug)]
pub struct App<S> {
    store: S,
    served: Arc<Served>,
}

impl<S: Clone> Clone for App<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            served: Arc::clone(&self.served),
        }
    }
}

#[derive(Debug)]
struct Served {
    settings: HttpSettings,
    node: Arc<Node>,
    host: String,
    keys: Keys,
    limits: Limits,
    hub: Arc<Hub>,
    glance: Glance,
    stopping: CancellationToken,
}

impl<S: Store> App<S> {
    /// Serves what this node has to show, as configured.
    ///
    /// The store gets connections of its own, so that requests do not stand in the node's way.
    pub fn new(scheduler: &Scheduler<S>, settings: HttpSettings) -> Self
    where
        S: Sharded,
    {
        let node = Arc::clone(&scheduler.node);
        node.meter.label_jobs(settings.metrics_jobs);
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy().to_lowercase();
        Self {
            store: scheduler.store.detached(),
            served: Arc::new(Served {
                keys: Keys::new(&settings),
                limits: Limits::new(settings.rate_limit),
                hub: Arc::new(Hub::new()),
                glance: Glance::default(),
                stopping: CancellationToken::new(),
                settings,
                node,
                host,
            }),
        }
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.served.node.meter
    }

    /// This node's name.
    #[cfg(feature = "otlp")]
    pub(crate) fn node_name(&self) -> String {
        self.served.node.settings.info.node.to_string()
    }

    pub(super) fn counts(&self) -> Counts {
        self.served.node.counters.read()
    }

    pub(super) const fn store(&self) -> &S {
        &self.store
    }

    pub(super) fn jobs(&self) -> Jobs<S> {
        Jobs::new(self.store.clone())
    }

    pub(super) fn status(&self) -> &NodeStatus {
        &self.served.node.status
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.served.node.tasks
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.served.keys
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.served.limits
    }

    /// Who tells clients what happens.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.served.hub
    }

    /// The namespace in numbers, as they were a moment ago.
    pub(super) async fn overview(&self) -> StoreResult<Overview> {
        self.served.glance.at(&self.store).await
    }

    /// Fires when the server stops: what would go on for ever ends then.
    pub(super) fn stopping(&self) -> CancellationToken {
        self.served.stopping.clone()
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.served.settings.namespace
    }

    /// The names under which this server answers.
    pub(super) fn allowed_hosts(&self) -> &AllowedHosts {
        &self.served.settings.allowed_hosts
    }

    /// This machine's name.
    pub(crate) fn host(&self) -> &str {
        &self.served.host
    }

    /// The certificate that is shown to clients, if connections are encrypted.
    pub(super) fn tls_files(&self) -> Option<&TlsFiles> {
        self.served.settings.tls.as_ref()
    }

    pub(super) fn max_body(&self) -> usize {
        self.served.settings.max_body
    }

    /// Whether jobs that run commands may be made over HTTP.
    pub(super) fn allows_shell(&self) -> bool {
        self.served.settings.allow_shell
    }

    /// The beginning of the paths of Flask-APScheduler's API, where it is served.
    pub(super) fn flask_prefix(&self) -> Option<&str> {
        let flask = self.served.settings.flask.as_ref();
        flask.map(|flask| flask.prefix.as_str())
    }

    /// What jobs take where they are silent.
    pub(super) fn job_defaults(&self) -> &JobDefaults {
        &self.served.settings.job_defaults
    }

    /// What jobs take that are made through Flask-APScheduler's API.
    pub(super) fn flask_defaults(&self) -> &JobDefaults {
        match &self.served.settings.flask {
            Some(flask) => &flask.job_defaults,
            None => self.job_defaults(),
        }
    }
}
