//! Looking after single runs.

use scheduler_core::store::{
    Cancel, CancelAnswer, FailedPage, FailedQuery, FailedRun, RequestId, Rerun, RerunAnswer,
    RerunItem, RunInFlight,
};
use scheduler_core::{JobId, RunId, Store};
use uuid::Uuid;

use super::retry::until_known;
use super::{Jobs, JobsError, telling};
use crate::audit::{self, Outcome};

/// How many failed runs are run again, or forgotten, in one step.
const BATCH: usize = 200;

impl<S: Store> Jobs<S> {
    /// The runs of a job that are in flight, and where they are.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn in_flight(&self, job: &JobId) -> Result<Vec<RunInFlight>, JobsError> {
        Ok(until_known(|| self.store().in_flight(job)).await?)
    }

    /// Cancels a run that waits or is executed: who does so (`by`) and `why` stand in its record.
    ///
    /// A run that waits for its next attempt ends at once; one in a queue when a node comes to it; one
    /// that is executed when its node hears of it, with its next heartbeat (within a quarter of its
    /// session's ttl: 2.5 s unless set otherwise). Its handler's token fires then. What a handler
    /// has done until it stops is done, and if it ends well all the same, the run has succeeded.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn cancel(
        &self,
        run: &RunId,
        by: Option<&str>,
        why: Option<&str>,
    ) -> Result<CancelAnswer, JobsError> {
        let request = Cancel {
            request: RequestId(Uuid::now_v7()),
            run: run.clone(),
            reason: Cancel::reason(by, why),
        };
        let answer = until_known(|| self.store().cancel(&request)).await?;
        let outcome = match answer {
            CancelAnswer::Ended | CancelAnswer::Marked => Outcome::Done,
            CancelAnswer::NotInFlight => Outcome::Refused,
        };
        let object = Some(run.to_string());
        audit::note_one(self.store(), "run_cancelled", object, outcome, why).await;
        Ok(answer)
    }
}

/// The run that a failed one becomes.
pub(crate) fn rerun_of(failed: &RunId, name: Uuid) -> RunId {
    RunId::request(failed.job.clone(), name)
}

/// What became of running failed runs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAgain {
    /// This run was made, bound to the definition that the other failed with.
    Made(RunId),
    /// There is no such failed run.
    NotFound,
    /// As many runs as the job allows are in flight: the failed run is kept.
    Full {
        /// How many that are.
        in_flight: usize,
    },
    /// Its definition cannot be read by this version: the failed run is kept.
    Unreadable,
}

impl<S: Store> Jobs<S> {
    /// A page of the runs that have failed for good, the newest first.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn failed(&self, query: &FailedQuery) -> Result<FailedPage, JobsError> {
        Ok(until_known(|| self.store().failed(query)).await?)
    }

    /// Has failed runs run again, with the definitions that they failed with; tells for each what
    /// became of it, in order. Each becomes another run: the id of the failed one has ended.
    ///
    /// # Errors
    ///
    /// The store could not answer. Some may have been made.
    pub async fn run_again(&self, failed: &[FailedRun]) -> Result<Vec<RunAgain>, JobsError> {
        self.run_again_as(failed, |_| Uuid::now_v7()).await
    }

    /// The same, for runs that are called so.
    pub(crate) async fn run_again_as(
        &self,
        failed: &[FailedRun],
        name: impl Fn(&RunId) -> Uuid,
    ) -> Result<Vec<RunAgain>, JobsError> {
        let mut outcomes = Vec::with_capacity(failed.len());
        for chunk in failed.chunks(BATCH) {
            let items = chunk.iter().filter_map(|failed| {
                Some(RerunItem {
                    failed: failed.record.run.clone(),
                    job: failed.job.clone()?,
                    run: rerun_of(&failed.record.run, name(&failed.record.run)),
                })
            });
            let request = Rerun {
                request: RequestId(Uuid::now_v7()),
                items: items.collect(),
            };
            let answers = until_known(|| self.store().rerun(&request)).await?;
            let answered = request.items.iter().zip(&answers);
            let made = answered.filter(|(_, answer)| **answer == RerunAnswer::Made);
            telling::submitted(self.store(), made.map(|(item, _)| &item.run)).await;
            let mut answered = request.items.into_iter().zip(answers);
            outcomes.extend(chunk.iter().map(|failed| {
                let asked = failed.job.as_ref().and_then(|_| answered.next());
                match asked {
                    None => RunAgain::Unreadable,
                    Some((item, RerunAnswer::Made)) => RunAgain::Made(item.run),
                    Some((_, RerunAnswer::NotFound)) => RunAgain::NotFound,
                    Some((_, RerunAnswer::Full { in_flight })) => RunAgain::Full { in_flight },
                }
            }));
        }
        Ok(outcomes)
    }

    /// Forgets failed runs. Those that are not there are no matter.
    ///
    /// # Errors
    ///
    /// The store could not answer. Some may have been forgotten.
    pub async fn purge(&self, failed: &[RunId]) -> Result<(), JobsError> {
        for chunk in failed.chunks(BATCH) {
            until_known(|| self.store().purge(chunk)).await?;
            let objects = chunk.iter().map(ToString::to_string);
            audit::note_one(self.store(), "runs_purged", objects, Outcome::Done, None).await;
        }
        Ok(())
    }
}
