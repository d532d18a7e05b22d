//! A store between a node and the real one, which loses answers, stands still or is unreachable on
//! demand, by operation.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use carillon::core::after::Trail;
use carillon::core::audit::{Audit, AuditPage, AuditQuery};
use carillon::core::event::{Event, Feed};
use carillon::core::lease::{LeaseToken, LeaseView};
use carillon::core::notes::{Note, NoteAnswer, RunNotes};
use carillon::core::run::Claim;
use carillon::core::session::SessionSample;
use carillon::core::store::*;
use carillon::core::unique::Holder;
use carillon::core::{JobId, RunId, SessionId, Store, StoreError, Timestamp, UniqueKey, Version};
use tokio::sync::watch;

/// Every operation of a store, by the name that its errors bear.
pub(crate) const ALL: &str = "all";

#[derive(Clone, Debug)]
pub(crate) struct Faulty<S> {
    inner: S,
    faults: Arc<Faults>,
}

#[derive(Debug)]
pub(crate) struct Faults {
    /// How many answers of an operation are to be lost.
    lose: Mutex<HashMap<&'static str, usize>>,
    /// How many were lost.
    lost: Mutex<HashMap<&'static str, usize>>,
    /// Operations that stand still.
    frozen: watch::Sender<Vec<&'static str>>,
    /// Jobs whose definitions cannot be read.
    spoilt: Mutex<Vec<JobId>>,
    /// Jobs whose definitions fail the whole call.
    poisoned: Mutex<Vec<JobId>>,
    /// Operations that cannot be reached.
    cut: Mutex<Vec<&'static str>>,
    /// Operations that the store answers with an error.
    refused: Mutex<Vec<(&'static str, StoreErrorKind)>>,
    /// The operation whose next answer makes no sense.
    garbled: Mutex<Option<&'static str>>,
    /// How often each operation was refused.
    failed: Mutex<HashMap<&'static str, usize>>,
    /// The highest number that a node said it has seen.
    floor: AtomicU64,
    /// How often each operation was done.
    done: Mutex<HashMap<&'static str, usize>>,
}

impl<S> Faulty<S> {
    pub(crate) fn new(inner: S) -> Self {
        let faults = Faults {
            lose: Mutex::default(),
            lost: Mutex::default(),
            frozen: watch::Sender::new(Vec::new()),
            spoilt: Mutex::default(),
            poisoned: Mutex::default(),
            cut: Mutex::default(),
            refused: Mutex::default(),
            failed: Mutex::default(),
            garbled: Mutex::default(),
            floor: AtomicU64::new(0),
            done: Mutex::default(),
        };
        Self {
            inner,
            faults: Arc::new(faults),
        }
    }

    pub(crate) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }
}

impl Faults {
    /// Loses the next `count` answers of an operation: it runs, and nobody hears of it.
    pub(crate) fn lose(&self, operation: &'static str, count: usize) {
        self.lose.lock().unwrap().insert(operation, count);
    }

    /// How many answers of an operation were lost.
    pub(crate) fn lost(&self, operation: &str) -> usize {
        *self.lost.lock().unwrap().get(operation).unwrap_or(&0)
    }

