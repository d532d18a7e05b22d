//! History: records in the order in which they were written.

use std::collections::VecDeque;

use super::hearers::Hearers;
use super::kept::Kept;
use crate::event::Event;
use crate::history::Record;
use crate::store::{HistoryEntry, HistoryPage, HistoryQuery};
use crate::time::Timestamp;

/// What became of fire times, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<HistoryEntry>,
    /// How many records were forgotten: positions count from the first that was ever written.
    forgotten: u64,
    /// How many records to keep, once that was said.
    keep: Option<usize>,
    /// What is kept of single jobs.
    pub(super) kept: Kept,
    /// Who hears of each.
    pub(super) hearers: Hearers,
}

/// How many records more than it is to keep a journal may hold before it forgets by itself.
const MARGIN: usize = 1_000;

/// How many records one page looks at.
const MAX_LOOKED_AT: usize = 10_000;

impl Journal {
    pub(super) fn append(&mut self, at: Timestamp, record: Record) {
        if self.hearers.are_there() {
            self.hearers.tell(&[Event::from(record.clone())]);
        }
        let position = (self.end() + 1).to_string();
        self.entries.push_back(HistoryEntry {
            position,
            at,
            record,
        });
        // A few with each new one, so that it shrinks however many there are, and no append is slow.
        if let Some(keep) = self.keep
            && self.entries.len() > keep.saturating_add(MARGIN)
        {
            self.forget(2);
        }
    }

    /// Forgets all but the newest `keep` records, at most `limit` at once, and holds on to that
    /// bound. Says how many it forgot.
    pub(super) fn trim(&mut self, keep: u64, limit: usize) -> usize {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        self.keep = Some(keep);
        let excess = self.entries.len().saturating_sub(keep).min(limit);
        self.forget(excess);
        excess
    }

    /// Forgets what was written before `horizon`, at most `limit` records at once: from the oldest
    /// on, up to the first that is younger. Says how many it forgot.
    pub(super) fn expire(&mut self, horizon: Timestamp, limit: usize) -> usize {
        let is_old = |entry: &&HistoryEntry| entry.at < horizon;
        let expired = self.entries.iter().take(limit).take_while(is_old).count();
        self.forget(expired);
        expired
    }

    /// Forgets the oldest `count` records.
    fn forget(&mut self, count: usize) {
        for (entry, position) in self.entries.drain(..count).zip(self.forgotten + 1..) {
            self.kept.take(position, entry);
        }
        self.forgotten += count as u64;
    }

    /// A page, newest first, of what stands before a position, and so many records of the job that
    /// are newer.
    pub(super) fn newest(
        &self,
        query: &HistoryQuery,
        before: Option<(u64, usize)>,
        now: Timestamp,
    ) -> HistoryPage {
        let end = self.end();
        let mut page = HistoryPage {
            entries: Vec::new(),
            position: end.to_string(),
            older: None,
            cut: None,
        };
        let policy = query.job.as_ref().and_then(|job| self.kept.policy(job));
        let (before, mut newer) = before.unwrap_or((end + 1, 0));
        let skipped = usize::try_from(end + 1 - before.min(end + 1)).unwrap_or(usize::MAX);
        let numbered = (1..=end).rev().zip(self.entries.iter().rev()).skip(skipped);
        let kept = query.job.iter().flat_map(|job| self.kept.of(job));
        let kept = kept.filter(|(position, _)| *position < before);
        for (looked_at, (position, entry)) in numbered.chain(kept).enumerate() {
            if query.is_past(entry.at) {
                return page;
            }
            let is_its = query.job.as_ref() == Some(entry.record.job());
            if let Some(policy) = policy.filter(|_| is_its)
                && !policy.keeps(newer, entry.at, now)
            {
                page.cut = Some(entry.at);
                return page;
            }
            if page.entries.len() == query.limit || looked_at == MAX_LOOKED_AT {
                page.older = Some(format!("{}/{newer}", position + 1));
                return page;
            }
            newer += usize::from(is_its);
            if query.wants(entry) {
                page.entries.push(entry.clone());
            }
        }
        page
    }

    /// A page onward from a position, oldest first.
    pub(super) fn onward(&self, query: &HistoryQuery, after: u64) -> HistoryPage {
        let skipped = usize::try_from(after.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let mut page = HistoryPage {
            entries: Vec::new(),
            position: after.max(self.forgotten).to_string(),
            older: None,
            cut: None,
        };
        let numbered = self.entries.iter().zip(self.forgotten + 1..).skip(skipped);
        for (entry, position) in numbered.take(MAX_LOOKED_AT) {
            if page.entries.len() == query.limit {
                break;
            }
            if query.wants(entry) {
                page.entries.push(entry.clone());
            }
            page.position = position.to_string();
        }
        page
    }

    /// What was written after a position, with the position of each.
    pub(super) fn from(&self, after: u64) -> impl Iterator<Item = (u64, &HistoryEntry)> {
        let skipped = usize::try_from(after.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        (self.forgotten + 1..).zip(&self.entries).skip(skipped)
    }

    pub(super) fn end(&self) -> u64 {
        self.forgotten + self.entries.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::SkipRecord;
    use crate::plan::{Skip, SkipReason};

    /// Records of the jobs `0`, `1`, ...
    fn journal(count: i64) -> Journal {
        let mut journal = Journal::default();
        for number in 0..count {
            let at = Timestamp::from_ms(number);
            let skip = Skip {
                first: at,
                last: at,
                count: 1,
                reason: SkipReason::Paused,
            };
            let record = SkipRecord::new(number.to_string().parse().unwrap(), &skip);
            journal.append(at, Record::Skip(record));
        }
        journal
    }

    fn onward(journal: &Journal, after: u64, limit: usize) -> (Vec<String>, String) {
        let query = HistoryQuery {
            limit,
            ..HistoryQuery::default()
        };
        let page = journal.onward(&query, after);
        let jobs = page.entries.iter().map(|e| e.record.job().to_string());
        (jobs.collect(), page.position)
    }

    #[test]
    fn readers_who_fell_behind_go_on_with_what_is_left() {
        let mut journal = journal(10);
        assert_eq!(onward(&journal, 2, 3).0, ["2", "3", "4"]);
        journal.trim(4, 1_000);
        let kept = ["6", "7", "8", "9"].map(str::to_owned).to_vec();
        assert_eq!(onward(&journal, 2, 100), (kept, "10".to_owned()));
        assert_eq!(
            onward(&journal, 8, 1),
            (vec!["8".to_owned()], "9".to_owned())
        );
        assert_eq!(onward(&journal, 10, 100), (Vec::new(), "10".to_owned()));
        assert_eq!(onward(&journal, 0, 0), (Vec::new(), "6".to_owned()));
    }

    #[test]
    fn it_never_outgrows_its_bound_by_much() {
        let mut journal = journal(5_000);
        journal.trim(100, 10);
        let one = journal.entries[0].clone();
        for _ in 0..10_000 {
            journal.append(one.at, one.record.clone());
        }
        assert!(journal.entries.len() <= 100 + MARGIN);
        assert_eq!(journal.end(), 15_000);
    }

    #[test]
    fn trimming_is_bounded() {
        let mut journal = journal(10);
        assert_eq!(journal.trim(2, 3), 3);
        assert_eq!(onward(&journal, 0, 100).0.len(), 7);
        assert_eq!(journal.trim(100, 3), 0);
        assert_eq!(onward(&journal, 0, 100).0.len(), 7);
    }
}
