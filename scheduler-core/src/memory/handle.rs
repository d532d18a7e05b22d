//! The handle: a lock, a clock and bells around the state.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::bells::{self, Bells};
use super::state::State;
use crate::after::Trail;
use crate::audit::{Audit, AuditPage, AuditQuery};
use crate::event::{Event, Feed};
use crate::id::{JobId, RunId, SessionId, UniqueKey, Version};
use crate::lease::{LeaseToken, LeaseView};
use crate::notes::{Note, NoteAnswer, RunNotes};
use crate::run::Claim;
use crate::session::SessionSample;
use crate::store::{
    Acquire, AcquireAnswer, Admit, Begin, BeginAnswer, Cancel, CancelAnswer, Changed, Definition,
    Dispatch, DispatchAnswer, Drain, DrainAnswer, Exchange, ExchangeAnswer, FailedPage,
    FailedQuery, FenceAnswer, FenceSession, FollowAnswer, FollowUp, Heartbeat, HeartbeatAnswer,
    HistoryPage, HistoryQuery, JobPage, JobWrite, NodeView, Overview, Park, Peek, PeekAnswer,
    Promote, PutJob, QueueBoard, Recall, Recalled, Reconcile, ReconcileAnswer, Register,
    Registered, RemoveJob, Rerun, RerunAnswer, Resync, ResyncAnswer, Retire, RunInFlight, RunNow,
    RunNowAnswer, Shard, Steer, Steered, Store, StoreResult, Supersede, Tidy, TidyAnswer, Wake,
};
use crate::time::{Clock, Timestamp};
use crate::unique::Holder;

/// The store in one process.
///
/// Clones share one shard. Nothing outlives the process: what counts as durable on a server is gone
/// here with the last clone.
///
/// It has no runtime and no thread of its own, and its clock is the one it was given. So it cannot
/// time a wait: [`wait`](Shard::wait) returns when it is woken, and callers bound their waiting
/// themselves.
///
/// ```
/// use std::sync::Arc;
/// use scheduler_core::{Clock, ManualClock, MemoryStore, Store, Timestamp};
///
/// let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
/// let store = MemoryStore::new(clock);
/// assert_eq!(store.describe(), "memory");
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    bells: Bells,
}

