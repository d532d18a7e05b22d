//! Many jobs at once: in waves of different ids, in steps of a bounded size, several on the way.
//!
//! Each step is one script of the store, and so happens as a whole or not at all. What need not be one
//! step is put in small ones, so that no store stands still for it; whoever was interrupted asks once
//! more, which leaves what is there as it is and goes on with the rest.
//!
//! All or none is one step, of up to [`MAX_ALL_OR_NONE`] jobs and [`MAX_BYTES`]. All jobs are looked at
//! before: what would be refused is told for each, and nothing was written. Where somebody else comes
//! between that and the step, nothing is written either, and all is looked at once more.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use scheduler_core::store::MAX_ALL_OR_NONE;
use scheduler_core::unique::OnDuplicate;
use scheduler_core::{JobId, Store};

use super::client::{Jobs, Rounds};
use super::put::Known;
use super::{JobsError, Put, PutWish};

/// How many jobs are written in one step.
pub(super) const BATCH: usize = 200;

/// How large jobs may be together that are put in one step, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// How many steps are on the way at once: one is made up, one travels, one is done.
const AT_ONCE: usize = 4;

/// What became of putting many jobs, all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutAll {
    /// All was put; what became of each, in order.
    Done(Vec<Put>),
    /// Nothing was put, because of these: their places among the wishes, and what would become of
    /// each.
    Refused(Vec<(usize, Put)>),
}

impl<S: Store> Jobs<S> {
    /// Puts many jobs, in few steps; tells for each what became of it, in order. Of several with
    /// the same id, a later one finds what an earlier one left.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing a job. Some may have been put: asking
    /// again completes it.
    pub async fn put_all(&self, wishes: &[PutWish]) -> Result<Vec<Put>, JobsError> {
        self.put_all_telling(wishes, |_| ()).await
    }

    /// The same, saying after each step how many of them are done.
    ///
    /// # Errors
    ///
    /// As [`put_all`](Self::put_all).
    pub async fn put_all_telling(
        &self,
        wishes: &[PutWish],
        told: impl FnMut(usize) + Send,
    ) -> Result<Vec<Put>, JobsError> {
        self.put_known(wishes, &Known::default(), told).await
    }

    async fn put_known(
        &self,
        wishes: &[PutWish],
        known: &Known,
        told: impl FnMut(usize) + Send,
    ) -> Result<Vec<Put>, JobsError> {
        let ids: Vec<_> = wishes.iter().map(|wish| wish.job.id()).collect();
        // Who takes a key first, and who takes whose place, goes by their order.
        let has_keys = wishes.iter().any(|wish| wish.job.unique().is_some());
        let at_once = if has_keys { 1 } else { AT_ONCE };
        in_steps(&ids, at_once, told, |batch| {
            self.put_batch(wishes, batch, known)
        })
        .await
    }

    /// Puts many jobs in one step, or none of them where any would be refused: one of the same id is
    /// there, it is not to be replaced, its unique key is held, its schedule is over. Nobody ever sees
    /// some of them without the others, whatever happens to whom. In a namespace of several shards that is
    /// true for the jobs of each shard, and what somebody else does between their steps is told for each
    /// job.
    ///
    /// One step holds up other callers of a store on Redis for about 10 us a job, so it takes 10,000 jobs
    /// and 16 MiB of them at most. What is more is put in steps of 200 once all of it has been looked at,
    /// and so is what cannot be one step: several jobs of the same id or unique key, and jobs that take the
    /// place of others which hold theirs ([`OnDuplicate::Replace`]). What somebody else does between
    /// these steps is told as [`put_all`](Self::put_all) does.
    ///
    /// `told` hears after each step how many jobs are done.
    ///
    /// ```
    /// use carillon::core::{Job, Store};
    /// use carillon::jobs::{Jobs, JobsError, OnConflict, PutAll, PutWish};
    ///
    /// async fn schedule<S: Store>(store: S, jobs: Vec<Job>) -> Result<(), JobsError> {
    ///     let wish = |job| PutWish { job, on_conflict: OnConflict::Refuse };
    ///     let wishes: Vec<_> = jobs.into_iter().map(wish).collect();
    ///     let told = |done| println!("{done} of {}", wishes.len());
    ///     match Jobs::new(store).put_all_or_none(&wishes, told).await? {
    ///         PutAll::Done(_) => println!("all are there"),
    ///         PutAll::Refused(why) => println!("none was put, because of {why:?}"),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`put_all`](Self::put_all).
    pub async fn put_all_or_none(
        &self,
        wishes: &[PutWish],
        mut told: impl FnMut(usize) + Send,
    ) -> Result<PutAll, JobsError> {
        let mut rounds = wishes.first().map(|wish| Rounds::new(wish.job.id()));
        loop {
            let known = match self.look(wishes).await? {
                Ok(known) => known,
                Err(refused) => return Ok(PutAll::Refused(refused)),
            };
            if !is_one_step(wishes) {
                return self.put_known(wishes, &known, told).await.map(PutAll::Done);
            }
            if let Some(outcomes) = self.put_by_shards(wishes, &known, &mut told).await? {
                return Ok(PutAll::Done(outcomes));
            }
            if let Some(rounds) = &mut rounds {
                rounds.again()?;
            }
        }
    }

