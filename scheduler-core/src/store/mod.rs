//! The store: what all nodes share, and the contract that every store keeps.
//!
//! Core decides, a store only guards: each operation checks that the world still is as the caller
//! saw it (a token, a due time, a version, a fence), and then moves records, all in one atomic step.
//! What the steps mean is decided by the pure functions of this crate.
//!
//! # The contract
//!
//! 1. **Atomic.** An operation happens as a whole or not at all, and operations on one shard happen
//!    one after the other.
//! 2. **One clock.** "Now" is the store's own clock, the same for all nodes. It may step in either
//!    direction without breaking any promise but punctuality.
//! 3. **Three outcomes.** An operation was done (the answer says what happened), was refused before
//!    it changed anything, or its outcome is *unknown*: it may have run, or may run still.
//!    [`StoreError::is_unknown`] tells. Nothing may treat unknown as refused.
//! 4. **Safe to ask again.** After an unknown outcome the caller sends the very same request again.
//!    What that finds is stated with each operation; nothing is ever done twice by it.
//! 5. **Counters only rise.** Epochs, fences and versions come from one counter that never falls and
//!    never gives a number twice.
//! 6. **Generations.** A store that may come back without its latest writes counts
//!    [generations](crate::failover): in a new one nothing is claimed by a session that has not
//!    reconciled, and nobody leads before sessions had time to. One that loses nothing has one.
//! 7. **Fire times are settled once.** A run is made, or a skip recorded, for each fire time at most
//!    once, whatever is removed and put again: `due > fired` holds for each job at any moment (in a new
//!    generation, once a leader has looked at it).
//!
//! The conformance suite (package `tests`) holds each rule against each store.

mod error;
mod jobs;
mod leading;
mod queues;
mod reading;
mod recalling;
mod recovery;
mod runs;
mod working;

use std::future::Future;

pub use error::{StoreError, StoreErrorKind};
pub use jobs::{
    Changed, Definition, JobPage, JobWrite, MAX_ALL_OR_NONE, PutJob, RemoveJob, RequestId, RunNow,
    RunNowAnswer, Supersede,
};
pub use leading::{
    Acquire, AcquireAnswer, Admit, AdmitItem, Dispatch, DispatchAnswer, DispatchItem, DueJob,
    DueRetry, FollowAnswer, FollowItem, FollowUp, MAX_PLAN_AGE, Opening, Park, ParkItem, Peek,
    PeekAnswer, Peeked, Promote, Refusal, Refused, Retire, Tidy, TidyAnswer,
};
pub use queues::{QueueBoard, Steer, Steered, Steering};
pub use reading::{
    CLOCK_SLACK, HistoryEntry, HistoryPage, HistoryQuery, NodeView, Overview, QueueView,
    RunInFlight, RunPlace,
};
pub use recalling::{Recall, Recalled, Recalling};
pub use recovery::{Drain, DrainAnswer, DrainItem, FenceAnswer, FenceSession};
pub use runs::{
    Cancel, CancelAnswer, Cancelled, FailedPage, FailedQuery, FailedRun, Rerun, RerunAnswer,
    RerunItem,
};
pub use working::{
    Begin, BeginAnswer, ClaimWish, Exchange, ExchangeAnswer, Exchanged, Heartbeat, HeartbeatAnswer,
    MAX_CLAIMED, MAX_NAMED, NodeInfo, Part, Reconcile, ReconcileAnswer, Register, Registered,
    Resync, ResyncAnswer, Settled, Take,
};

use crate::after::Trail;
use crate::audit::{Audit, AuditPage, AuditQuery};
use crate::event::{Event, Feed};
use crate::id::{JobId, QueueName, RunId, SessionId, UniqueKey, Version};
use crate::lease::{LeaseToken, LeaseView};
use crate::notes::{Note, NoteAnswer, RunNotes};
use crate::session::SessionSample;
use crate::shard::ShardCount;
use crate::time::Timestamp;
use crate::unique::Holder;

