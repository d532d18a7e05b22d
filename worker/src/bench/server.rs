//! What the Redis server says of its own work.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use scheduler_core::Sharded;
use scheduler_core::shard::Shards;
use scheduler_redis::RedisStore;

/// Commands that a script's own figures do not hold already: those that clients send.
const FROM_CLIENTS: [&str; 3] = ["evalsha", "eval", "bzpopmin"];

/// A look at the servers of the shards, if there are any: each server once.
#[derive(Clone)]
pub(super) struct Probe(Option<Servers>);

#[derive(Clone)]
struct Servers {
    redis: Vec<MultiplexedConnection>,
    namespace: String,
}

impl Probe {
    /// Of the servers of all shards.
    pub(super) async fn of_redis(store: &Shards<RedisStore>, namespace: String) -> Result<Self> {
        let mut servers = BTreeMap::new();
        for shard in store.shards() {
            let mut redis = shard.connection().await?;
            let server = section(&mut redis, "server").await?;
            let id = server.get("run_id").context("no id of the server")?;
            servers.insert(id.clone(), redis);
        }
        let redis = servers.into_values().collect();
        Ok(Self(Some(Servers { redis, namespace })))
    }

    /// Where the store is in this process.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Where the jobs are, if that is on a server.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.0.as_ref().map(|servers| servers.namespace.as_str())
    }

    /// The clock of one of the servers.
    pub(super) async fn time_us(&mut self) -> Result<Option<i64>> {
        let Some(redis) = self.servers().first_mut() else {
            return Ok(None);
        };
        let (seconds, us): (i64, i64) = redis::cmd("TIME").query_async(redis).await?;
        Ok(Some(seconds * 1_000_000 + us))
    }

    /// The servers' work so far.
    pub(super) async fn work(&mut self) -> Result<Option<Work>> {
        let mut all = None;
        for redis in self.servers() {
            let work = Work::read(redis).await?;
            all = Some(all.map_or(work, |all| work.and(all)));
        }
        Ok(all)
    }

    /// The memory that the servers' data takes.
    pub(super) async fn memory(&mut self) -> Result<Option<u64>> {
        let mut all = None;
        for redis in self.servers() {
            let memory = section(redis, "memory").await?;
            let bytes = memory.get("used_memory").context("no memory figures")?;
            all = Some(all.unwrap_or(0) + bytes.parse::<u64>()?);
        }
        Ok(all)
    }

    /// Removes all keys of the namespace.
    pub(super) async fn clean_up(&mut self) -> Result<()> {
        let Some(Servers { redis, namespace }) = &mut self.0 else {
            return Ok(());
        };
        for redis in redis {
            clean_up(redis, namespace).await?;
        }
        Ok(())
    }

    fn servers(&mut self) -> &mut [MultiplexedConnection] {
        match &mut self.0 {
            Some(servers) => &mut servers.redis,
            None => &mut [],
        }
    }
}

/// A server's work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Microseconds spent in commands from clients.
    pub(super) command_us: u64,
    /// How many commands clients sent.
    pub(super) commands: u64,
    /// Microseconds of processor time, in all: commands, sockets, protocol.
    pub(super) cpu_us: u64,
}

impl Work {
    async fn read(redis: &mut MultiplexedConnection) -> Result<Self> {
        let commands = section(redis, "commandstats").await?;
        let cpu = section(redis, "cpu").await?;
        let mut work = Self::default();
        for name in FROM_CLIENTS {
            let Some(line) = commands.get(&format!("cmdstat_{name}")) else {
                continue;
            };
            let field = |field: &str| {
                line.split(',')
                    .find_map(|pair| pair.strip_prefix(field)?.strip_prefix('='))
                    .and_then(|number| number.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            work.command_us += field("usec");
            work.commands += field("calls");
        }
        for name in ["used_cpu_user", "used_cpu_sys"] {
            let seconds: f64 = cpu.get(name).context("no CPU figures")?.parse()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "microseconds since the server started"
            )]
            let us = (seconds * 1e6) as u64;
            work.cpu_us += us;
        }
        Ok(work)
    }

    /// What two servers did.
    const fn and(self, other: Self) -> Self {
        Self {
            command_us: self.command_us + other.command_us,
            commands: self.commands + other.commands,
            cpu_us: self.cpu_us + other.cpu_us,
        }
    }

    /// What was done since `earlier`; nothing where somebody reset the statistics meanwhile.
    pub(super) const fn since(self, earlier: Self) -> Self {
        Self {
            command_us: self.command_us.saturating_sub(earlier.command_us),
            commands: self.commands.saturating_sub(earlier.commands),
            cpu_us: self.cpu_us.saturating_sub(earlier.cpu_us),
        }
    }
}

async fn section(redis: &mut MultiplexedConnection, name: &str) -> Result<HashMap<String, String>> {
    let info: String = redis::cmd("INFO").arg(name).query_async(redis).await?;
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    Ok(lines
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect())
}

async fn clean_up(redis: &mut MultiplexedConnection, namespace: &str) -> Result<()> {
    let pattern = format!("carillon:{{{namespace}/*");
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(&pattern)
            .arg("COUNT")
            .arg(1_000)
            .query_async(redis)
            .await?;
        if !keys.is_empty() {
            // One by one: in a cluster, those of several shards are in several slots.
            let mut pipeline = redis::pipe();
            for key in &keys {
                pipeline.cmd("UNLINK").arg(key).ignore();
            }
            pipeline.query_async::<()>(redis).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
