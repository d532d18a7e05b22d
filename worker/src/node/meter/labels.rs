//! What runs are told apart by.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use scheduler_core::JobId;
use scheduler_core::history::RunRecord;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RunLabels {
    pub(super) task: String,
    pub(super) queue: String,
    pub(super) outcome: &'static str,
    pub(super) job: Option<JobId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct QueueLabels {
    pub(super) queue: String,
    pub(super) job: Option<JobId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TaskLabels {
    pub(super) task: String,
    pub(super) job: Option<JobId>,
}

impl EncodeLabelSet for RunLabels {
    fn encode(&self, to: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("task", self.task.as_str()).encode(to.encode_label())?;
        ("queue", self.queue.as_str()).encode(to.encode_label())?;
        ("outcome", self.outcome).encode(to.encode_label())?;
        encode_job(self.job.as_ref(), to)
    }
}

impl EncodeLabelSet for QueueLabels {
    fn encode(&self, to: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("queue", self.queue.as_str()).encode(to.encode_label())?;
        encode_job(self.job.as_ref(), to)
    }
}

impl EncodeLabelSet for TaskLabels {
    fn encode(&self, to: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("task", self.task.as_str()).encode(to.encode_label())?;
        encode_job(self.job.as_ref(), to)
    }
}

fn encode_job(job: Option<&JobId>, to: &mut LabelSetEncoder<'_>) -> fmt::Result {
    match job {
        Some(job) => ("job", job.as_str()).encode(to.encode_label()),
        None => Ok(()),
    }
}

/// Which jobs have a label: the first so many that ran here. Those that come later have none, and are
/// counted together.
#[derive(Debug, Default)]
pub(super) struct LabelledJobs {
    most: AtomicUsize,
    known: Mutex<HashSet<JobId>>,
}

impl LabelledJobs {
    pub(super) fn allow(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Whether a label tells these apart.
    pub(super) fn tell_apart(&self, one: &RunRecord, other: &RunRecord) -> bool {
        self.most.load(Ordering::Relaxed) > 0 && one.run.job != other.run.job
    }

    /// The label of a job, if it has one.
    pub(super) fn of(&self, job: &JobId) -> Option<JobId> {
        let most = self.most.load(Ordering::Relaxed);
        if most == 0 {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(job) {
            if known.len() >= most {
                return None;
            }
            known.insert(job.clone());
        }
        Some(job.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_jobs_have_a_label_and_no_more() {
        let job = |name: &str| JobId::new(name).unwrap();
        let jobs = LabelledJobs::default();
        assert_eq!(jobs.of(&job("a")), None);
        jobs.allow(2);
        for _ in 0..2 {
            assert_eq!(jobs.of(&job("a")), Some(job("a")));
            assert_eq!(jobs.of(&job("b")), Some(job("b")));
            assert_eq!(jobs.of(&job("c")), None);
        }
        assert_eq!(jobs.known.lock().unwrap().len(), 2);
    }
}
