//! Operations of those who look after single runs.

use super::requests::Answer;
use super::state::State;
use crate::history::Record;
use crate::id::{RunId, Version};
use crate::notes::{Note, NoteAnswer};
use crate::store::{Cancel, CancelAnswer, FailedRun, Rerun, RerunAnswer, RerunItem, StoreResult};
use crate::time::Timestamp;

impl State {
    pub(super) fn cancel(&mut self, request: &Cancel, now: Timestamp) -> StoreResult<CancelAnswer> {
        match self.requests.answer(request.request) {
            Some(Answer::Cancelled(answer)) => return Ok(answer),
            Some(other) => return other.mismatch("cancel"),
            None => {}
        }
        let answer = self.cancel_run(request, now);
        let kept = Answer::Cancelled(answer);
        self.requests.keep(request.request, now, kept);
        Ok(answer)
    }

    fn cancel_run(&mut self, request: &Cancel, now: Timestamp) -> CancelAnswer {
        let run = &request.run;
        if !self.runs.is_busy(run) {
            return CancelAnswer::NotInFlight;
        }
        if let Some((queue, waiting)) = self.runs.take_delayed(run) {
            let marked = self.runs.take_cancelled(run);
            let reason = marked.unwrap_or_else(|| request.reason.clone());
            self.end_cancelled(waiting.run, waiting.attempt, &queue, reason, now);
            return CancelAnswer::Ended;
        }
        self.runs.mark_cancelled(run, &request.reason);
        CancelAnswer::Marked
    }

    pub(super) fn rerun(
        &mut self,
        request: &Rerun,
        now: Timestamp,
    ) -> StoreResult<Vec<RerunAnswer>> {
        match self.requests.answer(request.request) {
            Some(Answer::Rerun(answers)) => return Ok(answers),
            Some(other) => return other.mismatch("rerun"),
            None => {}
        }
        let items = request.items.iter();
        let answers: Vec<_> = items.map(|item| self.rerun_one(item, now)).collect();
        let kept = Answer::Rerun(answers.clone());
        self.requests.keep(request.request, now, kept);
        Ok(answers)
    }

    fn rerun_one(&mut self, item: &RerunItem, now: Timestamp) -> RerunAnswer {
        let RerunItem { failed, job, run } = item;
        if !self.failed.contains(failed) {
            return RerunAnswer::NotFound;
        }
        let in_flight = self.runs.in_flight(job.id());
        let limit = job.policy().max_instances.get();
        if in_flight >= usize::try_from(limit).unwrap_or(usize::MAX) {
            return RerunAnswer::Full { in_flight };
        }
        let version = Version(self.next_number(0));
        self.catalog.keep_bound(version, job.clone());
        self.runs
            .begin_bound(run.clone(), version, job.queue(), job.policy().priority);
        self.rings.ready(job.queue());
        self.failed.forget(failed);
        let record = FailedRun::rerun_record(failed, job, run);
        self.journal.append(now, Record::Run(record));
        RerunAnswer::Made
    }

    pub(super) fn note(&mut self, request: &Note, now: Timestamp) -> NoteAnswer {
        if self.sessions.live(&request.session).is_none() {
            return NoteAnswer::Gone;
        }
        self.notes.keep(request, now);
        NoteAnswer::Noted
    }

    pub(super) fn purge(&mut self, runs: &[RunId]) {
        for run in runs {
            self.failed.forget(run);
        }
    }
}
