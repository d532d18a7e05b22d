//! How many shards a namespace has: written down in each of them when it is first used, and compared with what
//! each connection was told.
//!
//! Whoever believes in another number looks for jobs where they are not, and would find none. A namespace that
//! is not split has nothing written down for it, and costs one question for each connection that is made.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use scheduler_core::shard::{ShardCount, ShardNumber};
use scheduler_core::store::{StoreError, StoreErrorKind, StoreResult};

use crate::connect::{Link, Purpose};
use crate::keys::Keys;
use crate::script::Scripts;

/// Why a connection is of no use.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It failed.
    Redis(RedisError),
    /// What was found there.
    Found(StoreError),
}

impl From<RedisError> for Unfit {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

/// What one shard has to say about the number of shards.
pub(crate) struct Numbering {
    number: ShardNumber,
    shards: ShardCount,
    /// The number in the URL, where this is another one.
    configured: ShardCount,
    keys: Keys,
    scripts: Arc<Scripts>,
    /// The first shard, for the others: one that was never used knows nothing.
    first: Option<Link>,
}

impl std::fmt::Debug for Numbering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shard {} of {}", self.number, self.shards)
    }
}

impl Numbering {
    /// Of this shard of so many. `first` is the first one's, unless this is it.
    pub(crate) const fn new(
        (number, shards): (ShardNumber, ShardCount),
        configured: ShardCount,
        keys: Keys,
        scripts: Arc<Scripts>,
        first: Option<Link>,
    ) -> Self {
        Self {
            number,
            shards,
            configured,
            keys,
            scripts,
            first,
        }
    }

    /// Compares what is written down. Says whether anything is.
    pub(crate) async fn compare(
        &self,
        connection: &mut MultiplexedConnection,
        operation: &'static str,
    ) -> Result<bool, Unfit> {
        if self.configured != self.shards {
            let message = format!(
                "the URL says {} shards, and this store is one: RedisStore::shards opens them all",
                self.configured
            );
            return Err(mismatch(operation, message));
        }
        let mut question = redis::cmd("HMGET");
        question.arg(self.keys.named("meta", None));
        question.arg("shards").arg("generation");
        let (shards, generation): (Option<u16>, Option<String>) =
            question.query_async(connection).await?;
        // Before there were any, nothing was written down.
        let found = shards.or(generation.map(|_| 1));
        if let Some(found) = found {
            self.check(found, operation)?;
        } else if let Some(first) = &self.first {
            let known = first.prepared(operation, Purpose::Reading).await;
            known.map_err(Unfit::Found)?;
        }
        Ok(found.is_some())
    }

    /// Writes the number down, unless one is.
    pub(crate) async fn write_down(
        &self,
        connection: &mut MultiplexedConnection,
        operation: &'static str,
    ) -> Result<(), Unfit> {
        if self.shards.is_one() {
            return Ok(());
        }
        if let Some(first) = &self.first {
            let known = first.prepared(operation, Purpose::Changing).await;
            known.map_err(Unfit::Found)?;
        }
        let script = &self.scripts.divide;
        let mut call = script.call(&self.keys, None, &[]);
        call.arg(self.shards.get());
        let answer: RedisResult<u16> = match call.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                script.with_text(&call).query_async(connection).await
            }
            answer => answer,
        };
        self.check(answer?, operation)
    }

    fn check(&self, found: u16, operation: &'static str) -> Result<(), Unfit> {
        if found == self.shards.get() {
            return Ok(());
        }
        let plural = if found == 1 { "shard" } else { "shards" };
        let message = format!(
            "the namespace has {found} {plural}, and this process was told {}. The number stays as it was \
             when the namespace was first used: give shards = {found}, or export the jobs with that number \
             and import them into another namespace",
            self.shards
        );
        Err(mismatch(operation, message))
    }
}

fn mismatch(operation: &'static str, message: String) -> Unfit {
    Unfit::Found(StoreError::new(
        StoreErrorKind::Mismatch,
        operation,
        message,
    ))
}

/// The error that callers see.
pub(crate) fn refused<T>(
    outcome: Result<T, Unfit>,
    unreachable: impl FnOnce(RedisError) -> StoreError,
) -> StoreResult<T> {
    outcome.map_err(|unfit| match unfit {
        Unfit::Redis(error) => unreachable(error),
        Unfit::Found(error) => error,
    })
}