/// The result of a store's operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// What a caller may wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Runs in one of these queues.
    Ready(Vec<QueueName>),
    /// An earlier due time, while leading.
    Leader,
    /// The lease, given back by its holder.
    Lease,
}

/// The jobs of one namespace, as those see them who put, change and read them: clients, and nodes too.
/// See the [module](self) for the contract.
///
/// Handles are cheap to clone and share what they stand for.
pub trait Store: Clone + Send + Sync + 'static {
    /// A handle to the same with connections of its own, for use on another runtime: so that
    /// heartbeats depend on nothing that other work can block.
    #[must_use]
    fn detached(&self) -> Self;

    /// What the store is, for people: kind and address, never a password.
    fn describe(&self) -> String;

    /// How many shards the namespace has: [what must be together](ShardCount::check) must be in one. A
    /// store that is made of others says what they are.
    fn shard_count(&self) -> ShardCount {
        ShardCount::ONE
    }

    // ----- jobs -----------------------------------------------------------------------------

    /// The jobs of these ids, in order; none where there is none. Also tells what is left of
    /// removed ones (the highest settled fire time). One that cannot be read is told as such, and
    /// never keeps the others from being read.
    fn jobs(&self, ids: &[JobId]) -> impl Future<Output = StoreResult<Vec<JobWrite>>> + Send;

    /// A page of all jobs, in no particular order; `cursor` is none at first, and then what the
    /// last page said. A job that stays throughout is seen at least once.
    fn job_page(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = StoreResult<JobPage>> + Send;

    /// Writes jobs, each if it still is as it was read. Asked again under the same request id: the
    /// same answers, also where they were conflicts; who has read anew makes a new request.
    ///
    /// Conflicts are: another version; a pending fire time (the next one, or the one a pause began
    /// with) that has been settled; and one in the store that became due and that the change would
    /// neither keep pending nor record, so that it would be lost; and a job that would follow itself,
    /// directly or around others.
    ///
    /// A job that has a [unique key](crate::unique) which it was not stored with before takes it with
    /// that, or is [taken](Changed::Taken) where another one holds it, also one of the same request.
    /// One that is stored with another key, or none, gives up the one that it had.
    ///
    /// [All or none](PutJob::all_or_none): where one of them is refused, nothing is written, and those
    /// that would have been are conflicts as well. More than [`MAX_ALL_OR_NONE`] are an error.
    fn put(&self, request: &PutJob) -> impl Future<Output = StoreResult<Vec<Changed>>> + Send;

    /// Puts a job in the place of the one that holds its unique key: as [`remove`](Self::remove) and
    /// [`put`](Self::put) in one step, both or neither. A conflict also where another job, or none,
    /// holds the key by then. Asked again under the same request id: the same answer.
    fn supersede(&self, request: &Supersede) -> impl Future<Output = StoreResult<Changed>> + Send;

    /// Who holds each of these unique keys, in order; at most 500.
    fn holders(
        &self,
        keys: &[UniqueKey],
    ) -> impl Future<Output = StoreResult<Vec<Option<Holder>>>> + Send;

    /// Removes a job if it still is as it was read, and no fire time would be lost (see
    /// [`put`](Self::put)). A unique key that it holds is free. Runs that have been claimed once go on; those that have not end as
    /// removed when a node comes to them, or at once where they are lined up. Answers with the
    /// removed version. Asked again under the same request id: the same answer.
    fn remove(&self, request: &RemoveJob) -> impl Future<Output = StoreResult<Changed>> + Send;

    /// Makes a run of a job now, of the job's definition or of one of its own; or lines it up as
    /// [`dispatch`](Shard::dispatch) does, where it [may](RunNow::max_lined_up). Asked again under
    /// the same request id: the same run, and the same answer.
    fn run_now(&self, request: &RunNow) -> impl Future<Output = StoreResult<RunNowAnswer>> + Send;

    /// Remembers what a client's key was used for, and what that was answered, for as long as answers
    /// to requests are kept. The first to [take](crate::store::Recalling::Take) it has it. Only who has
    /// it may say what came of it; anybody else is told what is known, and nothing changes. Asked again
    /// by the same caller: the same.
    fn recall(&self, request: &Recall) -> impl Future<Output = StoreResult<Recalled>> + Send;

    // ----- runs -----------------------------------------------------------------------------

    /// Cancels a run in flight. One that waits for its next attempt ends at once; any other is
    /// marked, and ends as cancelled with the next thing that would happen to it: being claimed,
    /// being handed in for another attempt, given back or put off, or its node hearing of it. A run
    /// that its node hands in as ended has ended so. One that was marked before keeps the first
    /// reason. Asked again under the same request id: the same answer.
    fn cancel(&self, request: &Cancel) -> impl Future<Output = StoreResult<CancelAnswer>> + Send;

    /// Failed runs, the newest first. Which those are: runs that were handed in as ended with a
    /// definition to be kept. One is kept until it is run again, purged, or past keeping.
    fn failed(&self, query: &FailedQuery) -> impl Future<Output = StoreResult<FailedPage>> + Send;

    /// Has failed runs run again: each becomes a new run of its job, bound to the definition that it
    /// failed with, whatever has become of the job since; history says so. It counts as in flight
    /// as any other, so it is refused where the job has as many as it allows. Asked again under the
    /// same request id: the same answers.
    fn rerun(&self, request: &Rerun) -> impl Future<Output = StoreResult<Vec<RerunAnswer>>> + Send;

    /// Forgets failed runs, at most 500. Asked again: nothing more happens.
    fn purge(&self, runs: &[RunId]) -> impl Future<Output = StoreResult<()>> + Send;

    // ----- notes ----------------------------------------------------------------------------
    /// What handlers told of a run, attempt by attempt, as far as it is kept still.
    fn notes(&self, run: &RunId) -> impl Future<Output = StoreResult<Vec<RunNotes>>> + Send;

    // ----- queues ---------------------------------------------------------------------------

    /// Changes what a queue or the namespace keeps to: see [`crate::queue`]. Counts for all that is
    /// claimed or dispatched from then on, and takes nothing away from anybody. Asked again under
    /// the same request id: the same answer.
    ///
    /// While the namespace is paused, no runs are dispatched: a dispatch that would make any is
    /// [stale](DispatchAnswer::Stale), and what only records skips is done.
    fn steer(&self, request: &Steer) -> impl Future<Output = StoreResult<Steered>> + Send;

    /// All queues in which runs wait or that were ever named, as they are.
    fn queues(&self) -> impl Future<Output = StoreResult<QueueBoard>> + Send;

    // ----- who changed what -----------------------------------------------------------------

    /// Writes down who did what: see [`crate::audit`]. The last [`KEPT`](crate::audit::KEPT) deeds are
    /// kept; also a store that is full takes them. Changes nothing else. Asked again under the same
    /// request id: nothing more happens.
    fn audit(&self, request: &Audit) -> impl Future<Output = StoreResult<()>> + Send;

    /// Who did what, the newest first. A call does a bounded amount of work, and may answer with fewer
    /// deeds than there are: the page says where to go on.
    fn audited(&self, query: &AuditQuery) -> impl Future<Output = StoreResult<AuditPage>> + Send;

    // ----- reading --------------------------------------------------------------------------

    /// History, newest first or onward from an entry. The newest first of one job: what the job's
    /// [policy](crate::HistoryPolicy) keeps, and no more; onward, or of all jobs: what is kept of all
    /// jobs. A call does a bounded amount of work, and may
    /// answer with fewer records than there are: the page says where to go on.
    fn history(
        &self,
        query: &HistoryQuery,
    ) -> impl Future<Output = StoreResult<HistoryPage>> + Send;

    /// The runs of a job that are in flight, and where they are: those that are lined up in their order.
    fn in_flight(&self, job: &JobId) -> impl Future<Output = StoreResult<Vec<RunInFlight>>> + Send;

    /// All nodes, with what they are doing.
    fn nodes(&self) -> impl Future<Output = StoreResult<Vec<NodeView>>> + Send;

    // ----- listening ------------------------------------------------------------------------

    /// Tells events to whoever listens at this moment; answers with how many do, as far as is known,
    /// and with no events only that. Nobody keeps them: what is told while a listener is cut off is
    /// lost for it. Records are told by the store itself, in the step that writes them. Asked again:
    /// they are told again.
    fn announce(&self, events: &[Event]) -> impl Future<Output = StoreResult<usize>> + Send;

    /// Listens to the shard's events: to all that is told and recorded after this has answered, in
    /// order.
    fn listen(&self) -> impl Future<Output = StoreResult<Feed>> + Send;

    /// The shard in numbers.
    fn overview(&self) -> impl Future<Output = StoreResult<Overview>> + Send;

    /// The store's clock. Asked for often: it should cost the same however much is stored. Where a store
    /// says nothing else, that of its [`overview`](Self::overview).
    fn clock(&self) -> impl Future<Output = StoreResult<Timestamp>> + Send {
        async { Ok(self.overview().await?.now) }
    }
}

