//! A primary with two replicas, watched by three sentinels, all with passwords.

use std::fs::write;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::node::until;
use crate::redis_server::{Persistence, RedisServer, free_port};

/// What the sentinels call the primary.
const PRIMARY: &str = "main";

/// Password of the servers.
const PASSWORD: &str = "of the servers";

/// Password of the sentinels.
const SENTINEL_PASSWORD: &str = "of-the-sentinels";

/// How long a server may be silent before sentinels believe that it is down, in milliseconds.
const DOWN_AFTER: u32 = 500;

/// Three servers and three sentinels.
pub struct Sentinels {
    /// The servers; the first is the first primary.
    pub servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Sentinels {
    /// Starts all of them, and waits until the sentinels agree and the replicas are in step.
    ///
    /// # Errors
    ///
    /// Where one of them does not come up.
    pub async fn start() -> Result<Self> {
        let server = |more: &[&str]| {
            let common = [
                "--masterauth",
                PASSWORD,
                "--repl-diskless-sync-delay",
                "0",
                "--repl-ping-replica-period",
                "1",
            ];
            RedisServer::with_arguments(
                Persistence::None,
                Some(PASSWORD),
                &[&common, more].concat(),
            )
        };
        let primary = server(&[])?;
        let port = primary.port().to_string();
        let replicaof = ["--replicaof", "127.0.0.1", &port];
        let servers = vec![server(&replicaof)?, server(&replicaof)?];
        let servers: Vec<_> = std::iter::once(primary).chain(servers).collect();
        let sentinels = (0..3).map(|_| Sentinel::start(servers[0].port()));
        let all = Self {
            sentinels: sentinels.collect::<Result<_>>()?,
            servers,
        };
        all.agree().await?;
        Ok(all)
    }

    /// Where the store is, for a node.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts = self.sentinels.iter();
        let hosts: Vec<_> = hosts.map(|s| format!("127.0.0.1:{}", s.port)).collect();
        let hosts = hosts.join(",");
        format!(
            "redis+sentinel://:{PASSWORD}@{hosts}/{PRIMARY}?sentinel_password={SENTINEL_PASSWORD}"
        )
    }

    /// Where in `servers` the primary is, as the sentinels say.
    ///
    /// # Errors
    ///
    /// Where none answers.
    pub async fn primary(&self) -> Result<usize> {
        for sentinel in &self.sentinels {
            let mut connection = sentinel.connect().await?;
            let mut question = redis::cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(PRIMARY);
            let found: redis::RedisResult<(String, u16)> =
                question.query_async(&mut connection).await;
            if let Ok((_, port)) = found {
                let primary = self.servers.iter().position(|s| s.port() == port);
                return primary.context("a server of ours");
            }
        }
        anyhow::bail!("no sentinel knows the primary")
    }

    /// A planned failover.
    ///
    /// # Errors
    ///
    /// Where it is refused.
    pub async fn fail_over(&self) -> Result<()> {
        let sentinel = self.sentinels.first().context("a sentinel")?;
        let mut connection = sentinel.connect().await?;
        let mut order = redis::cmd("SENTINEL");
        order.arg("FAILOVER").arg(PRIMARY);
        Ok(order.query_async(&mut connection).await?)
    }

    /// Waits until the sentinels have another primary than this, and it takes writes.
    ///
    /// # Errors
    ///
    /// Where they have none within a minute.
    pub async fn moved_from(&self, old: usize) -> Result<usize> {
        until("another primary", || async {
            let primary = self.primary().await?;
            Ok(primary != old && self.is_primary(primary).await)
        })
        .await?;
        self.primary().await
    }

    /// Whether a server calls itself the primary.
    pub async fn is_primary(&self, server: usize) -> bool {
        let role = async {
            let mut connection = self.servers[server].connect().await?;
            let role: redis::Value = redis::cmd("ROLE").query_async(&mut connection).await?;
            let redis::Value::Array(words) = role else {
                anyhow::bail!("no role: {role:?}")
            };
            let word: String = redis::from_redis_value_ref(words.first().context("no role")?)?;
            Ok::<_, anyhow::Error>(word)
        };
        role.await.is_ok_and(|role| role == "master")
    }

    /// Waits until the sentinels know each other and two replicas, and those are in step.
    async fn agree(&self) -> Result<()> {
        let primary = &self.servers[0];
        until("sentinels that agree", || async move {
            for sentinel in &self.sentinels {
                let state = sentinel.info().await?;
                if !state.contains("slaves=2,sentinels=3") {
                    return Ok(false);
                }
            }
            let mut connection = primary.connect().await?;
            let mut question = redis::cmd("INFO");
            question.arg("replication");
            let state: String = question.query_async(&mut connection).await?;
            Ok(state.matches("state=online").count() == 2)
        })
        .await
    }
}

impl Sentinel {
    fn start(primary: u16) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let port = free_port()?;
        let file = dir.path().join("sentinel.conf");
        let settings = format!(
            "bind 127.0.0.1\nport {port}\ndir {dir}\nrequirepass {SENTINEL_PASSWORD}\n\
             sentinel sentinel-pass {SENTINEL_PASSWORD}\n\
             sentinel monitor {PRIMARY} 127.0.0.1 {primary} 2\n\
             sentinel auth-pass {PRIMARY} \"{PASSWORD}\"\n\
             sentinel down-after-milliseconds {PRIMARY} {DOWN_AFTER}\n\
             sentinel failover-timeout {PRIMARY} 2000\n\
             sentinel parallel-syncs {PRIMARY} 1\n",
            dir = dir.path().display(),
        );
        write(&file, settings)?;
        let mut child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("redis-server")?;
        ensure!(child.try_wait()?.is_none(), "the sentinel ended at once");
        Ok(Self {
            port,
            child,
            _dir: dir,
        })
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        let url = format!("redis://:{SENTINEL_PASSWORD}@127.0.0.1:{}", self.port);
        let client = redis::Client::open(url)?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    /// What it knows; nothing as long as it does not answer.
    async fn info(&self) -> Result<String> {
        let Ok(mut connection) = self.connect().await else {
            return Ok(String::new());
        };
        let mut question = redis::cmd("INFO");
        question.arg("sentinel");
        Ok(question.query_async(&mut connection).await?)
    }
}
