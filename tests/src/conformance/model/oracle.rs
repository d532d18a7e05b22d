//! What must be so, told by answers alone.

use std::collections::{BTreeMap, BTreeSet};

use scheduler_core::after::Cursor;
use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::notes::{MAX_ATTEMPTS, RunNotes};
use scheduler_core::plan::Skip;
use scheduler_core::run::{Claim, Outcome};
use scheduler_core::store::{CancelAnswer, DispatchItem};
use scheduler_core::{Fence, Job, JobId, RunId, SessionId, Timestamp};

use super::keying::KeyHeld;
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
    /// Runs in flight that were cancelled.
    cancelled: BTreeSet<RunId>,
    /// Sessions that are over.
    dead: BTreeSet<SessionId>,
    /// Up to where ends of runs were followed.
    pub(super) followed: Option<Cursor>,
    /// Who holds the unique key.
    pub(super) key: KeyHeld,
    /// What was noted, by attempt.
    notes: BTreeMap<RunId, BTreeMap<u32, RunNotes>>,
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
        self.record_skips(&item.job, &plan.skips, item.note.as_deref());
    }

    /// Fire times were skipped by a change.
    pub(super) fn skipped(&mut self, job: &JobId, skips: &[Skip], detail: Option<&str>) {
        for skip in skips {
            self.settle(job, skip.first, skip.last);
        }
        self.record_skips(job, skips, detail);
    }

    fn record_skips(&mut self, job: &JobId, skips: &[Skip], detail: Option<&str>) {
        let record = |skip| SkipRecord::new(job.clone(), skip).with_detail(detail);
        self.skips.extend(skips.iter().map(record));
    }

    /// Something else was recorded as skipped.
    pub(super) fn recorded(&mut self, skip: SkipRecord) {
        self.skips.push(skip);
    }

    /// Something was noted, unless it was overtaken by then.
    pub(super) fn noted(&mut self, told: &RunNotes) {
        let attempts = self.notes.entry(told.run.clone()).or_default();
        let order = |notes: &RunNotes| (notes.fence, notes.number);
        let before = attempts.get(&told.attempt).map(order);
        if before.is_none_or(|before| before < order(told)) {
            attempts.insert(told.attempt, told.clone());
            if let Some(old) = told.attempt.checked_sub(MAX_ATTEMPTS) {
                attempts.remove(&old);
            }
        }
    }

    pub(super) fn notes_of(&self, run: &RunId) -> Vec<RunNotes> {
        let attempts = self.notes.get(run).into_iter();
        attempts.flat_map(|all| all.values().cloned()).collect()
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
        assert!(
            !self.cancelled.contains(&claim.run),
            "{claim:?} was cancelled"
        );
    }

    /// Whether a session holds a claim.
    pub(super) fn holds(&self, session: &SessionId, claim: &Claim) -> bool {
        self.runs.get(&claim.run) == Some(&Place::Held(session.clone(), claim.fence))
    }

    /// A held run went back, or ended.
    pub(super) fn settled(&mut self, run: &RunId, ended: bool) {
        // Whoever was cancelled goes nowhere any more.
        let ended = self.cancelled.remove(run) || ended;
        let place = if ended { Place::Ended } else { Place::Waiting };
        let before = self.runs.insert(run.clone(), place);
        assert!(matches!(before, Some(Place::Held(..))), "{run}: {before:?}");
    }

    /// All runs that ever were.
    pub(super) fn runs(&self) -> Vec<RunId> {
        self.runs.keys().cloned().collect()
    }

    pub(super) fn is_over(&self, run: &RunId) -> bool {
        self.runs.get(run) == Some(&Place::Ended)
    }

    /// A session is over, and what it holds is others' to settle.
    pub(super) fn died(&mut self, session: &SessionId) {
        self.dead.insert(session.clone());
    }

    pub(super) fn is_dead(&self, session: &SessionId) -> bool {
        self.dead.contains(session)
    }

    /// Cancelling a run was answered so.
    pub(super) fn cancelled(&mut self, run: &RunId, answer: CancelAnswer) {
        let place = self.runs.get(run);
        match answer {
            CancelAnswer::Ended => {
                assert_eq!(place, Some(&Place::Waiting), "{run}");
                self.runs.insert(run.clone(), Place::Ended);
            }
            CancelAnswer::Marked => {
                assert!(
                    matches!(place, Some(Place::Waiting | Place::Held(..))),
                    "{run}"
                );
                self.cancelled.insert(run.clone());
            }
            CancelAnswer::NotInFlight => assert_eq!(place, Some(&Place::Ended), "{run}"),
        }
    }

    /// Compares what a store shows with what was answered.
    pub(super) fn check(&mut self, sight: &Sight) {
        let mut ended = BTreeSet::new();
        let mut skips = Vec::new();
        for record in sight.records() {
            match record {
                Record::Run(record)
                    if matches!(record.outcome, Outcome::Retrying | Outcome::Rerun) => {}
                Record::Run(record) => {
                    assert!(
                        ended.insert(record.run.clone()),
                        "{} ended twice",
                        record.run
                    );
                    // The store ends waiting runs itself whose job is gone.
                    // So it does with those that were cancelled.
                    if matches!(record.outcome, Outcome::Removed | Outcome::Cancelled) {
                        self.cancelled.remove(&record.run);
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
        assert_eq!(
            sight.waiting() + sight.lined_up + sight.retries,
            waiting,
            "runs that wait"
        );
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
