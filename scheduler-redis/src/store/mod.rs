//! The store contract, kept on Redis: one script per operation.

mod auditing;
mod dispatching;
mod following;
mod history;
mod jobs;
mod keeping;
mod leading;
mod listening;
mod measured;
mod noting;
mod queueing;
mod reading;
mod reconciling;
mod records;
mod recovery;
mod runs;
mod settling;
mod streams;
mod versions;
mod working;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, ToRedisArgs};
use scheduler_core::after::Trail;
use scheduler_core::audit::{Audit, AuditPage, AuditQuery};
use scheduler_core::event::{Event, Feed};
use scheduler_core::lease::{LeaseToken, LeaseView};
use scheduler_core::notes::{Note, NoteAnswer, RunNotes};
use scheduler_core::run::Claim;
use scheduler_core::session::SessionSample;
use scheduler_core::shard::{ShardCount, ShardNumber, Shards};
use scheduler_core::store::{
    Acquire, AcquireAnswer, Admit, Begin, BeginAnswer, Cancel, CancelAnswer, Changed, Definition,
    Dispatch, DispatchAnswer, Drain, DrainAnswer, Exchange, ExchangeAnswer, FailedPage,
    FailedQuery, FenceAnswer, FenceSession, FollowAnswer, FollowUp, Heartbeat, HeartbeatAnswer,
    HistoryPage, HistoryQuery, JobPage, JobWrite, NodeView, Overview, Park, Peek, PeekAnswer,
    Promote, PutJob, QueueBoard, Recall, Recalled, Reconcile, ReconcileAnswer, Register,
    Registered, RemoveJob, Rerun, RerunAnswer, Resync, ResyncAnswer, Retire, RunInFlight, RunNow,
    RunNowAnswer, Shard, Steer, Steered, Store, StoreError, StoreErrorKind, StoreResult, Supersede,
    Tidy, TidyAnswer, Wake,
};
use scheduler_core::unique::Holder;
use scheduler_core::{
    JobId, Namespace, Priority, QueueName, RunId, SessionId, Timestamp, UniqueKey, Version,
};

use crate::attaching::Greeting;
use crate::attendance::Attendance;
use crate::config::RedisConfig;
use crate::connect::Link;
use crate::durability::{Durability, Waiting};
use crate::keys::Keys;
use crate::numbering::Numbering;
use crate::script::{Script, Scripts, ServerClock};
use crate::server::Server;
use crate::wait::Waiter;
use streams::Streams;
use versions::KnownVersions;

/// One shard of one namespace on a Redis.
///
/// Cheap to clone. Connects when it is first used, and anew whenever a connection fails.
///
/// ```no_run
/// use scheduler_core::Namespace;
/// use scheduler_redis::{RedisConfig, RedisStore};
///
/// let config = RedisConfig::from_url("redis://127.0.0.1:6379")?;
/// let store = RedisStore::new(config, Namespace::default_namespace());
/// # Ok::<(), scheduler_redis::UrlError>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

/// Connections whose writes are waited for: while they wait, they answer nothing else. Made when they
/// are first used.
struct Durable {
    claims: Link,
    begins: Link,
    changes: Link,
}

/// Which shard it is, of how many.
type Place = (ShardNumber, ShardCount);

struct Shared {
    config: RedisConfig,
    namespace: Namespace,
    place: Place,
    /// The first shard's connection, unless this is it.
    first: Option<Link>,
    clock: ServerClock,
    scripts: Arc<Scripts>,
    keys: Keys,
    link: Link,
    durable: Durable,
    greeting: Arc<Greeting>,
    server: Server,
    streams: Streams,
    waiters: Mutex<Vec<Waiter>>,
    attendance: Attendance,
    versions: KnownVersions,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RedisStore").field(&self.describe()).finish()
    }
}

impl RedisStore {
    /// The store of `namespace` on this Redis, where that is not split: see [`shards`](Self::shards).
    ///
    /// Nothing is sent yet: an address where no Redis is shows with the first operation, and so does a
    /// namespace that is split.
    #[must_use]
    pub fn new(config: RedisConfig, namespace: Namespace) -> Self {
        Self::one(config, namespace, ServerClock::Time)
    }