/// One shard of a namespace, as nodes see it: they live in it, lead it, and execute its runs. All that is one
/// operation here is one atomic step.
///
/// A namespace has one shard, or [several](crate::shard). All that is one operation of a [`Store`] is one
/// atomic step here, too.
pub trait Shard: Store {
    // ----- a node's life --------------------------------------------------------------------

    /// Begins a session. Asked again: the same answer, and the session is left as it is. A session
    /// that was declared dead stays dead.
    ///
    /// Its life counts from the first try that ran, answered or not: who tries again and wants to
    /// count from the later try takes a new name.
    fn register(&self, request: &Register) -> impl Future<Output = StoreResult<Registered>> + Send;

    /// Shows that a session lives, and renews all its claims with it. Never creates a session. Asked
    /// again: harmless, and so is one that was overtaken by a later one. Answers also with what has
    /// been cancelled of the session's claims (each time, until they are settled; where very many
    /// runs are marked, perhaps with some of it only).
    ///
    /// Sweepers only believe a number that moves. The same one sent again proves no later life, so
    /// each try takes a new one.
    fn heartbeat(
        &self,
        request: &Heartbeat,
    ) -> impl Future<Output = StoreResult<HeartbeatAnswer>> + Send;

    /// Tells a store that lost its latest writes what a session holds, so that runs which it executes
    /// are given to nobody else, and what it handed in counts. What becomes of each claim is what
    /// [`fate`](crate::failover::fate) says. A session that was lost itself is restored with them.
    /// With the last part the session takes part in the store's generation. Nothing is handed in by
    /// this: what was settled before is the session's again, to be handed in again. Asked again: the
    /// same claims, as they are then.
    fn reconcile(
        &self,
        request: &Reconcile,
    ) -> impl Future<Output = StoreResult<ReconcileAnswer>> + Send;