impl MemoryStore {
    /// An empty store whose "now" is this clock's.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            clock,
            state: Mutex::default(),
            bells: Bells::default(),
        }))
    }

    /// One operation: alone, at one instant, and with the bells rung once it is over.
    fn step<A>(&self, operation: impl FnOnce(&mut State, Timestamp) -> A) -> A {
        let (answer, rings) = {
            // Operations do not panic; one that did would leave nothing that is worse than what a
            // poisoned lock would do to every node at once.
            let state = self.0.state.lock();
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            let now = self.0.clock.now();
            state.tenure.expire(now);
            let answer = operation(&mut state, now);
            (answer, state.rings.take())
        };
        self.0.bells.ring(&rings);
        answer
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    fn detached(&self) -> Self {
        self.clone()
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    async fn jobs(&self, ids: &[JobId]) -> StoreResult<Vec<JobWrite>> {
        Ok(self.step(|state, now| state.jobs(ids, now)))
    }

    async fn job_page(&self, cursor: Option<&str>, limit: usize) -> StoreResult<JobPage> {
        self.step(|state, _| state.job_page(cursor, limit))
    }

    async fn put(&self, request: &PutJob) -> StoreResult<Vec<Changed>> {
        self.step(|state, now| state.put(request, now))
    }

    async fn supersede(&self, request: &Supersede) -> StoreResult<Changed> {
        self.step(|state, now| state.supersede(request, now))
    }

    async fn holders(&self, keys: &[UniqueKey]) -> StoreResult<Vec<Option<Holder>>> {
        Ok(self.step(|state, now| state.holders(keys, now)))
    }

    async fn remove(&self, request: &RemoveJob) -> StoreResult<Changed> {
        self.step(|state, now| state.remove(request, now))
    }

    async fn recall(&self, request: &Recall) -> StoreResult<Recalled> {
        self.step(|state, now| state.requests.recall(request, now))
    }

    async fn run_now(&self, request: &RunNow) -> StoreResult<RunNowAnswer> {
        self.step(|state, now| state.run_now(request, now))
    }

    async fn cancel(&self, request: &Cancel) -> StoreResult<CancelAnswer> {
        self.step(|state, now| state.cancel(request, now))
    }

    async fn failed(&self, query: &FailedQuery) -> StoreResult<FailedPage> {
        self.step(|state, _| state.failed.page(query))
    }

    async fn rerun(&self, request: &Rerun) -> StoreResult<Vec<RerunAnswer>> {
        self.step(|state, now| state.rerun(request, now))
    }

    async fn purge(&self, runs: &[RunId]) -> StoreResult<()> {
        self.step(|state, _| state.purge(runs));
        Ok(())
    }

    async fn notes(&self, run: &RunId) -> StoreResult<Vec<RunNotes>> {
        Ok(self.step(|state, now| state.notes.of(run, now)))
    }

    async fn steer(&self, request: &Steer) -> StoreResult<Steered> {
        self.step(|state, now| state.steer(request, now))
    }

    async fn queues(&self) -> StoreResult<QueueBoard> {
        Ok(self.step(|state, _| state.queue_board()))
    }

    async fn audit(&self, request: &Audit) -> StoreResult<()> {
        self.step(|state, now| state.audit(request, now))
    }

    async fn audited(&self, query: &AuditQuery) -> StoreResult<AuditPage> {
        self.step(|state, _| state.audited(query))
    }

    async fn history(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        self.step(|state, now| state.history(query, now))
    }

    async fn in_flight(&self, job: &JobId) -> StoreResult<Vec<RunInFlight>> {
        Ok(self.step(|state, _| state.runs_in_flight(job)))
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeView>> {
        Ok(self.step(|state, _| state.nodes()))
    }

    async fn announce(&self, events: &[Event]) -> StoreResult<usize> {
        Ok(self.step(|state, _| state.journal.hearers.tell(events)))
    }

    async fn listen(&self) -> StoreResult<Feed> {
        Ok(self.step(|state, _| state.journal.hearers.listen()))
    }

    async fn overview(&self) -> StoreResult<Overview> {
        Ok(self.step(|state, now| state.overview(now)))
    }

    async fn clock(&self) -> StoreResult<Timestamp> {
        Ok(self.step(|_, now| now))
    }
}

impl Shard for MemoryStore {
    async fn register(&self, request: &Register) -> StoreResult<Registered> {
        Ok(self.step(|state, now| state.register(request, now)))
    }

    async fn heartbeat(&self, request: &Heartbeat) -> StoreResult<HeartbeatAnswer> {
        Ok(self.step(|state, now| state.heartbeat(request, now)))
    }

    async fn reconcile(&self, request: &Reconcile) -> StoreResult<ReconcileAnswer> {
        Ok(self.step(|state, _| state.reconcile(request)))
    }

    async fn leave(&self, session: &SessionId) -> StoreResult<()> {
        self.step(|state, _| state.leave(session));
        Ok(())
    }

    async fn observe(&self, session: &SessionId) -> StoreResult<LeaseView> {
        Ok(self.step(|state, now| state.observe(session, now)))
    }

    async fn acquire(&self, request: &Acquire) -> StoreResult<AcquireAnswer> {
        Ok(self.step(|state, now| state.acquire(request, now)))
    }

    async fn peek(&self, request: &Peek) -> StoreResult<PeekAnswer> {
        Ok(self.step(|state, now| state.peek(request, now)))
    }

    async fn dispatch(&self, request: &Dispatch) -> StoreResult<DispatchAnswer> {
        Ok(self.step(|state, now| state.dispatch(request, now)))
    }

    async fn admit(&self, request: &Admit) -> StoreResult<bool> {
        Ok(self.step(|state, _| state.admit(request)))
    }

    async fn park(&self, request: &Park) -> StoreResult<bool> {
        Ok(self.step(|state, now| state.park(request, now)))
    }

    async fn promote(&self, request: &Promote) -> StoreResult<bool> {
        Ok(self.step(|state, now| state.promote(request, now)))
    }

    async fn trail(&self, limit: usize) -> StoreResult<Trail> {
        Ok(self.step(|state, _| state.trail(limit)))
    }

    async fn follow(&self, request: &FollowUp) -> StoreResult<FollowAnswer> {
        Ok(self.step(|state, now| state.follow(request, now)))
    }

    async fn retire(&self, request: &Retire) -> StoreResult<bool> {
        Ok(self.step(|state, now| state.retire(request, now)))
    }

    async fn tidy(&self, request: &Tidy) -> StoreResult<TidyAnswer> {
        Ok(self.step(|state, now| state.tidy(request, now)))
    }

    async fn release(&self, token: &LeaseToken) -> StoreResult<()> {
        self.step(|state, _| state.release(token));
        Ok(())
    }

    async fn exchange(&self, request: &Exchange) -> StoreResult<ExchangeAnswer> {
        Ok(self.step(|state, now| state.exchange(request, now)))
    }

    async fn begin(&self, request: &Begin) -> StoreResult<BeginAnswer> {
        Ok(self.step(|state, _| state.begin(request)))
    }

    async fn resync(&self, request: &Resync) -> StoreResult<ResyncAnswer> {
        Ok(self.step(|state, _| state.resync(request)))
    }

    async fn wait(&self, wake: &Wake) -> StoreResult<()> {
        // Listen first, then look: what happens in between is heard.
        let listeners = self.0.bells.listen(wake);
        if !self.step(|state, now| state.has_reason(wake, now)) {
            bells::first(listeners).await;
        }
        Ok(())
    }

    async fn definitions(&self, wanted: &[(JobId, Version)]) -> StoreResult<Vec<Definition>> {
        Ok(self.step(|state, _| state.definitions(wanted)))
    }

    async fn sessions(&self) -> StoreResult<Vec<SessionSample>> {
        Ok(self.step(|state, _| state.samples()))
    }

    async fn fence_session(&self, request: &FenceSession) -> StoreResult<FenceAnswer> {
        Ok(self.step(|state, _| state.fence_session(request)))
    }

    async fn dead_claims(&self, limit: usize) -> StoreResult<Vec<(SessionId, Vec<Claim>)>> {
        Ok(self.step(|state, _| state.dead_claims(limit)))
    }

    async fn drain(&self, request: &Drain) -> StoreResult<DrainAnswer> {
        Ok(self.step(|state, now| state.drain(request, now)))
    }

    async fn note(&self, request: &Note) -> StoreResult<NoteAnswer> {
        Ok(self.step(|state, now| state.note(request, now)))
    }
}
