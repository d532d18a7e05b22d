//! What the tests of the node share: a store with jobs in it, nodes on it, and ways to wait for
//! what should happen.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

pub(crate) mod faulty;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon::core::change::put_new;
use carillon::core::history::{Record, RunRecord};
use carillon::core::store::{HistoryQuery, PutJob, RequestId, RunNow};
use carillon::core::{
    Cause, Job, JobDefaults, JobId, JobSpec, MemoryStore, NodeName, RunId, Sharded, Store,
};
use carillon::{Context, Counts, Event, Events, NodeError, Scheduler, SystemClock, Tasks, Timing};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take before a test gives up: far longer than it ever should.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn store() -> MemoryStore {
    MemoryStore::new(Arc::new(SystemClock))
}

/// Short lives, so that what ends is seen to end.
pub(crate) fn timing() -> Timing {
    Timing {
        session_ttl: Duration::from_secs(2),
        ..Timing::default()
    }
}

/// A job as typed; `extra` fields take the place of these.
pub(crate) fn job(id: &str, task: &str, extra: Value) -> Job {
    let mut spec = json!({
        "id": id,
        "task": task,
        "trigger": { "type": "interval", "seconds": 3600 },
    });
    if let Value::Object(extra) = extra {
        spec.as_object_mut().unwrap().extend(extra);
    }
    let spec: JobSpec = serde_json::from_value(spec).unwrap();
    spec.resolve(&JobDefaults::default()).unwrap()
}

pub(crate) fn every(seconds: f64) -> Value {
    json!({ "trigger": { "type": "interval", "seconds": seconds } })
}

pub(crate) async fn put(store: &impl Store, jobs: impl IntoIterator<Item = Job>) {
    let mut changes = Vec::new();
    for job in jobs {
        let read = store.jobs(&[job.id().clone()]).await.unwrap().remove(0);
        assert_eq!(read.stored, None, "{} is there already", job.id());
        changes.push((None, put_new(job, read.fired, read.now).unwrap()));
    }
    let request = RequestId(Uuid::now_v7());
    store
        .put(&PutJob {
            request,
            changes,
            all_or_none: false,
        })
        .await
        .unwrap();
}

/// Makes a run of a stored job now.
pub(crate) async fn run_now(store: &impl Store, id: &str) -> RunId {
    let id = JobId::new(id).unwrap();
    let stored = store
        .jobs(std::slice::from_ref(&id))
        .await
        .unwrap()
        .remove(0)
        .stored;
    let stored = stored.unwrap();
    let request = RequestId(Uuid::now_v7());
    let run_now = RunNow {
        request,
        cause: Cause::Request(request.0),
        job: stored.job,
        version: stored.version,
    };
    let answer = store.run_now(&run_now).await.unwrap();
    assert_eq!(answer, carillon::core::store::RunNowAnswer::Made);
    RunId::request(id, request.0)
}

/// A node that runs until it is told to stop.
pub(crate) struct Node {
    pub(crate) events: Events,
    pub(crate) counts: Box<dyn Fn() -> Counts + Send + Sync>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<Result<(), NodeError>>,
}

impl Node {
    pub(crate) fn start<S: Sharded>(store: &S, name: &str, tasks: &Tasks, timing: Timing) -> Self {
        Self::start_with(store, name, tasks, timing, 8)
    }

    pub(crate) fn start_with<S: Sharded>(
        store: &S,
        name: &str,
        tasks: &Tasks,
        timing: Timing,
        slots: usize,
    ) -> Self {
        let scheduler = Scheduler::builder(store.clone())
            .node(NodeName::new(name).unwrap())
            .tasks(tasks.clone())
            .concurrency(slots)
            .timing(timing)
            .build()
            .unwrap();
        let shutdown = CancellationToken::new();
        Self {
            events: scheduler.events(),
            counts: Box::new(scheduler.counters()),
            running: tokio::spawn(scheduler.run(shutdown.clone())),
            shutdown,
        }
    }

    /// Waits for an event.
    pub(crate) async fn sees<T>(
        &mut self,
        what: &str,
        wanted: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let found = self.events.find(LIMIT, wanted).await;
        found.unwrap_or_else(|| panic!("never saw {what}"))
    }

    pub(crate) async fn leads(&mut self) {
        self.sees("the lease", |event| {
            matches!(event, Event::LeaseWon { .. }).then_some(())
        })
        .await;
    }

    pub(crate) async fn is_registered(&mut self) -> carillon::core::SessionId {
        self.sees("a session", |event| match event {
            Event::Registered { session } => Some(session.clone()),
            _ => None,
        })
        .await
    }

    /// Tells the node to stop, waits until it has, and says what it counted.
    pub(crate) async fn stop_and_count(mut self) -> Counts {
        let counts = std::mem::replace(&mut self.counts, Box::new(Counts::default));
        self.stop().await;
        counts()
    }

    /// Tells the node to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(LIMIT, self.running).await;
        ended.expect("the node does not stop").unwrap().unwrap();
    }
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let met = tokio::time::timeout(LIMIT, waiting).await;
    met.unwrap_or_else(|_| panic!("never: {what}"));
}

/// On which nodes each attempt of each run was begun.
type Begun = BTreeMap<(RunId, u32), Vec<String>>;

/// Notes which attempts were begun, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Begun>>);

impl Log {
    pub(crate) fn note(&self, context: &Context) {
        let key = (context.run_id().clone(), context.attempt());
        let mut log = self.0.lock().unwrap();
        log.entry(key).or_default().push(context.node().to_string());
    }

    pub(crate) fn read(&self) -> Begun {
        self.0.lock().unwrap().clone()
    }

    /// Each attempt was begun once.
    pub(crate) fn assert_once(&self) {
        for ((run, attempt), nodes) in self.read() {
            assert_eq!(nodes.len(), 1, "{run}, attempt {attempt}, on {nodes:?}");
        }
    }
}

/// Tasks with one that notes down that it was begun.
pub(crate) fn noting(log: &Log) -> Tasks {
    let mut tasks = Tasks::new();
    let log = log.clone();
    let note = move |context: Context, (): ()| {
        let log = log.clone();
        async move {
            log.note(&context);
            Ok::<(), std::io::Error>(())
        }
    };
    tasks.register("note", note).unwrap();
    tasks
}

/// All run records of history, oldest first.
pub(crate) async fn run_records(store: &impl Store) -> Vec<RunRecord> {
    let query = HistoryQuery {
        limit: 100_000,
        ..HistoryQuery::default()
    };
    let mut entries = store.history(&query).await.unwrap().entries;
    entries.reverse();
    let runs = entries.into_iter().filter_map(|entry| match entry.record {
        Record::Run(run) => Some(run),
        Record::Skip(_) => None,
    });
    runs.collect()
}

/// Nothing is in flight: no run waits, is claimed, or was forgotten.
pub(crate) async fn is_idle(store: &impl Store) -> bool {
    let overview = store.overview().await.unwrap();
    let ready: u64 = overview.queues.iter().map(|queue| queue.ready).sum();
    overview.busy == 0 && overview.retries == 0 && ready == 0
}
