//! What people read of all shards together.

use std::collections::BTreeMap;

use super::Shards;
use crate::id::QueueName;
use crate::queue::QueueState;
use crate::shard::ShardNumber;
use crate::shard::limits::whole;
use crate::shard::merge::{Places, START};
use crate::store::{
    FailedPage, FailedQuery, FailedRun, JobPage, NodeView, Overview, QueueBoard, QueueView, Shard,
    Store, StoreError, StoreErrorKind, StoreResult,
};

impl<S: Shard> Shards<S> {
    /// One shard after the other: `<shard>:<its cursor>`.
    pub(super) async fn page_of_jobs(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<JobPage> {
        if let Some(shard) = self.one() {
            return shard.job_page(cursor, limit).await;
        }
        let (number, inner) = match cursor {
            None => (0, None),
            Some(cursor) => place_of(cursor, self.shards.len())?,
        };
        let page = self.shards[number].job_page(inner, limit).await?;
        let next = match page.next {
            Some(inner) => Some(format!("{number}:{inner}")),
            None if number + 1 < self.shards.len() => Some(format!("{}:", number + 1)),
            None => None,
        };
        Ok(JobPage { next, ..page })
    }

    /// The newest of all, each shard read as far as it takes.
    pub(super) async fn page_of_failed(&self, query: &FailedQuery) -> StoreResult<FailedPage> {
        if let Some(shard) = self.one() {
            return shard.failed(query).await;
        }
        if let Some(job) = &query.job {
            return self.of_job(job).failed(query).await;
        }
        let shards = self.shards.len();
        let mut places = match &query.after {
            None => vec![None; shards],
            Some(after) => {
                let places = Places::parse(after, shards, "failed")?.0.into_iter();
                places.map(Some).collect()
            }
        };
        let mut heads = Vec::with_capacity(shards);
        for (shard, place) in self.shards.iter().zip(&places) {
            heads.push(Head::read(shard, place.clone(), query.limit).await?);
        }
        let mut runs = Vec::new();
        while runs.len() < query.limit {
            let newest = heads.iter().enumerate();
            let newest = newest.filter_map(|(at, head)| Some((head.runs.last()?.failed_at, at)));
            // Of two at one instant, the first shard's.
            let Some((_, at)) = newest.max_by_key(|(when, at)| (*when, usize::MAX - at)) else {
                break;
            };
            runs.extend(heads[at].runs.pop());
            heads[at].taken += 1;
            if heads[at].runs.is_empty() && heads[at].next.is_some() {
                // What comes next there may be newer than what the others have.
                break;
            }
        }
        let mut is_over = true;
        for ((shard, head), place) in self.shards.iter().zip(heads).zip(&mut places) {
            is_over &= head.runs.is_empty() && head.next.is_none();
            let next = head.place_after(shard, place.as_deref()).await?;
            *place = Some(next);
        }
        let places = places
            .into_iter()
            .map(|place| place.unwrap_or_else(|| START.to_owned()));
        let next = (!is_over).then(|| Places(places.collect()).to_string());
        Ok(FailedPage { runs, next })
    }

    /// Each node once, with what it does in all shards.
    pub(super) async fn all_nodes(&self) -> StoreResult<Vec<NodeView>> {
        if let Some(shard) = self.one() {
            return shard.nodes().await;
        }
        let shards = self.all(|shard| shard.nodes()).await?;
        let mut nodes: BTreeMap<(String, Option<u32>, bool), NodeView> = BTreeMap::new();
        for (number, views) in (0..).map(ShardNumber).zip(shards) {
            for mut view in views {
                if view.leads {
                    view.led.push(number);
                }
                let pid = view.info.as_ref().map(|info| info.pid);
                let key = (view.session.node().to_owned(), pid, view.dead);
                match nodes.get_mut(&key) {
                    None => {
                        nodes.insert(key, view);
                    }
                    Some(known) => {
                        known.running += view.running;
                        known.leads |= view.leads;
                        known.led.append(&mut view.led);
                        known.since = known.since.min(view.since);
                        // The one that has been silent for longest.
                        known.deadline = known.deadline.min(view.deadline);
                    }
                }
            }
        }
        Ok(nodes.into_values().collect())
    }

    /// The sums, by the first shard's clock.
    pub(super) async fn sum(&self) -> StoreResult<Overview> {
        if let Some(shard) = self.one() {
            return shard.overview().await;
        }
        let shards = self.all(|shard| shard.overview()).await?;
        let mut shards = shards.into_iter();
        let Some(mut sum) = shards.next() else {
            return self.first().overview().await;
        };
        let mut queues: BTreeMap<QueueName, QueueView> = BTreeMap::new();
        let mut add = |view: QueueView| match queues.get_mut(&view.queue) {
            None => {
                queues.insert(view.queue.clone(), view);
            }
            Some(known) => {
                known.ready += view.ready;
                known.oldest = known.oldest.into_iter().chain(view.oldest).min();
            }
        };
        std::mem::take(&mut sum.queues)
            .into_iter()
            .for_each(&mut add);
        for shard in shards {
            sum.jobs += shard.jobs;
            sum.scheduled += shard.scheduled;
            sum.due += shard.due;
            sum.busy += shard.busy;
            sum.lined_up += shard.lined_up;
            sum.retries += shard.retries;
            sum.leaders.extend(shard.leaders);
            shard.queues.into_iter().for_each(&mut add);
        }
        sum.queues = queues.into_values().collect();
        Ok(sum)
    }

    /// Each queue once. It is paused where any shard has it so: a pause that was interrupted is to be seen.
    pub(super) async fn board(&self) -> StoreResult<QueueBoard> {
        if let Some(shard) = self.one() {
            return shard.queues().await;
        }
        let boards = self.all(|shard| shard.queues()).await?;
        let count = boards.len();
        let mut hold = None;
        let mut queues: BTreeMap<QueueName, Vec<QueueState>> = BTreeMap::new();
        for board in boards {
            hold = hold.or(board.hold);
            for state in board.queues {
                queues.entry(state.queue.clone()).or_default().push(state);
            }
        }
        let queues = queues
            .into_values()
            .filter_map(|states| sum_of(states, count));
        Ok(QueueBoard {
            hold,
            queues: queues.collect(),
        })
    }
}

fn sum_of(states: Vec<QueueState>, shards: usize) -> Option<QueueState> {
    let mut limits: Vec<_> = states.iter().map(|state| state.limits).collect();
    // A shard in which nobody named the queue has no limits for it either.
    limits.resize(shards, crate::queue::QueueLimits::default());
    let mut states = states.into_iter();
    let mut sum = states.next()?;
    for state in states {
        sum.set_by = sum.set_by.or(state.set_by);
        sum.hold = sum.hold.or(state.hold);
        sum.in_use += state.in_use;
        sum.lined_up += state.lined_up;
        for (waiting, more) in sum.waiting.iter_mut().zip(state.waiting) {
            *waiting += more;
        }
    }
    sum.limits = whole(&limits);
    Some(sum)
}

/// `<shard>:<its cursor>`, which is empty at the beginning.
fn place_of(cursor: &str, shards: usize) -> StoreResult<(usize, Option<&str>)> {
    let read = || {
        let (number, inner) = cursor.split_once(':')?;
        let number = number.parse().ok().filter(|number| *number < shards)?;
        Some((number, Some(inner).filter(|inner| !inner.is_empty())))
    };
    read().ok_or_else(|| {
        let message = format!("{cursor:?} is not what an earlier page gave");
        StoreError::new(StoreErrorKind::Refused, "job_page", message)
    })
}

/// The next failed runs of one shard, the newest last.
struct Head {
    runs: Vec<FailedRun>,
    next: Option<String>,
    taken: usize,
    is_over: bool,
}

/// In place of a cursor: nothing is left.
const OVER: &str = "-";

impl Head {
    async fn read<S: Store>(shard: &S, place: Option<String>, limit: usize) -> StoreResult<Self> {
        let is_over = place.as_deref() == Some(OVER);
        let mut page = FailedPage {
            runs: Vec::new(),
            next: None,
        };
        if !is_over {
            let query = FailedQuery {
                job: None,
                after: place.filter(|place| place != START),
                limit,
            };
            page = shard.failed(&query).await?;
        }
        page.runs.reverse();
        Ok(Self {
            runs: page.runs,
            next: page.next,
            taken: 0,
            is_over,
        })
    }

    /// Where to go on behind what was taken.
    async fn place_after<S: Store>(self, shard: &S, place: Option<&str>) -> StoreResult<String> {
        if self.runs.is_empty() {
            return Ok(self.next.unwrap_or_else(|| OVER.to_owned()));
        }
        if self.is_over || self.taken == 0 {
            return Ok(place.unwrap_or(START).to_owned());
        }
        let query = FailedQuery {
            job: None,
            after: place.filter(|place| *place != START).map(str::to_owned),
            limit: self.taken,
        };
        let page = shard.failed(&query).await?;
        Ok(page.next.unwrap_or_else(|| OVER.to_owned()))
    }
}
