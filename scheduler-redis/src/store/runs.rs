//! Looking after single runs.

use scheduler_core::history::{Record, RunRecord};
use scheduler_core::store::{
    Cancel, CancelAnswer, FailedPage, FailedQuery, FailedRun, Rerun, RerunAnswer, StoreError,
    StoreErrorKind, StoreResult,
};
use scheduler_core::{RunId, Timestamp};

use super::{Queues, RedisStore, score_to_timestamp};
use crate::codec;

/// How many waiting runs are looked at in one step, to find one of them.
const LOOK: usize = 1_000;

impl RedisStore {
    pub(super) async fn do_cancel(&self, request: &Cancel) -> StoreResult<CancelAnswer> {
        let run = &request.run;
        // Where it is found and moves on before the script comes, the mark meets it.
        let waits_as = self.find_waiting(run).await?;
        let mut call = self.call(&self.scripts().cancel, None, &[]);
        call.arg(request.request.as_text())
            .arg(run.to_string())
            .arg(run.job.as_str())
            .arg(&request.reason)
            .arg(waits_as.unwrap_or_default());
        let answer: String = call.send_change().await?;
        match answer.as_str() {
            "ended" => Ok(CancelAnswer::Ended),
            "marked" => Ok(CancelAnswer::Marked),
            "over" => Ok(CancelAnswer::NotInFlight),
            _ => Err(call.corrupt(format!("answer {answer:?}"))),
        }
    }

    /// The member of the retry queue that is this run, looked for in steps that block nobody.
    async fn find_waiting(&self, run: &RunId) -> StoreResult<Option<String>> {
        let mut cursor = 0_u64;
        loop {
            let mut cmd = redis::cmd("ZSCAN");
            cmd.arg(self.key("retry"))
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("* {}", escaped(&run.to_string())))
                .arg("COUNT")
                .arg(LOOK);
            let (next, found): (u64, Vec<(String, String)>) = self.query("cancel", &cmd).await?;
            let mut members = found.into_iter().map(|(member, _)| member);
            let this = members.find(|member| {
                codec::retry_from_text(member).is_some_and(|(_, waiting)| waiting.run == *run)
            });
            if this.is_some() || next == 0 {
                return Ok(this);
            }
            cursor = next;
        }
    }
}

impl RedisStore {
    pub(super) async fn read_failed(&self, query: &FailedQuery) -> StoreResult<FailedPage> {
        let after = query.after.as_deref().map(cursor_from_text).transpose()?;
        let from = match &after {
            Some((at, _)) => at.as_ms().to_string(),
            None => "+inf".to_owned(),
        };
        let (mut found, mut offset) = (Vec::new(), 0);
        while found.len() < query.limit {
            let mut cmd = redis::cmd("ZRANGE");
            cmd.arg(self.key("failed"))
                .arg(&from)
                .arg("-inf")
                .arg("BYSCORE")
                .arg("REV");
            cmd.arg("LIMIT").arg(offset).arg(LOOK).arg("WITHSCORES");
            let members: Vec<(String, String)> = self.query("failed", &cmd).await?;
            let read = members.len();
            let places = members.into_iter().filter_map(|(run, score)| {
                Some((score_to_timestamp(&score)?, run.parse::<RunId>().ok()?, run))
            });
            let wanted = places.filter(|(at, run, text)| {
                after
                    .as_ref()
                    .is_none_or(|(time, last)| at < time || text < last)
                    && query.job.as_ref().is_none_or(|job| run.job == *job)
            });
            found.extend(wanted);
            offset += read;
            if read < LOOK {
                break;
            }
        }
        found.truncate(query.limit);
        let last = found.last().filter(|_| found.len() == query.limit);
        let next = last.map(|(at, _, run)| format!("{} {run}", at.as_ms()));
        let runs = self.read_failures(found).await?;
        Ok(FailedPage { runs, next })
    }

    async fn read_failures(
        &self,
        found: Vec<(Timestamp, RunId, String)>,
    ) -> StoreResult<Vec<FailedRun>> {
        let mut runs = Vec::with_capacity(found.len());
        for chunk in found.chunks(LOOK) {
            let mut cmd = redis::cmd("HMGET");
            cmd.arg(self.key("failures"));
            for (_, _, run) in chunk {
                cmd.arg(run);
            }
            let values: Vec<Option<Vec<u8>>> = self.query("failed", &cmd).await?;
            // What was purged or run again meanwhile is no longer there.
            let read = chunk
                .iter()
                .zip(values)
                .filter_map(|((failed_at, ..), value)| {
                    let (record, job) = failure_from_value(&value?)?;
                    Some(FailedRun {
                        record,
                        failed_at: *failed_at,
                        job,
                    })
                });
            runs.extend(read);
        }
        Ok(runs)
    }

    pub(super) async fn do_rerun(&self, request: &Rerun) -> StoreResult<Vec<RerunAnswer>> {
        let mut queues = Queues::of(request.items.iter().map(|item| item.job.queue()));
        let keys = self.queue_keys(&queues);
        let mut call = self.call(&self.scripts().rerun, None, &keys);
        call.arg(request.request.as_text()).arg(request.items.len());
        for item in &request.items {
            let record = FailedRun::rerun_record(&item.failed, &item.job, &item.run);
            call.arg(item.failed.to_string())
                .arg(item.job.id().as_str())
                .arg(item.run.to_string())
                .arg(item.job.policy().max_instances.get())
                .arg(queues.list(item.job.queue(), item.job.policy().priority))
                .arg(Record::Run(record).to_line());
        }
        let answer: String = call.send_change().await?;
        let words = answer.lines().map(|line| match line.split_once(' ') {
            None if line == "made" => Some(RerunAnswer::Made),
            None if line == "gone" => Some(RerunAnswer::NotFound),
            Some(("full", number)) => Some(RerunAnswer::Full {
                in_flight: number.parse().ok()?,
            }),
            _ => None,
        });
        let answers: Option<Vec<_>> = words.collect();
        answers
            .filter(|answers| answers.len() == request.items.len())
            .ok_or_else(|| call.corrupt(format!("answer {answer:?}")))
    }

    pub(super) async fn do_purge(&self, runs: &[RunId]) -> StoreResult<()> {
        let mut call = self.call(&self.scripts().purge, None, &[]);
        for run in runs {
            call.arg(run.to_string());
        }
        call.send_change::<i64>().await.map(drop)
    }
}

/// A failed run as it is kept: the record as a line of JSON, then the definition as MessagePack.
fn failure_from_value(value: &[u8]) -> Option<(RunRecord, Option<scheduler_core::Job>)> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let (line, definition) = (std::str::from_utf8(&value[..end]).ok()?, &value[end + 1..]);
    match Record::from_line(line).ok()? {
        Record::Run(record) => Some((record, codec::job_from_record(definition).ok())),
        Record::Skip(_) => None,
    }
}

fn cursor_from_text(text: &str) -> StoreResult<(Timestamp, String)> {
    let read = || {
        let (at, run) = text.split_once(' ')?;
        Some((Timestamp::from_ms(at.parse().ok()?), run.to_owned()))
    };
    read().ok_or_else(|| {
        let message = format!("{text:?} is no place in a list of failed runs");
        StoreError::new(StoreErrorKind::Refused, "failed", message)
    })
}

/// A text that a pattern of Redis matches as it is.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_are_made_of() {
        assert_eq!(escaped("a b@5"), "a b@5");
        assert_eq!(escaped("a*[1]?\\"), "a\\*\\[1\\]\\?\\\\");
    }
}
