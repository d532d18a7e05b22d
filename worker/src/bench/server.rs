//! What the Redis server says of its own work.

use std::collections::HashMap;

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;

/// Commands that clients send; scripts' inner commands are counted with them by the server, and
/// must not be counted twice.
const FROM_CLIENTS: [&str; 6] = [
    "evalsha",
    "eval",
    "bzpopmin",
    "script|load",
    "hgetall",
    "hscan",
];

/// The server's work so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Microseconds spent in commands from clients.
    pub(crate) command_us: u64,
    /// How many commands clients sent.
    pub(crate) commands: u64,
    /// Microseconds of processor time, in all: commands, sockets, protocol.
    pub(crate) cpu_us: u64,
}

impl Work {
    pub(crate) async fn read(redis: &mut MultiplexedConnection) -> Result<Self> {
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

    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            command_us: self.command_us - earlier.command_us,
            commands: self.commands - earlier.commands,
            cpu_us: self.cpu_us - earlier.cpu_us,
        }
    }
}

async fn section(redis: &mut MultiplexedConnection, name: &str) -> Result<HashMap<String, String>> {
    let info: String = redis::cmd("INFO").arg(name).query_async(redis).await?;
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    Ok(lines
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// Removes all keys of a namespace.
pub(crate) async fn clean_up(redis: &mut MultiplexedConnection, namespace: &str) -> Result<()> {
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
            redis::cmd("UNLINK")
                .arg(keys)
                .query_async::<()>(redis)
                .await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
