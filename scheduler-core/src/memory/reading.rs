//! What people and programs read.

use super::sessions::Session;
use super::state::State;
use crate::id::{JobId, RunId, SessionId};
use crate::store::{
    HistoryPage, HistoryQuery, NodeView, Overview, RunInFlight, RunPlace, StoreError,
    StoreErrorKind, StoreResult,
};
use crate::time::Timestamp;

impl State {
    pub(super) fn history(&self, query: &HistoryQuery, now: Timestamp) -> StoreResult<HistoryPage> {
        let position = |text: &str| {
            text.parse().map_err(|_| {
                let message = format!("{text:?} is no position of this history");
                StoreError::new(StoreErrorKind::Refused, "history", message)
            })
        };
        match &query.after {
            Some(after) => Ok(self.journal.onward(query, position(after)?)),
            None => {
                // `<position>/<newer records of the job>`.
                let before = query.before.as_deref().map(|before| {
                    let (before, newer) = before.split_once('/').unwrap_or((before, "0"));
                    Ok((position(before)?, newer.parse().unwrap_or(0)))
                });
                Ok(self.journal.newest(query, before.transpose()?, now))
            }
        }
    }

    pub(super) fn runs_in_flight(&self, job: &JobId) -> Vec<RunInFlight> {
        let line: Vec<_> = self.runs.line(job).collect();
        let place = |run: &RunId| match self.sessions.claim_of(run) {
            Some((by, claim)) => RunPlace::Claimed {
                by: by.clone(),
                attempt: claim.attempt,
                fence: claim.fence,
            },
            None => match line.iter().position(|lined_up| *lined_up == run) {
                Some(before) => RunPlace::LinedUp { before },
                None => RunPlace::Waiting,
            },
        };
        let at_work = self.runs.of(job).filter(|run| !line.contains(run));
        let in_order = at_work.chain(line.iter().copied());
        let in_flight = in_order.map(|run| RunInFlight {
            run: run.clone(),
            place: place(run),
        });
        in_flight.collect()
    }

    pub(super) fn nodes(&self) -> Vec<NodeView> {
        let view = |(id, session): (&SessionId, &Session), dead| NodeView {
            session: id.clone(),
            info: Some(session.info.clone()),
            since: Some(session.since),
            deadline: session.deadline,
            running: session.running,
            led: Vec::new(),
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
            lined_up: self.runs.lined_up_count() as u64,
            retries: self.runs.retry_count() as u64,
            queues: self.runs.queues(),
            leaders: vec![self.tenure.token().cloned()],
        }
    }
}