    /// Ends a session in order. Claims that are left in it are treated as those of a dead session.
    /// Asked again: nothing more happens.
    fn leave(&self, session: &SessionId) -> impl Future<Output = StoreResult<()>> + Send;

    // ----- leading --------------------------------------------------------------------------

    /// Looks at the lease, as a standby does.
    fn observe(&self, session: &SessionId) -> impl Future<Output = StoreResult<LeaseView>> + Send;

    /// Takes the lease if nobody holds it, or early from a holder that stood still or
    /// is gone. Asked again by
    /// the session that holds it: the same token.
    fn acquire(&self, request: &Acquire)
    -> impl Future<Output = StoreResult<AcquireAnswer>> + Send;

    /// Renews the lease, shows progress, and looks at what is due. Also offers waiting runs anew to
    /// idle nodes, so that a lost wake-up costs one beat at most. Asked again: harmless.
    fn peek(&self, request: &Peek) -> impl Future<Output = StoreResult<PeekAnswer>> + Send;

    /// Settles due fire times as planned: per job the due time moves and the runs appear, in one
    /// step. An item that is not as planned is refused by name, and never fails the others. Asked
    /// again: items that were done are refused as [`Refusal::Changed`] or [`Refusal::Fired`].
    ///
    /// Each run and skip of a plan must be later than what was settled before, and its next fire
    /// time later than all of it. A plan that settles nothing only moves the due time, and one that
    /// makes no runs is accepted however many are in flight.
    ///
    /// A run that finds as many of its job in flight as may be at once, or others lined up before it,
    /// is lined up itself: it is in flight, and in no queue until a leader [admits](Self::admit) it.
    /// A run that ends, and a changed definition, show a job with such runs to the leader, and wake
    /// it.
    fn dispatch(
        &self,
        request: &Dispatch,
    ) -> impl Future<Output = StoreResult<DispatchAnswer>> + Send;

