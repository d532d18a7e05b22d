//! A node in this process, with tasks of a test, that serves HTTP.

use std::path::Path;

use anyhow::Result;
use carillon::config::{Overrides, Settings};
use carillon::core::Store;
use carillon::http::{App, Route, Server, Serving, routes};
use carillon::jobs::{Jobs, OnConflict};
use carillon::{NodeError, Scheduler, Tasks};
use scheduler_redis::RedisStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::node::until;
use crate::redis_server::RedisServer;

/// A node on a Redis of its own, which leads and serves HTTP.
#[derive(Debug)]
pub struct Served {
    /// How its URLs begin.
    pub url: String,
    /// What it serves.
    pub routes: Vec<Route<RedisStore>>,
    /// Its store.
    pub store: RedisStore,
    /// Its Redis.
    pub redis: RedisServer,
    serving: Serving,
    stop: CancellationToken,
    node: JoinHandle<Result<(), NodeError>>,
}

impl Served {
    /// Starts a node of this configuration, and with these tasks.
    ///
    /// # Errors
    ///
    /// A configuration that breaks a rule; whatever cannot be started.
    pub async fn start(config: &str, tasks: Tasks) -> Result<Self> {
        let settings = Settings::check("test.toml", config, Path::new(""), &Overrides::default())?;
        let redis = RedisServer::start()?;
        let store = redis.store(settings.namespace.as_str());
        let jobs = Jobs::new(store.clone());
        for configured in &settings.jobs {
            jobs.put(configured.job.clone(), OnConflict::Replace)
                .await?;
        }
        let scheduler = Scheduler::builder(store.clone()).tasks(tasks).build()?;
        let app = App::new(&scheduler, settings.http);
        let routes = routes(&app);
        let serving = Server::bind("127.0.0.1:0".parse()?)?.serve(app)?;
        let stop = CancellationToken::new();
        let node = tokio::spawn(scheduler.run(stop.clone()));
        // A date that is now must not be missed for want of a leader.
        until("a leader", || {
            let store = store.clone();
            async move { Ok(store.overview().await?.leader().is_some()) }
        })
        .await?;
        Ok(Self {
            url: format!("http://{}", serving.address()),
            routes,
            store,
            redis,
            serving,
            stop,
            node,
        })
    }

    /// Ends it in order.
    ///
    /// # Errors
    ///
    /// Where it did not end so.
    pub async fn stop(self) -> Result<()> {
        self.serving.stop().await;
        self.stop.cancel();
        Ok(self.node.await??)
    }
}