    /// Puts jobs that were looked at, in one step for each shard; none where nothing was put, since somebody came
    /// between.
    async fn put_by_shards(
        &self,
        wishes: &[PutWish],
        known: &Known,
        told: &mut (impl FnMut(usize) + Send),
    ) -> Result<Option<Vec<Put>>, JobsError> {
        let shards = self.store().shard_count();
        let mut parts: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, wish) in wishes.iter().enumerate() {
            parts
                .entry(shards.of_job(wish.job.id()))
                .or_default()
                .push(at);
        }
        let mut outcomes = Vec::with_capacity(wishes.len());
        for places in parts.into_values() {
            let put = match self.put_at_once(wishes, &places, known).await? {
                Some(put) => put,
                None if outcomes.is_empty() => return Ok(None),
                None => {
                    // Those of other shards are there: of these, each is told.
                    let part: Vec<_> = places.iter().map(|at| wishes[*at].clone()).collect();
                    self.put_all(&part).await?
                }
            };
            outcomes.extend(places.into_iter().zip(put));
            told(outcomes.len());
        }
        outcomes.sort_by_key(|(at, _)| *at);
        Ok(Some(
            outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
        ))
    }

    /// Looks at jobs that are to be put: what was read of them, or which would be refused.
    async fn look(
        &self,
        wishes: &[PutWish],
    ) -> Result<Result<Known, Vec<(usize, Put)>>, JobsError> {
        let (mut seen, read) = (HashSet::new(), Known::default());
        let known = &read;
        let is_first = |at: &usize| seen.insert(wishes[*at].job.id());
        let (first, again): (Vec<usize>, Vec<usize>) = (0..wishes.len()).partition(is_first);
        let ids: Vec<_> = first.iter().map(|at| wishes[*at].job.id()).collect();
        let foreseen = in_steps(
            &ids,
            AT_ONCE,
            |_| (),
            |batch| {
                let places: Vec<_> = batch.iter().map(|at| first[*at]).collect();
                async move {
                    let foreseen = self.foresee(wishes, &places, known).await?;
                    Ok(foreseen.into_iter().map(Some).collect())
                }
            },
        )
        .await?;
        let mut refused: Vec<_> = first.into_iter().zip(foreseen).collect();
        let twice = again.into_iter().filter(|at| wishes[*at].refuses_others());
        refused.extend(twice.map(|at| (at, Put::Exists)));
        refused.retain(|(_, outcome)| outcome.is_refusal());
        if refused.is_empty() {
            return Ok(Ok(read));
        }
        refused.sort_by_key(|(at, _)| *at);
        Ok(Err(refused))
    }
}

/// Whether so many jobs, of these kinds, can be put in one step for each shard.
fn is_one_step(wishes: &[PutWish]) -> bool {
    let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
    wishes.len() <= MAX_ALL_OR_NONE
        && wishes.iter().all(|wish| {
            let is_free = wish.job.unique().is_none_or(|unique| {
                unique.on_conflict != OnDuplicate::Replace && keys.insert(&unique.key)
            });
            ids.insert(wish.job.id()) && is_free
        })
        && bytes(wishes) <= MAX_BYTES
}

/// About how large jobs are: nearly all of a large one is its arguments.
fn bytes(wishes: &[PutWish]) -> usize {
    let sizes = wishes.iter().map(|wish| {
        let args = serde_json::to_string(wish.job.args());
        256 + args.map_or(0, |text| text.len())
    });
    sizes.sum()
}

/// Does something about each of many jobs, in steps of different ids; answers in order. A step answers
/// with none for what is to be decided anew.
pub(super) async fn in_steps<T, F>(
    ids: &[&JobId],
    at_once: usize,
    mut told: impl FnMut(usize) + Send,
    step: impl Fn(Vec<usize>) -> F,
) -> Result<Vec<T>, JobsError>
where
    F: Future<Output = Result<Vec<Option<T>>, JobsError>>,
{
    let mut outcomes: Vec<Option<T>> = ids.iter().map(|_| None).collect();
    let mut rounds: Vec<Rounds<'_>> = ids.iter().map(|id| Rounds::new(id)).collect();
    let mut pending: Vec<usize> = (0..ids.len()).collect();
    let mut done = 0;
    while !pending.is_empty() {
        let (wave, mut rest) = next_wave(ids, pending);
        let mut batches = wave.chunks(BATCH);
        let mut running = FuturesUnordered::new();
        let begin = |batch: &[usize]| {
            let batch = batch.to_vec();
            let doing = step(batch.clone());
            async move { (batch, doing.await) }
        };
        running.extend(batches.by_ref().take(at_once).map(begin));
        while let Some((batch, settled)) = running.next().await {
            running.extend(batches.next().map(begin));
            for (at, outcome) in batch.into_iter().zip(settled?) {
                if outcome.is_some() {
                    done += 1;
                } else {
                    rounds[at].again()?;
                    rest.push(at);
                }
                outcomes[at] = outcome;
            }
            told(done);
        }
        rest.sort_unstable();
        pending = rest;
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// The first of each id, in order; and the others.
fn next_wave(ids: &[&JobId], pending: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    let mut seen = HashSet::with_capacity(pending.len());
    pending.into_iter().partition(|at| seen.insert(ids[*at]))
}
