//! Making up for fire times of the past.

use std::collections::BTreeSet;

use scheduler_core::history::Record;
use scheduler_core::ledger::{Facts, neighbours};
use scheduler_core::run::Outcome;
use scheduler_core::{Cause, JobId, JobState, QueueName, Store, Timestamp};

use super::{Jobs, JobsError};

/// What is to be made up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillWish {
    /// The job.
    pub job: JobId,
    /// The first instant.
    pub from: Timestamp,
    /// The last instant.
    pub to: Timestamp,
    /// For how many fire times at most.
    pub max: usize,
    /// The queue in which the runs wait. Defaults to the job's.
    pub queue: Option<QueueName>,
}

/// What there is to make up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackfillPlan {
    /// These fire times, the earliest first; and the first that is left for another time.
    Fires(Vec<Timestamp>, Option<Timestamp>),
    /// There is no such job.
    NotFound,
    /// The last instant lies in the future: its time will come.
    InFuture,
}

impl<S: Store> Jobs<S> {
    /// The fire times of a job's trigger, as it is today, that have not succeeded: those for which
    /// runs are to be made with [`make_up_for`](Self::make_up_for).
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn plan_backfill(&self, wish: &BackfillWish) -> Result<BackfillPlan, JobsError> {
        let facts = self.facts(&wish.job, wish.from).await?;
        if facts.stored.is_none() {
            return Ok(BackfillPlan::NotFound);
        }
        if wish.to > facts.now {
            return Ok(BackfillPlan::InFuture);
        }
        let (fires, left) = missing(wish, &facts);
        Ok(BackfillPlan::Fires(fires, left))
    }
}

/// The fire times for which a run is to be made, and the first that is left for another time.
fn missing(wish: &BackfillWish, facts: &Facts) -> (Vec<Timestamp>, Option<Timestamp>) {
    let done = done(facts);
    let Some(stored) = &facts.stored else {
        return (Vec::new(), None);
    };
    let paused = match stored.state {
        JobState::Paused { from, .. } => from,
        JobState::Active => None,
    };
    let anchor = stored.next_fire.or(paused).or(stored.fired);
    let just_before = Timestamp::from_ms(wish.from.as_ms() - 1);
    let mut next = neighbours(&stored.job, anchor, just_before).1;
    let mut fires = Vec::new();
    while let Some(fire) = next.filter(|fire| *fire <= wish.to) {
        if !done.contains(&fire) {
            if fires.len() == wish.max {
                return (fires, Some(fire));
            }
            fires.push(fire);
        }
        next = stored.job.next_after(fire);
    }
    (fires, None)
}

/// The fire times that succeeded, or whose run is in flight.
fn done(facts: &Facts) -> BTreeSet<Timestamp> {
    let fire = |cause: &Cause| match cause {
        Cause::Fire(fire) => Some(*fire),
        Cause::Request(_) => cause.stands_for(),
    };
    let succeeded = facts
        .records
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Run(run) if run.outcome == Outcome::Succeeded => fire(&run.run.cause),
            _ => None,
        });
    let in_flight = facts
        .in_flight
        .iter()
        .filter_map(|run| fire(&run.run.cause));
    succeeded.chain(in_flight).collect()
}
