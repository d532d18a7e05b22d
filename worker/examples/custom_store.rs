//! A store of one's own: one that measures another.
//!
//! Whoever implements [`Store`] and [`Shard`] decides where jobs live. Most often that is something around a store that is
//! there already, as here: each call goes on to it, and its time is taken. A store that keeps jobs somewhere
//! else is a crate of its own, to which the contract in the documentation of `store` and the conformance suite in
//! `tests/src/conformance` say what it must keep to; `scheduler-core/src/memory` is the shortest there is.
//!
//! ```sh
//! cargo run --example custom_store
//! ```
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carillon::core::after::Trail;
use carillon::core::audit::{Audit, AuditPage, AuditQuery};
use carillon::core::event::{Event, Feed};
use carillon::core::lease::{LeaseToken, LeaseView};
use carillon::core::notes::{Note, NoteAnswer, RunNotes};
use carillon::core::run::Claim;
use carillon::core::session::SessionSample;
use carillon::core::store::*;
use carillon::core::unique::Holder;
use carillon::core::{JobId, MemoryStore, RunId, SessionId, Timestamp, UniqueKey, Version};
use carillon::{NewJob, Scheduler, SystemClock, shutdown_signal};

/// How often each operation was asked for, and how long that took.
type Times = BTreeMap<&'static str, (u32, Duration)>;

#[derive(Clone, Debug)]
struct Measured<S> {
    inner: S,
    times: Arc<Mutex<Times>>,
}

impl<S: Store> Measured<S> {
    fn new(inner: S) -> Self {
        let times = Arc::default();
        Self { inner, times }
    }

    async fn measure<T>(&self, operation: &'static str, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = call.await;
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let (calls, total) = times.entry(operation).or_default();
        *calls += 1;
        *total += begun.elapsed();
        answer
    }
}

macro_rules! measured {
    ($trait:ident { $($more:item)* } $($operation:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl<S: $trait> $trait for Measured<S> {
            $($more)*

            $(
                async fn $operation(&self, $($arg: $type),*) -> StoreResult<$answer> {
                    let call = self.inner.$operation($($arg),*);
                    self.measure(stringify!($operation), call).await
                }
            )*
        }
    };
}

// What clients ask.
measured! {
    Store {
        fn detached(&self) -> Self {
            let times = Arc::clone(&self.times);
            Self { inner: self.inner.detached(), times }
        }

        fn describe(&self) -> String {
            format!("{}, measured", self.inner.describe())
        }
    }
    jobs(ids: &[JobId]) -> Vec<JobWrite>;
    job_page(cursor: Option<&str>, limit: usize) -> JobPage;
    put(request: &PutJob) -> Vec<Changed>;
    remove(request: &RemoveJob) -> Changed;
    recall(request: &Recall) -> Recalled;
    run_now(request: &RunNow) -> RunNowAnswer;
    cancel(request: &Cancel) -> CancelAnswer;
    failed(query: &FailedQuery) -> FailedPage;
    rerun(request: &Rerun) -> Vec<RerunAnswer>;
    purge(runs: &[RunId]) -> ();
    steer(request: &Steer) -> Steered;
    queues() -> QueueBoard;
    history(query: &HistoryQuery) -> HistoryPage;
    in_flight(job: &JobId) -> Vec<RunInFlight>;
    nodes() -> Vec<NodeView>;
    overview() -> Overview;
    clock() -> Timestamp;
    announce(events: &[Event]) -> usize;
    listen() -> Feed;
    notes(run: &RunId) -> Vec<RunNotes>;
    holders(keys: &[UniqueKey]) -> Vec<Option<Holder>>;
    supersede(request: &Supersede) -> Changed;
    audit(request: &Audit) -> ();
    audited(query: &AuditQuery) -> AuditPage;
}

// What nodes ask besides.
measured! {
    Shard {}
    register(request: &Register) -> Registered;
    heartbeat(request: &Heartbeat) -> HeartbeatAnswer;
    reconcile(request: &Reconcile) -> ReconcileAnswer;
    leave(session: &SessionId) -> ();
    observe(session: &SessionId) -> LeaseView;
    acquire(request: &Acquire) -> AcquireAnswer;
    peek(request: &Peek) -> PeekAnswer;
    dispatch(request: &Dispatch) -> DispatchAnswer;
    park(request: &Park) -> bool;
    admit(request: &Admit) -> bool;
    promote(request: &Promote) -> bool;
    retire(request: &Retire) -> bool;
    tidy(request: &Tidy) -> TidyAnswer;
    release(token: &LeaseToken) -> ();
    exchange(request: &Exchange) -> ExchangeAnswer;
    begin(request: &Begin) -> BeginAnswer;
    resync(request: &Resync) -> ResyncAnswer;
    wait(wake: &Wake) -> ();
    definitions(wanted: &[(JobId, Version)]) -> Vec<Definition>;
    sessions() -> Vec<SessionSample>;
    fence_session(request: &FenceSession) -> FenceAnswer;
    dead_claims(limit: usize) -> Vec<(SessionId, Vec<Claim>)>;
    drain(request: &Drain) -> DrainAnswer;
    note(request: &Note) -> NoteAnswer;
    trail(limit: usize) -> Trail;
    follow(request: &FollowUp) -> FollowAnswer;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Measured::new(MemoryStore::new(Arc::new(SystemClock)));
    let scheduler = Scheduler::builder(store.clone())
        .task("tick", || async { println!("tick") })
        .job(NewJob::new("tick", "tick").every(Duration::from_secs(1)))
        .build()?;
    scheduler.run(shutdown_signal()?).await?;

    let times = store.times.lock().unwrap_or_else(PoisonError::into_inner);
    for (operation, (calls, total)) in times.iter() {
        println!("{operation}: {calls} calls in {total:?}");
    }
    Ok(())
}
