//! Connections: kept, dropped when they fail, and made anew.
//!
//! A [`Link`] is one connection that many callers share; their commands travel in a pipeline. It is
//! held as long as it works, and is thrown away on the first sign of trouble:
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

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
};
use scheduler_core::store::{StoreError, StoreErrorKind, StoreResult};
use tokio::sync::Mutex;

use crate::attaching::{Greeting, Met, UNATTACHED};
use crate::durability::Waiting;
use crate::numbering::refused;
use crate::script::Script;
use crate::server::{Server, Tenure};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer may take before its outcome counts as unknown.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a blocking command waits on the server: so long a connection may be dead unnoticed.
pub(crate) const BLOCK: Duration = Duration::from_secs(10);

/// What a connection is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It changes nothing that rests on what was written before.
    Reading,
    /// The server must have been taken note of.
    Changing,
}

/// One shared connection, and how it is made. It is driven by a task of the runtime that first used it.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    server: Server,
    greeting: Arc<Greeting>,
    settings: AsyncConnectionConfig,
    /// Whether the shard is not where this leads.
    is_elsewhere: bool,
    held: Mutex<Held>,
    /// Up to this generation connections are used no more.
    distrusted: AtomicU64,
}

#[derive(Default)]
struct Held {
    /// Counts connections, so that a late failure of an old one does not cost the new one.
    generation: u64,
    connection: Option<(MultiplexedConnection, Tenure)>,
    /// Whether it was compared how many shards there are, and whether that was written down.
    is_numbered: Option<bool>,
    /// Whether its server has been taken note of.
    is_greeted: bool,
}

impl Link {
    pub(crate) fn new(server: Server, greeting: Arc<Greeting>) -> Self {
        Self::with_patience(server, greeting, RESPONSE_TIMEOUT)
    }

    /// To where a key of others is: nothing of the shard need be there, and nothing is asked of it.
    pub(crate) fn elsewhere(server: Server, greeting: Arc<Greeting>) -> Self {
        Self::made(server, greeting, RESPONSE_TIMEOUT, true)
    }

    /// For commands that wait up to [`BLOCK`] on the server.
    pub(crate) fn blocking(server: Server, greeting: Arc<Greeting>) -> Self {
        Self::with_patience(server, greeting, BLOCK + RESPONSE_TIMEOUT)
    }

    fn with_patience(server: Server, greeting: Arc<Greeting>, response: Duration) -> Self {
        Self::made(server, greeting, response, false)
    }

