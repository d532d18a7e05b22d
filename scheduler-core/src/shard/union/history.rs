//! History of all shards, in the order in which it was written.
//!
//! A position is one in each shard. Read onward, a record has been told when its shard's place lies behind
//! it, whatever the others' clocks say: records of two shards may be told in another order another time, but
//! each of them once.

use super::Shards;
use crate::shard::merge::{Places, START};
use crate::store::{HistoryEntry, HistoryPage, HistoryQuery, Shard, StoreResult};

/// In place of a cursor: nothing older is left.
const OVER: &str = "-";

impl<S: Shard> Shards<S> {
    pub(super) async fn page_of_history(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        if let Some(shard) = self.one() {
            return shard.history(query).await;
        }
        match (&query.job, &query.after) {
            (Some(_), _) => self.history_of_one(query).await,
            (None, Some(after)) => self.onward(query, after).await,
            (None, None) => self.newest(query).await,
        }
    }

    /// Of one job, which one shard has; the positions are good for all jobs, too.
    async fn history_of_one(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        let shards = self.shards.len();
        let Some(job) = &query.job else {
            return self.newest(query).await;
        };
        let number = self.shard_count_of(job);
        let mut places = match &query.after {
            Some(after) => Places::parse(after, shards, "history")?,
            None => Places::start(shards),
        };
        let inner = HistoryQuery {
            after: query.after.as_ref().map(|_| places.0[number].clone()),
            ..query.clone()
        };
        let mut page = self.shards[number].history(&inner).await?;
        for entry in &mut page.entries {
            if !entry.position.is_empty() {
                places.0[number].clone_from(&entry.position);
                entry.position = places.to_string();
            }
        }
        places.0[number].clone_from(&page.position);
        page.position = places.to_string();
        Ok(page)
    }

    /// Onward from a position, the oldest first.
    async fn onward(&self, query: &HistoryQuery, after: &str) -> StoreResult<HistoryPage> {
        let mut places = Places::parse(after, self.shards.len(), "history")?;
        let mut pages = Vec::with_capacity(places.0.len());
        for (shard, place) in self.shards.iter().zip(&places.0) {
            let inner = HistoryQuery {
                after: Some(place.clone()),
                ..query.clone()
            };
            let mut page = shard.history(&inner).await?;
            page.entries.reverse();
            pages.push(page);
        }
        let mut entries = Vec::new();
        // Whole packs: what a store gives beyond the limit is not read twice.
        while entries.len() < query.limit {
            let heads = pages.iter().enumerate();
            let heads = heads.filter_map(|(at, page)| Some((page.entries.last()?.at, at)));
            let Some((_, at)) = heads.min() else {
                break;
            };
            if let Some(entry) = pages[at].entries.pop() {
                entries.push(told(entry, at, &mut places));
            }
        }
        for (page, place) in pages.into_iter().zip(&mut places.0) {
            // What was looked at and not wanted lies behind as well.
            if page.entries.is_empty() {
                *place = page.position;
            }
        }
        Ok(HistoryPage {
            entries,
            position: places.to_string(),
            older: None,
            cut: None,
        })
    }

    /// The newest first.
    async fn newest(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        let shards = self.shards.len();
        let mut before = match &query.before {
            Some(before) => Places::parse(before, shards, "history")?,
            None => Places::start(shards),
        };
        let mut position = Places::start(shards);
        let mut pages = Vec::with_capacity(shards);
        for (at, (shard, place)) in self.shards.iter().zip(&before.0).enumerate() {
            if place == OVER {
                pages.push(None);
                continue;
            }
            let inner = HistoryQuery {
                before: Some(place.clone()).filter(|place| place != START),
                ..query.clone()
            };
            let mut page = shard.history(&inner).await?;
            page.entries.reverse();
            position.0[at].clone_from(&page.position);
            pages.push(Some(page));
        }
        let mut entries: Vec<HistoryEntry> = Vec::new();
        while entries.len() < query.limit {
            let heads = pages.iter().enumerate();
            let heads = heads.filter_map(|(at, page)| {
                let newest = page.as_ref()?.entries.last()?;
                Some((newest.at, usize::MAX - at, at))
            });
            let Some((.., at)) = heads.max() else {
                break;
            };
            let Some(page) = &mut pages[at] else { break };
            let Some(mut entry) = page.entries.pop() else {
                break;
            };
            before.0[at].clone_from(&entry.position);
            let is_last_known = page.entries.is_empty() && page.older.is_some();
            // Onward from here: what each of the others has not shown yet is behind.
            let heads = pages.iter().map(|page| {
                let head = page.as_ref().and_then(|page| page.entries.last());
                head.map_or(START, |head| head.position.as_str()).to_owned()
            });
            let mut here = Places(heads.collect());
            here.0[at].clone_from(&entry.position);
            entry.position = here.to_string();
            entries.push(entry);
            if is_last_known {
                // What comes next there may be newer than what the others have.
                break;
            }
        }
        let mut is_over = true;
        for (page, place) in pages.into_iter().zip(&mut before.0) {
            match page {
                Some(page) if page.entries.is_empty() => {
                    is_over &= page.older.is_none();
                    *place = page.older.unwrap_or_else(|| OVER.to_owned());
                }
                // It goes on behind what was taken of it, or where it was.
                Some(_) => is_over = false,
                None => {}
            }
        }
        Ok(HistoryPage {
            entries,
            position: position.to_string(),
            older: (!is_over).then(|| before.to_string()),
            cut: None,
        })
    }

    fn shard_count_of(&self, job: &crate::JobId) -> usize {
        self.count.of_job(job).index()
    }
}

/// The record, at its place among all.
fn told(mut entry: HistoryEntry, at: usize, places: &mut Places) -> HistoryEntry {
    places.0[at].clone_from(&entry.position);
    entry.position = places.to_string();
    entry
}
