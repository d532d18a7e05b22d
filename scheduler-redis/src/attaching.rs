//! What a connection does before it changes anything: it finds out which server this is, and takes note of it in
//! the shard. Where it is another one than before, the shard begins a new generation: see
//! [`scheduler_core::failover`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};

use crate::config::RedisConfig;
use crate::durability::{Durability, try_disk};
use crate::keys::Keys;
use crate::numbering::{Numbering, Unfit};
use crate::script::Scripts;

/// What scripts answer where nobody has taken note of the server: all that was there was deleted.
pub(crate) const UNATTACHED: &str = "UNATTACHED";

/// What a connection was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A primary that has been taken note of.
    Primary,
    /// A replica: good for reading, and refuses the rest itself.
    Replica,
}

/// Greets a server on behalf of one shard.
#[derive(Debug)]
pub(crate) struct Greeting {
    scripts: Arc<Scripts>,
    keys: Keys,
    grace: Duration,
    durability: Durability,
    pub(crate) numbering: Numbering,
    /// The highest generation that was met.
    generation: AtomicU64,
}

impl Greeting {
    pub(crate) fn new(
        scripts: Arc<Scripts>,
        keys: Keys,
        config: &RedisConfig,
        numbering: Numbering,
    ) -> Self {
        Self {
            scripts,
            keys,
            grace: config.failover_grace,
            durability: config.durability,
            numbering,
            generation: AtomicU64::new(0),
        }
    }

    /// `is_numbered`: whether it was written down how many shards there are.
    pub(crate) async fn greet(
        &self,
        connection: &mut MultiplexedConnection,
        operation: &'static str,
        is_numbered: bool,
    ) -> Result<Met, Unfit> {
        let mut info = redis::pipe();
        info.cmd("INFO").arg("server");
        info.cmd("INFO").arg("replication");
        let told: RedisResult<(String, String)> = info.query_async(connection).await;
        let (server, replication) = match told {
            Ok(told) => told,
            // Somebody who may not ask still may work: on a server that is never another one.
            Err(error) if is_forbidden(&error) => Default::default(),
            Err(error) => return Err(error.into()),
        };
        if field(&replication, "role") == Some("slave") {
            return Ok(Met::Replica);
        }
        if self.durability == Durability::Aof {
            try_disk(connection).await?;
        }
        let server = field(&server, "run_id").unwrap_or_default();
        if is_numbered {
            self.attach(connection, server).await?;
        } else {
            self.numbering.write_down(connection, operation).await?;
            self.attach(connection, server).await?;
            // Somebody who splits it may have come first.
            self.numbering.compare(connection, operation).await?;
        }
        Ok(Met::Primary)
    }

    async fn attach(
        &self,
        connection: &mut MultiplexedConnection,
        server: &str,
    ) -> RedisResult<()> {
        let script = &self.scripts.attach;
        let mut call = script.call(&self.keys, None, &[]);
        call.arg(server)
            .arg(u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX))
            .arg(self.generation.load(Ordering::Relaxed));
        let answer = match call.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                script.with_text(&call).query_async(connection).await
            }
            answer => answer,
        };
        let (generation, ready_in, is_new): (u64, u64, bool) = answer?;
        self.generation.fetch_max(generation, Ordering::Relaxed);
        if is_new && ready_in > 0 {
            tracing::warn!(
                generation,
                grace_ms = ready_in,
                "the store is on another server, or was restarted, and may have lost what was written \
                 last: waiting for nodes to tell what they know"
            );
        }
        Ok(())
    }
}

fn is_forbidden(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let fields: HashMap<_, _> = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    fields.get(name).map(|value| value.trim())
}