    /// Lets runs go that were lined up, the first first, as far as their jobs have room. Does nothing
    /// to a job that has another version by now: it is shown again. Asked again: only what there is
    /// room for. `false`: the lease was lost.
    fn admit(&self, request: &Admit) -> impl Future<Output = StoreResult<bool>> + Send;

    /// Sets due jobs aside whose definition is missing or cannot be read, so that they hold up
    /// nobody: they are no longer due, and history says why; the fire time is settled with that.
    /// They show as parked until a change puts them on a schedule again.
    ///
    /// A job whose pause has ended is set aside likewise, if nobody can read it to bring it back: it
    /// is no longer shown as one. It stays paused, and nothing of it is settled. Does nothing to a job that
    /// is not as it was seen. Asked again: nothing more happens.
    /// `false`: the lease was lost.
    fn park(&self, request: &Park) -> impl Future<Output = StoreResult<bool>> + Send;

    /// Moves runs whose waiting time is over to their ready queues. Asked again: what was moved is
    /// not moved again. `false`: the lease was lost.
    fn promote(&self, request: &Promote) -> impl Future<Output = StoreResult<bool>> + Send;

    /// What there may be to follow, from where history was followed, at most `limit` entries of it: see
    /// [`crate::after`]. Nothing where no job follows another.
    fn trail(&self, limit: usize) -> impl Future<Output = StoreResult<Trail>> + Send;

    /// Makes the runs that follow ends of others, as decided, and moves the cursor, in one step: if the
    /// cursor stands where it was read, and each job has the version that it was read with. A run
    /// finds room, is lined up, or is recorded as skipped, as with a [dispatch](Self::dispatch). Asked
    /// again: the cursor stands elsewhere, and nothing happens.
    ///
    /// A job follows from when it is put, and for as long as it is put with the same
    /// [`after`](crate::Job::after): what ended before then, it does not follow.
    fn follow(&self, request: &FollowUp) -> impl Future<Output = StoreResult<FollowAnswer>> + Send;

    /// Removes jobs whose schedule is over and whose last run has ended. Those that are to be kept
    /// stay, finished, and are not shown to leaders again. Unique keys that they hold for longer than
    /// that stay held. Jobs that were changed meanwhile are left
    /// alone. `false`: the lease was lost.
    fn retire(&self, request: &Retire) -> impl Future<Output = StoreResult<bool>> + Send;

    /// Forgets what is past keeping, a bounded amount per call: old records and answers, what was
    /// settled of jobs that are long gone, and definitions that no run in flight needs any more (a
    /// store may forget those earlier). Asked again: it goes on where it was.
    ///
    /// Records of a job that was put with a [policy for its history](crate::HistoryPolicy) are kept on
    /// for that job alone, as many and as long as it says; those of a removed job as long as the policy
    /// says, or, where it names a number only, as long as what was settled of the job.
    fn tidy(&self, request: &Tidy) -> impl Future<Output = StoreResult<TidyAnswer>> + Send;

    /// Gives the lease back, and wakes standbys. Does nothing where it is not the caller's.
    fn release(&self, token: &LeaseToken) -> impl Future<Output = StoreResult<()>> + Send;

