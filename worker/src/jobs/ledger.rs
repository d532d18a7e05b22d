//! What became of a job's fire times: gathering what is known.

use std::time::Duration;

use scheduler_core::ledger::Facts;
use scheduler_core::store::{HistoryEntry, HistoryQuery, StoreResult};
use scheduler_core::{JobId, Store, Timestamp};

use super::JobsError;
use super::client::Jobs;
use super::retry::until_known;

/// How many records of one job are gathered; of more, those nearest to the time in question.
const MOST: usize = 20_000;

/// How many records are read in one step.
const PAGE: usize = 500;

impl<S: Store> Jobs<S> {
    /// All that is known of what became of a job's fire times since `from`, for
    /// [`fate`](scheduler_core::ledger::fate) to decide from.
    ///
    /// Reads history back to `from`, page by page.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn facts(&self, id: &JobId, from: Timestamp) -> Result<Facts, JobsError> {
        // What ends while history is read is in flight, or in history, or both: never in neither.
        let in_flight = until_known(|| self.store().in_flight(id)).await?;
        let (records, cut) = self.records(id, from).await?;
        let history_from = reach(self.oldest_record().await?, &records, cut);
        let read = self.read(id).await?;
        Ok(Facts {
            unreadable: read.unreadable.map(|unreadable| unreadable.why),
            stored: read.stored,
            fired: read.fired,
            records,
            history_from,
            in_flight,
            now: read.now,
        })
    }

    /// The job's records, and where its policy keeps no more.
    async fn records(
        &self,
        id: &JobId,
        from: Timestamp,
    ) -> StoreResult<(Vec<HistoryEntry>, Option<Timestamp>)> {
        let mut query = HistoryQuery {
            job: Some(id.clone()),
            since: Some(from),
            limit: PAGE,
            ..HistoryQuery::default()
        };
        let mut records = std::collections::VecDeque::new();
        loop {
            let page = until_known(|| self.store().history(&query)).await?;
            records.extend(page.entries);
            while records.len() > MOST {
                records.pop_front();
            }
            match page.older {
                Some(older) => query.before = Some(older),
                None => return Ok((records.into(), page.cut)),
            }
        }
    }

    async fn oldest_record(&self) -> StoreResult<Option<Timestamp>> {
        let query = HistoryQuery {
            after: Some("0".to_owned()),
            limit: 1,
            ..HistoryQuery::default()
        };
        let page = until_known(|| self.store().history(&query)).await?;
        Ok(page.entries.first().map(|entry| entry.at))
    }
}

/// How far back the history of one job goes: all jobs' from the `oldest` record on, further where
/// more is kept of this job, and less far where its policy `cut` it.
fn reach(
    oldest: Option<Timestamp>,
    records: &[HistoryEntry],
    cut: Option<Timestamp>,
) -> Option<Timestamp> {
    let oldest_of_job = records.iter().map(|entry| entry.at).min();
    match cut {
        Some(cut) => Some(cut.after(Duration::from_millis(1))),
        None => oldest.into_iter().chain(oldest_of_job).min(),
    }
}

#[cfg(test)]
mod tests {
    use scheduler_core::history::{Record, SkipRecord};
    use scheduler_core::plan::{Skip, SkipReason};

    use super::*;

    fn written(ms: i64) -> HistoryEntry {
        let at = Timestamp::from_ms(ms);
        let skip = Skip {
            first: at,
            last: at,
            count: 1,
            reason: SkipReason::Paused,
        };
        let record = SkipRecord::new(JobId::new("a").unwrap(), &skip);
        HistoryEntry {
            position: String::new(),
            at,
            record: Record::Skip(record),
        }
    }

    #[test]
    fn the_history_of_one_job_may_go_further_back_than_all_jobs_or_less_far() {
        let at = |ms| Some(Timestamp::from_ms(ms));
        let records = [written(300), written(50)];
        assert_eq!(reach(at(100), &records, None), at(50));
        assert_eq!(reach(at(100), &records[..1], None), at(100));
        assert_eq!(reach(at(100), &[], None), at(100));
        assert_eq!(reach(None, &records, None), at(50));
        assert_eq!(reach(None, &[], None), None);
        // What was written at 200 is not shown.
        assert_eq!(reach(at(100), &records[..1], at(200)), at(201));
    }
}