    /// Lets operations stand still before they run, until they are thawed.
    pub(crate) fn freeze(&self, operations: &[&'static str]) {
        self.frozen.send_replace(operations.to_vec());
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.frozen.send_replace(Vec::new());
    }

    /// Makes operations unreachable.
    pub(crate) fn cut(&self, operations: &[&'static str]) {
        *self.cut.lock().unwrap() = operations.to_vec();
    }

    /// Makes them reachable again.
    pub(crate) fn mend(&self) {
        self.cut.lock().unwrap().clear();
    }

    /// Lets the store refuse operations.
    pub(crate) fn refuse(&self, operations: &[&'static str]) {
        let refused = operations.iter().map(|o| (*o, StoreErrorKind::Refused));
        *self.refused.lock().unwrap() = refused.collect();
    }

    /// Lets an operation's answers make no sense.
    pub(crate) fn corrupt(&self, operation: &'static str) {
        *self.refused.lock().unwrap() = vec![(operation, StoreErrorKind::Corrupt)];
    }

    /// Lets the next answer of an operation make no sense, after it was done.
    pub(crate) fn garble(&self, operation: &'static str) {
        *self.garbled.lock().unwrap() = Some(operation);
    }

    /// How often an operation failed on purpose.
    pub(crate) fn failed(&self, operation: &str) -> usize {
        *self.failed.lock().unwrap().get(operation).unwrap_or(&0)
    }

    /// The highest number that a node said it has seen.
    pub(crate) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Relaxed)
    }

    /// How often an operation was done.
    pub(crate) fn done(&self, operation: &str) -> usize {
        *self.done.lock().unwrap().get(operation).unwrap_or(&0)
    }

    /// Makes a job's definition unreadable.
    pub(crate) fn spoil(&self, job: JobId) {
        self.spoilt.lock().unwrap().push(job);
    }

    /// Lets each call fail that asks for a job's definition.
    pub(crate) fn poison(&self, job: JobId) {
        self.poisoned.lock().unwrap().push(job);
    }

    /// Takes that back.
    pub(crate) fn cure(&self) {
        self.poisoned.lock().unwrap().clear();
    }

    async fn before(&self, operation: &'static str) -> StoreResult<()> {
        let hit = |list: &Vec<&str>| list.contains(&operation) || list.contains(&ALL);
        let mut frozen = self.frozen.subscribe();
        frozen.wait_for(|frozen| !hit(frozen)).await.unwrap();
        if hit(&self.cut.lock().unwrap()) {
            let kind = StoreErrorKind::Unreachable;
            return Err(StoreError::new(kind, operation, "cut on purpose"));
        }
        let refused = self.refused.lock().unwrap();
        if let Some((_, kind)) = refused.iter().find(|(refused, _)| *refused == operation) {
            *self.failed.lock().unwrap().entry(operation).or_default() += 1;
            return Err(StoreError::new(*kind, operation, "refused on purpose"));
        }
        Ok(())
    }

    fn after<T>(&self, operation: &'static str, answer: T) -> StoreResult<T> {
        *self.done.lock().unwrap().entry(operation).or_default() += 1;
        let mut garbled = self.garbled.lock().unwrap();
        if garbled.take_if(|garbled| *garbled == operation).is_some() {
            let kind = StoreErrorKind::Corrupt;
            return Err(StoreError::new(kind, operation, "garbled on purpose"));
        }
        let mut lose = self.lose.lock().unwrap();
        match lose.get_mut(operation) {
            Some(left) if *left > 0 => {
                *left -= 1;
                *self.lost.lock().unwrap().entry(operation).or_default() += 1;
                let kind = StoreErrorKind::Unknown;
                Err(StoreError::new(kind, operation, "lost on purpose"))
            }
            _ => Ok(answer),
        }
    }
}

macro_rules! operations {
    ($trait:ident { $($more:item)* } $($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl<S: $trait> $trait for Faulty<S> {
            $($more)*

            $(
                async fn $name(&self, $($arg: $type),*) -> StoreResult<$answer> {
                    self.faults.before(stringify!($name)).await?;
                    let answer = self.inner.$name($($arg),*).await?;
                    self.faults.after(stringify!($name), answer)
                }
            )*
        }
    };
}

operations! {
    Store {
        fn detached(&self) -> Self {
            Self {
                inner: self.inner.detached(),
                faults: Arc::clone(&self.faults),
            }
        }

        fn describe(&self) -> String {
            format!("faulty {}", self.inner.describe())
        }
    }
    jobs(ids: &[JobId]) -> Vec<JobWrite>;
    job_page(cursor: Option<&str>, limit: usize) -> JobPage;
    put(request: &PutJob) -> Vec<Changed>;
    supersede(request: &Supersede) -> Changed;
    holders(keys: &[UniqueKey]) -> Vec<Option<Holder>>;
    remove(request: &RemoveJob) -> Changed;
    recall(request: &Recall) -> Recalled;
    run_now(request: &RunNow) -> RunNowAnswer;
    cancel(request: &Cancel) -> CancelAnswer;
    failed(query: &FailedQuery) -> FailedPage;
    rerun(request: &Rerun) -> Vec<RerunAnswer>;
    purge(runs: &[RunId]) -> ();
    history(query: &HistoryQuery) -> HistoryPage;
    in_flight(job: &JobId) -> Vec<RunInFlight>;
    nodes() -> Vec<NodeView>;
    overview() -> Overview;
    clock() -> Timestamp;
    steer(request: &Steer) -> Steered;
    queues() -> QueueBoard;
    audit(request: &Audit) -> ();
    audited(query: &AuditQuery) -> AuditPage;
    notes(run: &RunId) -> Vec<RunNotes>;
    announce(events: &[Event]) -> usize;
    listen() -> Feed;
}

operations! {
    Shard {
        async fn exchange(&self, request: &Exchange) -> StoreResult<ExchangeAnswer> {
            self.faults.floor.fetch_max(request.floor, Ordering::Relaxed);
            self.faults.before("exchange").await?;
            let answer = self.inner.exchange(request).await?;
            self.faults.after("exchange", answer)
        }

        async fn definitions(
            &self,
            wanted: &[(JobId, Version)],
        ) -> StoreResult<Vec<Definition>> {
            self.faults.before("definitions").await?;
            let poisoned = self.faults.poisoned.lock().unwrap().clone();
            if wanted.iter().any(|(job, _)| poisoned.contains(job)) {
                let kind = StoreErrorKind::Refused;
                return Err(StoreError::new(kind, "definitions", "poisoned on purpose"));
            }
            let mut answer = self.inner.definitions(wanted).await?;
            let spoilt = self.faults.spoilt.lock().unwrap().clone();
            for ((job, _), definition) in wanted.iter().zip(&mut answer) {
                if spoilt.contains(job) {
                    *definition = Definition::Unreadable("spoilt on purpose".to_owned());
                }
            }
            self.faults.after("definitions", answer)
        }
    }
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
    begin(request: &Begin) -> BeginAnswer;
    resync(request: &Resync) -> ResyncAnswer;
    wait(wake: &Wake) -> ();
    sessions() -> Vec<SessionSample>;
    fence_session(request: &FenceSession) -> FenceAnswer;
    dead_claims(limit: usize) -> Vec<(SessionId, Vec<Claim>)>;
    drain(request: &Drain) -> DrainAnswer;
    trail(limit: usize) -> Trail;
    follow(request: &FollowUp) -> FollowAnswer;
    note(request: &Note) -> NoteAnswer;
}
