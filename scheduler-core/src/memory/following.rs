//! Runs that follow runs: the leader's operations, and what changes of jobs mean for them.

use std::collections::BTreeMap;

use super::state::State;
use crate::after::{self, After, Cursor, Follow, Follower, Position, Trail, TrailEntry};
use crate::history::Record;
use crate::id::JobId;
use crate::store::{FollowAnswer, FollowUp};
use crate::time::Timestamp;

/// Who follows whom, and up to where history was followed.
#[derive(Debug, Default)]
pub(super) struct Following {
    followers: BTreeMap<JobId, (After, Position)>,
    cursor: Option<Cursor>,
}

impl Following {
    pub(super) fn is_empty(&self) -> bool {
        self.followers.is_empty()
    }

    /// Notes whom a job follows from now on; `end` is where history ends. Who goes on following the
    /// same misses nothing.
    pub(super) fn set(&mut self, job: &JobId, after: Option<&After>, end: Position) {
        match after {
            Some(after)
                if self
                    .followers
                    .get(job)
                    .is_some_and(|(known, _)| known == after) => {}
            Some(after) => {
                self.followers.insert(job.clone(), (after.clone(), end));
            }
            None => {
                self.followers.remove(job);
            }
        }
    }

    pub(super) fn forget(&mut self, job: &JobId) {
        self.followers.remove(job);
    }

    /// Whom a job follows.
    pub(super) fn followed_by(&self, job: &JobId) -> Option<&After> {
        self.followers.get(job).map(|(after, _)| after)
    }

    /// Whether a job that followed `after` would follow itself.
    pub(super) fn closes_circle(&self, job: &JobId, after: &After) -> bool {
        let leads = |job: &JobId| self.followed_by(job).map(|after| after.job.clone());
        after::circle(job, &after.job, leads).is_some()
    }
}

impl State {
    pub(super) fn trail(&self, limit: usize) -> Trail {
        let cursor = self.following.cursor.clone();
        let followers = self.following.followers.iter();
        let followers: Vec<_> = followers
            .filter_map(|(job, (after, since))| {
                let entry = self.catalog.get(job)?;
                Some(Follower {
                    job: job.clone(),
                    version: entry.version,
                    after: after.clone(),
                    since: *since,
                    is_paused: entry.state.is_paused(),
                })
            })
            .collect();
        let Some(first) = followers.iter().map(|follower| follower.since).min() else {
            return Trail {
                cursor,
                is_all: true,
                ..Trail::default()
            };
        };
        // One record is one entry here: a cursor within one lies before the next.
        let done = cursor.as_ref().map_or(first, |cursor| {
            let whole = u64::from(cursor.within.is_none());
            first.max(Position((cursor.at.0 + whole).saturating_sub(1), 0))
        });
        let mut entries: Vec<_> = self.journal.from(done.0).take(limit + 1).collect();
        let is_all = entries.len() <= limit;
        entries.truncate(limit);
        let entries = entries.into_iter().map(|(number, entry)| TrailEntry {
            position: Position(number, 0),
            at: entry.at,
            records: match &entry.record {
                Record::Run(record) => vec![(0, record.clone())],
                Record::Skip(_) => Vec::new(),
            },
        });
        Trail {
            cursor,
            followers,
            entries: entries.collect(),
            is_all,
        }
    }

    pub(super) fn follow(&mut self, request: &FollowUp, now: Timestamp) -> FollowAnswer {
        if !self.tenure.progress(&request.token) {
            return FollowAnswer::LeaseLost;
        }
        let mut items = request.items.iter();
        let is_as_read = self.following.cursor == request.from
            && items.all(|item| self.catalog.version(&item.job) == Some(item.version));
        if !is_as_read {
            return FollowAnswer::Changed;
        }
        for item in &request.items {
            let (run, full) = match &item.follow {
                Follow::Skip(record) => {
                    self.journal.append(now, Record::Skip(record.clone()));
                    continue;
                }
                Follow::Run(run, full) => (run, full),
            };
            if self.runs.is_busy(run) {
                continue;
            }
            let most = item.max_instances.saturating_add(item.max_lined_up);
            if self.runs.in_flight(&item.job) >= most {
                self.journal.append(now, Record::Skip(full.clone()));
            } else {
                self.place_run(run.clone(), &item.queue, item.priority, item.max_instances);
            }
        }
        self.following.cursor = Some(request.to.clone());
        FollowAnswer::Followed
    }
}