    /// All shards of `namespace`, as many as the configuration says: what nodes and clients work with that
    /// need not know whether it is split. In a cluster, each shard finds the server that has it.
    ///
    /// ```no_run
    /// use scheduler_core::Namespace;
    /// use scheduler_redis::{RedisConfig, RedisStore};
    ///
    /// let config = RedisConfig::from_url("redis-cluster://a,b,c?shards=6")?;
    /// let store = RedisStore::shards(config, Namespace::default_namespace());
    /// # Ok::<(), scheduler_redis::UrlError>(())
    /// ```
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "as `new` takes them")]
    pub fn shards(config: RedisConfig, namespace: Namespace) -> Shards<Self> {
        Self::several(&config, &namespace, ServerClock::Time)
    }

    /// The same with a clock that stands at what the key `carillon:{<namespace>/0}:clock` says, in
    /// milliseconds: for tests. The scripts of [`new`](Self::new) never read that key.
    #[must_use]
    pub fn with_pinned_clock(config: RedisConfig, namespace: Namespace) -> Self {
        Self::one(config, namespace, ServerClock::Pinned)
    }

    /// The same of all [`shards`](Self::shards), each with the key `carillon:{<namespace>/<shard>}:clock`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "as `new` takes them")]
    pub fn shards_with_pinned_clocks(config: RedisConfig, namespace: Namespace) -> Shards<Self> {
        Self::several(&config, &namespace, ServerClock::Pinned)
    }

    fn one(config: RedisConfig, namespace: Namespace, clock: ServerClock) -> Self {
        let scripts = Arc::new(Scripts::new(clock));
        let place = (ShardNumber(0), ShardCount::ONE);
        Self::build(config, namespace, clock, scripts, place, None)
    }

    fn several(config: &RedisConfig, namespace: &Namespace, clock: ServerClock) -> Shards<Self> {
        let scripts = Arc::new(Scripts::new(clock));
        let mut first = None;
        Shards::new(config.shards, |number| {
            let store = Self::build(
                config.clone(),
                namespace.clone(),
                clock,
                Arc::clone(&scripts),
                (number, config.shards),
                first.clone(),
            );
            first.get_or_insert_with(|| store.shared.link.clone());
            store
        })
    }

    fn build(
        config: RedisConfig,
        namespace: Namespace,
        clock: ServerClock,
        scripts: Arc<Scripts>,
        place: Place,
        first: Option<Link>,
    ) -> Self {
        let keys = Keys::new(&namespace, place.0);
        let server = match Server::new(&config, keys.named("due", None)) {
            Ok(server) => server,
            // The library refuses only what a `RedisConfig` cannot hold.
            Err(error) => unreachable!("a checked address was refused: {error}"),
        };
        let numbering = Numbering::new(
            place,
            config.shards,
            keys.clone(),
            Arc::clone(&scripts),
            first.clone(),
        );
        let greeting = Greeting::new(Arc::clone(&scripts), keys.clone(), &config, numbering);
        let greeting = Arc::new(greeting);
        let new_link = || Link::new(server.clone(), Arc::clone(&greeting));
        let link = new_link();
        let durable = Durable {
            claims: new_link(),
            begins: new_link(),
            changes: new_link(),
        };
        let waiters = Mutex::default();
        let shared = Shared {
            config,
            namespace,
            place,
            first,
            clock,
            scripts,
            keys,
            link,
            durable,
            greeting,
            server,
            streams: Streams::default(),
            waiters,
            attendance: Attendance::default(),
            versions: KnownVersions::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Asks whether the server answers.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub async fn ping(&self) -> StoreResult<()> {
        self.shared.link.query("ping", &redis::cmd("PING")).await
    }

    /// Loads all scripts into the server, so that the first call of each is as fast as the next.
    /// Without it each is loaded when it is first called, and again after the server has lost it.
    ///
    /// # Errors
    ///
    /// What keeps the server from answering.
    pub async fn load_scripts(&self) -> StoreResult<()> {
        let mut pipeline = redis::pipe();
        for script in self.scripts().all() {
            pipeline.add_command(script.load()).ignore();
        }
        self.shared.link.pipeline("load_scripts", &pipeline).await
    }

    /// The store's connection to the server and database, for other commands than the store's: they
    /// must not block. For Carillon's own measuring, and no part of the public API.
    ///
    /// # Errors
    ///
    /// Where none can be made.
    #[doc(hidden)]
    pub async fn connection(&self) -> StoreResult<MultiplexedConnection> {
        self.shared.link.shared_connection("connect").await
    }

    /// Moves the pinned clock.
    ///
    /// # Errors
    ///
    /// Refused where the clock is the server's own, and what keeps the server from answering.
    pub async fn set_pinned_clock(&self, now: Timestamp) -> StoreResult<()> {
        if self.shared.clock != ServerClock::Pinned {
            let message = "the clock of this store is the server's own";
            return Err(StoreError::new(
                StoreErrorKind::Refused,
                "set_pinned_clock",
                message,
            ));
        }
        let mut cmd = redis::cmd("SET");
        cmd.arg(self.shared.keys.named("clock", None))
            .arg(now.as_ms());
        self.shared.link.query("set_pinned_clock", &cmd).await
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.shared.config
    }

    pub(crate) fn server(&self) -> &Server {
        &self.shared.server
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.shared.scripts
    }

    fn key(&self, name: &str) -> String {
        self.shared.keys.named(name, None)
    }

    fn session_key(&self, name: &str, session: &SessionId) -> String {
        self.shared.keys.named(name, Some(session))
    }

    /// Starts a call of a script.
    pub(crate) fn call<'a>(
        &'a self,
        script: &'a Script,
        session: Option<&SessionId>,
        tail: &[String],
    ) -> Call<'a> {
        Call {
            store: self,
            script,
            cmd: script.call(&self.shared.keys, session, tail),
        }
    }

    /// The (high, ready, low, wake) keys of queues, as scripts take them.
    fn queue_keys(&self, queues: &Queues<'_>) -> Vec<String> {
        let keys = &self.shared.keys;
        queues
            .0
            .iter()
            .flat_map(|queue| {
                let [high, normal, low] = Priority::ALL.map(|p| keys.ready(queue, p));
                [high, normal, low, keys.wake(queue)]
            })
            .collect()
    }

    fn job_keys<'i>(&self, ids: impl IntoIterator<Item = &'i JobId>) -> Vec<String> {
        ids.into_iter().map(|id| self.shared.keys.job(id)).collect()
    }

    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        operation: &'static str,
        cmd: &Cmd,
    ) -> StoreResult<T> {
        self.shared.link.query(operation, cmd).await
    }

    fn waiter(&self, wake: &Wake) -> Waiter {
        let keys: Vec<String> = match wake {
            Wake::Ready(queues) => queues.iter().map(|q| self.shared.keys.wake(q)).collect(),
            Wake::Leader => vec![self.key("wake-leader")],
            Wake::Lease => vec![self.key("wake-lease")],
        };
        let mut waiters = self
            .shared
            .waiters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = waiters.iter().find(|waiter| waiter.keys() == keys) {
            return waiter.clone();
        }
        let greeting = Arc::clone(&self.shared.greeting);
        let link = Link::blocking(self.shared.server.clone(), greeting);
        let waiter = Waiter::new(link, keys);
        waiters.push(waiter.clone());
        waiter
    }
}

