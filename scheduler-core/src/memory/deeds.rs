//! Who changed what.

use std::collections::VecDeque;

use super::requests::Answer;
use super::state::State;
use crate::audit::{Audit, AuditEntry, AuditPage, AuditQuery, KEPT};
use crate::store::{StoreError, StoreErrorKind, StoreResult};
use crate::time::Timestamp;

/// The last deeds, the oldest first, each with its number.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    kept: VecDeque<(u64, AuditEntry)>,
    last: u64,
}

impl Deeds {
    fn page(&self, query: &AuditQuery) -> StoreResult<AuditPage> {
        let before = query.before.as_deref().map(|text| {
            text.parse::<u64>().map_err(|_| {
                let message = format!("{text:?} is no place among deeds");
                StoreError::new(StoreErrorKind::Refused, "audited", message)
            })
        });
        let before = before.transpose()?.unwrap_or(u64::MAX);
        let older = self
            .kept
            .iter()
            .rev()
            .filter(|(number, _)| *number < before);
        let mut wanted = older.filter(|(_, entry)| query.wants(&entry.deed));
        let found: Vec<_> = wanted.by_ref().take(query.limit).collect();
        let last = found.last().map(|(number, _)| number.to_string());
        Ok(AuditPage {
            older: wanted.next().and(last),
            entries: found.into_iter().map(|(_, entry)| entry.clone()).collect(),
        })
    }
}

impl State {
    pub(super) fn audit(&mut self, request: &Audit, now: Timestamp) -> StoreResult<()> {
        match self.requests.answer(request.request) {
            Some(Answer::Audited) => return Ok(()),
            Some(other) => return other.mismatch("audit"),
            None => {}
        }
        self.requests.keep(request.request, now, Answer::Audited);
        let deeds = &mut self.deeds;
        for deed in &request.deeds {
            deeds.last += 1;
            let deed = deed.clone();
            deeds
                .kept
                .push_back((deeds.last, AuditEntry { at: now, deed }));
        }
        while deeds.kept.len() > KEPT {
            deeds.kept.pop_front();
        }
        Ok(())
    }

    pub(super) fn audited(&self, query: &AuditQuery) -> StoreResult<AuditPage> {
        self.deeds.page(query)
    }
}
