//! All shards of a namespace as one store.
//!
//! What is about one job goes to its shard, in one step there, as ever. What is about many goes to all shards
//! that it concerns, at once: each part is one step, and the whole is none. Where a part could not be done,
//! the whole has an unknown outcome, unless nothing at all was done: asked again, each part answers as it
//! did. What there is one of (who changed what, clients' keys) is in the first shard.

mod history;
mod reading;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;

use super::merge::Feeds;
use super::{ShardCount, ShardNumber, divided};
use crate::audit::{Audit, AuditPage, AuditQuery};
use crate::event::{Event, Feed};
use crate::id::{JobId, RunId, UniqueKey};
use crate::job::Job;
use crate::notes::RunNotes;
use crate::store::{
    Cancel, CancelAnswer, Changed, FailedPage, FailedQuery, HistoryPage, HistoryQuery, JobPage,
    JobWrite, NodeView, Overview, PutJob, QueueBoard, Recall, Recalled, RemoveJob, Rerun,
    RerunAnswer, RunInFlight, RunNow, RunNowAnswer, Shard, Sharded, Steer, Steered, Steering,
    Store, StoreError, StoreErrorKind, StoreResult, Supersede,
};
use crate::time::Timestamp;
use crate::unique::Holder;

/// All shards of a namespace, as one store for clients; nodes work for each [of them](Sharded).
///
/// With one shard it is that shard, and adds nothing.
///
/// ```
/// use std::sync::Arc;
/// use scheduler_core::shard::{ShardCount, Shards};
/// use scheduler_core::{ManualClock, MemoryStore, Sharded, Timestamp};
///
/// let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
/// let store = Shards::new(ShardCount::new(4)?, |_| MemoryStore::new(clock.clone()));
/// assert_eq!(store.shards().len(), 4);
/// # Ok::<(), scheduler_core::shard::ShardCountError>(())
/// ```
#[derive(Clone)]
pub struct Shards<S> {
    shards: Arc<[S]>,
    count: ShardCount,
}

impl<S: Shard> Shards<S> {
    /// So many shards, each as it is made for its number.
    pub fn new(count: ShardCount, shard: impl FnMut(ShardNumber) -> S) -> Self {
        Self {
            shards: count.numbers().map(shard).collect(),
            count,
        }
    }

    /// The shard where a job is.
    #[must_use]
    pub fn of_job(&self, id: &JobId) -> &S {
        self.at(self.count.of_job(id))
    }

    /// The first shard, which has what there is one of.
    #[must_use]
    pub fn first(&self) -> &S {
        self.at(ShardNumber(0))
    }

    fn at(&self, number: ShardNumber) -> &S {
        // As many as the count says, and that is where numbers come from.
        &self.shards[number.index()]
    }