/// A call of a script, under construction.
pub(crate) struct Call<'a> {
    store: &'a RedisStore,
    script: &'a Script,
    cmd: Cmd,
}

impl Call<'_> {
    pub(crate) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.cmd.arg(arg);
        self
    }

    /// An argument that is put together here: without a text of its own for each.
    fn text(&mut self, text: std::fmt::Arguments<'_>) -> &mut Self {
        use std::io::Write as _;

        use redis::RedisWrite as _;

        // What takes the text is memory, which never fails.
        let _ = self.cmd.writer_for_next_arg().write_fmt(text);
        self
    }

    pub(crate) async fn send<T: FromRedisValue>(&self) -> StoreResult<T> {
        self.store.shared.link.script(self.script, &self.cmd).await
    }

    /// Calls it on this link, and waits until what it did counts, if its answer is worth that.
    async fn send_durably<T: FromRedisValue>(
        &self,
        link: impl FnOnce(&Durable) -> &Link,
        is_worth_it: impl Fn(&T) -> bool,
    ) -> StoreResult<T> {
        let shared = &self.store.shared;
        if shared.config.durability == Durability::None {
            return self.send().await;
        }
        let waiting = Waiting {
            durability: shared.config.durability,
            scripts: &shared.scripts,
            keys: &shared.keys,
        };
        let link = link(&shared.durable);
        link.script_durably(self.script, &self.cmd, &waiting, is_worth_it)
            .await
    }

    /// Calls what a client changes, and waits until it counts.
    async fn send_change<T: FromRedisValue>(&self) -> StoreResult<T> {
        self.send_durably(|durable| &durable.changes, |_| true)
            .await
    }

    fn corrupt(&self, message: impl Into<String>) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.script.name, message)
    }
}

