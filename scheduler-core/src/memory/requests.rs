//! Answers to clients' requests, kept for whoever asks again because the answer was lost.

use std::collections::HashMap;

use crate::store::{
    CancelAnswer, Changed, Recall, Recalled, Recalling, RequestId, RerunAnswer, RunNowAnswer,
    Steered, StoreError, StoreErrorKind, StoreResult,
};
use crate::time::Timestamp;

/// What was answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Put(Vec<Changed>),
    Removed(Changed),
    Superseded(Changed),
    RunNow(RunNowAnswer),
    Cancelled(CancelAnswer),
    Rerun(Vec<RerunAnswer>),
    Steered(Steered),
    Audited,
    Recalled(Used),
}

/// What a client's key was used for.
#[derive(Clone, Debug)]
pub(super) struct Used {
    by: RequestId,
    fingerprint: String,
    since: Timestamp,
    answer: Option<String>,
}

impl Answer {
    /// The error of an id that was used for a request of another kind.
    pub(super) fn mismatch<T>(self, operation: &'static str) -> StoreResult<T> {
        let message = format!("the request id was used before, and answered {self:?}");
        Err(StoreError::new(StoreErrorKind::Refused, operation, message))
    }
}

/// Answers by request id.
#[derive(Debug, Default)]
pub(super) struct Requests(HashMap<RequestId, (Timestamp, Answer)>);

impl Requests {
    pub(super) fn answer(&self, request: RequestId) -> Option<Answer> {
        self.0.get(&request).map(|(_, answer)| answer.clone())
    }

    pub(super) fn keep(&mut self, request: RequestId, now: Timestamp, answer: Answer) {
        self.0.insert(request, (now, answer));
    }

    pub(super) fn recall(&mut self, request: &Recall, now: Timestamp) -> StoreResult<Recalled> {
        let used = match self.answer(request.key) {
            None => None,
            Some(Answer::Recalled(used)) => Some(used),
            Some(other) => return other.mismatch("recall"),
        };
        let fingerprint = request.fingerprint.clone();
        let is_its = used.as_ref().is_none_or(|used| used.by == request.by);
        let mut used = used.unwrap_or(Used {
            by: request.by,
            fingerprint,
            since: now,
            answer: None,
        });
        if used.fingerprint != request.fingerprint {
            return Ok(Recalled::Other);
        }
        if !is_its {
            return Ok(match used.answer {
                Some(answer) => Recalled::Answered(answer),
                None => Recalled::Pending(used.since),
            });
        }
        let since = used.since;
        match &request.what {
            Recalling::Take => {}
            Recalling::Keep(answer) => used.answer = Some(answer.clone()),
            Recalling::Free => {
                self.0.remove(&request.key);
                return Ok(Recalled::Yours(since));
            }
        }
        self.keep(request.key, since, Answer::Recalled(used));
        Ok(Recalled::Yours(since))
    }

    /// Forgets up to `limit` answers that are older than `is_past` allows; says how many.
    pub(super) fn forget(&mut self, limit: usize, is_past: impl Fn(Timestamp) -> bool) -> usize {
        let past = self.0.iter().filter(|(_, (at, _))| is_past(*at));
        let past: Vec<_> = past.map(|(request, _)| *request).take(limit).collect();
        for request in &past {
            self.0.remove(request);
        }
        past.len()
    }
}
