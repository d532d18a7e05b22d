//! What became of a job's fire times: gathering what is known.

use scheduler_core::ledger::Facts;
use scheduler_core::store::{HistoryQuery, StoreResult};
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
        let records = self.records(id, from).await?;
        let read = self.read(id).await?;
        Ok(Facts {
            unreadable: read.unreadable.map(|unreadable| unreadable.why),
            stored: read.stored,
            fired: read.fired,
            records,
            history_from: self.oldest_record().await?,
            in_flight,
            now: read.now,
        })
    }

    async fn records(
        &self,
        id: &JobId,
        from: Timestamp,
    ) -> StoreResult<Vec<scheduler_core::store::HistoryEntry>> {
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
                None => return Ok(records.into()),
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
