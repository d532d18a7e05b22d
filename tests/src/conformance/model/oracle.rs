//! What must be so, told by answers alone.

use std::collections::{BTreeMap, BTreeSet};

use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::plan::Skip;
use scheduler_core::run::{Claim, Outcome};
use scheduler_core::store::DispatchItem;
use scheduler_core::{Fence, Job, JobId, RunId, SessionId, Timestamp};

use crate::conformance::Sight;

/// Where a run is, as far as answers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Waiting,
    Held(SessionId, Fence),
    Ended,
}

/// Keeps account of all that was answered.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    runs: BTreeMap<RunId, Place>,
    fired: BTreeMap<JobId, Timestamp>,
    skips: Vec<SkipRecord>,
    highest: u64,
}

impl Oracle {
    /// A number that was given for the first time: greater than all before.
    pub(super) fn rise(&mut self, number: u64) {
        assert!(number > self.highest, "{number} after {}", self.highest);
        self.highest = number;
    }

    /// An item was dispatched, of this definition.
    pub(super) fn dispatched(&mut self, item: &DispatchItem, job: &Job) {
        let plan = &item.plan;
        for at in &plan.runs {
            self.made(&RunId::fire(item.job.clone(), *at));
        }
        let skipped: u64 = plan.skips.iter().map(|skip| skip.count).sum();
        let due = job.stretch(item.due, plan.settled, u64::MAX);
        assert_eq!(due.count, skipped + plan.runs.len() as u64, "{item:#?}");
        assert_eq!((due.last, due.next), (plan.settled, plan.next), "{item:#?}");
        self.settle(&item.job, item.due, plan.settled);
        self.skipped_in_plan(&item.job, &plan.skips);
    }

    /// Fire times were skipped by a change.
    pub(super) fn skipped(&mut self, job: &JobId, skips: &[Skip]) {
        for skip in skips {
            self.settle(job, skip.first, skip.last);
        }
        self.skipped_in_plan(job, skips);
    }

    fn skipped_in_plan(&mut self, job: &JobId, skips: &[Skip]) {
        let records = skips.iter().map(|skip| SkipRecord::new(job.clone(), skip));
        self.skips.extend(records);
    }

    fn settle(&mut self, job: &JobId, first: Timestamp, last: Timestamp) {
        if let Some(fired) = self.fired.get(job) {
            assert!(
                first > *fired,
                "{job}: {first} is settled again, after {fired}"
            );
        }
        self.fired.insert(job.clone(), last);
    }

    /// A run was made.
    pub(super) fn made(&mut self, run: &RunId) {
        let before = self.runs.insert(run.clone(), Place::Waiting);
        assert_eq!(before, None, "{run} was made before");
    }

    /// A run was claimed.
    pub(super) fn claimed(&mut self, session: &SessionId, claim: &Claim) {
        self.rise(claim.fence.0);
        let held = Place::Held(session.clone(), claim.fence);
        let before = self.runs.insert(claim.run.clone(), held);
        assert_eq!(before, Some(Place::Waiting), "{claim:?}");
    }

    /// Whether a session holds a claim.
    pub(super) fn holds(&self, session: &SessionId, claim: &Claim) -> bool {
        self.runs.get(&claim.run) == Some(&Place::Held(session.clone(), claim.fence))
    }

    /// A held run went back, or ended.
    pub(super) fn settled(&mut self, run: &RunId, ended: bool) {
        let place = if ended { Place::Ended } else { Place::Waiting };
        let before = self.runs.insert(run.clone(), place);
        assert!(matches!(before, Some(Place::Held(..))), "{run}: {before:?}");
    }

    /// Compares what a store shows with what was answered.
    pub(super) fn check(&mut self, sight: &Sight) {
        let mut ended = BTreeSet::new();
        let mut skips = Vec::new();
        for record in sight.records() {
            match record {
                Record::Run(record) if record.outcome == Outcome::Retrying => {}
                Record::Run(record) => {
                    assert!(
                        ended.insert(record.run.clone()),
                        "{} ended twice",
                        record.run
                    );
                    // The store ends waiting runs itself whose job is gone.
                    if record.outcome == Outcome::Removed {
                        let place = self.runs.insert(record.run, Place::Ended);
                        assert!(
                            matches!(place, Some(Place::Waiting | Place::Ended)),
                            "{place:?}"
                        );
                    }
                }
                Record::Skip(record) => skips.push(record),
            }
        }
        assert_eq!(skips, self.skips, "recorded skips");
        let count = |is: fn(&Place) -> bool| self.runs.values().filter(|p| is(p)).count() as u64;
        assert_eq!(
            ended.len() as u64,
            count(|p| *p == Place::Ended),
            "one record for each end"
        );
        let waiting = count(|p| *p == Place::Waiting);
        assert_eq!(sight.waiting() + sight.retries, waiting, "runs that wait");
        let dead: u64 = sight.dead.values().map(|claims| claims.len() as u64).sum();
        assert_eq!(
            sight.held + dead,
            count(|p| matches!(p, Place::Held(..))),
            "held runs"
        );
        for stored in sight.jobs.values() {
            assert_eq!(stored.fired, self.fired.get(stored.job.id()).copied());
        }
    }

    /// The highest settled fire time of a job.
    pub(super) fn fired(&self, job: &JobId) -> Option<Timestamp> {
        self.fired.get(job).copied()
    }
}
