//! A Redis, a configuration file, and real nodes on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use rustix::process::Signal;
use scheduler_core::shard::Shards;
use scheduler_core::store::Store;
use scheduler_redis::{RedisConfig, RedisStore};
use tempfile::TempDir;

use crate::node::{Node, until};
use crate::oracle::{self, STREAM, Start};
use crate::redis_server::{Persistence, RedisServer};

/// The namespace of the cluster's nodes.
pub const NAMESPACE: &str = "default";

/// A Redis, a configuration file, and nodes.
pub struct Cluster<S = RedisServer> {
    /// The server, or what has several of them.
    pub server: S,
    /// A connection for looking into it.
    pub redis: MultiplexedConnection,
    /// The store as the nodes use it.
    pub store: Shards<RedisStore>,
    /// The configuration file of all nodes.
    pub config: PathBuf,
    _dir: TempDir,
}

impl Cluster {
    /// A cluster whose configuration has `jobs` jobs that are due each second, and `more`.
    pub async fn new(persistence: Persistence, jobs: usize, more: &str) -> Result<Self> {
        let server = RedisServer::with(persistence, None)?;
        let (url, redis) = (server.url(), server.connect().await?);
        Self::on(server, &url, redis, jobs, more)
    }
}

impl<S> Cluster<S> {
    /// The same on a store at this URL; `redis` is a connection to where the stream of starts is.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be written, or the URL is wrong.
    pub fn on(
        server: S,
        url: &str,
        redis: MultiplexedConnection,
        jobs: usize,
        more: &str,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = dir.path().join("carillon.toml");
        let mut text = format!("[store]\nurl = \"{url}\"\n{more}\n");
        for number in 0..jobs {
            write!(
                text,
                "[[jobs]]\nid = \"job-{number}\"\ntask = \"stream\"\n\
                 args = {{ stream = \"{STREAM}\" }}\n\
                 trigger = {{ type = \"cron\", second = \"*\" }}\n"
            )?;
        }
        std::fs::write(&config, text)?;
        let store = RedisStore::shards(RedisConfig::from_url(url)?, NAMESPACE.parse()?);
        Ok(Self {
            server,
            redis,
            store,
            config,
            _dir: dir,
        })
    }

    /// Starts a node of this name.
    ///
    /// # Errors
    ///
    /// Where the process cannot be started.
    pub fn node(&self, name: &str) -> Result<Node> {
        Node::start(name, &["--config", self.config.to_str().context("a path")?])
    }

    /// All starts of handlers so far.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub async fn starts(&mut self) -> Result<Vec<Start>> {
        oracle::starts(&mut self.redis).await
    }

    /// Waits until every job has begun runs of `seconds` different seconds from now on.
    pub async fn ring(&self, seconds: usize) -> Result<()> {
        let mut redis = self.redis.clone();
        let before = oracle::starts(&mut redis).await?.len();
        let redis = &redis;
        until("fires", || async move {
            let starts = oracle::starts(&mut redis.clone()).await?;
            let new = starts.get(before..).unwrap_or_default();
            let mut by_job: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
            for start in new {
                by_job
                    .entry(&start.job)
                    .or_default()
                    .insert(start.scheduled_ms);
            }
            Ok(!by_job.is_empty() && by_job.values().all(|fires| fires.len() >= seconds))
        })
        .await
    }

    /// The name of the node that leads.
    pub async fn leader(&self) -> Result<String> {
        let found = std::cell::RefCell::new(None);
        until("a leader", || async {
            let leader = self.store.overview().await?.leader().cloned();
            *found.borrow_mut() = leader.map(|token| token.session.node().to_owned());
            Ok(found.borrow().is_some())
        })
        .await?;
        found.into_inner().context("a leader")
    }

    /// Waits until nothing is in flight and nothing is due, and then checks what was promised.
    pub async fn check(&mut self, nodes: &mut [Node]) -> Result<Vec<Start>> {
        // Nobody dispatches any more; what was dispatched is handed in before the nodes end.
        for node in nodes.iter() {
            node.signal(Signal::TERM)?;
        }
        for node in nodes.iter_mut() {
            let status = node.ended().await?;
            assert!(
                status.success(),
                "{}: {status}\n{}",
                node.name(),
                node.log()
            );
        }
        let starts = self.starts().await?;
        let ledger = oracle::ledger(&self.store).await?;
        // The last second may not have been dispatched before the nodes were told to end.
        let last = starts
            .iter()
            .map(|start| start.scheduled_ms)
            .max()
            .context("no starts")?;
        oracle::check(&starts, &ledger, 1000, last - 1000);
        let overview = self.store.overview().await?;
        assert_eq!(overview.retries, 0, "{overview:?}");
        Ok(starts)
    }
}

/// Takes the node of this name out of several.
///
/// # Panics
///
/// Where there is none.
#[must_use]
pub fn take(nodes: &mut Vec<Node>, name: &str) -> Node {
    let at = nodes
        .iter()
        .position(|node| node.name() == name)
        .expect("a node of ours");
    nodes.remove(at)
}