/// The queues that a call names, each once. Scripts know the lists of their runs by places, from 1:
/// each queue has four, one for each priority and one that is none.
struct Queues<'a>(Vec<&'a QueueName>);

impl<'a> Queues<'a> {
    fn of(queues: impl IntoIterator<Item = &'a QueueName>) -> Self {
        let mut found = Self(Vec::new());
        for queue in queues {
            found.place(queue);
        }
        found
    }

    /// The place of the list of a queue's runs of one priority; the queue is added at the end where
    /// it is new.
    fn list(&mut self, queue: &'a QueueName, priority: Priority) -> usize {
        4 * self.place(queue) + priority.index() + 1
    }

    /// The queue's place, from 0; added at the end where it is new.
    fn place(&mut self, queue: &'a QueueName) -> usize {
        self.0
            .iter()
            .position(|known| *known == queue)
            .unwrap_or_else(|| {
                self.0.push(queue);
                self.0.len() - 1
            })
    }
}

/// An optional number as scripts take it: empty where there is none.
fn or_empty<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn optional_ms(at: Option<Timestamp>) -> String {
    or_empty(at.map(Timestamp::as_ms))
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A score as Redis prints it: `17`, and for very large ones `1.7e+20`.
fn score_to_timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(ms) = text.parse() {
        return Some(Timestamp::from_ms(ms));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to the range first"
    )]
    let ms = text
        .parse::<f64>()
        .ok()
        .filter(|ms| ms.abs() < 9e15)
        .map(|ms| ms as i64)?;
    Some(Timestamp::from_ms(ms))
}

impl Store for RedisStore {
    fn detached(&self) -> Self {
        let Shared {
            config,
            namespace,
            place,
            first,
            clock,
            scripts,
            ..
        } = &*self.shared;
        Self::build(
            config.clone(),
            namespace.clone(),
            *clock,
            Arc::clone(scripts),
            *place,
            first.clone(),
        )
    }

    fn describe(&self) -> String {
        let Shared {
            config,
            namespace,
            place: (number, shards),
            ..
        } = &*self.shared;
        if shards.is_one() {
            return format!("{config} (namespace {namespace})");
        }
        format!("{config} (namespace {namespace}, shard {number})")
    }

    async fn jobs(&self, ids: &[JobId]) -> StoreResult<Vec<JobWrite>> {
        self.read_jobs(ids).await
    }

    async fn job_page(&self, cursor: Option<&str>, limit: usize) -> StoreResult<JobPage> {
        self.read_job_page(cursor, limit).await
    }

    async fn put(&self, request: &PutJob) -> StoreResult<Vec<Changed>> {
        self.do_put(request).await
    }

    async fn supersede(&self, request: &Supersede) -> StoreResult<Changed> {
        self.do_supersede(request).await
    }

    async fn holders(&self, keys: &[UniqueKey]) -> StoreResult<Vec<Option<Holder>>> {
        self.read_holders(keys).await
    }

    async fn remove(&self, request: &RemoveJob) -> StoreResult<Changed> {
        self.do_remove(request).await
    }

    async fn recall(&self, request: &Recall) -> StoreResult<Recalled> {
        self.do_recall(request).await
    }

    async fn run_now(&self, request: &RunNow) -> StoreResult<RunNowAnswer> {
        self.do_run_now(request).await
    }

    async fn cancel(&self, request: &Cancel) -> StoreResult<CancelAnswer> {
        self.do_cancel(request).await
    }

    async fn failed(&self, query: &FailedQuery) -> StoreResult<FailedPage> {
        self.read_failed(query).await
    }

    async fn rerun(&self, request: &Rerun) -> StoreResult<Vec<RerunAnswer>> {
        self.do_rerun(request).await
    }

    async fn purge(&self, runs: &[RunId]) -> StoreResult<()> {
        self.do_purge(runs).await
    }

    async fn notes(&self, run: &RunId) -> StoreResult<Vec<RunNotes>> {
        self.read_notes(run).await
    }

    async fn steer(&self, request: &Steer) -> StoreResult<Steered> {
        self.do_steer(request).await
    }

    async fn queues(&self) -> StoreResult<QueueBoard> {
        self.read_queues().await
    }

