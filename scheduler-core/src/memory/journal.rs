//! History: records in the order in which they were written.

use std::collections::VecDeque;

use crate::history::Record;
use crate::store::{HistoryEntry, HistoryPage, HistoryQuery};
use crate::time::Timestamp;

/// What became of fire times, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<HistoryEntry>,
    /// How many records were forgotten: positions count from the first that was ever written.
    forgotten: u64,
}

impl Journal {
    pub(super) fn append(&mut self, at: Timestamp, record: Record) {
        self.entries.push_back(HistoryEntry { at, record });
    }

    /// Forgets all but the newest `keep` records, at most `limit` at once.
    pub(super) fn trim(&mut self, keep: u64, limit: usize) {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let excess = self.entries.len().saturating_sub(keep).min(limit);
        self.entries.drain(..excess);
        self.forgotten += excess as u64;
    }

    /// A page, newest first.
    pub(super) fn newest(&self, query: &HistoryQuery) -> HistoryPage {
        let entries = self.entries.iter().rev();
        let entries = entries.filter(|entry| is_wanted(query, entry));
        HistoryPage {
            entries: entries.take(query.limit).cloned().collect(),
            position: self.end().to_string(),
        }
    }

    /// A page onward from a position, oldest first.
    pub(super) fn onward(&self, query: &HistoryQuery, after: u64) -> HistoryPage {
        let skipped = usize::try_from(after.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let mut page = HistoryPage {
            entries: Vec::new(),
            position: after.max(self.forgotten).to_string(),
        };
        for (entry, position) in self.entries.iter().zip(self.forgotten + 1..).skip(skipped) {
            if page.entries.len() == query.limit {
                break;
            }
            if is_wanted(query, entry) {
                page.entries.push(entry.clone());
            }
            page.position = position.to_string();
        }
        page
    }

    fn end(&self) -> u64 {
        self.forgotten + self.entries.len() as u64
    }
}

fn is_wanted(query: &HistoryQuery, entry: &HistoryEntry) -> bool {
    query
        .job
        .as_ref()
        .is_none_or(|job| entry.record.job() == job)
}
