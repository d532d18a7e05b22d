//! What people and programs read.

use super::sessions::Session;
use super::state::State;
use crate::id::SessionId;
use crate::store::{
    HistoryPage, HistoryQuery, NodeView, Overview, StoreError, StoreErrorKind, StoreResult,
};
use crate::time::Timestamp;

impl State {
    pub(super) fn history(&self, query: &HistoryQuery) -> StoreResult<HistoryPage> {
        let Some(after) = &query.after else {
            return Ok(self.journal.newest(query));
        };
        let after = after.parse().map_err(|_| {
            let message = format!("{after:?} is no position of this history");
            StoreError::new(StoreErrorKind::Refused, "history", message)
        })?;
        Ok(self.journal.onward(query, after))
    }

    pub(super) fn nodes(&self) -> Vec<NodeView> {
        let view = |(id, session): (&SessionId, &Session), dead| NodeView {
            session: id.clone(),
            info: Some(session.info.clone()),
            since: Some(session.since),
            deadline: session.deadline,
            running: session.running,
            leads: self.tenure.token().is_some_and(|t| t.session == *id),
            dead,
        };
        let live = self.sessions.all_live().map(|node| view(node, false));
        live.chain(self.sessions.all_dead().map(|node| view(node, true)))
            .collect()
    }

    pub(super) fn overview(&self, now: Timestamp) -> Overview {
        Overview {
            now,
            jobs: self.catalog.len() as u64,
            scheduled: self.schedule.len() as u64,
            due: self.schedule.overdue(now).count() as u64,
            busy: self.runs.busy_count() as u64,
            retries: self.runs.retry_count() as u64,
            queues: self.runs.queues(),
            leader: self.tenure.token().cloned(),
        }
    }
}
