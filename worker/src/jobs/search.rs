//! Finding jobs among many: page by page, holding no more than was asked for.

use std::collections::{BTreeMap, BTreeSet};

use scheduler_core::{JobId, QueueName, Standing, StoredJob, Tag, TaskName, Timestamp};

use super::JobList;

/// Which jobs to find: those that meet all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// They have all these tags.
    pub tags: Vec<Tag>,
    /// They run this task.
    pub task: Option<TaskName>,
    /// Their runs wait in this queue.
    pub queue: Option<QueueName>,
    /// They stand so.
    pub standing: Option<Standing>,
    /// They are declared by this file or service.
    pub owner: Option<String>,
    /// This text is somewhere in their id, name, task or a tag, in capitals or not.
    pub text: Option<String>,
    /// In which order.
    pub order: JobOrder,
    /// Only the first so many. Defaults to all.
    pub limit: Option<usize>,
}

/// In which order jobs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobOrder {
    /// By id.
    #[default]
    Id,
    /// By when they run next; those that do not come last.
    Next,
}

impl JobQuery {
    /// Whether a job is one of those.
    #[must_use]
    pub fn matches(&self, stored: &StoredJob) -> bool {
        let job = &stored.job;
        let is_there = |text: &String| {
            let text = text.to_lowercase();
            let holds = |value: &str| value.to_lowercase().contains(&text);
            holds(job.id().as_str())
                || holds(job.name())
                || holds(job.task().as_str())
                || job.tags().iter().any(|tag| holds(tag.as_str()))
        };
        self.tags.iter().all(|tag| job.tags().contains(tag))
            && self.task.as_ref().is_none_or(|task| task == job.task())
            && self.queue.as_ref().is_none_or(|queue| queue == job.queue())
            && self
                .standing
                .is_none_or(|wanted| wanted == stored.standing())
            && (self.owner.is_none() || self.owner.as_deref() == job.owner())
            && self.text.as_ref().is_none_or(is_there)
    }

    pub(super) fn place(&self, stored: &StoredJob) -> Place {
        let next = match self.order {
            JobOrder::Id => None,
            JobOrder::Next => Some(stored.next_fire.unwrap_or(Timestamp::MAX)),
        };
        (next, stored.job.id().clone())
    }
}

/// Where a job stands in the order.
pub(super) type Place = (Option<Timestamp>, JobId);

/// What has been found so far.
pub(super) struct Found<'a> {
    query: &'a JobQuery,
    jobs: BTreeMap<Place, StoredJob>,
    unreadable: BTreeSet<(String, String)>,
}

impl<'a> Found<'a> {
    pub(super) const fn of(query: &'a JobQuery) -> Self {
        Self {
            query,
            jobs: BTreeMap::new(),
            unreadable: BTreeSet::new(),
        }
    }

    /// Takes in a page; one may show again what an earlier one showed.
    pub(super) fn take_in(&mut self, jobs: Vec<StoredJob>, unreadable: Vec<(String, String)>) {
        self.unreadable.extend(unreadable);
        for stored in jobs.into_iter().filter(|job| self.query.matches(job)) {
            self.jobs.insert(self.query.place(&stored), stored);
            if self
                .query
                .limit
                .is_some_and(|limit| self.jobs.len() > limit)
            {
                self.jobs.pop_last();
            }
        }
    }

    pub(super) fn into_list(self) -> JobList {
        let mut seen = BTreeSet::new();
        let mut jobs: Vec<_> = self.jobs.into_values().collect();
        // One that fired while the pages were read may stand there twice.
        jobs.retain(|stored| seen.insert(stored.job.id().clone()));
        JobList {
            jobs,
            unreadable: self.unreadable.into_iter().collect(),
        }
    }
}