    async fn audit(&self, request: &Audit) -> StoreResult<()> {
        self.do_audit(request).await
    }

    async fn audited(&self, query: &AuditQuery) -> StoreResult<AuditPage> {
        self.read_audit(query).await
    }

    async fn history(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        self.read_history(query).await
    }

    async fn in_flight(&self, job: &JobId) -> StoreResult<Vec<RunInFlight>> {
        self.read_in_flight(job).await
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeView>> {
        self.read_nodes().await
    }

    async fn announce(&self, events: &[Event]) -> StoreResult<usize> {
        self.do_announce(events).await
    }

    async fn listen(&self) -> StoreResult<Feed> {
        self.do_listen().await
    }

    async fn overview(&self) -> StoreResult<Overview> {
        self.read_overview().await
    }

    async fn clock(&self) -> StoreResult<Timestamp> {
        Ok(self.leader_and_clock().await?.1)
    }
}

impl Shard for RedisStore {
    async fn register(&self, request: &Register) -> StoreResult<Registered> {
        self.do_register(request).await
    }

    async fn heartbeat(&self, request: &Heartbeat) -> StoreResult<HeartbeatAnswer> {
        self.do_heartbeat(request).await
    }

    async fn reconcile(&self, request: &Reconcile) -> StoreResult<ReconcileAnswer> {
        self.do_reconcile(request).await
    }

    async fn leave(&self, session: &SessionId) -> StoreResult<()> {
        self.do_leave(session).await
    }

    async fn observe(&self, session: &SessionId) -> StoreResult<LeaseView> {
        self.do_observe(session).await
    }

    async fn acquire(&self, request: &Acquire) -> StoreResult<AcquireAnswer> {
        self.do_acquire(request).await
    }

    async fn peek(&self, request: &Peek) -> StoreResult<PeekAnswer> {
        self.do_peek(request).await
    }

    async fn dispatch(&self, request: &Dispatch) -> StoreResult<DispatchAnswer> {
        self.do_dispatch(request).await
    }

    async fn admit(&self, request: &Admit) -> StoreResult<bool> {
        self.do_admit(request).await
    }

    async fn promote(&self, request: &Promote) -> StoreResult<bool> {
        self.do_promote(request).await
    }

    async fn park(&self, request: &Park) -> StoreResult<bool> {
        self.do_park(request).await
    }

    async fn trail(&self, limit: usize) -> StoreResult<Trail> {
        self.read_trail(limit).await
    }

    async fn follow(&self, request: &FollowUp) -> StoreResult<FollowAnswer> {
        self.do_follow(request).await
    }

    async fn retire(&self, request: &Retire) -> StoreResult<bool> {
        self.do_retire(request).await
    }

    async fn tidy(&self, request: &Tidy) -> StoreResult<TidyAnswer> {
        self.do_tidy(request).await
    }

    async fn release(&self, token: &LeaseToken) -> StoreResult<()> {
        self.do_release(token).await
    }

    async fn exchange(&self, request: &Exchange) -> StoreResult<ExchangeAnswer> {
        self.do_exchange(request).await
    }

    async fn begin(&self, request: &Begin) -> StoreResult<BeginAnswer> {
        self.do_begin(request).await
    }

    async fn resync(&self, request: &Resync) -> StoreResult<ResyncAnswer> {
        self.do_resync(request).await
    }

    fn wait(&self, wake: &Wake) -> impl Future<Output = StoreResult<()>> + Send {
        let waiter = self.waiter(wake);
        async move { waiter.wait().await }
    }

    async fn definitions(&self, wanted: &[(JobId, Version)]) -> StoreResult<Vec<Definition>> {
        self.read_definitions(wanted).await
    }

    async fn sessions(&self) -> StoreResult<Vec<SessionSample>> {
        self.read_sessions().await
    }

    async fn fence_session(&self, request: &FenceSession) -> StoreResult<FenceAnswer> {
        self.do_fence_session(request).await
    }

    async fn dead_claims(&self, limit: usize) -> StoreResult<Vec<(SessionId, Vec<Claim>)>> {
        self.read_dead_claims(limit).await
    }

    async fn drain(&self, request: &Drain) -> StoreResult<DrainAnswer> {
        self.do_drain(request).await
    }

    async fn note(&self, request: &Note) -> StoreResult<NoteAnswer> {
        self.do_note(request).await
    }
}
