//! The versions of due jobs, as far as the leader knows them already.
//!
//! `changed` holds the number of the last change that gave a job a version. While it is what it was, each
//! job that is stored has the version that it had. So a leader whose jobs fire again and again needs to be
//! told no versions with a look, and to name none in a dispatch: one comparison stands for those of the
//! whole batch. Where `changed` is another, versions are told and compared job by job.
//!
//! The number is from the shard's counter, and so never given twice, also not after a failover.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use scheduler_core::Version;
use scheduler_core::store::DispatchItem;

/// How many are known at most.
const MOST: usize = 200_000;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct KnownVersions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What `changed` was when the jobs had these versions.
    changed: String,
    versions: HashMap<String, Version>,
    /// Whether the last look found due jobs, and all of them here.
    knows_all: bool,
}

impl KnownVersions {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `changed` is if all versions that will be needed are known, as far as that can be foreseen.
    pub(super) fn changed(&self) -> Option<String> {
        let known = self.known();
        known.knows_all.then(|| known.changed.clone())
    }

    /// The same, if these items have the versions that are known.
    pub(super) fn changed_for(&self, items: &[DispatchItem]) -> Option<String> {
        let known = self.known();
        let is_known =
            |item: &DispatchItem| known.versions.get(item.job.as_str()) == Some(&item.version);
        (known.knows_all && items.iter().all(is_known)).then(|| known.changed.clone())
    }

    /// Forgets all.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    /// The versions of due jobs, those that were told, or those that are known where none was; none where
    /// one is neither. A job without a version has 0, under which no definition is found; what is no
    /// number is no version.
    pub(super) fn of(
        &self,
        changed: &str,
        jobs: &[String],
        told: Vec<Option<String>>,
    ) -> Option<Vec<Option<Version>>> {
        let mut known = self.known();
        if jobs.is_empty() {
            return Some(Vec::new());
        }
        if told.len() < jobs.len() {
            let is_same = known.changed == changed;
            let version = |job: &String| known.versions.get(job).map(|version| Some(*version));
            let versions: Option<Vec<_>> = jobs.iter().map(version).collect();
            known.knows_all = is_same && versions.is_some();
            return versions.filter(|_| is_same);
        }
        if known.changed != changed || known.versions.len() + jobs.len() > MOST {
            *known = Known::default();
            changed.clone_into(&mut known.changed);
        }
        let mut knew_all = !changed.is_empty();
        let versions = jobs.iter().zip(told).map(|(job, told)| {
            let version = told.map_or(Some(0), |version| version.parse().ok());
            let version = version.map(Version);
            match version {
                Some(version) if version.0 != 0 => {
                    if known.versions.get(job) != Some(&version) {
                        knew_all = false;
                        known.versions.insert(job.clone(), version);
                    }
                }
                _ => knew_all = false,
            }
            version
        });
        let versions = versions.collect();
        known.knows_all = knew_all;
        Some(versions)
    }
}
