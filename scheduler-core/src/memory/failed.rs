//! Runs that have failed for good, kept for somebody to look at.

use std::collections::{BTreeSet, HashMap};

use crate::history::RunRecord;
use crate::id::RunId;
use crate::job::Job;
use crate::store::{FailedPage, FailedQuery, FailedRun, StoreError, StoreErrorKind, StoreResult};
use crate::time::Timestamp;

/// `failed` and `failures`.
#[derive(Debug, Default)]
pub(super) struct Failed {
    order: BTreeSet<(Timestamp, RunId)>,
    runs: HashMap<RunId, FailedRun>,
}

impl Failed {
    pub(super) fn keep(&mut self, record: RunRecord, job: Job, now: Timestamp) {
        let run = record.run.clone();
        self.forget(&run);
        self.order.insert((now, run.clone()));
        let job = Some(job);
        let failed = FailedRun {
            record,
            failed_at: now,
            job,
        };
        self.runs.insert(run, failed);
    }

    pub(super) fn contains(&self, run: &RunId) -> bool {
        self.runs.contains_key(run)
    }

    pub(super) fn forget(&mut self, run: &RunId) {
        if let Some(failed) = self.runs.remove(run) {
            self.order.remove(&(failed.failed_at, run.clone()));
        }
    }

    /// Forgets up to `limit` of the oldest: those past keeping, and those beyond `keep`.
    pub(super) fn trim(
        &mut self,
        keep: u64,
        limit: usize,
        is_past: impl Fn(Timestamp) -> bool,
    ) -> usize {
        let excess = self
            .order
            .len()
            .saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
        let oldest = self.order.iter().enumerate();
        let gone = oldest.take_while(|(place, (at, _))| *place < excess || is_past(*at));
        let gone: Vec<_> = gone.map(|(_, (_, run))| run.clone()).take(limit).collect();
        for run in &gone {
            self.forget(run);
        }
        gone.len()
    }

    pub(super) fn page(&self, query: &FailedQuery) -> StoreResult<FailedPage> {
        let after = query.after.as_deref().map(cursor_from_text).transpose()?;
        let mut newest = self.order.iter().rev();
        let wanted = newest.by_ref().filter(|key| {
            after.as_ref().is_none_or(|after| *key < after)
                && query.job.as_ref().is_none_or(|job| key.1.job == *job)
        });
        let runs: Vec<_> = wanted
            .filter_map(|(_, run)| self.runs.get(run).cloned())
            .take(query.limit)
            .collect();
        let last = runs.last().filter(|_| runs.len() == query.limit);
        let next = last.map(|failed| format!("{} {}", failed.failed_at.as_ms(), failed.record.run));
        Ok(FailedPage { runs, next })
    }
}

fn cursor_from_text(text: &str) -> StoreResult<(Timestamp, RunId)> {
    let read = || {
        let (at, run) = text.split_once(' ')?;
        Some((Timestamp::from_ms(at.parse().ok()?), run.parse().ok()?))
    };
    read().ok_or_else(|| {
        let message = format!("{text:?} is no place in a list of failed runs");
        StoreError::new(StoreErrorKind::Refused, "failed", message)
    })
}