    // ----- working --------------------------------------------------------------------------

    /// Hands in settled runs and claims new ones, in one step.
    ///
    /// Nothing is claimed of a queue that is paused, or in a namespace that is, and never more than
    /// a queue's limits allow (see [`crate::queue`]): settled runs have freed their places before.
    ///
    /// Of each queue and priority the run is claimed first that has waited longest; what is given
    /// back, or tried again, waits in the queue and with the priority that it came from.
    ///
    /// Requests of one session and lane are numbered. The number of the last one asked again
    /// answers as it did then and changes nothing; a smaller one, or one that a resync took, is
    /// refused.
    fn exchange(
        &self,
        request: &Exchange,
    ) -> impl Future<Output = StoreResult<ExchangeAnswer>> + Send;

    /// Writes down that handlers of claimed runs are about to be called: only those claims that the
    /// session still holds are marked, and only those that were may be acted on. Asked again: they
    /// are marked already, which is the same.
    ///
    /// A mark stays with the claim until that is settled; [`Claim::begun`](crate::run::Claim) shows
    /// it.
    fn begin(&self, request: &Begin) -> impl Future<Output = StoreResult<BeginAnswer>> + Send;

    /// All claims of a session, for a node that does not know what it holds. Takes a number in the
    /// lane, so that a delayed earlier request can no longer change the answer. Asked again: the
    /// claims as they are then.
    fn resync(&self, request: &Resync) -> impl Future<Output = StoreResult<ResyncAnswer>> + Send;

    /// Waits until there may be something to do, and perhaps returns without reason. A wake-up goes
    /// to one waiter, and may be lost with it: callers bound their waiting themselves. Dropping the
    /// future is safe: it costs at most one wake-up.
    fn wait(&self, wake: &Wake) -> impl Future<Output = StoreResult<()>> + Send;

    /// The definitions of these versions, in order: from the job, or kept for its runs in flight.
    fn definitions(
        &self,
        wanted: &[(JobId, Version)],
    ) -> impl Future<Output = StoreResult<Vec<Definition>>> + Send;

    // ----- recovering -----------------------------------------------------------------------

    /// All sessions with their beats, as a sweeper samples them.
    fn sessions(&self) -> impl Future<Output = StoreResult<Vec<SessionSample>>> + Send;

    /// Declares a session dead if its beat still is the one seen: from then on no heartbeat, claim
    /// or settlement of it is accepted, and it never comes back. One without claims is forgotten at
    /// once. Asked again: it is dead, or unknown.
    fn fence_session(
        &self,
        request: &FenceSession,
    ) -> impl Future<Output = StoreResult<FenceAnswer>> + Send;

    /// Dead sessions that still hold claims, with some of these claims: at most `limit` in all.
    fn dead_claims(
        &self,
        limit: usize,
    ) -> impl Future<Output = StoreResult<Vec<(SessionId, Vec<crate::run::Claim>)>>> + Send;

    /// Settles claims of a dead session: only those that still are as they were read.
    fn drain(&self, request: &Drain) -> impl Future<Output = StoreResult<DrainAnswer>> + Send;

    // ----- notes ----------------------------------------------------------------------------

    /// Keeps what handlers tell of their attempts with the runs, for a while from then on. Of one
    /// attempt the later claim counts, and under one claim what was told last. Changes nothing
    /// else. Asked again: the same.
    fn note(&self, request: &Note) -> impl Future<Output = StoreResult<NoteAnswer>> + Send;
}

/// A store that nodes can work for: one that can say which shards it is made of.
///
/// Each [`Shard`] is one by itself; [`Shards`](crate::shard::Shards) are several.
pub trait Sharded: Store {
    /// What each of them is.
    type Shard: Shard;

    /// All shards, in order; at least one.
    fn shards(&self) -> &[Self::Shard];
}

impl<S: Shard> Sharded for S {
    type Shard = S;

    fn shards(&self) -> &[S] {
        std::slice::from_ref(self)
    }
}
