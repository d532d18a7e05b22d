//! What a server says of itself, as far as it lets this user know.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use scheduler_core::store::StoreResult;

use crate::{Address, Durability, RedisStore};

/// How many round trips are measured.
const PINGS: usize = 20;

/// What a server says of itself. What it does not tell this user is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// What it is: `redis`, `valkey`.
    pub kind: String,
    /// Its version, as numbers.
    pub version: Option<(u32, u32, u32)>,
    /// `master` or `slave`, as it says.
    pub role: Option<String>,
    /// Which keys it gives up when memory is short.
    pub eviction: Option<String>,
    /// Bytes in use, and the most that it may use; no limit where that is 0.
    pub memory: Option<(u64, u64)>,
    /// Whether it keeps an append-only file, and whether the last write to it worked.
    pub append_only: Option<(bool, bool)>,
    /// How often that file goes to disk: `always`, `everysec`, `no`.
    pub fsync: Option<String>,
    /// Whether it is part of a Cluster.
    pub is_cluster: bool,
    /// Whether it was found by its slot.
    pub by_slot: bool,
    /// How many replicas follow it, and the lag of the slowest.
    pub replicas: Option<(u32, Duration)>,
    /// How many of them have to be in step for it to take writes, and how far behind they may be.
    pub min_replicas: Option<(u32, Duration)>,
    /// Whether sentinels watch it, as far as this store knows.
    pub by_sentinels: bool,
    /// How willing each of them is to be promoted, as sentinels say.
    pub priorities: Option<Vec<u32>>,
    /// When writes count, as this process is told.
    pub durability: Durability,
    /// How long an answer took, in order.
    pub round_trips: Vec<Duration>,
    /// How far its clock is ahead of this machine's, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
}

impl RedisStore {
    /// Asks the server what it says of itself.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn facts(&self) -> StoreResult<Facts> {
        self.ping().await?;
        let mut connection = self.connection().await?;
        let redis = &mut connection;
        let mut facts = Facts {
            by_sentinels: self.config().sentinels().is_some(),
            by_slot: matches!(self.config().address, Address::Cluster(_)),
            durability: self.config().durability,
            priorities: self.server().replica_priorities().await,
            ..Facts::default()
        };
        facts.read_info(&info(redis).await);
        facts.fsync = setting(redis, "appendfsync").await;
        let needed = setting(redis, "min-replicas-to-write").await;
        let lag = setting(redis, "min-replicas-max-lag").await;
        if let (Some(needed), Some(lag)) = (number(needed), number(lag)) {
            facts.min_replicas = Some((needed, Duration::from_secs(u64::from(lag))));
        }
        for _ in 0..PINGS {
            let asked = Instant::now();
            self.ping().await?;
            facts.round_trips.push(asked.elapsed());
        }
        facts.round_trips.sort();
        facts.clock_ahead_ms = clock_ahead(redis).await;
        Ok(facts)
    }
}

impl Facts {
    fn read_info(&mut self, info: &HashMap<String, String>) {
        let text = |name: &str| info.get(name).cloned();
        let int = |name: &str| info.get(name).and_then(|text| text.parse::<u64>().ok());
        let valkey = text("valkey_version");
        self.kind = if valkey.is_some() { "valkey" } else { "redis" }.to_owned();
        self.version = valkey.or_else(|| text("redis_version")).and_then(|text| {
            let mut numbers = text.split('.').map(|number| number.parse().ok());
            Some((numbers.next()??, numbers.next()??, numbers.next()??))
        });
        self.role = text("role");
        self.eviction = text("maxmemory_policy");
        self.memory = int("used_memory").zip(int("maxmemory"));
        let written = text("aof_last_write_status").is_none_or(|status| status == "ok");
        self.append_only = int("aof_enabled").map(|enabled| (enabled == 1, written));
        self.is_cluster = int("cluster_enabled") == Some(1);
        if self.role.as_deref() == Some("master") {
            let replicas: Vec<&String> = (0..)
                .map_while(|number| info.get(&format!("slave{number}")))
                .collect();
            // ip=..,port=..,state=online,offset=..,lag=1
            let lag = |line: &&String| {
                let lag = line.rsplit_once("lag=")?.1;
                lag.parse().ok().map(Duration::from_secs)
            };
            let slowest = replicas.iter().filter_map(lag).max().unwrap_or_default();
            let count = u32::try_from(replicas.len()).unwrap_or(u32::MAX);
            self.replicas = Some((count, slowest));
        }
    }
}

/// All lines of `INFO`; none where it is refused.
async fn info(redis: &mut MultiplexedConnection) -> HashMap<String, String> {
    let text: String = asked(redis, &redis::cmd("INFO")).await.unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// A setting, where this user may see it.
async fn setting(redis: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let mut question = redis::cmd("CONFIG");
    question.arg("GET").arg(name);
    let mut found: HashMap<String, String> = asked(redis, &question).await?;
    found.remove(name)
}

fn number(text: Option<String>) -> Option<u32> {
    text?.parse().ok()
}

async fn clock_ahead(redis: &mut MultiplexedConnection) -> Option<i64> {
    let here = |at: SystemTime| {
        at.duration_since(UNIX_EPOCH)
            .ok()?
            .as_millis()
            .try_into()
            .ok()
    };
    let before: i64 = here(SystemTime::now())?;
    let (seconds, micros): (i64, i64) = asked(redis, &redis::cmd("TIME")).await?;
    let after: i64 = here(SystemTime::now())?;
    Some(seconds * 1000 + micros / 1000 - (before + after) / 2)
}

/// An answer, or nothing where it is refused or is another than expected.
async fn asked<T: FromRedisValue>(
    redis: &mut MultiplexedConnection,
    question: &redis::Cmd,
) -> Option<T> {
    let answer = question.query_async(redis).await;
    answer
        .inspect_err(|error| tracing::debug!(%error, "not told"))
        .ok()
}