    /// Asks all shards at once.
    async fn all<'s, A, F>(&'s self, ask: impl Fn(&'s S) -> F) -> StoreResult<Vec<A>>
    where
        F: Future<Output = StoreResult<A>>,
    {
        together(join_all(self.shards.iter().map(ask)).await)
    }

    /// Asks each shard for its part of these, all at once, and puts the answers in the order of the
    /// questions.
    async fn parts<'s, Q: Clone, A, F>(
        &'s self,
        operation: &'static str,
        questions: &[Q],
        place: impl Fn(&Q) -> ShardNumber,
        ask: impl Fn(&'s S, Vec<Q>) -> F,
    ) -> StoreResult<Vec<A>>
    where
        F: Future<Output = StoreResult<Vec<A>>>,
    {
        let mut parts: BTreeMap<ShardNumber, (Vec<usize>, Vec<Q>)> = BTreeMap::new();
        for (at, question) in questions.iter().enumerate() {
            let (places, part) = parts.entry(place(question)).or_default();
            places.push(at);
            part.push(question.clone());
        }
        let mut asked = Vec::with_capacity(parts.len());
        let mut order = Vec::with_capacity(questions.len());
        for (number, (places, part)) in parts {
            asked.push(ask(self.at(number), part));
            order.extend(places);
        }
        let answers = together(join_all(asked).await)?;
        let answers: Vec<A> = answers.into_iter().flatten().collect();
        if answers.len() != order.len() {
            let message = "a shard did not answer for each";
            return Err(StoreError::new(StoreErrorKind::Corrupt, operation, message));
        }
        let mut answers: Vec<_> = order.into_iter().zip(answers).collect();
        answers.sort_unstable_by_key(|(at, _)| *at);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// Refuses a job whose parts would be in different shards.
    fn check(&self, operation: &'static str, job: &Job) -> StoreResult<()> {
        let checked = self.count.check(job);
        checked.map_err(|apart| {
            StoreError::new(StoreErrorKind::Mismatch, operation, apart.to_string())
        })
    }
}

/// What all parts answered. Where one failed, the whole did; and if another was done, nobody may take that for
/// refused.
fn together<A>(parts: Vec<StoreResult<A>>) -> StoreResult<Vec<A>> {
    let some_done = parts.iter().any(Result::is_ok);
    let parts: StoreResult<Vec<A>> = parts.into_iter().collect();
    parts.map_err(|error| match some_done && error.is_transient() {
        true => error.into_unknown(),
        false => error,
    })
}

impl<S: Shard> Sharded for Shards<S> {
    type Shard = S;

    fn shards(&self) -> &[S] {
        &self.shards
    }
}

impl<S: Shard> Store for Shards<S> {
    fn detached(&self) -> Self {
        Self {
            shards: self.shards.iter().map(Store::detached).collect(),
            count: self.count,
        }
    }

    fn describe(&self) -> String {
        match self.count.is_one() {
            true => self.first().describe(),
            false => format!(
                "{} and {} more",
                self.first().describe(),
                self.count.get() - 1
            ),
        }
    }

    fn shard_count(&self) -> ShardCount {
        self.count
    }

    async fn jobs(&self, ids: &[JobId]) -> StoreResult<Vec<JobWrite>> {
        if let Some(shard) = self.one() {
            return shard.jobs(ids).await;
        }
        let place = |id: &JobId| self.count.of_job(id);
        self.parts("jobs", ids, place, |shard, ids| async move {
            shard.jobs(&ids).await
        })
        .await
    }

    async fn job_page(&self, cursor: Option<&str>, limit: usize) -> StoreResult<JobPage> {
        self.page_of_jobs(cursor, limit).await
    }

    async fn put(&self, request: &PutJob) -> StoreResult<Vec<Changed>> {
        if let Some(shard) = self.one() {
            return shard.put(request).await;
        }
        for (_, change) in &request.changes {
            self.check("put", &change.job)?;
        }
        let place = |(_, change): &(_, crate::change::Change)| self.count.of_job(change.job.id());
        let mut places = request.changes.iter().map(place);
        let first = places.next();
        if request.all_or_none && places.any(|place| Some(place) != first) {
            let message = "jobs of several shards cannot be put all or none in one step";
            return Err(StoreError::new(StoreErrorKind::Mismatch, "put", message));
        }
        self.parts(
            "put",
            &request.changes,
            place,
            |shard, changes| async move {
                let part = PutJob {
                    changes,
                    ..request.clone()
                };
                shard.put(&part).await
            },
        )
        .await
    }

    async fn supersede(&self, request: &Supersede) -> StoreResult<Changed> {
        self.check("supersede", &request.change.job)?;
        self.of_job(request.change.job.id())
            .supersede(request)
            .await
    }

    async fn holders(&self, keys: &[UniqueKey]) -> StoreResult<Vec<Option<Holder>>> {
        if let Some(shard) = self.one() {
            return shard.holders(keys).await;
        }
        let place = |key: &UniqueKey| self.count.of_key(key);
        self.parts("holders", keys, place, |shard, keys| async move {
            shard.holders(&keys).await
        })
        .await
    }

    async fn remove(&self, request: &RemoveJob) -> StoreResult<Changed> {
        self.of_job(&request.job).remove(request).await
    }

    async fn run_now(&self, request: &RunNow) -> StoreResult<RunNowAnswer> {
        self.of_job(request.job.id()).run_now(request).await
    }

    async fn recall(&self, request: &Recall) -> StoreResult<Recalled> {
        self.first().recall(request).await
    }

    async fn cancel(&self, request: &Cancel) -> StoreResult<CancelAnswer> {
        self.of_job(&request.run.job).cancel(request).await
    }

    async fn failed(&self, query: &FailedQuery) -> StoreResult<FailedPage> {
        self.page_of_failed(query).await
    }

    async fn rerun(&self, request: &Rerun) -> StoreResult<Vec<RerunAnswer>> {
        if let Some(shard) = self.one() {
            return shard.rerun(request).await;
        }
        let place = |item: &crate::store::RerunItem| self.count.of_job(&item.failed.job);
        self.parts("rerun", &request.items, place, |shard, items| async move {
            let request = request.request;
            shard.rerun(&Rerun { request, items }).await
        })
        .await
    }

    async fn purge(&self, runs: &[RunId]) -> StoreResult<()> {
        let place = |run: &RunId| self.count.of_job(&run.job);
        let purged = self.parts("purge", runs, place, |shard, runs| async move {
            shard.purge(&runs).await?;
            Ok(vec![(); runs.len()])
        });
        purged.await.map(drop)
    }

    async fn notes(&self, run: &RunId) -> StoreResult<Vec<RunNotes>> {
        self.of_job(&run.job).notes(run).await
    }

    async fn steer(&self, request: &Steer) -> StoreResult<Steered> {
        if let Some(shard) = self.one() {
            return shard.steer(request).await;
        }
        let parts = match &request.what {
            Steering::Limit { queue, limits, by } => {
                let parts = divided(*limits, self.count).map_err(|error| {
                    let message = format!("queue {queue}: {error}");
                    StoreError::new(StoreErrorKind::Mismatch, "steer", message)
                })?;
                let part = |limits| Steering::Limit {
                    queue: queue.clone(),
                    limits,
                    by: *by,
                };
                parts.into_iter().map(part).collect()
            }
            what => vec![what.clone(); self.shards.len()],
        };
        let request = request.request;
        let steered = self
            .shards
            .iter()
            .zip(parts)
            .map(|(shard, what)| async move { shard.steer(&Steer { request, what }).await });
        let steered = together(join_all(steered).await)?;
        // What one shard had already, or keeps, is nothing where another did it: it was interrupted once.
        let first = [Steered::Done, Steered::Kept].into_iter();
        let mut first = first.filter(|answer| steered.contains(answer));
        Ok(first.next().unwrap_or(Steered::Already))
    }

    async fn queues(&self) -> StoreResult<QueueBoard> {
        self.board().await
    }

    async fn audit(&self, request: &Audit) -> StoreResult<()> {
        self.first().audit(request).await
    }

    async fn audited(&self, query: &AuditQuery) -> StoreResult<AuditPage> {
        self.first().audited(query).await
    }

    async fn history(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        self.page_of_history(query).await
    }

    async fn in_flight(&self, job: &JobId) -> StoreResult<Vec<RunInFlight>> {
        self.of_job(job).in_flight(job).await
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeView>> {
        self.all_nodes().await
    }

    async fn announce(&self, events: &[Event]) -> StoreResult<usize> {
        // Whoever listens listens to all.
        self.first().announce(events).await
    }

    async fn listen(&self) -> StoreResult<Feed> {
        if let Some(shard) = self.one() {
            return shard.listen().await;
        }
        let feeds = self.all(|shard| shard.listen()).await?;
        Ok(Feed::new(Feeds::new(feeds)))
    }

    async fn overview(&self) -> StoreResult<Overview> {
        self.sum().await
    }

    async fn clock(&self) -> StoreResult<Timestamp> {
        self.first().clock().await
    }
}

impl<S> Shards<S> {
    /// The shard, where it is the only one.
    fn one(&self) -> Option<&S> {
        match &*self.shards {
            [shard] => Some(shard),
            _ => None,
        }
    }
}

impl<S: Shard> fmt::Debug for Shards<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shards").field(&self.describe()).finish()
    }
}
