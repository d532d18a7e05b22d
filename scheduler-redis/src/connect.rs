//! Connections: kept, dropped when they fail, and made anew.
//!
//! A [`Link`] is one connection that many callers share; their commands travel in a pipeline. It
//! comes from a pool, is held as long as it works, and is thrown away on the first sign of trouble:
//! after a failed write or a missing answer nobody knows what the server still has in its buffers.
//! An answer is missing also where its caller would not wait for it any longer: callers may be less
//! patient than a connection, and must not be left with a dead one for it.
//!
//! What failed is told apart as the store contract wants it: *unreachable* (never sent), *refused*
//! (the server answered with an error, before the first write of the script), *unknown* (sent, and
//! not answered).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};
use scheduler_core::store::{StoreError, StoreErrorKind, StoreResult};
use tokio::sync::Mutex;

use crate::config::RedisConfig;
use crate::script::Script;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer may take before its outcome counts as unknown.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a blocking command waits on the server. Shorter than the answer may take.
pub(crate) const BLOCK: Duration = Duration::from_secs(2);

/// One shared connection, and the pool that it comes from.
#[derive(Clone)]
pub(crate) struct Link {
    pool: Pool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    held: Mutex<Held>,
    /// Up to this generation connections are used no more.
    distrusted: AtomicU64,
}

#[derive(Default)]
struct Held {
    /// Counts connections, so that a late failure of an old one does not cost the new one.
    generation: u64,
    connection: Option<Connection>,
}

/// A pool for one runtime: its connections are driven by tasks of the runtime that first used them.
pub(crate) fn pool(config: &RedisConfig, blocking: bool) -> Result<Pool, RedisError> {
    let response = if blocking {
        BLOCK + RESPONSE_TIMEOUT
    } else {
        RESPONSE_TIMEOUT
    };
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(response));
    let manager = Manager::new_with_config(config.connection_info()?, settings)?;
    Pool::builder(manager)
        .max_size(8)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .build()
        .map_err(|e| RedisError::from((ErrorKind::InvalidClientConfig, "pool", e.to_string())))
}

impl Link {
    pub(crate) fn new(pool: Pool) -> Self {
        Self {
            pool,
            shared: Arc::default(),
        }
    }

    /// Sends one command and reads its answer.
    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        operation: &'static str,
        cmd: &Cmd,
    ) -> StoreResult<T> {
        let (asked, mut connection) = self.ask(operation).await?;
        asked.answered(cmd.query_async(&mut connection).await)
    }

    /// Sends commands together, not as a transaction, and reads their answers.
    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        operation: &'static str,
        pipeline: &redis::Pipeline,
    ) -> StoreResult<T> {
        let (asked, mut connection) = self.ask(operation).await?;
        asked.answered(pipeline.query_async(&mut connection).await)
    }

    /// Calls a script; loads it where the server does not have it.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Cmd,
    ) -> StoreResult<T> {
        let (asked, mut connection) = self.ask(script.name).await?;
        let result = match call.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                script.with_text(call).query_async(&mut connection).await
            }
            result => result,
        };
        asked.answered(result)
    }

    /// The connection, shared with whoever else uses the link.
    pub(crate) async fn shared_connection(
        &self,
        operation: &'static str,
    ) -> StoreResult<MultiplexedConnection> {
        self.connection(operation)
            .await
            .map(|(_, connection)| connection)
    }

    async fn ask(&self, operation: &'static str) -> StoreResult<(Asked, MultiplexedConnection)> {
        let (generation, connection) = self.connection(operation).await?;
        let asked = Asked {
            shared: Arc::clone(&self.shared),
            operation,
            generation,
            is_answered: false,
        };
        Ok((asked, connection))
    }

    async fn connection(
        &self,
        operation: &'static str,
    ) -> StoreResult<(u64, MultiplexedConnection)> {
        let mut held = self.shared.held.lock().await;
        if held.generation <= self.shared.distrusted.load(Ordering::Acquire)
            && let Some(connection) = held.connection.take()
        {
            // Out of the pool for good, and closed with its last clone.
            drop(Connection::take(connection));
        }
        if let Some(connection) = &held.connection {
            return Ok((held.generation, MultiplexedConnection::clone(connection)));
        }
        // Boxed: connecting is a deep nest of futures, and each program's `main` has all that it awaits
        // in its type. Past a depth the compiler refuses that.
        let connection = Box::pin(self.pool.get()).await.map_err(|error| {
            let message = match error {
                PoolError::Backend(error) => explain(&error),
                PoolError::Timeout(_) => {
                    format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())
                }
                error => error.to_string(),
            };
            StoreError::new(StoreErrorKind::Unreachable, operation, message)
        })?;
        let shared = MultiplexedConnection::clone(&connection);
        held.connection = Some(connection);
        held.generation += 1;
        Ok((held.generation, shared))
    }
}

/// What was sent and not answered yet. Where it is dropped as that, its connection is used no more.
struct Asked {
    shared: Arc<Shared>,
    operation: &'static str,
    generation: u64,
    is_answered: bool,
}

impl Asked {
    /// Takes in the answer, or what came of waiting for it.
    fn answered<T>(mut self, result: Result<T, RedisError>) -> StoreResult<T> {
        self.is_answered = match &result {
            Ok(_) => true,
            Err(error) => is_from_server(error) && !drops_connection(error),
        };
        result.map_err(|error| StoreError::new(kind_of(&error), self.operation, explain(&error)))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_answered {
            let distrusted = &self.shared.distrusted;
            distrusted.fetch_max(self.generation, Ordering::AcqRel);
        }
    }
}

/// What an error says about the command that it answers.
fn kind_of(error: &RedisError) -> StoreErrorKind {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => StoreErrorKind::Refused,
        ErrorKind::UnexpectedReturnType => StoreErrorKind::Corrupt,
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => {
            StoreErrorKind::Unreachable
        }
        _ => StoreErrorKind::Unknown,
    }
}

/// Whether the server answered at all, be it with something else than was expected.
fn is_from_server(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_)) || kind_of(error) == StoreErrorKind::Corrupt
}

/// Whether the server should be looked up anew: it is no primary (any more).
fn drops_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
        )
    )
}

fn explain(error: &RedisError) -> String {
    // The library's own text; it never holds the password.
    error.to_string()
}