    fn made(
        server: Server,
        greeting: Arc<Greeting>,
        response: Duration,
        is_elsewhere: bool,
    ) -> Self {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response));
        let shared = Shared {
            server,
            greeting,
            settings,
            is_elsewhere,
            held: Mutex::default(),
            distrusted: AtomicU64::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Sends one command and reads its answer.
    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        operation: &'static str,
        cmd: &Cmd,
    ) -> StoreResult<T> {
        let (asked, mut connection) = self.ask(operation, Purpose::Reading).await?;
        let answer = cmd.query_async(&mut connection);
        let answer = asked.tenure.within(answer).await;
        asked.answered(answer)
    }

    /// Sends commands together, not as a transaction, and reads their answers.
    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        operation: &'static str,
        pipeline: &redis::Pipeline,
    ) -> StoreResult<T> {
        let (asked, mut connection) = self.ask(operation, Purpose::Reading).await?;
        let answer = pipeline.query_async(&mut connection);
        let answer = asked.tenure.within(answer).await;
        asked.answered(answer)
    }

    /// Calls a script; loads it where the server does not have it.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Cmd,
    ) -> StoreResult<T> {
        match self.script_once(script, call).await {
            // Everything was deleted since this connection was made, and nothing was done: once more on
            // a new one.
            Err((_, Some(code))) if code == UNATTACHED => {
                let again = self.script_once(script, call).await;
                again.map_err(|(error, _)| error)
            }
            answer => answer.map_err(|(error, _)| error),
        }
    }

    async fn script_once<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Cmd,
    ) -> Result<T, (StoreError, Option<String>)> {
        let (asked, mut connection) = self
            .ask(script.name, script.purpose)
            .await
            .map_err(|e| (e, None))?;
        let answer = called(script, call, &mut connection);
        let answer = asked.tenure.within(answer).await;
        let code = answer.as_ref().err().and_then(RedisError::code);
        let code = code.map(str::to_owned);
        asked.answered(answer).map_err(|error| (error, code))
    }

    /// The same, and waits on the same connection until what it wrote counts, if its answer is worth
    /// that. Where it does not come to count, the outcome is unknown.
    pub(crate) async fn script_durably<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Cmd,
        waiting: &Waiting<'_>,
        is_worth_it: impl Fn(&T) -> bool,
    ) -> StoreResult<T> {
        let unknown = |why: String| StoreError::new(StoreErrorKind::Unknown, script.name, why);
        let (asked, mut connection) = self.ask(script.name, script.purpose).await?;
        let tenure = asked.tenure.clone();
        let work = async {
            let answer: T = called(script, call, &mut connection).await?;
            let waited = if is_worth_it(&answer) {
                waiting.wait(&mut connection).await
            } else {
                Ok(None)
            };
            Ok((answer, waited))
        };
        let answer = tenure.within(work).await;
        let (answer, waited) = asked.answered(answer)?;
        match waited {
            Ok(None) => Ok(answer),
            Ok(Some(missing)) => Err(unknown(missing)),
            Err(error) => {
                // What stands in this connection's buffers, nobody knows.
                let distrusted = &self.shared.distrusted;
                let generation = self.shared.held.lock().await.generation;
                distrusted.fetch_max(generation, Ordering::AcqRel);
                Err(unknown(explain(&error)))
            }
        }
    }

    /// Makes sure that there is a connection which is good for this. Boxed: a shard's may need the first
    /// shard's.
    pub(crate) fn prepared(
        &self,
        operation: &'static str,
        purpose: Purpose,
    ) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move { self.connection(operation, purpose).await.map(drop) })
    }

    /// The connection, shared with whoever else uses the link.
    pub(crate) async fn shared_connection(
        &self,
        operation: &'static str,
    ) -> StoreResult<MultiplexedConnection> {
        let (_, connection, _) = self.connection(operation, Purpose::Reading).await?;
        Ok(connection)
    }

    async fn ask(
        &self,
        operation: &'static str,
        purpose: Purpose,
    ) -> StoreResult<(Asked, MultiplexedConnection)> {
        let (generation, connection, tenure) = self.connection(operation, purpose).await?;
        let asked = Asked {
            shared: Arc::clone(&self.shared),
            operation,
            generation,
            tenure,
            is_answered: false,
        };
        Ok((asked, connection))
    }

    async fn connection(
        &self,
        operation: &'static str,
        purpose: Purpose,
    ) -> StoreResult<(u64, MultiplexedConnection, Tenure)> {
        let mut held = self.shared.held.lock().await;
        let is_distrusted = held.generation <= self.shared.distrusted.load(Ordering::Acquire);
        let is_good = |tenure: &Tenure| !is_distrusted && !tenure.is_over();
        let unreachable = |error: RedisError| {
            StoreError::new(StoreErrorKind::Unreachable, operation, explain(&error))
        };
        let known = held.connection.take().filter(|(_, tenure)| is_good(tenure));
        let (mut connection, tenure) = match known {
            Some(known) => known,
            // The earlier one is closed with its last clone.
            None => {
                // Boxed without its type: connecting is a deep nest of futures, and each program's `main`
                // has all that it awaits in its type. Past a depth the compiler refuses that.
                let connecting = self.shared.server.connect(&self.shared.settings).boxed();
                let made = connecting.await.map_err(unreachable)?;
                held.generation += 1;
                held.is_numbered = None;
                held.is_greeted = false;
                made
            }
        };
        let greeting = &self.shared.greeting;
        let is_numbered = match held.is_numbered {
            Some(is_numbered) => is_numbered,
            None if self.shared.is_elsewhere => true,
            None => {
                let comparing = greeting.numbering.compare(&mut connection, operation);
                let compared = tenure.within_or(comparing).boxed().await;
                let is_numbered = refused(compared, unreachable)?;
                held.is_numbered = Some(is_numbered);
                is_numbered
            }
        };
        if purpose == Purpose::Changing && !held.is_greeted {
            let greeted = greeting.greet(&mut connection, operation, is_numbered);
            let greeted = tenure.within_or(greeted).boxed().await;
            // A replica may become a primary at any moment, and is to be greeted as that then.
            held.is_greeted = refused(greeted, unreachable)? == Met::Primary;
        }
        held.connection = Some((connection.clone(), tenure.clone()));
        Ok((held.generation, connection, tenure))
    }
}

async fn called<T: FromRedisValue>(
    script: &Script,
    call: &Cmd,
    connection: &mut MultiplexedConnection,
) -> RedisResult<T> {
    match call.query_async(connection).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.with_text(call).query_async(connection).await
        }
        result => result,
    }
}

/// What was sent and not answered yet. Where it is dropped as that, its connection is used no more.
struct Asked {
    shared: Arc<Shared>,
    operation: &'static str,
    generation: u64,
    tenure: Tenure,
    is_answered: bool,
}

impl Asked {
    /// Takes in the answer, or what came of waiting for it.
    fn answered<T>(mut self, result: Result<T, RedisError>) -> StoreResult<T> {
        self.is_answered = match &result {
            Ok(_) => true,
            Err(error) => {
                is_from_server(error)
                    && !drops_connection(error)
                    && error.code() != Some(UNATTACHED)
            }
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

/// Whether the server should be looked up anew: it is no primary (any more), or not of this slot. While a
/// slot is on its way (`ASK`, `TRYAGAIN`), its old server is asked until it says that it has moved.
fn drops_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::Moved
                | ServerErrorKind::ClusterDown
        )
    )
}

fn explain(error: &RedisError) -> String {
    // The library's own text; it never holds the password.
    error.to_string()
}
