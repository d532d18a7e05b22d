//! All that is known about one run.

use scheduler_core::history::{Record, RunRecord};
use scheduler_core::notes::{Notes, RunNotes};
use scheduler_core::run::Outcome;
use scheduler_core::store::{HistoryQuery, RunInFlight, RunPlace};
use scheduler_core::{RunId, Store, Timestamp};

use super::retry::until_known;
use super::{Jobs, JobsError};

/// How many records are read at once.
const PAGE: usize = 500;

/// All that is known about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// Where it is, while it is in flight.
    pub place: Option<RunPlace>,
    /// What history says of its attempts, the first first, with when that was written.
    pub records: Vec<(Timestamp, RunRecord)>,
    /// What its handlers noted, attempt by attempt, as far as it is kept still.
    pub notes: Vec<RunNotes>,
    /// The store's clock.
    pub now: Timestamp,
}

impl RunReport {
    /// How the run stands: where it is, or how it ended, as one word; `unknown` where nothing is known
    /// of it (any more).
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (&self.place, self.outcome()) {
            (Some(place), _) => place.as_str(),
            (None, Some(outcome)) => outcome.as_str(),
            (None, None) => "unknown",
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let mut outcomes = self.records.iter().map(|(_, record)| record.outcome);
        // That it was run again is no end of its own.
        outcomes.rfind(|outcome| !matches!(outcome, Outcome::Retrying | Outcome::Rerun))
    }

    /// Whether anything is known of it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.place.is_some() || !self.records.is_empty() || !self.notes.is_empty()
    }

    /// What the handler of an attempt noted.
    #[must_use]
    pub fn notes_of(&self, attempt: u32) -> Option<&Notes> {
        let mut notes = self.notes.iter();
        notes
            .find(|told| told.attempt == attempt)
            .map(|told| &told.notes)
    }
}

impl<S: Store> Jobs<S> {
    /// All that is known about a run: also one that is over, as far as history and its notes go back.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn report(&self, run: &RunId) -> Result<RunReport, JobsError> {
        // What ends while it is read is in flight, or in history, or both: never in neither.
        let in_flight = self.in_flight(&run.job).await?;
        let of_it = |found: &RunInFlight| found.run == *run;
        let place = in_flight.into_iter().find(of_it).map(|found| found.place);
        let notes = until_known(|| self.store().notes(run)).await?;
        let records = self.records_of(run).await?;
        Ok(RunReport {
            run: run.clone(),
            place,
            records,
            notes,
            now: self.now().await?,
        })
    }

    async fn records_of(&self, run: &RunId) -> Result<Vec<(Timestamp, RunRecord)>, JobsError> {
        let mut query = HistoryQuery {
            job: Some(run.job.clone()),
            since: Some(run.scheduled_at()),
            limit: PAGE,
            ..HistoryQuery::default()
        };
        let mut records = Vec::new();
        loop {
            let page = until_known(|| self.store().history(&query)).await?;
            let found = page
                .entries
                .into_iter()
                .filter_map(|entry| match entry.record {
                    Record::Run(record) if record.run == *run => Some((entry.at, record)),
                    _ => None,
                });
            records.extend(found);
            match page.older {
                Some(older) => query.before = Some(older),
                None => break,
            }
        }
        records.reverse();
        Ok(records)
    }
}
