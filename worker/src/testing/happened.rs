//! What happened within a step of a test.

use scheduler_core::history::{Record, RunRecord, SkipRecord};

/// What history tells of one step: the attempts that ended, and the fire times that were skipped,
/// in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened(Vec<Record>);

impl Happened {
    pub(super) const fn new(records: Vec<Record>) -> Self {
        Self(records)
    }

    /// All records.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.0
    }

    /// Whether nothing happened.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attempts that ended.
    pub fn runs(&self) -> impl Iterator<Item = &RunRecord> {
        self.0.iter().filter_map(|record| match record {
            Record::Run(run) => Some(run),
            Record::Skip(_) => None,
        })
    }

    /// The fire times that were skipped.
    pub fn skips(&self) -> impl Iterator<Item = &SkipRecord> {
        self.0.iter().filter_map(|record| match record {
            Record::Skip(skip) => Some(skip),
            Record::Run(_) => None,
        })
    }

    /// What happened to this job.
    #[must_use]
    pub fn of(&self, job: &str) -> Self {
        let is_of = |record: &&Record| match record {
            Record::Run(run) => run.run.job.as_str() == job,
            Record::Skip(skip) => skip.job.as_str() == job,
        };
        Self(self.0.iter().filter(is_of).cloned().collect())
    }
}
